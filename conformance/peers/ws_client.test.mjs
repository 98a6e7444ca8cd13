// npm's ws as the client of `openline serve`.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { serve } from '../openline.mjs';

const TIMEOUT = { timeout: 20_000 };

let server;
before(async () => { server = await serve(); });
after(() => server.end());

/** An open socket whose messages can be awaited in turn: none is lost between two awaits. */
async function open(path, protocols = [], options = {}) {
  const socket = new WebSocket(server.url + path, protocols, options);
  const messages = [];
  let wake = () => {};
  socket.on('message', (data, binary) => {
    messages.push(binary ? data : data.toString());
    wake();
  });
  socket.next = async () => {
    while (messages.length === 0) await new Promise((resolve) => (wake = resolve));
    return messages.shift();
  };
  await once(socket, 'open');
  return socket;
}

async function closed(socket, ...args) {
  socket.close(...args);
  const [code, reason] = await once(socket, 'close');
  return [code, reason.toString()];
}

for (const [name, message] of Object.entries({
  'text': 'Ping',
  'text beyond ASCII': 'zwölf Boxkämpfer 🥊',
  'empty text': '',
  '300 kB of text': 'x'.repeat(300_000),
  'binary': Buffer.of(0, 255, 128),
  'empty binary': Buffer.alloc(0),
  '300 kB of binary': Buffer.alloc(300_000, 7),
})) {
  test(`${name} comes back as it went`, TIMEOUT, async () => {
    const socket = await open('/test');
    socket.send(message);
    assert.deepEqual(await socket.next(), message);
    assert.equal((await closed(socket, 1000))[0], 1000);
  });
}

test('a message in fragments comes back whole', TIMEOUT, async () => {
  const socket = await open('/test');
  for (const fragment of ['one ', '', 'two ']) socket.send(fragment, { fin: false });
  socket.send('three', { fin: true });
  assert.equal(await socket.next(), 'one two three');
  socket.terminate();
});

test('a ping is answered with what it carried, in a message too', TIMEOUT, async () => {
  const socket = await open('/test');
  socket.send('before ', { fin: false });
  socket.ping('are you there?');
  socket.send('after', { fin: true });
  const [data] = await once(socket, 'pong');
  assert.equal(data.toString(), 'are you there?');
  assert.equal(await socket.next(), 'before after');
  socket.terminate();
});

test('compression that is offered is accepted', TIMEOUT, async () => {
  const some = await open('/test', [], { perMessageDeflate: true });
  assert.equal(some.extensions, 'permessage-deflate');
  some.terminate();
  const none = await open('/test', [], { perMessageDeflate: false });
  assert.equal(none.extensions, '');
  none.terminate();
});

test('the first subprotocol is chosen, and none without an offer', TIMEOUT, async () => {
  const some = await open('/test', ['soap', 'wamp']);
  assert.equal(some.protocol, 'soap');
  some.terminate();
  const none = await open('/test');
  assert.equal(none.protocol, '');
  none.terminate();
});

for (const [code, reason] of [[1000, ''], [1001, 'going home'], [3000, 'é'.repeat(61)], [4999, '']]) {
  test(`close code ${code} comes back`, TIMEOUT, async () => {
    assert.equal((await closed(await open('/test'), code, reason))[0], code);
  });
}

test('a close without a code comes back without one', TIMEOUT, async () => {
  assert.equal((await closed(await open('/test')))[0], 1005);
});

test('in the chat everyone hears every other', TIMEOUT, async () => {
  const ann = await open('/chat', ['chat']);
  const ben = await open('/chat');
  assert.deepEqual([ann.protocol, ben.protocol], ['chat', '']);
  ann.send('hello from Ann');
  assert.equal(await ben.next(), 'hello from Ann');
  ben.send(Buffer.of(1, 2));
  assert.deepEqual(await ann.next(), Buffer.of(1, 2)); // had Ann heard herself, that would come first
  ann.terminate();
  ben.terminate();
});

test('the counter counts and starts again', TIMEOUT, async () => {
  const socket = await open('/increment', ['dumb-increment-protocol']);
  assert.deepEqual([await socket.next(), await socket.next(), await socket.next()], ['0', '1', '2']);
  socket.send('reset\n');
  while ((await socket.next()) !== '0');
  assert.equal(await socket.next(), '1');
  socket.terminate();
});

test('the counter wants its subprotocol', TIMEOUT, async () => {
  const socket = new WebSocket(`${server.url}/increment`);
  const [request, response] = await once(socket, 'unexpected-response');
  assert.equal(response.statusCode, 400);
  request.destroy();
});
