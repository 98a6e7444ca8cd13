// The start page, as its readers use it: with a mouse, with the keyboard only, on a telephone, and against a hostile peer.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { eventually, launch, openPage, SERVER, typeIntoConsole, ws } from './chromium.mjs';
import { closeServers, serveMessages } from './helpers.mjs';

const options = { timeout: 60_000 };
const NARROW = { viewport: { width: 360, height: 740 } };
const MARKUP = '<img src=x onerror="window.ran = true"><script>window.ran = true</script>';

let browser;
before(async () => { browser = await launch(); });
after(async () => {
  await browser?.close();
  closeServers();
});

describe('a line from its beginning to its end', () => {
  test('text and binary to /test, echoes, round trips, and a close with a code', options, async () => {
    const { page, seen, context } = await openStart();
    await connect(page);
    assert.equal(await page.textContent('#state'), 'Open');

    await say(page, 'Ping');
    await say(page, 'two\nlines');
    await page.check('[name=mode][value=hex]', { force: true });
    await page.fill('#hex', '00 ff 0x7F, 48:69');
    await page.press('#hex', 'Enter');
    await page.check('[name=mode][value=file]', { force: true });
    await page.setInputFiles('#file', { name: 'photo', mimeType: '', buffer: Buffer.alloc(300_000, 7) });
    await page.click('#send button[type=submit]');
    await page.locator('.row.received').nth(3).waitFor();

    assert.deepEqual(await page.locator('.row:is(.sent, .received) .meta').evaluateAll((all) => all.map((meta) => meta.firstChild.data).sort()), [
      'binary 300 kB', 'binary 300 kB', 'binary 5 B', 'binary 5 B', 'text 4 B', 'text 4 B', 'text 9 B', 'text 9 B',
    ]);
    assert.deepEqual(await bodies(page, '.received', 3), ['Ping', 'two\nlines', '000000  00 ff 7f 48 69           ...Hi']);
    for (const time of await page.locator('.row.received .meta b').allTextContents()) assert.match(time, /^\d+(\.\d)? ms$/);
    await fact(page, 'latency', /^last \d.* ms · median \d.* ms of\s4$/);
    await fact(page, 'sent', '4 messages · 300 kB');
    await fact(page, 'received', /^4 messages · 300 kB/);

    await page.fill('#code', '4000');
    await page.fill('#reason', 'bye');
    await page.click('#close-button');
    await state(page, 'closed');
    await fact(page, 'close', /^4000 private use(, “bye”)?, clean\.$/);
    assert.match(await page.textContent('#state'), /^Closed 4000/);
    await isClean(seen);
    await context.close();
  });

  test('/chat: two pages hear each other', options, async () => {
    const one = await openStart(), two = await openStart();
    for (const { page } of [one, two]) {
      await page.click('[data-path="/chat"]');
      assert.equal(await page.inputValue('#subprotocols'), 'chat');
      await connect(page);
      await fact(page, 'subprotocol', 'chat');
    }
    await say(one.page, 'Is anybody there?');
    await two.page.locator('.row.received', { hasText: 'Is anybody there?' }).waitFor();
    await say(two.page, 'I am');
    await one.page.locator('.row.received', { hasText: 'I am' }).waitFor();
    await isClean(one.seen);
    await isClean(two.seen);
    await one.context.close();
    await two.context.close();
  });

  test('/increment: counts, starts again, and another address takes the line over', options, async () => {
    const { page, seen, context } = await openStart();
    await page.click('[data-path="/increment"]');
    await connect(page);
    await fact(page, 'subprotocol', 'dumb-increment-protocol');
    await page.locator('.row.received').nth(5).waitFor();
    await page.click('#reset');
    await page.locator('.row.sent', { hasText: 'reset' }).waitFor();
    await page.waitForFunction(() => {
      const zero = [...document.querySelectorAll('.row.sent ~ .row.received .body')].find((body) => body.textContent === '0');
      return zero !== undefined;
    });

    await page.click('[data-path="/test"]');
    await page.click('#connect-button');
    await page.locator('.row.event', { hasText: 'open: ' }).nth(1).waitFor();
    await fact(page, 'subprotocol', 'none');
    await fact(page, 'received', '0');
    assert.equal(await page.isVisible('#reset'), false);
    await isClean(seen);
    await context.close();
  });

  test('a refused line says so, and what to do', options, async () => {
    const { page, context } = await openStart();
    await page.click('[data-path="/increment"]');
    await page.fill('#subprotocols', '');
    await page.click('#connect-button');
    await page.locator('.row.event', { hasText: 'offer dumb-increment-protocol' }).waitFor();
    await fact(page, 'close', '1006 Abnormal Closure, not clean.');
    await say(page, 'hello?');
    assert.match(await page.textContent('#send-problem'), /Not connected/);
    assert.equal(await page.inputValue('#text'), 'hello?', 'what was not sent is not lost');
    await context.close();
  });
});

