// "Getting started", word for word: the code that everybody's first WebSocket page has.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { address, eventually, launch, openPage, typeIntoConsole } from './chromium.mjs';
import { closeServers, servePage } from './helpers.mjs';

/** The code names port 8080, so a server must be there. */
const ARTICLE = address('OPENLINE_ARTICLE_URL');
const skip = ARTICLE ? false : 'OPENLINE_ARTICLE_URL is not set: start `openline serve --listen localhost:8080`';

const SCRIPT = `
var connection = new WebSocket('ws://localhost:8080/test');
connection.onopen = function () { connection.send('Ping'); };
connection.onerror = function (error) { console.log('WebSocket Error ' + error); };
connection.onmessage = function (e) { console.log('Server: ' + e.data); };
`;

let browser;
before(async () => { browser = await launch(); });
after(async () => {
  await browser?.close();
  closeServers();
});

test('from the console of the start page', { skip, timeout: 30_000 }, async () => {
  const { page, seen, context } = await openPage(browser, `${ARTICLE}/`);
  await typeIntoConsole(page, SCRIPT); // the page's policy forbids inline scripts, as it should, but not its console
  await saysPing(page, seen);
  await context.close();
});

test('in a page from another loopback port, as a development server has it', { skip, timeout: 30_000 }, async () => {
  const elsewhere = await servePage(`<!doctype html><title>elsewhere</title><script>${SCRIPT}</script>`);
  const { page, seen, context } = await openPage(browser, `${elsewhere.url}/`);
  await saysPing(page, seen);
  await context.close();
});

async function saysPing(page, seen) {
  const told = () => seen.console.filter((line) => /^(Server: |WebSocket Error)/.test(line));
  await eventually(() => told().length > 0, page);
  await page.evaluate(() => new Promise((closed) => { // what else it had to say comes before its close
    connection.onclose = closed;
    connection.close();
  }));
  assert.deepEqual(told(), ['Server: Ping']);
}
