// The backends of examples/hooks, each as its reader runs it, with the client beside them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

import { serve } from './helpers.mjs';

const EXAMPLES = join(import.meta.dirname, '../../examples/hooks');
const OPENLINE = process.env.OPENLINE ?? 'openline';

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Resolves once something listens there. */
async function listens(port, child) {
  for (;;) {
    assert.equal(child.exitCode, null, 'it has ended');
    const answered = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{}' }).then(() => true, () => false);
    if (answered) return;
  }
}

for (const [language, program, ...args] of [
  ['Python', process.env.PYTHON ?? 'python3', join(EXAMPLES, 'backend.py')],
  ['Node', process.execPath, join(EXAMPLES, 'backend.mjs')],
  // ./check builds the examples beside the programs.
  ['Rust', join(dirname(OPENLINE), 'examples', 'hooks')],
]) {
  test(`a backend in ${language} decides`, { timeout: 60_000 }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'openline-'));
    const port = await freePort();
    const config = (await readFile(join(EXAMPLES, 'hooks.toml'), 'utf8')).replaceAll('3001', port);
    await writeFile(join(folder, 'hooks.toml'), config);
    const backend = spawn(program, args, { env: { ...process.env, PORT: port }, stdio: 'inherit' });
    t.after(() => backend.kill('SIGKILL'));
    await listens(port, backend);
    const server = await serve('--config', join(folder, 'hooks.toml'));
    t.after(() => server.end());
    await writeFile(join(folder, 'client.mjs'), await readFile(join(EXAMPLES, 'client.mjs'), 'utf8'));
    await symlink(join(import.meta.dirname, 'node_modules'), join(folder, 'node_modules'));
    const run = (...name) => {
      const child = spawn(process.execPath, ['client.mjs', ...name], { cwd: folder, env: { ...process.env, OPENLINE_URL: `${server.url}/connection/websocket` } });
      let said = '';
      return new Promise((resolve) => {
        for (const stream of [child.stdout, child.stderr]) {
          stream.setEncoding('utf8').on('data', (text) => {
            said += text;
            if (/403 no spam|disconnected/.test(said)) child.kill();
          });
        }
        child.on('close', () => resolve(said));
      });
    };
    assert.match(await run('ann'), /^in chat:lobby at [\d.]+\n(ann: hello\n)?403 no spam\n/);
    assert.match(await run(), /^disconnected: 4501 say your name in data.name\n$/);
  });
}
