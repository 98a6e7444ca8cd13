// noVNC as npm has it, unchanged, in Chromium: its files by `static`, its line by `tcp`, and behind that a screen that speaks RFB.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, openPage } from './chromium.mjs';

const OPENLINE = process.env.OPENLINE ?? 'openline';
const NOVNC = new URL('node_modules/@novnc/novnc/', import.meta.url).pathname;
const [WIDTH, HEIGHT] = [64, 32];

let browser, server, screen, url;
const keys = [];
const clients = new Set();

/** RFC 6143: version 3.8, no security, a screen that is red, and notes what is typed. */
async function serveScreen() {
  screen = createServer(async (socket) => {
    clients.add(socket);
    socket.on('error', () => {}).on('close', () => clients.delete(socket));
    let heard = Buffer.alloc(0);
    const read = async (count) => {
      while (heard.length < count) {
        const bytes = socket.read();
        if (bytes) heard = Buffer.concat([heard, bytes]);
        else if (socket.readableEnded) throw new Error('gone');
        else await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
      }
      const taken = heard.subarray(0, count);
      heard = heard.subarray(count);
      return taken;
    };
    try {
      socket.write('RFB 003.008\n');
      assert.equal(String(await read(12)), 'RFB 003.008\n');
      socket.write(Buffer.of(1, 1)); // one type of security: none
      assert.deepEqual([...(await read(1))], [1]);
      socket.write(Buffer.alloc(4)); // it is well
      await read(1); // ClientInit
      const name = Buffer.from('a red screen');
      const format = Buffer.of(32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0);
      const init = Buffer.alloc(4);
      init.writeUInt16BE(WIDTH, 0);
      init.writeUInt16BE(HEIGHT, 2);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(name.length);
      socket.write(Buffer.concat([init, format, length, name]));
      for (;;) {
        const [type] = await read(1);
        if (type === 0) await read(19); // SetPixelFormat
        else if (type === 2) await read(4 * (await read(3)).readUInt16BE(1)); // SetEncodings
        else if (type === 3) {
          await read(9); // FramebufferUpdateRequest: one raw rectangle
          if (socket.painted) continue;
          socket.painted = true;
          const head = Buffer.alloc(16);
          head.writeUInt16BE(1, 2);
          head.writeUInt16BE(WIDTH, 8);
          head.writeUInt16BE(HEIGHT, 10);
          socket.write(Buffer.concat([head, Buffer.alloc(WIDTH * HEIGHT * 4, Buffer.of(255, 0, 0, 0))]));
        } else if (type === 4) {
          const event = await read(7); // KeyEvent
          if (event[0]) keys.push(event.readUInt32BE(3));
        } else if (type === 5) await read(5); // PointerEvent
        else throw new Error(`a message of type ${type}`);
      }
    } catch (error) {
      socket.destroy();
      if (error.message !== 'gone') throw error;
    }
  });
  screen.listen(0, '127.0.0.1');
  await once(screen, 'listening');
  return screen.address().port;
}

before(async () => {
  const port = await serveScreen();
  const folder = await mkdtemp(join(tmpdir(), 'openline-'));
  await writeFile(
    join(folder, 'index.html'),
    `<!doctype html><link rel=icon href="data:,"><div id=screen style="width:200px;height:100px"></div><script type=module>
      import RFB from '/novnc/core/rfb.js';
      window.rfb = new RFB(document.getElementById('screen'), 'ws://' + location.host + '/websockify', {});
      for (const event of ['connect', 'disconnect', 'desktopname'])
        rfb.addEventListener(event, ({ detail }) => (document.title += ' ' + event + ' ' + JSON.stringify(detail)));
    </script>`,
  );
  const file = join(folder, 'openline.toml');
  const route = (path, what) => `[[route]]\npath = "${path}"\n${what}\n`;
  await writeFile(
    file,
    '[server]\nlisten = ["127.0.0.1:0"]\n[admin]\nlisten = "off"\n' +
      route('/', `static = "${folder}"`) + route('/novnc', `static = "${NOVNC}"`) + route('/websockify', `tcp = "127.0.0.1:${port}"`),
  );
  server = spawn(OPENLINE, ['serve', '--config', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  while (!(url = /listening on (http:\S+)/.exec(said)?.[1])) said += (await once(server.stdout, 'data'))[0];
  browser = await launch();
});
after(async () => {
  await browser?.close();
  server?.kill('SIGKILL');
  clients.forEach((client) => client.destroy());
  screen?.close();
});

test('it connects, paints the screen and types', { timeout: 60_000 }, async () => {
  const { page, seen } = await openPage(browser, url);
  await page.waitForFunction(() => document.title.includes('connect') && document.title.includes('a red screen'));
  await page.waitForFunction(() => {
    const canvas = document.querySelector('#screen canvas');
    const [red, green, blue] = canvas.getContext('2d').getImageData(10, 10, 1, 1).data;
    return canvas.width === 64 && canvas.height === 32 && red === 255 && green === 0 && blue === 0;
  });
  await page.click('#screen canvas');
  await page.keyboard.type('hi');
  const late = Date.now() + 20_000;
  while (!keys.includes(0x69)) {
    assert.ok(Date.now() < late, String(keys));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(keys, [0x68, 0x69]);
  await page.evaluate(() => window.rfb.disconnect());
  await page.waitForFunction(() => document.title.includes('disconnect {"clean":true}'));
  assert.deepEqual(seen.errors, []);
});
