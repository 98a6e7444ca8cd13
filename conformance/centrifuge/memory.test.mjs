// What an idle client with one subscription holds of the server: 3 KiB at most. OPENLINE_IDLE_SESSIONS=19000 is the long form.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';

import { serve } from './helpers.mjs';

const SESSIONS = Number(process.env.OPENLINE_IDLE_SESSIONS ?? 4000);
const MAX_BYTES = 3 << 10;

/** A client's text, masked with zeros (RFC 6455 §5.3). */
function masked(text) {
  const payload = Buffer.from(text);
  assert.ok(payload.length < 126);
  return Buffer.concat([Buffer.of(0x81, 0x80 | payload.length, 0, 0, 0, 0), payload]);
}

const HEAD =
  'GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const COMMANDS = masked('{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"news"}}');

/** Connects and subscribes; the library itself takes a hundred times as much memory, of ours. */
const join = (port, n) =>
  new Promise((resolve, reject) => {
    // From several addresses: one has not ports enough for all.
    const socket = net.connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${1 + (n % 4)}` });
    let said = '';
    socket.on('error', reject);
    socket.on('data', (data) => {
      const opened = said.includes('\r\n\r\n');
      said += data.toString('latin1');
      if (!opened && said.includes('\r\n\r\n')) socket.write(COMMANDS);
      if (said.includes('"subscribe":{')) resolve(socket);
    });
    socket.write(HEAD);
  });

test('an idle client is small', { timeout: 120_000 }, async () => {
  process.env.OPENLINE_CLIENT_PING_INTERVAL = '10m'; // nobody here answers
  const server = await serve('--max-connections', '20000');
  const sockets = [];
  const join_all = async (total) => {
    while (sockets.length < total) {
      const batch = Array.from({ length: Math.min(50, total - sockets.length) }, (_, n) => join(server.port, sockets.length + n));
      sockets.push(...(await Promise.all(batch)));
    }
  };
  const resident = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) * 1024;
  await join_all(200); // what is there once, is there now
  const before = resident();
  await join_all(200 + SESSIONS);
  const each = Math.round((resident() - before) / SESSIONS);
  console.log(`${each} bytes for each of ${SESSIONS} idle clients with one subscription`);
  sockets.forEach((socket) => socket.destroy());
  server.end();
  assert.ok(each <= MAX_BYTES, `${each} bytes`);
});
