// RFC 6455 through the browser's own WebSocket: messages, closing, subprotocols, and who may knock.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch, openPage, SERVER, ws } from './chromium.mjs';
import { closeServers, serveMessages, servePage } from './helpers.mjs';

const MIB = 1 << 20; // a message's limit, unless the server was told otherwise
const EVIL = 'http://evil.example';
const options = { timeout: 30_000 };

let browser, page, context;

before(async () => {
  browser = await launch('--host-resolver-rules=MAP evil.example 127.0.0.1');
  ({ page, context } = await openPage(browser, `${SERVER}/`));
  await teach(page);
});
after(async () => {
  await browser?.close();
  closeServers();
});

describe('§5.6 messages come back as they went', () => {
  for (const [name, text] of Object.entries({
    'a word': 'Ping',
    'nothing at all': '',
    'other alphabets': 'Grüße, 世界, مرحبا, 👋🏽',
    '300 kB': 'é'.repeat(150_000),
    'exactly the limit': 'x'.repeat(MIB),
  })) {
    test(`text: ${name}`, options, async () => {
      const echo = await page.evaluate(async ({ url, text }) => {
        const line = await Line.open(url);
        line.socket.send(text);
        return line.message();
      }, { url: ws('/test'), text });
      assert.ok(echo === text, `${echo.length} characters came back of ${text.length}`);
    });
  }

  for (const kind of ['arraybuffer', 'blob']) {
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 300_000, MIB]) {
      test(`binary: ${kind} of ${size} bytes`, options, async () => {
        const echo = await page.evaluate(async ({ url, kind, size }) => {
          const line = await Line.open(url);
          const bytes = noise(size);
          line.socket.binaryType = kind;
          line.socket.send(kind === 'blob' ? new Blob([bytes]) : bytes.buffer);
          const answer = await line.message();
          const back = new Uint8Array(answer instanceof Blob ? await answer.arrayBuffer() : answer);
          return { size: back.length, type: answer.constructor.name, same: back.every((byte, at) => byte === bytes[at]) };
        }, { url: ws('/test'), kind, size });
        assert.deepEqual(echo, { size, type: kind === 'blob' ? 'Blob' : 'ArrayBuffer', same: true });
      });
    }
  }

  test('a thousand in a row, in order', options, async () => {
    const echoes = await page.evaluate(async (url) => {
      const line = await Line.open(url);
      for (let n = 0; n < 1000; n++) line.socket.send(String(n));
      const back = [];
      while (back.length < 1000) back.push(await line.message());
      return back;
    }, ws('/test'));
    assert.deepEqual(echoes, Array.from({ length: 1000 }, (_, n) => String(n)));
  });
});

describe('RFC 7692 compression', () => {
  test('is agreed on', options, async () => {
    const extensions = await page.evaluate(async (url) => (await Line.open(url)).socket.extensions, ws('/test'));
    assert.match(extensions, /^permessage-deflate; server_no_context_takeover; client_no_context_takeover/);
  });

  test('messages that shrink, and messages that do not, come back as they went', options, async () => {
    const same = await page.evaluate(async (url) => {
      const line = await Line.open(url);
      line.socket.binaryType = 'arraybuffer';
      const json = JSON.stringify(Array.from({ length: 5000 }, (_, n) => ({ n, name: `köp ${n % 7}`, price: n * 1.5 })));
      const back = [];
      for (const message of [json, noise(100_000), '', json, 'x'.repeat(1 << 20), noise(1 << 20), json]) {
        line.socket.send(message);
        const answer = await line.message();
        if (typeof message === 'string') back.push(answer === message);
        else back.push(new Uint8Array(answer).every((byte, at) => byte === message[at]));
      }
      return back;
    }, ws('/test'));
    assert.deepEqual(same, Array(7).fill(true));
  });
});

