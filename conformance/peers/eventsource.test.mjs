// npm's eventsource on channels: it comes back by itself, with the id that it saw last.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect as dial } from 'node:net';
import { after, before, test } from 'node:test';
import { EventSource } from 'eventsource';
import { serve } from '../openline.mjs';

const TIMEOUT = { timeout: 30_000 };

let server, http;
before(async () => {
  server = await serve();
  http = server.url.replace('ws:', 'http:');
});
after(() => server.end());

const publish = (url, body, headers = { 'Content-Type': 'text/plain' }) => fetch(url, { method: 'POST', body, headers });

/** What comes, to be awaited in turn. */
function listen(url, names = ['message', 'gap', 'text', 'binary']) {
  const source = new EventSource(url), heard = [];
  let wake = () => {};
  for (const name of names) {
    source.addEventListener(name, ({ data, lastEventId }) => {
      heard.push({ name, data, lastEventId });
      wake();
    });
  }
  const next = async () => {
    while (heard.length === 0) await new Promise((resolve) => (wake = resolve));
    return heard.shift();
  };
  const open = new Promise((resolve) => source.addEventListener('open', resolve, { once: true }));
  return { source, next, open };
}

test('messages, and what data cannot carry', TIMEOUT, async () => {
  const url = `${http}/c/events`;
  const { source, next, open } = listen(url);
  await open;
  await publish(url, 'zwölf\n\n Boxkämpfer 🥊\n');
  const { data, lastEventId } = await next();
  assert.equal(data, 'zwölf\n\n Boxkämpfer 🥊\n');
  assert.match(lastEventId, /^[0-9a-f]{16}\.1$/);
  await publish(url, 'a\r\nb');
  const text = await next();
  assert.deepEqual([text.name, JSON.parse(text.data)], ['text', 'a\r\nb']);
  await publish(url, Buffer.of(0, 255), {});
  const binary = await next();
  assert.deepEqual([binary.name, Buffer.from(binary.data, 'base64')], ['binary', Buffer.of(0, 255)]);
  source.close();
});

test('after a cut it comes back by itself and has missed nothing', TIMEOUT, async () => {
  const { hostname, port } = new URL(http);
  const sockets = new Set();
  const between = createServer((peer) => {
    const upstream = dial(Number(port), hostname);
    for (const [one, other] of [[peer, upstream], [upstream, peer]]) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy()).pipe(other);
    }
  });
  between.listen(0, '127.0.0.1');
  await once(between, 'listening');
  const { source, next, open } = listen(`http://127.0.0.1:${between.address().port}/c/cut`);
  await open;
  await publish(`${http}/c/cut`, 'before');
  assert.equal((await next()).data, 'before');
  for (const socket of sockets) socket.destroy();
  for (const text of ['1', '2', '3']) await publish(`${http}/c/cut`, text);
  for (const text of ['1', '2', '3']) assert.equal((await next()).data, text);
  source.close();
  for (const socket of sockets) socket.destroy();
  between.close();
});

test('what is no longer kept is a gap, told before anything else', TIMEOUT, async () => {
  const url = `${http}/c/gone`;
  await publish(url, 'x');
  const { source, next } = listen(`${url}?after=00c0ffee00c0ffee.7`);
  const gap = await next();
  assert.deepEqual([gap.name, JSON.parse(gap.data).gap], ['gap', 'epoch']);
  await publish(url, 'y');
  assert.equal((await next()).data, 'y');
  source.close();
});

test('a stream that may not be is an error, and is not asked for again', TIMEOUT, async () => {
  const source = new EventSource(`${http}/c/two%20words`);
  const error = await new Promise((resolve) => source.addEventListener('error', resolve));
  assert.equal(error.code, 400);
  assert.equal(source.readyState, EventSource.CLOSED);
});
