// Compression against npm's ws, which is Node's zlib: what either side compresses, the other reads, whatever was agreed on.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { connect, serve } from '../openline.mjs';

const TIMEOUT = { timeout: 60_000 };

const servers = {};
before(async () => {
  for (const how of ['on', 'takeover']) servers[how] = await serve('--compression', how, '--compression-min-bytes', '1');
});
after(() => Object.values(servers).forEach((server) => server.end()));

/** Random messages, the same each time: empty, short, repetitive, JSON that resembles what went before, and noise. */
function* messages(seed, count) {
  let state = seed * 2_654_435_761 + 1;
  const dice = (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) % sides;
  };
  const noise = (length) => {
    const blocks = [];
    for (let n = 0; n * 32 < length; n++) blocks.push(createHash('sha256').update(`${seed} ${state} ${n}`).digest());
    return Buffer.concat(blocks).subarray(0, length);
  };
  for (let n = 0; n < count; n++) {
    const length = [0, 1, 10, 100, 1000, 10_000, 70_000][dice(7)];
    switch (dice(4)) {
      case 0: yield JSON.stringify(Array.from({ length: 1 + length / 50 }, () => ({ id: dice(1000), side: 'köp', price: dice(1e6) }))); break;
      case 1: yield 'ab'.repeat(length); break;
      case 2: yield noise(length); break;
      default: yield Buffer.concat([noise(50), Buffer.alloc(length, 7), noise(50)]); break;
    }
  }
}

const PARAMETERS = [];
for (const serverNoContextTakeover of [undefined, true]) { // `false` would mean that the other side must not have it
  for (const clientNoContextTakeover of [undefined, true]) {
    for (const serverMaxWindowBits of [undefined, 9, 12, 15]) {
      for (const clientMaxWindowBits of [undefined, 9, 12, 15]) {
        PARAMETERS.push({ serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits });
      }
    }
  }
}

for (const how of ['on', 'takeover']) {
  test(`messages come back as they went, compression ${how}, with all parameters`, TIMEOUT, async () => {
    for (const [seed, parameters] of PARAMETERS.entries()) {
      const perMessageDeflate = { ...parameters, threshold: 0 };
      const socket = new WebSocket(`${servers[how].url}/test`, { perMessageDeflate });
      await once(socket, 'open');
      assert.equal(socket.extensions, 'permessage-deflate');
      for (const message of messages(seed, 8)) {
        socket.send(message);
        const [data, binary] = await once(socket, 'message');
        assert.ok(data.equals(Buffer.from(message)) && binary === (typeof message !== 'string'), JSON.stringify(parameters));
      }
      socket.terminate();
    }
  });
}

test('in fragments, with pings between', TIMEOUT, async () => {
  const socket = new WebSocket(`${servers.takeover.url}/test`, { perMessageDeflate: { threshold: 0 } });
  await once(socket, 'open');
  const parts = ['one '.repeat(1000), '', 'two '.repeat(1000), 'three'];
  for (let round = 0; round < 3; round++) {
    const pong = once(socket, 'pong');
    const message = once(socket, 'message');
    parts.forEach((part, n) => {
      socket.send(part, { fin: n + 1 === parts.length, compress: true });
      socket.ping(`${n}`);
    });
    await pong;
    assert.equal((await message)[0].toString(), parts.join(''));
  }
  socket.terminate();
});

test('our client and a server that compresses, with all parameters', TIMEOUT, async () => {
  const lines = [...messages(1, 60)].filter((message) => typeof message === 'string' && message.length < 60_000);
  const text = lines.map((line) => `${line}\n`).join('');
  for (const parameters of PARAMETERS.filter((_, n) => n % 5 === 0)) {
    const perMessageDeflate = { ...parameters, threshold: 0 };
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate });
    let extensions;
    server.on('connection', (socket) => {
      ({ extensions } = socket);
      socket.on('message', (data, binary) => socket.send(data, { binary }));
    });
    await once(server, 'listening');
    const { code, stdout } = await connect([`ws://127.0.0.1:${server.address().port}/`, '--wait', '0.5s'], text);
    server.close();
    assert.equal(extensions, 'permessage-deflate');
    assert.deepEqual([code, stdout === text], [0, true], JSON.stringify(parameters));
  }
});
