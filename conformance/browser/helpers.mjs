// Servers that are not the one under test: a page from somewhere else, and a WebSocket peer that says what it is told to.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

/** Serves one page at every path, on a port of its own. */
export async function servePage(html) {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(html);
  });
  return listening(server);
}

/** Accepts every WebSocket, whoever asks, and sends it these messages: strings as text, buffers as binary. */
export async function serveMessages(messages) {
  const server = createServer((_request, response) => response.writeHead(426).end());
  server.on('upgrade', (request, socket) => {
    running.push({ close: () => socket.destroy() });
    socket.on('error', () => {}); // browsers leave as they like
    const key = request.headers['sec-websocket-key'];
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    for (const message of messages) socket.write(frame(message));
    socket.resume();
  });
  return listening(server);
}

/** For the end of a test file, however it ended: a server that listens keeps its process alive. */
export function closeServers() {
  for (const each of running.splice(0)) each.close();
}

const running = [];

/** RFC 6455 §5.2: one unmasked frame. */
function frame(message) {
  const payload = Buffer.from(message);
  const first = Buffer.of(typeof message === 'string' ? 0x81 : 0x82);
  if (payload.length < 126) return Buffer.concat([first, Buffer.of(payload.length), payload]);
  const length = Buffer.alloc(payload.length < 65536 ? 3 : 9);
  if (length.length === 3) {
    length[0] = 126;
    length.writeUInt16BE(payload.length, 1);
  } else {
    length[0] = 127;
    length.writeBigUInt64BE(BigInt(payload.length), 1);
  }
  return Buffer.concat([first, length, payload]);
}

async function listening(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  running.push({
    close() {
      server.closeAllConnections();
      server.close();
    },
  });
  const { port } = server.address();
  return { port, url: `http://127.0.0.1:${port}` };
}