describe('what a peer may write', () => {
  test('markup is text, here and from there', options, async () => {
    const { page, seen, context } = await openStart();
    await connect(page);
    await say(page, MARKUP);
    await page.locator('.row.received', { hasText: '<img' }).waitFor();
    assert.deepEqual(await bodies(page, '.received'), [MARKUP]);
    assert.equal(await page.locator('#rows :is(img, script)').count(), 0);
    assert.equal(await page.evaluate(() => window.ran), undefined);
    await isClean(seen);
    await context.close();
  });

  for (const { viewport } of [NARROW, { viewport: { width: 1400, height: 900 } }]) {
    test(`nothing breaks the layout at ${viewport.width} px`, options, async () => {
      const messages = [
        'bidi \u202egnp.exe\u202c \u2066x\u2069 \u200f',
        'controls \0\x07\x1b[31m\x7f\x85\ufeff',
        'marks a' + '\u0301'.repeat(2000),
        '\n'.repeat(100_000),
        'x'.repeat(1 << 20),
        '\u202e'.repeat(1 << 18),
        Buffer.alloc(1 << 20, 0xab),
        MARKUP.repeat(1000),
        'last',
      ];
      const peer = await serveMessages(messages);
      const { page, context } = await openStart({ viewport });
      await page.fill('#address', `127.0.0.1:${peer.port}/hostile`);
      await connect(page);
      await page.locator('.row.received', { hasText: 'last' }).waitFor();
      const [bidi, controls] = await bodies(page, '.received');
      assert.equal(bidi, 'bidi [U+202E]gnp.exe[U+202C] [U+2066]x[U+2069] [U+200F]');
      assert.equal(controls, 'controls ␀␇␛[31m␡[U+0085][U+FEFF]');
      await fits(page);

      for (const button of await page.locator('.more').all()) { // all of it, and back again
        const row = button.locator('xpath=..');
        const short = await row.locator('.body').textContent();
        await button.click();
        const long = await row.locator('.body').textContent();
        assert.ok(long.length > short.length && long.length > 2000, `${short.length} and then ${long.length}`);
        await fits(page);
        await button.click();
        assert.equal(await row.locator('.body').textContent(), short);
      }
      const heights = await page.locator('.row').evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().height));
      assert.ok(Math.max(...heights) < 500, heights.join());
      assert.equal(await page.evaluate(() => window.ran), undefined);
      await context.close();
    });
  }

  test('more messages than anybody reads: 500 rows stay, and the rest is counted', options, async () => {
    const peer = await serveMessages(Array.from({ length: 3000 }, (_, n) => `message ${n}`));
    const { page, context } = await openStart();
    await page.fill('#address', ws('/flood', peer.url));
    await connect(page);
    await page.locator('.row', { hasText: 'message 2999' }).waitFor();
    assert.equal(await page.locator('.row').count(), 500);
    assert.equal(await page.textContent('#kept'), '500 rows · 2,502 older dropped'); // and two of connecting
    await fact(page, 'received', /^3,000 messages/);
    assert.ok(await page.locator('#log').evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 24), 'the newest is in view');
    await context.close();
  });
});

