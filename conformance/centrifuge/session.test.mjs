// What an application does with the package, over everything that carries a session.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, test } from 'node:test';

import { TRANSPORTS, api, between, client, connected, endClients, event, gather, serve, subscribed } from './helpers.mjs';

let server;
before(async () => (server = await serve()));
after(() => server.end());
afterEach(endClients);

let number = 0;
/** A channel that no other test uses. */
const channel = (name) => `${name}-${++number}`;
const utf8 = new TextDecoder();
const data = (publication) => publication.data instanceof Uint8Array ? JSON.parse(utf8.decode(publication.data)) : publication.data;

for (const transport of [...TRANSPORTS, 'protobuf']) {
  const payload = (value) => (transport === 'protobuf' ? new TextEncoder().encode(JSON.stringify(value)) : value);

  describe(transport, { timeout: 60_000 }, () => {
    test('connects, subscribes, publishes and unsubscribes', async () => {
      const [ann, bob] = [client(server.port, transport), client(server.port, transport)];
      const context = await connected(ann);
      assert.match(context.client, /^[0-9a-f-]{36}$/);
      await connected(bob);
      const name = channel('talk');
      const [hers, his] = [ann.newSubscription(name), bob.newSubscription(name)];
      const heard = gather(his, 'publication');
      await subscribed(hers);
      const { recoverable, positioned, streamPosition } = await subscribed(his);
      assert.deepEqual([recoverable, positioned, streamPosition.offset], [true, true, 0]);
      await hers.publish(payload({ text: 'hello\nworld' }));
      await ann.publish(name, payload([1, 'é']));
      await heard.count(2);
      assert.deepEqual(heard.map(data), [{ text: 'hello\nworld' }, [1, 'é']]);
      assert.deepEqual(heard.map(({ offset }) => offset), [1, 2]);
      assert.equal(heard[0].info.client, context.client);

      his.unsubscribe();
      // Commands beside a stream may overtake each other.
      while ((await ann.presenceStats(name)).numClients > 1);
      await hers.publish(payload('nobody hears this'));
      const again = gather(his, 'publication');
      const back = await subscribed(his);
      assert.deepEqual([back.wasRecovering, back.recovered], [true, true]);
      assert.deepEqual((await again.count(1)).map(data), ['nobody hears this']);
    });

    test('reads history from both ends', async () => {
      const one = client(server.port, transport);
      await connected(one);
      const name = channel('past');
      for (const n of [1, 2, 3, 4]) await one.publish(name, payload(n));
      const all = await one.history(name, { limit: 10 });
      assert.deepEqual(all.publications.map(data), [1, 2, 3, 4]);
      assert.equal(all.offset, 4);
      const { epoch } = all;
      const page = await one.history(name, { limit: 2, since: { offset: 1, epoch } });
      assert.deepEqual(page.publications.map(data), [2, 3]);
      const back = await one.history(name, { limit: 2, reverse: true });
      assert.deepEqual(back.publications.map(data), [4, 3]);
      assert.equal((await one.history(name)).publications.length, 0);
      await assert.rejects(one.history(name, { limit: 1, since: { offset: 1, epoch: 'x' } }), { code: 112 });
    });

    test('sees who is there, comes and goes', async () => {
      const [ann, bob] = [client(server.port, transport), client(server.port, transport)];
      const context = await connected(ann);
      const his = await connected(bob);
      const name = channel('room');
      const sub = ann.newSubscription(name, { joinLeave: true });
      const [joins, leaves] = [gather(sub, 'join'), gather(sub, 'leave')];
      await subscribed(sub);
      const other = bob.newSubscription(name);
      await subscribed(other);
      await joins.count(2);
      assert.deepEqual(joins.map(({ info }) => info.client), [context.client, his.client]);
      const { clients } = await sub.presence();
      assert.deepEqual(Object.keys(clients).sort(), [context.client, his.client].sort());
      assert.deepEqual(await sub.presenceStats(), { numClients: 2, numUsers: 1 });
      bob.disconnect();
      await leaves.count(1);
      assert.equal(leaves[0].info.client, his.client);
      assert.equal((await sub.presenceStats()).numClients, 1);
    });

    test('says what it does not do', async () => {
      const one = client(server.port, transport);
      await connected(one);
      await assert.rejects(one.rpc('now', payload({})), { code: 108, message: 'not available' });
      await assert.rejects(one.publish('two words', payload(1)), { code: 107 });
      await assert.rejects(one.presence('#ann'), { code: 103, message: 'permission denied' });
      const refused = one.newSubscription('#ann');
      const gone = event(refused, 'unsubscribed');
      refused.subscribe();
      assert.equal((await gone).code, 103);
      const limit = event(one, 'disconnected');
      await one.send(payload({ to: 'nobody' }));
      assert.equal((await limit).code, 3508);
    });

    test('recovers what it missed while its line was cut', async () => {
      const line = await between(server.port);
      const [far, near] = [client(line.port, transport), client(server.port, transport)];
      await connected(far);
      await connected(near);
      const name = channel('cut');
      const sub = far.newSubscription(name);
      const heard = gather(sub, 'publication');
      await subscribed(sub);
      const total = 60;
      for (let n = 1; n <= total; n += 1) {
        await near.publish(name, payload(n));
        if (n % 20 === 0) {
          await far.ready();
          const away = event(far, 'connecting');
          line.cut();
          await away;
        }
      }
      await heard.count(total);
      assert.deepEqual(heard.map(data), Array.from({ length: total }, (_, n) => n + 1));
      assert.deepEqual(heard.map(({ offset }) => offset), Array.from({ length: total }, (_, n) => n + 1));
      line.end();
    });

    test('is let go when it does not read, and comes back', async () => {
      const line = await between(server.port);
      const far = client(line.port, transport);
      await connected(far);
      const name = channel('slow');
      const sub = far.newSubscription(name);
      const heard = gather(sub, 'publication');
      await subscribed(sub);
      line.stall();
      // More than an outbox and all buffers on the way hold.
      const batch = { channel: name, data: randomBytes(45_000).toString('base64') }; // what compression makes no smaller
      for (let n = 0; n < 400; n += 1) assert.equal((await api(server, 'publish', batch)).result.offset, n + 1);
      // Nobody sees it any more, long before its connection ends.
      while ((await api(server, 'presence_stats', { channel: name })).result.num_clients > 0);
      const back = event(sub, 'subscribed');
      line.flow();
      line.cut();
      await back;
      const seen = heard.length;
      await api(server, 'publish', { channel: name, data: 'after' });
      await heard.count(seen + 1);
      assert.deepEqual([data(heard.at(-1)), heard.at(-1).offset], ['after', 401]);
      line.end();
    });

    test('is told when what it missed is gone', async () => {
      const line = await between(server.port);
      const [far, near] = [client(line.port, transport), client(server.port, transport)];
      await connected(far);
      await connected(near);
      const name = channel('gone');
      const sub = far.newSubscription(name);
      await subscribed(sub);
      await near.publish(name, payload(0));
      const back = event(sub, 'subscribed');
      line.stall();
      // More than is kept of a channel.
      for (let n = 0; n < 120; n += 1) await near.publish(name, payload(n));
      line.cut();
      const { wasRecovering, recovered } = await back;
      assert.deepEqual([wasRecovering, recovered], [true, false]);
      line.end();
    });
  });
}