describe('§7 the closing handshake', () => {
  const closed = (...args) => page.evaluate(async ({ url, args }) => {
    const line = await Line.open(url);
    line.socket.close(...args);
    return line.closed();
  }, { url: ws('/test'), args });

  test('1000 is answered with 1000', options, async () => {
    assert.deepEqual(pick(await closed(1000)), { code: 1000, wasClean: true });
  });

  test('a code and a reason of the page come back', options, async () => {
    const { reason, ...rest } = await closed(4001, 'done');
    assert.deepEqual(rest, { code: 4001, wasClean: true, error: false });
    assert.ok(reason === 'done' || reason === '', reason); // §5.5.1 speaks of the code only
  });

  test('the longest reason, 123 bytes of UTF-8', options, async () => {
    assert.deepEqual(pick(await closed(3000, 'é'.repeat(61) + 'x')), { code: 3000, wasClean: true });
  });

  test('no code is read as 1005, and is clean', options, async () => {
    assert.deepEqual(pick(await closed()), { code: 1005, wasClean: true });
  });

  test('what was sent before the close is answered before the close', options, async () => {
    const echoes = await page.evaluate(async (url) => {
      const line = await Line.open(url);
      line.socket.send('one');
      line.socket.send('two');
      line.socket.close(1000);
      return { messages: await line.rest(), ...(await line.closed()) };
    }, ws('/test'));
    assert.equal(echoes.code, 1000);
    assert.ok(['', 'one', 'one two'].includes(echoes.messages.join(' ')), 'a browser may drop what comes after its close(), but not reorder it');
  });

  test('a message over the limit is answered with 1009, and the line still closes cleanly', options, async () => {
    const event = await page.evaluate(async ({ url, size }) => {
      const line = await Line.open(url);
      line.socket.send(noise(size));
      return line.closed();
    }, { url: ws('/test'), size: MIB + 1 });
    assert.deepEqual(pick(event), { code: 1009, wasClean: true });
  });
});

describe('§4 subprotocols', () => {
  const negotiated = (path, ...protocols) => page.evaluate(async ({ url, protocols }) => {
    const line = new Line(url, protocols);
    return (await line.opened()) ? { protocol: line.socket.protocol } : line.closed();
  }, { url: ws(path), protocols });

  const refused = { code: 1006, reason: '', wasClean: false, error: true };

  test('/test speaks the first that is offered', options, async () => {
    assert.deepEqual(await negotiated('/test', 'one', 'two'), { protocol: 'one' });
    assert.deepEqual(await negotiated('/test', 'two', 'one'), { protocol: 'two' });
  });

  test('/test speaks none where none is offered', options, async () => {
    assert.deepEqual(await negotiated('/test'), { protocol: '' });
  });

  test('/chat speaks chat, wherever it stands in the offer, or none', options, async () => {
    assert.deepEqual(await negotiated('/chat', 'superchat', 'chat'), { protocol: 'chat' });
    assert.deepEqual(await negotiated('/chat'), { protocol: '' });
  });

  test('an offer without chat opens no line on /chat', options, async () => {
    assert.deepEqual(await negotiated('/chat', 'superchat'), refused);
  });

  test('/increment speaks dumb-increment-protocol', options, async () => {
    assert.deepEqual(await negotiated('/increment', 'dumb-increment-protocol'), { protocol: 'dumb-increment-protocol' });
  });

  test('/increment without it is refused: an error, then 1006', options, async () => {
    const said = page.waitForEvent('console', (message) => message.text().includes('/increment'));
    assert.deepEqual(await negotiated('/increment'), refused);
    assert.match((await said).text(), /Unexpected response code: 4\d\d/);
  });

  test('a path that nobody serves is refused', options, async () => {
    const said = page.waitForEvent('console', (message) => message.text().includes('/nowhere'));
    assert.deepEqual(await negotiated('/nowhere'), refused);
    assert.match((await said).text(), /Unexpected response code: 404/);
  });
});

describe('the demo', () => {
  test('/chat: everyone hears everyone, text and binary', options, async () => {
    const { page: other, context: others } = await openPage(browser, `${SERVER}/`);
    await teach(other);
    for (const each of [page, other]) {
      await each.evaluate(async (url) => { window.chat = await Line.open(url, ['chat']); }, ws('/chat'));
    }
    await page.evaluate(() => chat.socket.send('from one'));
    assert.equal(await other.evaluate(() => chat.until((data) => data === 'from one')), 'from one');
    await other.evaluate(() => chat.socket.send(Uint8Array.of(1, 2, 3)));
    const heard = await page.evaluate(async () => [...new Uint8Array(await chat.until((data) => data instanceof ArrayBuffer))]);
    assert.deepEqual(heard, [1, 2, 3]);
    await page.evaluate(() => chat.socket.close());
    await others.close();
  });

  test('/increment counts up by one, and “reset” starts it again from 0', options, async () => {
    const numbers = await page.evaluate(async (url) => {
      const line = await Line.open(url, ['dumb-increment-protocol']);
      const numbers = [];
      while (numbers.length < 5) numbers.push(Number(await line.message()));
      line.socket.send('reset\n');
      while (numbers.at(-1) !== 0 || numbers.length < 6) numbers.push(Number(await line.message()));
      line.socket.close();
      return numbers;
    }, ws('/increment'));
    const beforeReset = numbers.slice(0, -1);
    assert.deepEqual(beforeReset, beforeReset.map((_, n) => beforeReset[0] + n));
    assert.equal(numbers.at(-1), 0);
  });
});