describe('the log', () => {
  test('pause, filter and clear', options, async () => {
    const { page, context } = await openStart();
    await connect(page);
    await say(page, 'apple');
    await say(page, 'pear');
    await page.locator('.row.received').nth(1).waitFor();

    await page.fill('#filter', 'APP');
    assert.deepEqual(await bodies(page, ':not([hidden])'), ['apple', 'apple']);
    await page.selectOption('#direction', 'received');
    assert.deepEqual(await bodies(page, ':not([hidden])'), ['apple']);
    assert.match(await page.textContent('#kept'), /^6 rows · 1 shown$/);
    await page.fill('#filter', '');
    await page.selectOption('#direction', '');

    await page.click('#pause');
    await say(page, 'plum');
    await page.locator('#kept', { hasText: 'paused, 2 waiting' }).waitFor();
    assert.equal(await page.locator('.row').count(), 6);
    await page.click('#pause');
    await page.locator('.row.received', { hasText: 'plum' }).waitFor();

    await page.click('#clear');
    assert.equal(await page.locator('.row').count(), 0);
    assert.equal(await page.textContent('#kept'), '0 rows');
    await context.close();
  });

  test('who scrolls up to read is left there', options, async () => {
    const { page, context } = await openStart();
    await page.click('[data-path="/increment"]');
    await connect(page);
    await page.locator('.row').nth(40).waitFor();
    await page.locator('#log').evaluate((log) => { log.scrollTop = 0; });
    await page.locator('#latest').waitFor();
    const count = await page.locator('.row').count();
    await page.locator('.row').nth(count + 5).waitFor();
    assert.equal(await page.locator('#log').evaluate((log) => log.scrollTop), 0);
    await page.click('#latest');
    await page.locator('#latest').waitFor({ state: 'hidden' });
    await context.close();
  });
});

describe('what a browser does not send is said before it refuses', () => {
  const cases = [
    ['#address', 'ws://localhost/#part', /fragment/, '#connect-button'],
    ['#address', 'ftp://localhost/', /ws:\/\/ or wss:/, '#connect-button'],
    ['#address', '', /Type an address/, '#connect-button'],
    ['#subprotocols', 'chat, chat', /once/, '#connect-button'],
    ['#subprotocols', 'ch@t', /not a token/, '#connect-button'],
    ['#code', '1001', /1000 or 3000 to 4999\. 1001 \(Going Away\)/, '#close-button'],
    ['#code', '2999', /1000 or 3000 to 4999/, '#close-button'],
    ['#code', '5000', /1000 or 3000 to 4999/, '#close-button'],
    ['#code', '1e3', /1000 or 3000 to 4999/, '#close-button'],
    ['#reason', 'é'.repeat(62), /has 124/, '#close-button'],
    ['#hex', '4', /one is missing/, '#send button[type=submit]'],
    ['#hex', '4g', /“g” is not/, '#send button[type=submit]'],
  ];
  let page, seen;
  before(async () => {
    ({ page, seen } = await openStart());
    await connect(page);
  });

  for (const [field, value, problem, button] of cases) {
    test(`${field}: ${value.slice(0, 24) || 'nothing'}`, options, async () => {
      if (field === '#hex') await page.check('[name=mode][value=hex]', { force: true });
      const usual = await page.inputValue(field);
      await page.fill(field, value);
      await page.click(button);
      assert.equal(await page.getAttribute(field, 'aria-invalid'), 'true');
      const said = await page.locator(field).evaluate((input) => input.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id).textContent).join(' '));
      assert.match(said, problem);
      assert.equal(await page.getAttribute('body', 'data-state'), 'open');
      await page.fill(field, usual);
      assert.equal(await page.getAttribute(field, 'aria-invalid'), null);
      await isClean(seen);
    });
  }
});

describe('the code that does this', () => {
  test('JavaScript: it runs', options, async () => {
    const { page, seen, context } = await openStart();
    await page.fill('#text', 'it\'s \\ a “quote”\u2028');
    await typeIntoConsole(page, await page.textContent('#snippet-code'));
    await eventually(() => seen.console.length > 0, page);
    assert.deepEqual(seen.console, ['Server: it\'s \\ a “quote”\u2028']);
    await context.close();
  });

  test('Rust: the subprotocol and the message are those of the forms', options, async () => {
    const { page, context } = await openStart();
    await page.click('#tab-rust');
    assert.match(await page.textContent('#snippet-code'), /let mut socket = openline::connect\(url\)\.await\?;\n {4}socket\.send\("Ping"\)\.await\?;/);
    await page.click('[data-path="/chat"]');
    await page.fill('#text', 'say "hi"');
    const code = await page.textContent('#snippet-code');
    assert.ok(code.includes(`let url = "${ws('/chat')}";`), code);
    assert.ok(code.includes('openline::Client::new()\n        .subprotocol("chat")\n        .connect(url)'), code);
    assert.ok(code.includes('socket.send("say \\"hi\\"")'), code);
    await page.check('[name=mode][value=hex]', { force: true });
    await page.fill('#hex', '00ff');
    assert.match(await page.textContent('#snippet-code'), /socket\.send\(vec!\[0x00, 0xff\]\)/);
    await context.close();
  });

  test('command line: a shell reads what was meant', options, async () => {
    const { page, context } = await openStart();
    await page.click('#tab-shell');
    await page.fill('#address', "/it's$(id)`id`");
    await page.fill('#subprotocols', 'chat, super`chat');
    const snippet = await page.textContent('#snippet-code');
    const words = execFileSync('sh', ['-c', `openline() { printf '%s\\n' "$@"; }\n${snippet}`], { encoding: 'utf8' }).trim().split('\n');
    const command = ['connect', new URL("/it's$(id)`id`", ws('/')).href, '--subprotocol', 'chat', '--subprotocol', 'super`chat'];
    assert.deepEqual(words, [...command, ...command, '-H', `Origin: ${SERVER}`]);
    await context.close();
  });

  test('it can be copied', options, async () => {
    const { page, context } = await openStart({ permissions: ['clipboard-read', 'clipboard-write'] });
    await page.click('#copy');
    await page.locator('#copy', { hasText: 'Copied' }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await page.textContent('#snippet-code'));
    await context.close();
  });
});

