// What a backend decides: tokens, hooks, tickets, orders of the API; and what is told to whoever sends nonsense.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as aMoment } from 'node:timers/promises';

import WebSocket from 'ws';

import { KEY, OPEN, TRANSPORTS, api, between, client, configured, connected, endClients, event, gather, serve, subscribed } from './helpers.mjs';

const SECRET = 's'.repeat(32);

const base64 = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** A token by HS256. */
function token(claims, seconds = 60) {
  const body = `${base64({ alg: 'HS256', typ: 'JWT' })}.${base64({ exp: Math.floor(Date.now() / 1000) + seconds, ...claims })}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

/** A backend: answers questions as `answer` says, and keeps them. */
async function backend() {
  const asked = [];
  const made = { asked, answer: () => ({ result: {} }) };
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const question = { path: request.url, headers: request.headers, ...JSON.parse(body) };
    asked.push(question);
    const answer = await made.answer(question);
    if (answer === null) return; // for ever
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' });
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  made.url = `http://127.0.0.1:${server.address().port}`;
  made.end = () => (server.closeAllConnections(), server.close());
  return made;
}

afterEach(endClients);

describe('tokens', { timeout: 60_000 }, () => {
  let server;
  before(async () => {
    server = await configured(`
      [auth]
      secret = "${SECRET}"
      cookie = "session"
      [client]
      expiry_grace = "2s"
      personal_namespace = "mine"
      [namespaces.mine]
      [namespaces.room]
      allow = { subscribe = "known" }
      presence = true`);
  });
  after(() => server.end());

  for (const transport of [...TRANSPORTS, 'protobuf']) {
    test(`who somebody is, and a channel of its own, over ${transport}`, async () => {
      const one = client(server.port, transport, { token: token({ sub: 'ann', info: { name: 'Ann' } }) });
      const channel = event(one, 'subscribed');
      const news = gather(one, 'publication');
      await connected(one);
      assert.equal((await channel).channel, 'mine:#ann');
      await api(server, 'publish', { channel: 'mine:#ann', data: { hello: 1 } });
      await news.count(1);
      const sub = one.newSubscription('room:1', { joinLeave: true });
      await subscribed(sub);
      const { result } = await api(server, 'presence', { channel: 'room:1' });
      assert.deepEqual(Object.values(result.presence).map(({ user, conn_info }) => [user, conn_info]), [['ann', { name: 'Ann' }]]);
      one.disconnect();
    });

    test(`what expires is ended, or goes on with a new token, over ${transport}`, async () => {
      let third;
      const renewed = new Promise((resolve) => (third = resolve));
      let issued = 0;
      const getToken = async () => (++issued === 3 && third(), token({ sub: 'bob' }, 2));
      const one = client(server.port, transport, { getToken });
      const away = gather(one, 'connecting');
      await connected(one);
      await renewed;
      assert.equal(away.length, 1, 'it never had to connect again');
      const gone = event(one, 'disconnected');
      await api(server, 'disconnect', { user: 'bob' });
      assert.equal((await gone).code, 3503);
    });
  }

  test('who does not come with a new token is gone', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/connection/websocket`);
    socket.on('open', () => socket.send(JSON.stringify({ id: 1, connect: { token: token({ sub: 'ann' }, 1) } })));
    assert.equal(await new Promise((resolve) => socket.on('close', resolve)), 3005);
  });

  test('disconnected by the server, to come back or not', async () => {
    const one = client(server.port, 'websocket', { token: token({ sub: 'eve' }) });
    await connected(one);
    const again = event(one, 'connected');
    await api(server, 'disconnect', { user: 'eve', disconnect: { code: 4000, reason: 'come back' } });
    await again;
    const gone = event(one, 'disconnected');
    await api(server, 'disconnect', { user: 'eve', disconnect: { code: 4500, reason: 'stay away' } });
    assert.deepEqual([(await gone).code, (await gone).reason], [4500, 'stay away']);
  });

  test('an expired token is replaced, and one that is not is the end', async () => {
    let calls = 0;
    const one = client(server.port, 'websocket', { token: token({ sub: 'ann' }, -60), getToken: async () => (calls++, token({ sub: 'ann' })) });
    await connected(one);
    assert.equal(calls, 1);
    const other = client(server.port, 'websocket', { token: 'a.b.c' });
    const gone = event(other, 'disconnected');
    other.connect();
    assert.equal((await gone).code, 3500);
  });

  test('the ways that a browser has', async () => {
    const { result } = await api(server, 'ticket', { user: 'ann' });
    assert.equal(result.expires_in, 30);
    const open = (protocols, options, query = '') =>
      new Promise((resolve) => {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port}/connection/websocket${query}`, protocols, options);
        socket.on('unexpected-response', (_, response) => resolve({ status: response.statusCode }));
        socket.on('open', () => socket.send('{"id":1,"connect":{}}'));
        socket.on('message', (data) => resolve({ protocol: socket.protocol, ...JSON.parse(data) }));
        socket.on('close', (code) => resolve({ code }));
        socket.on('error', () => {});
      });
    const good = token({ sub: 'ann' });
    const mine = (said) => Object.keys(said.connect?.subs ?? {});
    assert.deepEqual(mine(await open([], {}, `?ticket=${result.ticket}`)), ['mine:#ann']);
    assert.equal((await open([], {}, `?ticket=${result.ticket}`)).status, 401, 'once');
    const bearer = await open(['centrifuge-json', `openline.bearer.${good}`], {});
    assert.deepEqual([mine(bearer), bearer.protocol], [['mine:#ann'], 'centrifuge-json'], 'never echoed');
    assert.deepEqual(mine(await open([], { headers: { authorization: `Bearer ${good}` } })), ['mine:#ann']);
    const cookie = { cookie: `session=${good}` };
    assert.deepEqual(mine(await open([], { headers: cookie, origin: `http://127.0.0.1:${server.port}` })), ['mine:#ann']);
    assert.equal((await open([], { headers: cookie })).status, 403, 'without Origin');
    assert.equal((await open([], { headers: cookie, origin: 'https://evil.example' })).status, 403);
    assert.equal((await open([], {})).code, 3507, 'nobody');
  });

  test('the doors know who knocks, too', async () => {
    const ask = (path, headers) => fetch(`http://127.0.0.1:${server.port}${path}`, { headers }).then(({ status }) => status);
    const stream = { accept: 'text/event-stream' };
    assert.equal(await ask('/c/room:1', stream), 403);
    assert.equal(await ask('/c/room:1', { ...stream, authorization: `Bearer ${token({ sub: 'ann' })}` }), 200);
    assert.equal(await ask('/c/room:1', { ...stream, authorization: `Bearer ${token({ sub: 'ann' }, -60)}` }), 401);
    assert.equal(await ask('/c/room:%23bob', { ...stream, authorization: `Bearer ${token({ sub: 'ann' })}` }), 403);
  });
});

