// A server, lines to it that can be cut and stalled, and clients of the `centrifuge` package, as it is published.

import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Centrifuge } from 'centrifuge';
import { Centrifuge as CentrifugeProtobuf } from 'centrifuge/build/protobuf';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

import { serve } from '../openline.mjs';

export { serve };

/** The key of the API of servers with a file. */
export const KEY = 'k'.repeat(32);

/** Rights of a namespace in which everybody may everything. */
export const OPEN = 'allow = { subscribe = "anyone", publish = "anyone", history = "anyone", presence = "anyone" }';

/** A server with this file. */
export async function configured(text) {
  const folder = await mkdtemp(join(tmpdir(), 'openline-'));
  await writeFile(join(folder, 'openline.toml'), `[api]\nkeys = ["${KEY}"]\n${text}`);
  return { ...(await serve('--config', join(folder, 'openline.toml'))), key: KEY };
}

// Node 20 waits at its end for every handle to close, and for ever for one that was to be reset while it was shutting down
// (`resetAndDestroy`, below): nothing here needs that end.
process.on('exit', () => process.exit());

/** Stands between client and server: what passes can be cut, or stopped. */
export async function between(port) {
  const pairs = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    const pair = { near, far };
    pairs.add(pair);
    near.pipe(far).pipe(near);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) socket.on('error', end).on('close', end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: server.address().port,
    cut: () => pairs.forEach(({ near, far }) => (near.resetAndDestroy(), far.resetAndDestroy())),
    stall: () => pairs.forEach((pair) => ((pair.stalled = true), pair.far.unpipe(pair.near), pair.far.pause())),
    flow: () =>
      pairs.forEach((pair) => {
        if (pair.stalled) pair.far.pipe(pair.near); // a second pipe would say everything twice
        pair.stalled = false;
      }),
    end: () => (server.close(), pairs.forEach(({ near, far }) => (near.destroy(), far.destroy()))),
  };
}

/** The three ways to carry a session. */
export const TRANSPORTS = ['websocket', 'http_stream', 'sse'];

const clients = new Set();

/** A client of the package; `transport` may be `protobuf`, too, which is a WebSocket; with `tls` all of it is over TLS. */
export function client(port, transport = 'websocket', { tls = false, ...options } = {}) {
  const binary = transport === 'protobuf';
  const common = {
    websocket: WebSocket,
    eventsource: EventSource,
    fetch,
    readableStream: ReadableStream,
    emulationEndpoint: `http${tls ? 's' : ''}://127.0.0.1:${port}/emulation`,
    minReconnectDelay: 20,
    maxReconnectDelay: 200,
    ...options,
  };
  const kind = binary ? 'websocket' : transport;
  const scheme = (kind === 'websocket' ? 'ws' : 'http') + (tls ? 's' : '');
  const endpoint = `${scheme}://127.0.0.1:${port}/connection/${kind}`;
  const Client = binary ? CentrifugeProtobuf : Centrifuge;
  const made = new Client([{ transport: kind, endpoint }], common);
  clients.add(made);
  return made;
}

export function endClients() {
  clients.forEach((one) => one.disconnect());
  clients.clear();
}

/** Resolves to what the next event of this name carries. */
export const event = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));

/** Everything that an event carries, and waiting for the n-th. */
export function gather(emitter, name) {
  const seen = [];
  let wake = () => {};
  emitter.on(name, (context) => {
    seen.push(context);
    wake();
  });
  seen.count = async (n) => {
    while (seen.length < n) await new Promise((resolve) => (wake = resolve));
    return seen;
  };
  return seen;
}

/** Connected, with what the server said. */
export async function connected(one) {
  const context = event(one, 'connected');
  one.connect();
  return context;
}

/** Subscribed, with what the server said. */
export async function subscribed(sub) {
  const context = event(sub, 'subscribed');
  sub.subscribe();
  return context;
}

/** A request of the server's API. */
export async function api({ port, key }, method, body = {}) {
  const response = await fetch(`http://127.0.0.1:${port}/api/${method}`, {
    method: 'POST',
    headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, ...(await response.json()) };
}