describe('for everybody', () => {
  test('with the keyboard only', options, async () => {
    const { page, seen, context } = await openStart();
    const { keyboard } = page;
    await tabTo(page, '#connect-button');
    await keyboard.press('Enter');
    await state(page, 'open');
    assert.equal(await focused(page), 'text', 'after connecting, the message');
    await keyboard.press('Control+A');
    await keyboard.type('one');
    await keyboard.press('Shift+Enter');
    await keyboard.type('two');
    await keyboard.press('Enter');
    await page.locator('.row.received').waitFor();
    assert.deepEqual(await bodies(page, '.received'), ['one\ntwo']);
    assert.equal(await page.inputValue('#text'), '');

    await keyboard.type('three');
    await tabTo(page, '#reason');
    await keyboard.press('Control+Enter');
    await page.locator('.row.received', { hasText: 'three' }).waitFor();
    await keyboard.type('bye');
    await keyboard.press('Enter');
    await state(page, 'closed');
    await fact(page, 'close', /^1000 Normal Closure(, “bye”)?, clean\.$/);
    assert.equal(await focused(page), 'connect-button', 'after closing, Connect');

    await tabTo(page, '#tab-js');
    await keyboard.press('ArrowRight');
    assert.equal(await focused(page), 'tab-rust');
    assert.match(await page.textContent('#snippet-code'), /tokio/);
    await isClean(seen);
    await context.close();
  });

  test('Tab reaches everything, and shows where it is', options, async () => {
    const { page, context } = await openStart();
    const wanted = await page.evaluate(() => {
      const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
      return all.filter((node) => node.checkVisibility() && !node.disabled && !(node.type === 'radio' && !node.checked)).map((node) => node.id || node.textContent || node.value);
    });
    const reached = [];
    for (let step = 0; step < wanted.length; step++) {
      await page.keyboard.press('Tab');
      const { name, ring } = await page.evaluate(() => {
        const node = document.activeElement, ringed = node.type === 'radio' ? node.nextElementSibling : node;
        return { name: node.id || node.textContent || node.value, ring: getComputedStyle(ringed).outlineStyle };
      });
      reached.push(name);
      assert.equal(ring, 'solid', name);
    }
    assert.deepEqual(reached, wanted);
    await context.close();
  });

  test('everything has a name, and only the state is announced', options, async () => {
    const { page, context } = await openStart();
    const faults = await page.evaluate(() => {
      const faults = [];
      const named = (node) => node.textContent.trim() || node.getAttribute('aria-label') || node.labels?.[0]?.textContent.trim()
        || document.getElementById(node.getAttribute('aria-labelledby') ?? '')?.textContent.trim();
      for (const node of document.querySelectorAll('button, input, select, textarea, form, section, [role]:not([role=status]), [tabindex]')) {
        if (!(node.labels ? node.labels.length || node.tagName === 'BUTTON' && named(node) : named(node))) faults.push(`no name: ${node.outerHTML}`);
      }
      for (const name of ['aria-describedby', 'aria-labelledby', 'aria-controls', 'for']) {
        for (const node of document.querySelectorAll(`[${name}]`)) {
          for (const id of node.getAttribute(name).split(' ')) if (!document.getElementById(id)) faults.push(`no ${id} for ${name}`);
        }
      }
      const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
      if (new Set(ids).size < ids.length) faults.push('an id is there twice');
      if (!document.documentElement.lang || !document.title) faults.push('no language, or no title');
      return faults;
    });
    assert.deepEqual(faults, []);
    assert.deepEqual(await page.locator('[role=status], [aria-live]').evaluateAll((all) => all.map((node) => `${node.id} ${node.ariaLive}`)), ['state null', 'log off', 'announce null']);
    await context.close();
  });

  for (const colorScheme of ['light', 'dark']) {
    test(`${colorScheme}: every text has a contrast of 4.5 at least`, options, async () => {
      const { page, context } = await openStart({ colorScheme });
      await connect(page);
      await say(page, 'Ping');
      await page.locator('.row.received').waitFor();
      await page.fill('#code', '1');
      await page.click('summary');
      const { poor, ground } = await page.evaluate(() => {
        const channels = (color) => color.match(/[\d.]+/g).map(Number);
        const luminance = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
          .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
        const behind = (node) => {
          const color = channels(getComputedStyle(node).backgroundColor);
          return color[3] === 0 ? behind(node.parentElement) : color;
        };
        const poor = [];
        for (const node of document.body.querySelectorAll('*')) {
          const ownText = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
          if (!ownText && !node.value || !node.checkVisibility() || node.disabled || node.closest('.sr-only')) continue;
          const [light, dark] = [luminance(channels(getComputedStyle(node).color)), luminance(behind(node))].sort((a, b) => b - a);
          const contrast = (light + 0.05) / (dark + 0.05);
          if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${node.outerHTML.slice(0, 80)}`);
        }
        return { poor, ground: luminance(behind(document.body)) };
      });
      assert.deepEqual(poor, []);
      assert.ok(colorScheme === 'dark' ? ground < 0.1 : ground > 0.8);
      await context.close();
    });
  }

  for (const width of [360, 768, 1024, 1400]) {
    test(`nothing sticks out at ${width} px`, options, async () => {
      const { page, context } = await openStart({ viewport: { width, height: 800 } });
      for (const tab of ['#tab-rust', '#tab-shell']) {
        await page.click(tab);
        await fits(page);
      }
      await context.close();
    });
  }

  test('who asks for less motion gets none', options, async () => {
    const moving = (page) => page.evaluate(() => {
      document.body.dataset.state = 'connecting';
      return document.getAnimations().length;
    });
    const calm = await openStart({ reducedMotion: 'reduce' }), lively = await openStart();
    assert.equal(await moving(calm.page), 0);
    assert.notEqual(await moving(lively.page), 0);
    await calm.context.close();
    await lively.context.close();
  });
});

test('the policy lets nothing in from outside, and nothing inline', options, async () => {
  const { page, seen, context } = await openStart();
  const policy = (await seen.response.allHeaders())['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  const refused = page.waitForEvent('console', (message) => message.text().includes('Content Security Policy'));
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.ran = true';
    document.head.append(script);
  });
  await refused;
  assert.equal(await page.evaluate(() => window.ran), undefined);
  await context.close();
});

// What several tests do

const openStart = (options) => openPage(browser, `${SERVER}/`, options);
const state = (page, name) => page.locator(`body[data-state=${name}]`).waitFor();
const focused = (page) => page.evaluate(() => document.activeElement.id);

async function connect(page) {
  await page.click('#connect-button');
  await state(page, 'open');
}

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

/** Waits until the line's fact reads so. */
async function fact(page, name, expected) {
  const pattern = typeof expected === 'string' ? new RegExp(`^${expected.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`) : expected;
  await page.locator(`#fact-${name}`, { hasText: pattern }).waitFor();
}

/** What the rows say, but for the events. */
async function bodies(page, rows, most = Infinity) {
  const all = await page.locator(`.row${rows}:not(.event) .body`).evaluateAll((nodes) => nodes.map((node) => node.textContent));
  return all.slice(0, most);
}

async function tabTo(page, selector) {
  for (let step = 0; step < 40; step++) {
    if (await page.locator(selector).evaluate((node) => node === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`Tab does not reach ${selector}`);
}

async function fits(page) {
  const { width, room } = await page.evaluate(() => ({ width: document.documentElement.scrollWidth, room: innerWidth }));
  assert.ok(width <= room, `${width} px in ${room}`);
}

/** No errors, and nothing asked of anybody but the server. */
async function isClean({ errors, requests }) {
  assert.deepEqual(errors, []);
  const { host } = new URL(SERVER);
  assert.deepEqual(requests.filter((url) => !url.startsWith('data:') && new URL(url).host !== host), []);
}
