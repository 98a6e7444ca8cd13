// Starts `openline serve` on a free port, and runs `openline connect`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

const OPENLINE = process.env.OPENLINE ?? 'openline';

/** Resolves to the server's address once it has printed it. */
export async function serve(...args) {
  const child = spawn(OPENLINE, ['serve', '--listen', '127.0.0.1:0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8');
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    said += chunk;
    const address = /127\.0\.0\.1:\d+(?=\s)/.exec(said);
    if (address) {
      child.stdout.resume(); // so that it never waits for a reader
      return { url: `ws://${address[0]}`, end: () => child.kill('SIGKILL') };
    }
  }
  throw new Error(`openline serve printed no address, but: ${said}`);
}

/** Runs `openline connect` to its end, with this input. */
export async function connect(args, input = '') {
  const child = spawn(OPENLINE, ['connect', ...args]);
  const said = { stdout: '', stderr: '' };
  for (const name of Object.keys(said)) child[name].setEncoding('utf8').on('data', (text) => (said[name] += text));
  child.stdin.on('error', () => {}); // it may end before it has read everything
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  return { code, ...said };
}
