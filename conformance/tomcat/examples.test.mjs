// Tomcat's own examples, as it comes with them, in Chromium through `openline serve`: echo, chat, snake and drawboard.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const OPENLINE = process.env.OPENLINE ?? 'openline';
const JARS = process.env.TOMCAT_JARS ?? '/usr/share/java/*';
const EXAMPLES = process.env.TOMCAT_EXAMPLES ?? '/usr/share/tomcat10-examples/examples';

const children = [];
let browser, openPage, url;

/** Starts a program; resolves with the match once it says this. */
function start(program, args, pattern) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (bytes) => {
      said += bytes;
      const found = pattern.exec(said);
      if (found) resolve(found);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${program} ended with ${code}: ${said}`)));
  });
}

before(async () => {
  const source = new URL('Examples.java', import.meta.url).pathname;
  const [, port] = await start('java', ['-cp', JARS, source, EXAMPLES], /^listening on (\d+)$/m);
  const folder = await mkdtemp(join(tmpdir(), 'openline-'));
  const file = join(folder, 'openline.toml');
  await writeFile(file, `[server]\nlisten = ["127.0.0.1:0"]\n[admin]\nlisten = "off"\n[[route]]\npath = "/"\nproxy = "http://127.0.0.1:${port}"\n`);
  [, url] = await start(OPENLINE, ['serve', '--config', file], /listening on (http:\S+)/);
  process.env.OPENLINE_URL = url; // what the module below asks for
  const chromium = await import('../browser/chromium.mjs');
  openPage = chromium.openPage;
  browser = await chromium.launch();
});
after(async () => {
  await browser?.close();
  children.forEach((child) => child.kill('SIGKILL'));
});

/** An example's page; its WebSockets are remembered, with the frames in both directions. */
async function example(name) {
  const { context, page, seen } = await openPage(browser, 'about:blank');
  const sockets = [];
  page.on('websocket', (socket) => {
    const frames = { url: socket.url(), sent: [], received: [], closed: false };
    socket.on('framesent', ({ payload }) => frames.sent.push(payload));
    socket.on('framereceived', ({ payload }) => frames.received.push(payload));
    socket.on('close', () => (frames.closed = true));
    sockets.push(frames);
  });
  const response = await page.goto(`${url}/examples/websocket/${name}.xhtml`);
  assert.equal(response.status(), 200);
  assert.match(response.headers()['content-type'], /application\/xhtml\+xml/);
  return { context, page, seen, sockets };
}

const shows = (page, text, id = 'console-container') =>
  page.waitForFunction(([id, text]) => document.getElementById(id).textContent.includes(text), [id, text]);

/** Waits until something is so outside of the page, too. */
async function until(condition) {
  const late = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < late, condition.toString());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('echo', { timeout: 180_000 }, async () => {
  for (const [radio, path] of [['radio1', 'echoProgrammatic'], ['radio2', 'echoAnnotation'], ['radio3', 'echoStreamAnnotation']]) {
    const { context, page, sockets } = await example('echo');
    await page.click(`#${radio}`);
    await page.click('#connect');
    await shows(page, 'WebSocket connection opened');
    assert.equal(sockets[0].url, `${url.replace('http', 'ws')}/examples/websocket/${path}`);
    await page.fill('#message', 'Grüße, 世界');
    await page.click('#echo');
    await shows(page, 'Received: Grüße, 世界');
    await page.click('#disconnect');
    await shows(page, 'WebSocket connection closed, Code: 1005');
    await context.close();
  }
});

test('chat', { timeout: 180_000 }, async () => {
  const ann = await example('chat');
  await shows(ann.page, 'has joined');
  const bob = await example('chat');
  await shows(bob.page, 'has joined');
  await ann.page.fill('#chat', 'hello <b>bob</b>');
  await ann.page.press('#chat', 'Enter');
  for (const { page } of [ann, bob]) await shows(page, 'hello <b>bob</b>');
  await bob.context.close();
  await shows(ann.page, 'has disconnected');
  await ann.context.close();
});

test('snake', { timeout: 180_000 }, async () => {
  const { context, page, sockets } = await example('snake');
  await shows(page, 'WebSocket connection opened');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowDown');
  await until(() => ['east', 'south'].every((way) => sockets[0].sent.includes(way)));
  // The game runs: ten pictures a second, in which it moves.
  await until(() => sockets[0].received.filter((frame) => frame.includes('"update"')).length > 10);
  const places = sockets[0].received.filter((frame) => frame.includes('"update"')).map((frame) => frame.match(/"body":(\[[^]*?\])/)[1]);
  assert.ok(new Set(places).size > 2, 'it moves');
  await context.close();
});

test('drawboard', { timeout: 180_000 }, async () => {
  const ann = await example('drawboard');
  await shows(ann.page, 'Number of Players: 1', 'labelContainer');
  const bob = await example('drawboard');
  for (const { page } of [ann, bob]) await shows(page, 'Number of Players: 2', 'labelContainer');
  // The picture comes as a binary message, and what is drawn as text.
  await until(() => bob.sockets[0].received.some((frame) => typeof frame !== 'string'));
  const before = bob.sockets[0].received.length;
  const canvas = await ann.page.locator('#drawContainer canvas').first().boundingBox();
  await ann.page.mouse.move(canvas.x + 50, canvas.y + 50);
  await ann.page.mouse.down();
  for (let step = 1; step <= 10; step++) await ann.page.mouse.move(canvas.x + 50 + 10 * step, canvas.y + 50 + 5 * step);
  await ann.page.mouse.up();
  await until(() => ann.sockets[0].sent.length > 5);
  // The last stroke of the other, as Tomcat passes it on.
  await until(() => bob.sockets[0].received.slice(before).join().includes('140.0,95.0,150.0,100.0'));
  for (const { seen, sockets, context } of [ann, bob]) {
    assert.deepEqual(seen.errors, []);
    assert.equal(sockets[0].closed, false);
    await context.close();
  }
});