describe('keys', { timeout: 60_000 }, () => {
  const pairs = {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: generateKeyPairSync('ed25519'),
  };
  const digest = { RS256: 'sha256', ES256: 'sha256', EdDSA: null };
  const body = (header) =>
    `${base64(header)}.${base64({ sub: 'ann', iss: 'us', exp: Math.floor(Date.now() / 1000) + 60 })}`;
  const signed = (alg, header = {}) => {
    const text = body({ alg, kid: alg, ...header });
    return `${text}.${sign(digest[alg], Buffer.from(text), { key: pairs[alg].privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const outcome = async (server, shown) => {
    const one = client(server.port, 'websocket', { token: shown });
    const ended = Promise.race([event(one, 'connected').then(() => 'in'), event(one, 'disconnected').then(({ code }) => code)]);
    one.connect();
    return ended;
  };

  test('of a set that is fetched, each for its algorithm', async () => {
    const keys = Object.entries(pairs).map(([kid, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' }));
    keys.push({ kty: 'oct', kid: 'shared', alg: 'HS256', k: Buffer.from(SECRET).toString('base64url') });
    const asked = [];
    const set = http.createServer((request, response) => (asked.push(request.url), response.end(JSON.stringify({ keys }))));
    await new Promise((resolve) => set.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${set.address().port}`;
    const server = await configured(`[auth]\njwks = "${url}/keys"\nissuer = "us"`);
    for (const alg of Object.keys(pairs)) assert.equal(await outcome(server, signed(alg)), 'in', alg);
    const shared = body({ alg: 'HS256', kid: 'shared' });
    assert.equal(await outcome(server, `${shared}.${createHmac('sha256', SECRET).update(shared).digest('base64url')}`), 3500, 'a secret that is published');
    assert.equal(await outcome(server, signed('RS256', { kid: 'ES256' })), 3500, 'a key for another algorithm');
    assert.equal(await outcome(server, signed('ES256', { kid: 'new', jku: `${url}/evil`, x5u: `${url}/evil` })), 3500);
    assert.deepEqual(asked, ['/keys'], 'neither what a token names, nor again so soon');
    set.close();
    server.end();
  });

  test('in files; and the public one is no secret', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'openline-'));
    const pem = (alg) => pairs[alg].publicKey.export({ type: 'spki', format: 'pem' });
    for (const alg of Object.keys(pairs)) await writeFile(join(folder, alg), pem(alg));
    const server = await configured(
      `[auth]\nrs256_key = "${join(folder, 'RS256')}"\nes256_key = "${join(folder, 'ES256')}"\neddsa_key = "${join(folder, 'EdDSA')}"`,
    );
    for (const alg of Object.keys(pairs)) {
      assert.equal(await outcome(server, signed(alg)), 'in', alg);
      const confused = body({ alg: 'HS256' });
      assert.equal(await outcome(server, `${confused}.${createHmac('sha256', pem(alg)).update(confused).digest('base64url')}`), 3500);
    }
    server.end();
  });
});

