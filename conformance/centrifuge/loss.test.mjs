// Nothing is lost in silence: numbered messages through lines that are cut and stalled, recovered by the package itself.
//
// The n-th publication of the channel is the number n. Each client holds what it gets against the sequence: the next number
// with the next offset, or word that something is gone. OPENLINE_LOSS_MESSAGES says how many all clients together could receive
// (`./check loss-sessions`: a million); who is away for long is told of a gap instead. OPENLINE_LOSS_SEED repeats a run.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { OPEN, TRANSPORTS, api, between, client, configured, connected, endClients, subscribed } from './helpers.mjs';

const KINDS = [...TRANSPORTS, 'protobuf', ...TRANSPORTS, 'protobuf'];
const RECEIVED = Number(process.env.OPENLINE_LOSS_MESSAGES ?? 24_000);
const MESSAGES = Math.ceil(RECEIVED / KINDS.length);
/** Published by one request of the backend; a line is broken after each. */
const BATCH = 10;
let seed = Number(process.env.OPENLINE_LOSS_SEED ?? process.pid);
console.log(`OPENLINE_LOSS_SEED=${seed} OPENLINE_LOSS_MESSAGES=${RECEIVED}`);

/** From 0 to below; the same for the same seed (Marsaglia's xorshift32). */
function random(below) {
  for (const [shift, left] of [[13, true], [17, false], [5, true]]) seed ^= left ? seed << shift : seed >>> shift;
  return (seed >>> 0) % below;
}

let server;
const lines = [];
// Some who are away for long find that it is not all there any more.
before(async () => (server = await configured(`[client]\nanonymous = true\n[channels]\nhistory.count = 500\n${OPEN}`)));
after(() => (endClients(), lines.forEach((line) => line.end()), server.end()));

test('what is received is the sequence, or a gap was told', { timeout: 120_000 + RECEIVED }, async () => {
  seed ||= 1;
  const observers = [];
  for (const transport of KINDS) {
    const line = await between(server.port);
    lines.push(line);
    const one = client(line.port, transport, { maxServerPingDelay: 1000 });
    const sub = one.newSubscription('loss');
    const seen = { transport, line, last: 0, got: 0, gaps: 0, cuts: 0, done: null };
    const ended = new Promise((resolve) => (seen.done = resolve));
    sub.on('subscribed', ({ wasRecovering, recovered, streamPosition }) => {
      if (wasRecovering && !recovered) {
        seen.gaps += 1;
        seen.last = streamPosition.offset;
        if (seen.last >= MESSAGES) seen.done();
      }
    });
    sub.on('publication', ({ data, offset }) => {
      const number = data instanceof Uint8Array ? JSON.parse(new TextDecoder().decode(data)) : data;
      assert.equal(offset, seen.last + 1, `${transport}: an offset is missing, or came twice`);
      assert.equal(number, offset, `${transport}: another publication than the one of this offset`);
      seen.last = offset;
      seen.got += 1;
      if (number === MESSAGES) seen.done();
    });
    await connected(one);
    await subscribed(sub);
    observers.push({ seen, ended });
  }
  // A backend that outruns those who come back would find all of them away, and nobody to receive anything.
  const away = (n) => observers.filter(({ seen }) => seen.last < n - 250).length > observers.length / 2;
  for (let n = 0; n < MESSAGES; ) {
    for (let waits = 0; away(n) && waits < 100; waits += 1) await delay(2); // at most half of them are, for 200 ms
    const numbers = Array.from({ length: Math.min(BATCH, MESSAGES - n) }, () => (n += 1));
    const commands = numbers.map((data) => ({ publish: { channel: 'loss', data } }));
    const { replies } = await api(server, 'batch', { commands });
    assert.deepEqual(replies.map(({ publish }) => publish.offset), numbers);
    const { seen } = observers[random(observers.length)];
    const { line } = seen;
    seen.cuts += 1;
    if (random(3) > 0) line.cut();
    else {
      line.stall();
      setTimeout(() => (random(2) ? line.cut() : line.flow()), random(200)); // the stall itself
    }
  }
  // Whoever is still away comes back.
  await Promise.all(observers.map(({ ended }) => ended));
  const sum = (name) => observers.reduce((total, { seen }) => total + seen[name], 0);
  console.log(`${sum('got')} received of ${MESSAGES * observers.length}, ${sum('gaps')} gaps told, ${sum('cuts')} lines broken, 0 silent losses`);
  assert.ok(sum('cuts') > 0 && sum('got') > MESSAGES);
});
