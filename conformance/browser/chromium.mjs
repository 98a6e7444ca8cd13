// One Chromium for a test file, pages that remember what went wrong on them, and the address of the server under test.

import { chromium } from 'playwright-core';

/** The running `openline serve`, without a slash at the end. */
export const SERVER = address('OPENLINE_URL');
if (!SERVER) throw new Error('OPENLINE_URL names no running `openline serve`');

export function address(variable) {
  return process.env[variable]?.replace(/\/$/, '');
}

export const ws = (path, server = SERVER) => server.replace(/^http/, 'ws') + path;

export function launch(...args) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: [
      '--no-sandbox', // Chromium's own sandbox refuses root, and containers
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking', // nor does it ask anybody but the server under test
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  });
}

/** A page in a context of its own, with what its console said, what it threw and what it asked for. */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const seen = { console: [], errors: [], requests: [] };
  page.on('console', (message) => {
    seen.console.push(message.text());
    if (message.type() === 'error' || message.type() === 'warning') seen.errors.push(message.text());
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('request', (request) => seen.requests.push(request.url()));
  page.on('websocket', (socket) => seen.requests.push(socket.url()));
  seen.response = await page.goto(url);
  return { context, page, seen };
}

/** Runs a script as if it were typed into the console: global `var`s, and the page's own Content-Security-Policy in force. */
export async function typeIntoConsole(page, script) {
  const devtools = await page.context().newCDPSession(page);
  const { exceptionDetails } = await devtools.send('Runtime.evaluate', { expression: script });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
}

/** Waits until `condition` holds for what the page said so far. */
export async function eventually(condition, page, event = 'console') {
  while (!condition()) await page.waitForEvent(event, { timeout: 10_000 });
}