describe('hooks', { timeout: 60_000 }, () => {
  let server, decides;
  before(async () => {
    decides = await backend();
    server = await configured(`
      [hooks]
      connect = "${decides.url}/connect"
      refresh = "${decides.url}/refresh"
      subscribe = "${decides.url}/subscribe"
      sub_refresh = "${decides.url}/sub_refresh"
      publish = "${decides.url}/publish"
      rpc = "${decides.url}/rpc"
      send = "${decides.url}/send"
      namespaces = ["asked"]
      timeout = "500ms"
      headers = ["Cookie"]
      emulated_headers = ["Authorization"]
      resume = "1m"
      [namespaces.asked]
      [namespaces.open]
      ${OPEN}`);
  });
  after(() => (server.end(), decides.end()));
  const answers = {
    '/connect': { result: { user: 'ann', info: { a: 1 }, data: { hi: true }, channels: ['open:hers'] } },
    '/rpc': { result: { data: { answer: 42 } } },
  };
  const answer = ({ path }) => answers[path] ?? { result: {} };

  for (const transport of TRANSPORTS) {
    test(`the backend decides, over ${transport}`, async () => {
      decides.answer = answer;
      decides.asked.length = 0;
      const one = client(server.port, transport, { headers: { authorization: 'me', cookie: 'forged' }, data: { from: 'js' } });
      const channel = event(one, 'subscribed');
      const { data } = await connected(one);
      assert.equal(data.hi, true);
      assert.equal((await channel).channel, 'open:hers');
      const [question] = decides.asked;
      assert.deepEqual([question.path, question.transport, question.protocol, question.data], ['/connect', transport, 'json', { from: 'js' }]);
      assert.deepEqual([question.headers.authorization, question.headers.cookie], ['me', undefined]);

      assert.deepEqual((await one.rpc('sum', [1])).data, { answer: 42 });
      const rpc = decides.asked.at(-1);
      assert.deepEqual([rpc.path, rpc.method, rpc.data, rpc.user], ['/rpc', 'sum', [1], 'ann']);

      answers['/subscribe'] = { result: { data: { welcome: 1 } } };
      const sub = one.newSubscription('asked:room');
      assert.deepEqual((await subscribed(sub)).data, { welcome: 1 });
      answers['/publish'] = { result: { data: 'instead' } };
      const heard = gather(sub, 'publication');
      await sub.publish('this');
      assert.equal((await heard.count(1))[0].data, 'instead');
      answers['/publish'] = { error: { code: 403, message: 'no' } };
      await assert.rejects(sub.publish('this'), { code: 403, message: 'no' });
      answers['/subscribe'] = { error: { code: 403, message: 'no' } };
      const refused = one.newSubscription('asked:other');
      const gone = event(refused, 'unsubscribed');
      refused.subscribe();
      assert.equal((await gone).code, 403);
      answers['/rpc'] = { disconnect: { code: 4501, reason: 'enough' } };
      const end = event(one, 'disconnected');
      one.rpc('bye', null).catch(() => {});
      assert.equal((await end).code, 4501);
      answers['/rpc'] = { result: { data: { answer: 42 } } };
    });
  }

  test('a backend that hangs, lies or is down costs an error, and nobody else anything', async () => {
    decides.answer = answer;
    const [one, other] = [client(server.port), client(server.port)];
    await connected(one);
    await connected(other);
    for (const bad of [() => null, () => 'no JSON', () => ({}), () => ({ error: { code: 1 } }), () => ({ status: 500 })]) {
      decides.answer = (question) => (question.path === '/rpc' ? bad() : answer(question));
      const waits = assert.rejects(one.rpc('x', null), { code: 100 });
      await other.publish('open:hers', 1);
      await waits;
    }
    // It failed five times in a row: it is left alone, at once.
    const asked = decides.asked.length;
    await assert.rejects(one.rpc('x', null), { code: 100 });
    assert.equal(decides.asked.length, asked);
    // After a while one question shows that it is back, and all are asked again.
    decides.answer = answer;
    let refused = 0;
    const again = async () => (refused += 1, await other.publish('open:hers', 1), await aMoment(20), ask());
    const ask = () => one.rpc('x', null).then(({ data }) => data, again);
    assert.deepEqual(await ask(), { answer: 42 });
    assert.ok(refused > 0 && decides.asked.length === asked + 1, `${refused} were refused, ${decides.asked.length - asked} asked`);
    assert.deepEqual((await one.rpc('x', null)).data, { answer: 42 });
  });

  for (const transport of TRANSPORTS) {
    test(`messages without an answer go both ways, in their order, over ${transport}`, async () => {
      decides.answer = answer;
      const one = client(server.port, transport);
      const heard = gather(one, 'message');
      await connected(one);
      decides.asked.length = 0;
      for (const n of [1, 2, 3]) await one.send({ n });
      const sent = () => decides.asked.filter(({ path }) => path === '/send');
      while (sent().length < 3) await Promise.all([one.rpc('x', null), aMoment(20)]);
      const arrived = sent().map(({ data, user }) => [data.n, user]);
      // Commands beside a stream may overtake each other.
      assert.deepEqual(transport === 'websocket' ? arrived : arrived.sort(), [[1, 'ann'], [2, 'ann'], [3, 'ann']]);
      for (const n of [1, 2]) assert.ok((await api(server, 'send', { user: 'ann', data: { n } })).result.sessions >= 1);
      await heard.count(2);
      assert.deepEqual(heard.map(({ data }) => data.n), [1, 2]);
      assert.equal((await api(server, 'send', { user: 'nobody', data: 1 })).result.sessions, 0);
      assert.equal((await api(server, 'send', { user: 'ann' })).error.code, 107);
      decides.answer = (question) => (question.path === '/send' ? { disconnect: { code: 4502, reason: 'enough' } } : answer(question));
      const gone = event(one, 'disconnected');
      await one.send('too much');
      assert.equal((await gone).code, 4502);
    });
  }

  test('what expires goes on as long as the backend says', async () => {
    const soon = (seconds) => Math.floor(Date.now() / 1000) + seconds;
    const goes_on = { '/connect': 3, '/refresh': 3, '/subscribe': 3, '/sub_refresh': 3 };
    decides.asked.length = 0;
    decides.answer = ({ path }) => (path in goes_on ? { result: { user: 'eve', expire_at: soon(1) } } : answer({ path }));
    const one = client(server.port);
    const [away, ended] = [gather(one, 'connecting'), []];
    await connected(one);
    const sub = one.newSubscription('asked:room');
    sub.on('subscribing', (context) => ended.push(context.code));
    await subscribed(sub);
    const asked = (path) => decides.asked.filter((question) => question.path === path && question.user === 'eve').length;
    while (asked('/refresh') < 2 || asked('/sub_refresh') < 2) await Promise.all([one.rpc('x', null), aMoment(20)]);
    assert.deepEqual([away.length, ended], [1, [0]], 'nobody was sent away');
    decides.answer = ({ path }) => ({ result: path === '/sub_refresh' ? { expired: true } : { expire_at: soon(60) } });
    const over = event(sub, 'subscribing');
    assert.equal((await over).code, 2501);
    one.disconnect();
  });

  test('who comes back with a ticket is let in without a question', async () => {
    decides.answer = answer;
    const line = await between(server.port);
    const one = client(line.port, 'websocket');
    one.on('connected', ({ data }) => data.resume && one.setHeaders({ 'openline-resume': data.resume }));
    await connected(one);
    const asked = decides.asked.filter(({ path }) => path === '/connect').length;
    const again = event(one, 'connected');
    line.cut();
    assert.equal((await again).data.hi, true);
    assert.equal(decides.asked.filter(({ path }) => path === '/connect').length, asked);
    line.end();
  });
});

