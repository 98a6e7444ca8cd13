// The tutorial's files, as they are in docs/tutorial.md: two people log in, see each other, talk, and find what was said.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, openPage } from './chromium.mjs';

const OPENLINE = process.env.OPENLINE ?? 'openline';
const LIBRARY = new URL('node_modules/centrifuge/dist/centrifuge.js', import.meta.url).pathname;
const environment = { ...process.env, OPENLINE_AUTH_SECRET: 's'.repeat(32), OPENLINE_API_KEYS: 'k'.repeat(32) };

let browser, url, api;
const children = [];

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Starts a program; resolves once something listens on its port. */
async function start(port, program, args, cwd) {
  const child = spawn(program, args, { cwd, env: environment, stdio: 'inherit' });
  children.push(child);
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`);
    try {
      return await fetch(`http://127.0.0.1:${port}/`);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

before(async () => {
  const text = await readFile(new URL('../../docs/tutorial.md', import.meta.url), 'utf8');
  const ports = { 8080: await freePort(), 3000: await freePort() };
  const block = (kind) => new RegExp(`\`\`\`${kind}\n([^]*?)\n\`\`\``).exec(text)[1].replace(/\b(8080|3000)\b/g, (port) => ports[port]);
  const folder = await mkdtemp(join(tmpdir(), 'openline-'));
  for (const [name, kind] of [['openline.toml', 'toml'], ['server.mjs', 'js'], ['chat.html', 'html']]) {
    await writeFile(join(folder, name), block(kind));
  }
  await start(ports[8080], OPENLINE, ['serve'], folder);
  await start(ports[3000], process.execPath, ['server.mjs'], folder);
  url = `http://localhost:${ports[3000]}/`;
  api = `http://127.0.0.1:${ports[8080]}/api`;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  children.forEach((child) => child.kill('SIGKILL'));
});

async function logIn(name) {
  const { context, page } = await openPage(browser, 'about:blank');
  await context.route('https://unpkg.com/**', (route) => route.fulfill({ path: LIBRARY, contentType: 'text/javascript' }));
  await page.goto(url);
  await page.fill('[name=name]', name);
  await page.click('text=Log in');
  await page.waitForFunction((name) => document.getElementById('here').textContent.includes(name), name);
  return { context, page };
}

const said = (page, ...lines) =>
  page.waitForFunction((lines) => [...document.querySelectorAll('#said li')].map((line) => line.textContent).join('|') === lines, lines.join('|'));

test('a chat with login, presence and history', { timeout: 60_000 }, async () => {
  const ann = await logIn('ann');
  const bob = await logIn('bob');
  await ann.page.waitForFunction(() => document.getElementById('here').textContent.split(', ').sort().join() === 'ann,bob');
  await ann.page.fill('[name=text]', '<b>hello</b>');
  await ann.page.click('text=Say');
  await said(bob.page, 'ann: <b>hello</b>');

  await bob.context.setOffline(true);
  await ann.page.fill('[name=text]', 'are you there?');
  await ann.page.click('text=Say');
  await said(ann.page, 'ann: <b>hello</b>', 'ann: are you there?');
  await bob.context.setOffline(false);
  await said(bob.page, 'ann: <b>hello</b>', 'ann: are you there?');
  await bob.page.reload();
  await said(bob.page, 'ann: <b>hello</b>', 'ann: are you there?');

  const body = JSON.stringify({ channel: 'chat:lobby', data: { text: 'Lunch!' } });
  const answer = await fetch(`${api}/publish`, { method: 'POST', headers: { 'X-API-Key': environment.OPENLINE_API_KEYS }, body });
  assert.equal((await answer.json()).result.offset, 3);
  await said(bob.page, 'ann: <b>hello</b>', 'ann: are you there?', 'server: Lunch!');
});
