// Chromium over TLS: the page by https, and its lines by wss.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { address, launch, openPage, ws } from './chromium.mjs';

const SERVER = address('OPENLINE_TLS_URL');
let browser;

before(async () => {
  // Not by a flag that makes it trust everybody: it has to be told for each context, as a person would.
  browser = await launch();
});

after(() => browser?.close());

/** What a page hears from a line that sends these messages and then closes. */
function talk(page, url, messages) {
  return page.evaluate(
    ([url, messages]) =>
      new Promise((resolve) => {
        const heard = [];
        const socket = new WebSocket(url, 'chat');
        socket.binaryType = 'arraybuffer';
        socket.onopen = () => messages.forEach((length) => socket.send('x'.repeat(length)));
        socket.onmessage = ({ data }) => {
          heard.push(data.length);
          if (heard.length === messages.length) socket.close(1000, 'done');
        };
        socket.onclose = ({ code, reason, wasClean }) => resolve({ heard, code, reason, wasClean, protocol: socket.protocol });
      }),
    [url, messages],
  );
}

test('a certificate of its own making is accepted by whoever accepts it, and lines are wss', async () => {
  const { context, page, seen } = await openPage(browser, `${SERVER}/`, { ignoreHTTPSErrors: true });
  assert.equal(seen.response.status(), 200);
  const security = await seen.response.securityDetails();
  assert.equal(security.protocol, 'TLS 1.3');
  const lengths = [0, 1, 125, 126, 65_535, 65_536, 1_000_000];
  assert.deepEqual(await talk(page, ws('/test', SERVER), lengths), {
    heard: lengths, code: 1000, reason: 'done', wasClean: true, protocol: 'chat',
  });
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('the start page opens its own line by wss', async () => {
  const { context, page, seen } = await openPage(browser, `${SERVER}/`, { ignoreHTTPSErrors: true });
  const url = await page.inputValue('#address');
  assert.ok(url.startsWith(ws('/', SERVER)), url);
  assert.deepEqual(seen.errors, []);
  await context.close();
});

test('nobody else opens a line there', async () => {
  const context = await browser.newContext();
  const refused = await context.newPage();
  await assert.rejects(refused.goto(`${SERVER}/`), /ERR_CERT_AUTHORITY_INVALID/);
  const page = await context.newPage(); // the other one is still on its way to what Chromium says about it
  const { code, wasClean } = await talk(page, ws('/test', SERVER), [1]);
  assert.deepEqual({ code, wasClean }, { code: 1006, wasClean: false });
  await context.close();
});