describe('nonsense', { timeout: 60_000 }, () => {
  let server;
  before(async () => (server = await serve()));
  after(() => server.end());

  /** Sends frames; resolves to the replies until the line closes, and its code. */
  const say = (...frames) =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/connection/websocket`);
      const replies = [];
      socket.on('open', () => frames.forEach((frame) => socket.send(frame)));
      socket.on('message', (data) => {
        replies.push(...String(data).split('\n').map((line) => JSON.parse(line)));
        if (frames.join('\n').split('\n').length === replies.length) socket.close(4000);
      });
      socket.on('close', (code) => resolve({ code, replies }));
    });
  const CONNECT = '{"id":1,"connect":{}}';
  const long = 'x'.repeat(300);

  for (const [what, frames, code, error] of [
    ['no JSON', ['hello'], 3501],
    ['half a command', ['{"id":1,'], 3501],
    ['an empty message', [''], 3501],
    ['a command before connecting', ['{"id":1,"subscribe":{"channel":"a"}}'], 3501],
    ['a call before connecting', ['{"id":1,"rpc":{"data":1}}'], 3501],
    ['connecting twice', [CONNECT, '{"id":2,"connect":{}}'], 3501],
    ['no id', [CONNECT, '{"subscribe":{"channel":"a"}}'], 3501],
    ['a negative id', [CONNECT, '{"id":-1,"ping":{}}'], 3501],
    ['an unknown command', [CONNECT, '{"id":2,"dance":{}}'], 4000, 104],
    ['subscribing twice', [CONNECT, '{"id":2,"subscribe":{"channel":"a"}}\n{"id":3,"subscribe":{"channel":"a"}}'], 4000, 105],
    ['a channel without a name', [CONNECT, '{"id":2,"subscribe":{}}'], 4000, 107],
    ['a channel with a name too long', [CONNECT, `{"id":2,"subscribe":{"channel":"${long}"}}`], 4000, 107],
    ['publishing nothing', [CONNECT, '{"id":2,"publish":{"channel":"a"}}'], 4000, 107],
    ['publishing too much', [CONNECT, `{"id":2,"publish":{"channel":"a","data":"${'x'.repeat(70_000)}"}}`], 4000, 106],
    ['a token that is none', ['{"id":1,"connect":{"token":"a.b.c"}}'], 3500],
    ['refreshing with nothing', [CONNECT, '{"id":2,"refresh":{}}'], 3500],
    ['more than a message may be', [`"${'x'.repeat(1_100_000)}"`], 1009],
  ]) {
    test(what, async () => {
      const said = await say(...frames);
      assert.equal(said.code, code);
      if (error !== undefined) assert.equal(said.replies.find((reply) => reply.error)?.error.code, error);
      assert.deepEqual((await say(CONNECT)).code, 4000, 'nobody else is disturbed');
    });
  }

  test('too many channels', async () => {
    const one = client(server.port);
    await connected(one);
    for (let n = 0; n < 128; n += 1) one.newSubscription(`many-${n}`).subscribe();
    const last = one.newSubscription('many-128');
    const gone = event(last, 'unsubscribed');
    last.subscribe();
    assert.equal((await gone).code, 106);
  });

  test('the API without its key', async () => {
    assert.equal((await fetch(`http://127.0.0.1:${server.port}/api/info`, { method: 'POST' })).status, 401);
    const wrong = { method: 'POST', headers: { 'X-API-Key': 'x' } };
    assert.equal((await fetch(`http://127.0.0.1:${server.port}/api/info`, wrong)).status, 401);
  });

  test('commands for nobody', async () => {
    const send = (body) => fetch(`http://127.0.0.1:${server.port}/emulation`, { method: 'POST', body }).then(({ status }) => status);
    assert.equal(await send('{"node":"x","session":"y","data":"{}"}'), 404);
    assert.equal(await send('nonsense'), 400);
    assert.equal(await send('x'.repeat(200_000)), 413);
  });
});

