// `openline connect` as the client of npm's ws.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocketServer } from 'ws';
import { connect } from '../openline.mjs';

const TIMEOUT = { timeout: 20_000 };

/** A server on a free port, for as long as `use(url)` takes. */
async function serving(handler, use, options = {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  server.on('connection', handler);
  await once(server, 'listening');
  try {
    return await use(`ws://127.0.0.1:${server.address().port}/`);
  } finally {
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
}

const echo = (socket) => socket.on('message', (data, binary) => socket.send(data, { binary }));

test('lines go out and messages come in', TIMEOUT, async () => {
  const lines = ['hello', '', 'zwölf Boxkämpfer 🥊', 'x'.repeat(300_000)].map((line) => `${line}\n`).join('');
  const { code, stdout, stderr } = await serving(echo, (url) => connect([url, '--wait', '0.3s'], lines));
  assert.equal(stdout, lines);
  assert.equal(code, 0);
  assert.match(stderr, /1000/);
});

test('binary comes in as hex', TIMEOUT, async () => {
  const send = (socket) => { socket.send(Buffer.of(0, 255, 104)); socket.close(1000); };
  const { code, stdout } = await serving(send, (url) => connect([url]));
  assert.deepEqual([code, stdout], [0, '0x00ff68\n']);
});

test('fragments come in as one line, with a ping between them', TIMEOUT, async () => {
  const pongs = [];
  const send = (socket) => {
    socket.on('pong', (data) => { pongs.push(data.toString()); socket.close(1000); });
    socket.send('one ', { fin: false });
    socket.ping('there?');
    socket.send('two', { fin: true });
  };
  const { code, stdout } = await serving(send, (url) => connect([url, '--wait', '10s']));
  assert.deepEqual([code, stdout, pongs], [0, 'one two\n', ['there?']]);
});

test('compression is offered and so spoken', TIMEOUT, async () => {
  const send = (socket) => { socket.send(`extensions: "${socket.extensions}"`); socket.close(1000); };
  const { stdout } = await serving(send, (url) => connect([url]), { perMessageDeflate: true });
  assert.equal(stdout, 'extensions: "permessage-deflate"\n');
});

test('subprotocols are offered in order and one is chosen', TIMEOUT, async () => {
  const offers = [];
  const handleProtocols = (offered) => { offers.push([...offered]); return 'soap'; };
  const close = (socket) => socket.close(1000);
  const use = (url) => connect([url, '--subprotocol', 'chat', '--subprotocol', 'soap']);
  const { code, stderr } = await serving(close, use, { handleProtocols });
  assert.deepEqual([code, offers], [0, [['chat', 'soap']]]);
  assert.match(stderr, /soap/);
});

for (const [args, exit] of [[[1000, 'done'], 0], [[1001, 'going home'], 0], [[1011, 'it broke'], 6], [[4001, 'über'], 6]]) {
  test(`a close with ${args[0]} is said and judged`, TIMEOUT, async () => {
    const { code, stdout, stderr } = await serving((socket) => socket.close(...args), (url) => connect([url, '--wait', '10s']));
    assert.deepEqual([code, stdout], [exit, '']);
    assert.match(stderr, new RegExp(`${args[0]}.*${args[1]}`));
  });
}

test('a close without a code is clean', TIMEOUT, async () => {
  const { code } = await serving((socket) => socket.close(), (url) => connect([url, '--wait', '10s']));
  assert.equal(code, 0);
});

test('a line that is cut ended badly', TIMEOUT, async () => {
  const { code } = await serving((socket) => socket.terminate(), (url) => connect([url, '--wait', '10s']));
  assert.equal(code, 6);
});

test('a client that is through closes with 1000', TIMEOUT, async () => {
  let closed;
  const wait = (socket) => { closed = once(socket, 'close'); };
  const { code } = await serving(wait, async (url) => {
    const done = await connect([url, '--wait', '0s'], 'bye\n');
    const [closeCode] = await closed;
    assert.equal(closeCode, 1000);
    return done;
  });
  assert.equal(code, 0);
});

test('a refusal is shown', TIMEOUT, async () => {
  const verifyClient = (_info, answer) => answer(false, 401, 'who are you?');
  const { code, stderr } = await serving(echo, (url) => connect([url]), { verifyClient });
  assert.equal(code, 5);
  assert.match(stderr, /401/);
  assert.match(stderr, /who are you\?/);
});