describe('§10.2 who may knock', () => {
  /** What a page from `origin` is told about `url`: 'open', or what the browser says about the refusal. */
  async function knock(origin, url) {
    const { page, seen, context } = await openPage(browser, `${origin}/`);
    await teach(page);
    const opened = await page.evaluate(async (url) => {
      const line = new Line(url);
      return (await line.opened()) || !(await line.closed()).error;
    }, url);
    if (!opened && seen.errors.length === 0) await page.waitForEvent('console');
    await context.close();
    return opened ? 'open' : seen.errors.join('\n');
  }

  let elsewhere, anyone;
  before(async () => {
    elsewhere = await servePage('<!doctype html><title>elsewhere</title>');
    anyone = await serveMessages([]);
  });

  test('a page from another loopback port may', options, async () => {
    assert.equal(await knock(`http://127.0.0.1:${elsewhere.port}`, ws('/test')), 'open');
    assert.equal(await knock(`http://localhost:${elsewhere.port}`, ws('/test')), 'open');
  });

  test('a page from anywhere else may not', options, async () => {
    const evil = `${EVIL}:${elsewhere.port}`;
    assert.equal(await knock(evil, `ws://127.0.0.1:${anyone.port}/`), 'open', 'the browser itself does not mind');
    assert.match(await knock(evil, ws('/test')), /Unexpected response code: 403/);
  });

  test('nor may a name that was made to point here, which is its own origin', options, async () => {
    const { port } = new URL(SERVER);
    const rebound = `${EVIL}:${port}`;
    const { seen, context } = await openPage(browser, `${rebound}/`);
    assert.equal(seen.response.status(), 421);
    await context.close();
    assert.match(await knock(`${EVIL}:${elsewhere.port}`, `ws://evil.example:${port}/test`), /Unexpected response code: 4(03|21)/);
  });
});

const pick = ({ code, wasClean }) => ({ code, wasClean });

/** Gives a page a WebSocket whose events can be awaited one after the other. */
async function teach(page) {
  await page.evaluate(() => {
    window.Line = class Line {
      static async open(url, protocols = []) {
        const line = new Line(url, protocols);
        if (!(await line.opened())) throw new Error(`no line to ${url}`);
        return line;
      }

      constructor(url, protocols = []) {
        this.queue = [];
        this.error = false;
        this.socket = new WebSocket(url, protocols);
        this.socket.binaryType = 'arraybuffer';
        this.socket.onerror = () => { this.error = true; };
        this.end = new Promise((resolve) => {
          this.socket.onclose = ({ code, reason, wasClean }) => {
            resolve({ code, reason, wasClean, error: this.error });
            this.wake?.();
          };
        });
        this.start = new Promise((resolve) => {
          this.socket.onopen = () => resolve(true);
          this.end.then(() => resolve(false));
        });
        this.socket.onmessage = ({ data }) => {
          this.queue.push(data);
          this.wake?.();
        };
      }

      opened() { return this.start; }
      closed() { return this.end; }

      async message() {
        while (this.queue.length === 0) {
          if (this.socket.readyState === WebSocket.CLOSED) throw new Error(`closed: ${JSON.stringify(await this.end)}`);
          await new Promise((wake) => { this.wake = wake; });
        }
        return this.queue.shift();
      }

      async until(condition) {
        for (;;) {
          const data = await this.message();
          if (condition(data)) return data;
        }
      }

      async rest() {
        await this.end;
        return this.queue;
      }
    };

    /** Bytes that no compression makes smaller. */
    window.noise = (size) => {
      const bytes = new Uint8Array(size);
      for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
      return bytes;
    };
  });
}