describe('secrets', { timeout: 60_000 }, () => {
  test('are in no log, however much is logged', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'openline-'));
    const url = 'http://127.0.0.1:9'; // nobody is there
    await writeFile(join(folder, 'openline.toml'), `
      [api]
      keys = ["${KEY}"]
      [auth]
      secret = "${SECRET}"
      cookie = "session"
      [hooks]
      rpc = "${url}/rpc"
      resume_secret = "${'r'.repeat(32)}"
      [client]
      anonymous = true`);
    const logged = [];
    const child = spawn(process.env.OPENLINE ?? 'openline', ['serve', '--listen', '127.0.0.1:0', '--config', join(folder, 'openline.toml')], {
      env: { ...process.env, RUST_LOG: 'trace' },
    });
    const port = await new Promise((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text) => {
          logged.push(text);
          const printed = /127\.0\.0\.1:(\d+)\s/.exec(logged.join(''));
          if (printed) resolve(Number(printed[1]));
        });
      }
    });
    const server = { port, key: KEY };
    const good = token({ sub: 'ann' });
    const { result } = await api(server, 'ticket', { user: 'ann' });
    const secrets = [SECRET, KEY, 'r'.repeat(32), good, good.split('.')[2], result.ticket];
    const origin = `http://127.0.0.1:${port}`;
    for (const [query, protocols, headers, shown] of [
      ['', [], {}, good],
      [`?ticket=${result.ticket}`, [], {}, ''],
      [`?ticket=${result.ticket}`, [], {}, ''], // not for a second time
      ['', ['centrifuge-json', `openline.bearer.${good}`], {}, ''],
      ['', [], { authorization: `Bearer ${good}` }, ''],
      ['', [], { cookie: `session=${good}`, origin }, ''],
      ['', [], { cookie: `session=${good}` }, ''],
      ['', [], {}, `${good}x`],
    ]) {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/connection/websocket${query}`, protocols, { headers });
      socket.on('error', () => {});
      socket.on('open', () => socket.send(JSON.stringify({ id: 1, connect: { token: shown } }) + '\n{"id":2,"rpc":{"data":1}}'));
      await new Promise((resolve) => {
        let heard = 0;
        socket.on('message', (data) => ((heard += String(data).split('\n').length), heard > 1 && socket.close()));
        socket.on('close', resolve);
      });
    }
    for (const headers of [{ 'x-api-key': KEY }, { 'x-api-key': `${KEY}x` }, { authorization: `apikey ${KEY}` }]) {
      await fetch(`${origin}/api/info`, { method: 'POST', headers });
    }
    await fetch(`${origin}/c/news`, { headers: { authorization: `Bearer ${good}` } });
    await fetch(`${origin}/c/news?ticket=${result.ticket}`);
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('close', resolve));
    const text = logged.join('');
    assert.match(text, /TRACE|DEBUG/, 'it does log');
    for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} is in the log:\n${text.split('\n').filter((line) => line.includes(secret)).slice(0, 3).join('\n')}`);
  });
});

describe('time', { timeout: 60_000 }, () => {
  test('a line that says nothing has a deadline', async () => {
    const server = await configured('[client]\nconnect_timeout = "300ms"');
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/connection/websocket`);
    assert.equal(await new Promise((resolve) => socket.on('close', resolve)), 3502);
    server.end();
  });
});
