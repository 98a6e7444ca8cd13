// The channel on the start page: three ways in, in Chromium, and what anybody posts.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, openPage, SERVER } from './chromium.mjs';
import { closeServers, servePage } from './helpers.mjs';

const options = { timeout: 60_000 };

let browser;
before(async () => { browser = await launch(); });
after(async () => {
  await browser?.close();
  closeServers();
});

const rows = (page, way) => page.locator(`#channel-${way} li`);

async function heard(page, text) {
  for (const way of ['websocket', 'events', 'polling']) await rows(page, way).filter({ hasText: text }).first().waitFor();
}

test('what is posted is heard three times, whoever posts it', options, async () => {
  const { page, context } = await openPage(browser, `${SERVER}/`);
  await page.fill('#channel-name', `page-${Date.now()}`);
  await page.click('#channel-listen');
  for (const [way, state] of [['websocket', 'open'], ['events', 'open'], ['polling', 'waiting']]) {
    await page.locator(`#channel-${way}-state`, { hasText: state }).waitFor();
  }
  await page.fill('#channel-text', 'from the page');
  await page.press('#channel-text', 'Enter');
  await heard(page, 'from the page');
  assert.equal(await page.inputValue('#channel-text'), '', 'what was posted is gone');

  const url = `${SERVER}/c/${await page.inputValue('#channel-name')}`;
  const markup = '<img src=x onerror="window.ran = true">';
  await fetch(url, { method: 'POST', body: markup, headers: { 'Content-Type': 'text/plain' } });
  await heard(page, markup);
  await fetch(url, { method: 'POST', body: 'a\r\nb', headers: { 'Content-Type': 'text/plain' } });
  for (const way of ['websocket', 'events', 'polling']) await rows(page, way).nth(2).waitFor();
  await fetch(url, { method: 'POST', body: Buffer.alloc(1234) });
  await heard(page, '1234 bytes');
  assert.equal(await page.evaluate(() => window.ran), undefined);
  assert.ok((await page.textContent('#channel-curl')).includes(`curl -d Hello '${url}'`));

  await page.click('#channel-listen');
  assert.equal(await page.textContent('#channel-listen'), 'Listen');
  await context.close();
});

test('a name that is none is said to be none', options, async () => {
  const { page, context } = await openPage(browser, `${SERVER}/`);
  await page.fill('#channel-name', 'two words');
  await page.press('#channel-text', 'Enter');
  await page.locator('#channel-problem', { hasText: "cannot contain ' '" }).waitFor();
  await context.close();
});

test('an EventSource of another page of this machine hears as well, and reads where it is', options, async () => {
  const other = await servePage('<!doctype html><title>other</title>');
  const { page, context } = await openPage(browser, other.url);
  const said = await page.evaluate(async (server) => {
    const events = new EventSource(`${server}/c/across`);
    await new Promise((resolve, reject) => { events.onopen = resolve; events.onerror = () => reject(new Error('refused')); });
    const message = new Promise((resolve) => { events.onmessage = ({ data, lastEventId }) => resolve([data, lastEventId]); });
    const answer = await fetch(`${server}/c/across`, { method: 'POST', body: 'hi', headers: { 'Content-Type': 'text/plain' } });
    const [data, id] = await message;
    events.close();
    return { data, same: id === answer.headers.get('openline-position') };
  }, SERVER);
  assert.deepEqual(said, { data: 'hi', same: true });
  await context.close();
});
