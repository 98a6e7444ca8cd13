// The echo of ws' documentation: `node echo.mjs ADDR [--deflate]`. Compression is off by default, and at zlib's default level
// when it is on; each message for itself, as the client asks.
import { WebSocketServer } from 'ws';

const [host, port] = (process.argv[2] ?? '127.0.0.1:0').split(':');
const perMessageDeflate = process.argv.includes('--deflate') && { threshold: 0 };
const server = new WebSocketServer({ host, port: Number(port), backlog: 4096, perMessageDeflate });

server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.on('listening', () => console.log(`listening on ${host}:${server.address().port}`));
