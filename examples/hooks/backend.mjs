// A backend for hooks, with nothing but Node: who may connect, what may be said, and what is answered to calls.
//
//     node backend.mjs
//     openline serve --config hooks.toml

import http from 'node:http';

const soon = () => Math.floor(Date.now() / 1000) + 300;

const decide = {
  '/connect': ({ data }) =>
    data?.name
      ? { result: { user: data.name, info: { name: data.name }, expire_at: soon() } }
      : { disconnect: { code: 4501, reason: 'say your name in data.name' } },
  '/refresh': () => ({ result: { expire_at: soon() } }),
  '/subscribe': ({ channel }) => ({ result: { data: { welcome: channel } } }),
  '/publish': ({ data }) => {
    const text = String(data?.text ?? '');
    return text.includes('spam') ? { error: { code: 403, message: 'no spam' } } : { result: { data: { text: text.slice(0, 500) } } };
  },
  '/rpc': ({ method }) =>
    method === 'time' ? { result: { data: { now: Date.now() / 1000 } } } : { error: { code: 404, message: 'nothing to call by that name' } },
};

http
  .createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const answer = decide[request.url]?.(JSON.parse(body)) ?? { error: { code: 404, message: 'nothing to ask here' } };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  })
  .listen(process.env.PORT ?? 3001, '127.0.0.1');
