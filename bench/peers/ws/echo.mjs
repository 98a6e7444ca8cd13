// The echo of ws' documentation: `node echo.mjs ADDR`. Compression is off by default.
import { WebSocketServer } from 'ws';

const [host, port] = (process.argv[2] ?? '127.0.0.1:0').split(':');
const server = new WebSocketServer({ host, port: Number(port), backlog: 4096 });

server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.on('listening', () => console.log(`listening on ${host}:${server.address().port}`));
