// Starts `openline serve` on a free port, and runs `openline connect`.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

const OPENLINE = process.env.OPENLINE ?? 'openline';

/** Resolves to the server's address, and the key of its API if it prints one, once it has printed them. */
export async function serve(...args) {
  const child = spawn(OPENLINE, ['serve', '--listen', '127.0.0.1:0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const prints_key = !args.includes('--config'); // a file has its own
  let said = '';
  child.stdout.setEncoding('utf8');
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    said += chunk;
    const address = /127\.0\.0\.1:(\d+)(?=\s)/.exec(said);
    const key = /X-API-Key: ([0-9a-f]+)/.exec(said);
    if (address && (key || !prints_key)) {
      child.stdout.resume(); // so that it never waits for a reader
      return { url: `ws://${address[0]}`, port: Number(address[1]), key: key?.[1], pid: child.pid, end: () => child.kill('SIGKILL') };
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
