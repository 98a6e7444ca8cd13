// The `centrifuge` package in a page of another origin, over everything that can carry a session.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { launch, openPage, SERVER, ws } from './chromium.mjs';
import { closeServers, servePage } from './helpers.mjs';

const options = { timeout: 30_000 };
const LIBRARY = new URL('node_modules/centrifuge/dist/centrifuge.js', import.meta.url);

let browser, page, context;
before(async () => {
  const library = await readFile(LIBRARY, 'utf8');
  const elsewhere = await servePage(`<!doctype html><title>elsewhere</title><script>${library.replaceAll('</script', '<\\/script')}</script>`);
  browser = await launch();
  ({ page, context } = await openPage(browser, elsewhere.url));
});
after(async () => {
  await browser?.close();
  closeServers();
});

const ENDPOINTS = {
  websocket: ws('/connection/websocket'),
  http_stream: `${SERVER}/connection/http_stream`,
  sse: `${SERVER}/connection/sse`,
};

for (const [transport, endpoint] of Object.entries(ENDPOINTS)) {
  describe(transport, () => {
    test('talks, and recovers what was said while it was offline', options, async () => {
      const channel = `page-${transport}`;
      await page.evaluate(async ({ transport, endpoint, emulationEndpoint, channel }) => {
        const settings = { emulationEndpoint, minReconnectDelay: 50, maxReconnectDelay: 200 };
        globalThis.client = new Centrifuge([{ transport, endpoint }], settings);
        globalThis.heard = [];
        globalThis.room = client.newSubscription(channel, { joinLeave: true });
        room.on('publication', ({ data, offset }) => heard.push([offset, data]));
        const subscribed = new Promise((resolve) => room.once('subscribed', resolve));
        room.subscribe();
        client.connect();
        await subscribed;
        await room.publish({ said: 'by the page' });
      }, { transport, endpoint, emulationEndpoint: `${SERVER}/emulation`, channel });
      const { clients, users } = await page.evaluate(async () => {
        const stats = await room.presenceStats();
        return { clients: stats.numClients, users: stats.numUsers };
      });
      assert.deepEqual({ clients, users }, { clients: 1, users: 1 });
      await page.waitForFunction(() => heard.length === 1);

      // Chromium tells the page that it is offline, and the library lets go of the line.
      await page.evaluate(() => {
        globalThis.away = new Promise((resolve) => client.once('connecting', resolve));
        globalThis.back = new Promise((resolve) => room.once('subscribed', ({ wasRecovering, recovered }) => resolve([wasRecovering, recovered])));
      });
      await context.setOffline(true);
      await page.evaluate(() => away);
      const published = await fetch(`${SERVER}/c/${channel}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"said":"by another"}',
      });
      assert.equal(published.status, 202);
      await context.setOffline(false);
      assert.deepEqual(await page.evaluate(() => back), [true, true]);
      await page.waitForFunction(() => heard.length === 2);
      assert.deepEqual(await page.evaluate(() => heard), [[1, { said: 'by the page' }], [2, { said: 'by another' }]]);
      const { publications } = await page.evaluate(() => room.history({ limit: 10 }));
      assert.equal(publications.length, 2);
      await page.evaluate(() => client.disconnect());
    });
  });
}
