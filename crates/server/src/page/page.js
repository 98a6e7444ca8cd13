// The start page of `openline serve`: one WebSocket, all that goes over it, and the code that does the same.
//
// Whatever a peer wrote reaches the document through `textContent` and `visible()`: markup stays text, control
// characters and bidi overrides are spelled out, and what is long is cut until somebody asks for the rest.

const PRESETS = {
  '/test': { subprotocols: '', message: 'Ping', about: 'Echo: every message comes back as it went.' },
  '/chat': { subprotocols: 'chat', message: 'Hello', about: 'Everyone here hears everyone else. Open this page twice.' },
  '/increment': {
    subprotocols: 'dumb-increment-protocol', message: 'reset\n',
    about: 'A counter, 20 numbers a second. “reset” and a newline starts it again from 0.',
  },
};

/** RFC 6455 §7.4.1, and the IANA registry that it opens. */
const CLOSE_CODES = {
  1000: 'Normal Closure', 1001: 'Going Away', 1002: 'Protocol Error', 1003: 'Unsupported Data', 1005: 'No Status Received',
  1006: 'Abnormal Closure', 1007: 'Invalid Frame Payload Data', 1008: 'Policy Violation', 1009: 'Message Too Big',
  1010: 'Mandatory Extension', 1011: 'Internal Error', 1012: 'Service Restart', 1013: 'Try Again Later', 1014: 'Bad Gateway',
  1015: 'TLS Handshake', 3000: 'Unauthorized', 3003: 'Forbidden', 3008: 'Timeout',
};

/** Twenty a second are 25 seconds of /increment; more rows than this nobody reads, and the browser lays out all of them. */
const MAX_ROWS = 500;
/** 500 messages of a megabyte would be half a gigabyte held by a page nobody looks at. */
const MAX_LOG_BYTES = 16 << 20;
/** What a row shows before it is asked for the rest. */
const PREVIEW = { chars: 400, lines: 10, bytes: 64 };
/** And after: more text than this in one element stops the page for seconds. */
const WHOLE = { chars: 2 << 20, bytes: 256 << 10 };
/** Messages that may wait for their echo: on a line that does not echo, all of them wait for ever. */
/** Drawing waits this many milliseconds, or an echo from near by would wait for the drawing and be measured with it. */
const SETTLE = 10;
const MAX_UNANSWERED = 256;
const MAX_ROUND_TRIPS = 200;

const $ = (id) => document.getElementById(id);
const utf8 = new TextEncoder();

// The line

let line = idle();
let pace = { received: 0, perSecond: 0 };

function idle() {
  return { socket: null, url: null, opened: false, sent: 0, sentBytes: 0, received: 0, receivedBytes: 0, unanswered: [], roundTrips: [] };
}

function connect() {
  const address = readAddress(), subprotocols = readSubprotocols();
  complain('address', address.problem);
  complain('subprotocols', subprotocols.problem);
  if (address.problem) return $('address').focus();
  if (subprotocols.problem) return $('subprotocols').focus();
  if (isLive()) line.socket.close(1000); // one line at a time: the old one's close is logged, the rest of it is not

  let socket;
  try {
    socket = new WebSocket(address.url, subprotocols.list);
  } catch (error) { // an https page may not open ws:
    return complain('address', error.message);
  }
  socket.binaryType = 'arraybuffer';
  const mine = line = { ...idle(), socket, url: new URL(address.url) };

  socket.onopen = () => {
    mine.opened = true;
    note(`open: ${address.url}` + (socket.protocol && `, subprotocol ${socket.protocol}`));
    if (mine !== line) return;
    if ($('connect').contains(document.activeElement)) $(document.querySelector('[name=mode]:checked').value).focus();
    showState();
  };
  socket.onmessage = ({ data }) => {
    const now = performance.now();
    if (mine !== line) return;
    const message = typeof data === 'string' ? text(data) : binary(new Uint8Array(data));
    line.received += 1;
    line.receivedBytes += message.size;
    log({ ...message, direction: 'received', roundTrip: measure(message, now) });
    showFacts();
  };
  socket.onclose = (event) => {
    note(`closed: ${closeText(event)}` + (mine.opened ? '' : ` The line never opened. ${whyNotOpened(mine.url)}`));
    if (mine !== line) return;
    const hadFocus = $('close').contains(document.activeElement);
    mine.closed = event;
    showState();
    if (hadFocus) $('connect-button').focus();
  };
  note(`connecting: ${address.url}` + (subprotocols.list.length ? `, offering ${subprotocols.list.join(', ')}` : ''));
  showState();
}

function close() {
  const { code, reason, problem, field } = readClose();
  complain('close', problem, field);
  if (problem) return $(field).focus();
  if (!isLive()) return;
  if (code === undefined) line.socket.close();
  else line.socket.close(code, reason);
  showState();
}

async function send() {
  const mode = document.querySelector('[name=mode]:checked').value;
  const { data, problem } = await readMessage(mode);
  complain('send', problem, mode);
  if (problem) return;
  if (line.socket?.readyState !== WebSocket.OPEN) return complain('send', 'Not connected: Connect first.', mode);
  sendNow(data);
  if (mode === 'text') $('text').value = '';
  form.touched = true;
  showForm();
}

function sendNow(data) {
  const message = typeof data === 'string' ? text(data) : binary(data);
  line.unanswered.push({ print: fingerprint(message), at: performance.now() });
  if (line.unanswered.length > MAX_UNANSWERED) line.unanswered.shift();
  line.socket.send(data);
  line.sent += 1;
  line.sentBytes += message.size;
  log({ ...message, direction: 'sent' });
  showFacts();
}

/** Echoes come back in order (§5.4 has no way for messages to overtake), so an answer is compared with the oldest that waits. */
function measure(message, now) {
  if (['/chat', '/increment'].includes(line.url.pathname)) return undefined; // these say what others said
  if (line.unanswered[0]?.print !== fingerprint(message)) return undefined;
  const roundTrip = now - line.unanswered.shift().at;
  line.roundTrips.push(roundTrip);
  if (line.roundTrips.length > MAX_ROUND_TRIPS) line.roundTrips.shift();
  return roundTrip;
}

const fingerprint = ({ kind, size, data }) => `${kind} ${size} ${kind === 'text' ? data.slice(0, 64) : data.subarray(0, 32)}`;
const text = (data) => ({ kind: 'text', data, size: utf8.encode(data).length });
const binary = (data) => ({ kind: 'binary', data, size: data.length });
const isLive = () => line.socket !== null && line.socket.readyState < WebSocket.CLOSING;

function closeText({ code, reason, wasClean }) {
  return `${code} ${closeName(code)}` + (reason && `, “${reason}”`) + (wasClean ? ', clean.' : ', not clean.');
}

function closeName(code) {
  return CLOSE_CODES[code] ?? (code >= 4000 ? 'private use' : code >= 3000 ? 'registered by a library' : 'unassigned');
}

/** §4.1 lets a browser hide why a handshake failed, or any page could scan its reader's network. */
function whyNotOpened(url) {
  if (url.pathname === '/increment') return 'This endpoint answers only those who offer dumb-increment-protocol.';
  return 'Browsers do not tell pages why; “openline connect” with the same address does.';
}

// What the forms say

const form = { touched: false };

function readAddress() {
  let typed = $('address').value.trim();
  if (!typed) return { problem: 'Type an address, such as /test or ws://localhost:8080/test.' };
  typed = typed.replace(/^http(s?):\/\//i, 'ws$1://');
  if (!typed.startsWith('/') && !/^[a-z][a-z0-9+.-]*:\/\//i.test(typed)) typed = `ws://${typed}`;
  let url;
  try {
    url = new URL(typed, location.origin.replace(/^http/, 'ws'));
  } catch {
    return { problem: 'This is not an address.' };
  }
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') return { problem: 'A WebSocket address begins with ws:// or wss://.' };
  if (url.href.includes('#')) return { problem: 'RFC 6455 §3: a WebSocket address has no fragment (#…).' };
  return { url: url.href };
}

function readSubprotocols() {
  const list = $('subprotocols').value.split(/[\s,]+/).filter(Boolean);
  const bad = list.find((name) => !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name));
  if (bad) return { list, problem: `“${bad}” is not a token: RFC 6455 §4.1 allows letters, digits and !#$%&'*+-.^_\`|~.` };
  if (new Set(list).size < list.length) return { list, problem: 'RFC 6455 §4.1: each subprotocol may be offered once.' };
  return { list };
}

function readClose() {
  const code = $('code').value.trim(), reason = $('reason').value;
  if (code === '' && reason === '') return {}; // §5.5.1: an empty Close frame; both sides then read 1005
  if (code === '') return { field: 'code', problem: 'A reason travels behind a code: fill in both.' };
  const number = /^\d+$/.test(code) ? Number(code) : 0;
  if (number !== 1000 && !(number >= 3000 && number <= 4999)) {
    const name = CLOSE_CODES[number] ? ` ${number} (${CLOSE_CODES[number]}) is not for pages to send.` : '';
    return { field: 'code', problem: `A browser sends 1000 or 3000 to 4999.${name}` };
  }
  const bytes = utf8.encode(reason).length;
  if (bytes > 123) return { field: 'reason', problem: `A reason has at most 123 bytes (§5.5: 125 with the code); this one has ${bytes}.` };
  return { code: number, reason };
}

async function readMessage(mode) {
  if (mode === 'text') return { data: $('text').value };
  if (mode === 'hex') return readHex();
  const [file] = $('file').files;
  if (!file) return { problem: 'Choose a file.' };
  try {
    return { data: new Uint8Array(await file.arrayBuffer()) };
  } catch {
    return { problem: 'The file cannot be read.' };
  }
}

function readHex() {
  const digits = $('hex').value.replace(/0x|[\s,:]/gi, '');
  const stray = digits.match(/[^0-9a-f]/i);
  if (stray) return { problem: `“${stray[0]}” is not a hexadecimal digit.` };
  if (digits.length % 2) return { problem: 'Two digits make a byte: one is missing.' };
  return { data: Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16)) };
}

/** Says what is wrong beside the field, or that nothing is. */
function complain(name, problem, field = name) {
  const place = $(`${name}-problem`);
  place.hidden = !problem;
  place.textContent = problem ?? '';
  for (const input of document.querySelectorAll(`[aria-describedby~="${place.id}"]`)) {
    if (problem && input.id === field) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  }
}

// The log

const kept = { rows: [], bytes: 0, dropped: 0 };
let waiting = []; // for the next frame, or for the end of a pause
let waitingBytes = 0;
let paused = false;
let scheduled = false;
let following = true; // the newest row, until somebody scrolls up to read

function note(data) {
  log({ kind: 'event', direction: 'event', data, size: 0 });
}

function log(entry) {
  entry.at = new Date();
  waiting.push(entry);
  waitingBytes += entry.size;
  while (waiting.length > MAX_ROWS || waitingBytes > MAX_LOG_BYTES && waiting.length > 1) {
    waitingBytes -= waiting.shift().size;
    kept.dropped += 1;
  }
  schedule();
}

/** Once a frame, however many messages came: a hidden page draws nothing at all, and what waits is bounded. */
function schedule() {
  if (scheduled) return;
  scheduled = true;
  setTimeout(() => requestAnimationFrame(() => {
    scheduled = false;
    if (paused) showKept();
    else drawWaiting();
  }), SETTLE);
}

function drawWaiting() {
  const fresh = waiting;
  waiting = [];
  waitingBytes = 0;
  for (const entry of fresh) {
    entry.row = draw(entry);
    entry.row.hidden = !passes(entry);
    kept.rows.push(entry);
    kept.bytes += entry.size;
    $('rows').append(entry.row);
  }
  let over = 0;
  while (kept.rows.length - over > MAX_ROWS || kept.bytes > MAX_LOG_BYTES && kept.rows.length - over > 1) {
    kept.bytes -= kept.rows[over].size;
    kept.rows[over++].row.remove();
  }
  kept.rows.splice(0, over);
  kept.dropped += over;
  showKept();
  if (following) toEnd();
}

function draw(entry) {
  const row = make('li', `row ${entry.direction}`);
  const time = make('time', '', entry.at.toTimeString().slice(0, 8) + `.${String(entry.at.getMilliseconds()).padStart(3, '0')}`);
  time.dateTime = entry.at.toISOString();
  const arrow = make('span', 'arrow', { sent: '↑', received: '↓', event: '·' }[entry.direction]);
  arrow.setAttribute('aria-hidden', 'true');
  const body = make('div', entry.kind === 'binary' ? 'body hex' : 'body');
  body.dir = entry.kind === 'text' ? 'auto' : 'ltr';
  const meta = make('span', 'meta');
  row.append(time, arrow, body, meta);
  if (entry.kind === 'event') {
    body.textContent = visible(entry.data);
    return row;
  }
  arrow.after(make('span', 'sr-only', entry.direction));
  meta.append(`${entry.kind} ${bytesText(entry.size)}`);
  if (entry.roundTrip !== undefined) meta.append(' · ', make('b', '', milliseconds(entry.roundTrip)));

  const { preview, isCut } = entry.kind === 'text' ? cutText(entry.data) : cutBytes(entry.data);
  body.textContent = preview;
  if (isCut) row.append(showAll(entry, body, preview));
  return row;
}

function showAll(entry, body, preview) {
  const [unit, most] = entry.kind === 'text' ? ['characters', WHOLE.chars] : ['bytes', WHOLE.bytes];
  const label = entry.data.length > most ? `Show the first ${count(most)} of ${count(entry.data.length)} ${unit}` : `Show all ${count(entry.data.length)} ${unit}`;
  const button = make('button', 'more', label);
  button.type = 'button';
  button.setAttribute('aria-expanded', 'false');
  button.onclick = () => {
    const whole = body.classList.toggle('whole');
    const data = entry.kind === 'text' ? entry.data.slice(0, most) : entry.data.subarray(0, most);
    body.textContent = !whole ? preview : entry.kind === 'text' ? visible(data) : hexDump(data);
    if (whole) body.tabIndex = 0; // it scrolls, so the keyboard must reach it
    else body.removeAttribute('tabindex');
    button.textContent = whole ? 'Show less' : label;
    button.setAttribute('aria-expanded', String(whole));
  };
  return button;
}

function cutText(data) {
  const start = visible(data.slice(0, PREVIEW.chars + 1)); // one more than fits, so that what is longer differs
  const cut = start.split('\n', PREVIEW.lines).join('\n').slice(0, PREVIEW.chars);
  if (cut === start) return { preview: start, isCut: false };
  return { preview: `${cut.replace(/[\ud800-\udbff]$/, '')}…`, isCut: true }; // never half a surrogate pair
}

function cutBytes(data) {
  return { preview: hexDump(data.subarray(0, PREVIEW.bytes)), isCut: data.length > PREVIEW.bytes };
}

/** Characters that draw nothing, or redraw what is around them, are shown as what they are. */
export function visible(data) {
  return data
    .replace(/[\0-\x08\x0b-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/\x7f/g, '\u2421')
    .replace(/[\x80-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu, spell)
    .replace(/\n$/, '\u240a');
}

const spell = (c) => `[U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}]`;

function hexDump(bytes) {
  const width = $('log').clientWidth < 920 ? 8 : 16;
  const rows = [];
  for (let at = 0; at < bytes.length; at += width) {
    const part = [...bytes.subarray(at, at + width)];
    const hex = part.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = part.map((byte) => (byte > 0x1f && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    rows.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(width * 3 - 1)}  ${ascii}`);
  }
  return rows.join('\n');
}

function passes({ direction, kind, data }) {
  const wanted = $('direction').value, sought = $('filter').value.toLowerCase();
  if (wanted && wanted !== direction) return false;
  if (!sought) return true;
  return (kind === 'binary' ? hexDump(data.subarray(0, 4096)) : data).toLowerCase().includes(sought);
}

function filter() {
  for (const entry of kept.rows) entry.row.hidden = !passes(entry);
  showKept();
  toEnd();
}

function clear() {
  kept.rows = [];
  waiting = [];
  kept.bytes = kept.dropped = waitingBytes = 0;
  $('rows').replaceChildren();
  showKept();
  toEnd();
}

function pause() {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', String(paused));
  if (paused) showKept();
  else drawWaiting();
}

function toEnd() {
  $('log').scrollTop = $('log').scrollHeight;
  follow();
}

function follow() {
  const log = $('log'), latest = $('latest');
  following = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  if (following && document.activeElement === latest) log.focus();
  latest.hidden = following;
}

// What the page shows

function showState() {
  const { socket, closed } = line;
  const state = ['connecting', 'open', 'closing', 'closed'][socket?.readyState ?? WebSocket.CLOSED];
  document.body.dataset.state = state;
  const words = {
    connecting: 'Connecting',
    open: 'Open' + (socket?.protocol && `, ${socket.protocol}`),
    closing: 'Closing',
    closed: closed ? `Closed ${closed.code}` + (closed.reason && ` “${visible(closed.reason)}”`) : 'Not connected',
  };
  $('state').textContent = words[state];
  $('connect-button').textContent = isLive() ? 'Reconnect' : 'Connect';
  $('close-button').disabled = !isLive();
  $('reset').hidden = !(state === 'open' && line.url.pathname === '/increment');
  if (state === 'open') complain('send');
  showFacts();
}

let factsScheduled = false;

function showFacts() {
  if (factsScheduled) return;
  factsScheduled = true;
  setTimeout(() => requestAnimationFrame(() => {
    factsScheduled = false;
    const { socket, closed, roundTrips } = line;
    $('fact-subprotocol').textContent = socket?.protocol || 'none';
    $('fact-extensions').textContent = socket?.extensions.replaceAll(';', '; ').replace(/\s+/g, ' ') || 'none';
    $('fact-sent').textContent = tally(line.sent, line.sentBytes);
    $('fact-received').textContent = tally(line.received, line.receivedBytes) + (pace.perSecond ? ` · ${count(pace.perSecond)}/s` : '');
    $('fact-latency').textContent = roundTrips.length
      ? `last ${milliseconds(roundTrips.at(-1))} · median ${milliseconds(median(roundTrips))} of\u00a0${roundTrips.length}` : 'no echo yet';
    $('fact-close').textContent = closed ? visible(closeText(closed)) : 'none';
  }), SETTLE);
}

function showKept() {
  const shown = kept.rows.filter(({ row }) => !row.hidden).length;
  const parts = [`${count(kept.rows.length)} ${kept.rows.length === 1 ? 'row' : 'rows'}`];
  if (shown < kept.rows.length) parts.push(`${count(shown)} shown`);
  if (kept.dropped) parts.push(`${count(kept.dropped)} older dropped`);
  if (paused) parts.push(`paused, ${count(waiting.length)} waiting`);
  $('kept').textContent = parts.join(' · ');
  $('empty').hidden = kept.rows.length > 0;
}

function showForm() {
  const address = readAddress();
  const path = address.url && new URL(address.url).host === location.host ? new URL(address.url).pathname : null;
  for (const button of document.querySelectorAll('.preset')) button.setAttribute('aria-pressed', String(button.dataset.path === path));
  $('about').textContent = PRESETS[path]?.about ?? '';

  const mode = document.querySelector('[name=mode]:checked').value;
  for (const pane of document.querySelectorAll('[data-mode]')) pane.hidden = pane.dataset.mode !== mode;
  const hex = readHex();
  $('send-note').textContent = {
    text: bytesText(utf8.encode($('text').value).length),
    hex: hex.problem ?? bytesText(hex.data.length),
    file: $('file').files[0] ? bytesText($('file').files[0].size) : '',
  }[mode];
  showCode();
}

// The code that does this

const LANGUAGES = {
  js: { write: javascript, paint: /('(?:[^'\\\n]|\\.)*')|(\/\/.*)/g },
  rust: { write: rust, paint: /("(?:[^"\\\n]|\\.)*")|(\/\/.*)/g },
  shell: { write: shell, paint: /('[^']*')|(# .*)/g },
};
let language = 'js';

function showCode() {
  const { write, paint } = LANGUAGES[language];
  const address = readAddress(), subprotocols = readSubprotocols();
  const problem = address.problem ?? subprotocols.problem;
  const code = problem ? (language === 'shell' ? '# ' : '// ') + problem : write(address.url, subprotocols.list, example(address.url));
  const parts = [];
  let at = 0;
  for (const match of code.matchAll(paint)) {
    parts.push(code.slice(at, match.index), make('span', match[1] ? 'string' : 'comment', match[0]));
    at = match.index + match[0].length;
  }
  $('snippet-code').replaceChildren(...parts, code.slice(at));
}

/** What the snippets send: what is about to be sent here, if it is short enough to be read in one line. */
function example(url) {
  const mode = document.querySelector('[name=mode]:checked').value;
  const bytes = readHex().data;
  if (mode === 'hex' && bytes?.length > 0 && bytes.length <= 16) return bytes;
  const typed = mode === 'text' ? $('text').value : '';
  if (typed && typed.length <= 120) return typed;
  return PRESETS[new URL(url).pathname]?.message ?? 'Ping';
}

function javascript(url, subprotocols, message) {
  const names = subprotocols.map((name) => quote(name, "'"));
  const offer = names.length > 1 ? [`[${names.join(', ')}]`] : names;
  const args = [quote(url, "'"), ...offer];
  const short = args.join(', ').length <= 28;
  const data = typeof message === 'string' ? quote(message, "'") : `new Uint8Array([${hexList(message)}])`;
  return `const connection = new WebSocket(${short ? args.join(', ') : `\n  ${args.join(',\n  ')},\n`});
connection.onopen = () => connection.send(${data});
connection.onmessage = (e) => console.log('Server:', e.data);
connection.onerror = () => console.log('WebSocket Error');
connection.onclose = (e) => console.log(e.code, e.reason);
`;
}

function rust(url, subprotocols, message) {
  const offers = subprotocols.map((name) => `        .subprotocol(${quote(name, '"')})\n`).join('');
  const open = offers
    ? `let (mut socket, _response) = openline::Client::new()\n${offers}        .connect(url)\n        .await?;`
    : 'let mut socket = openline::connect(url).await?;';
  const data = typeof message === 'string' ? quote(message, '"') : `vec![${hexList(message)}]`;
  return `#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = ${quote(url, '"')};
    ${open}
    socket.send(${data}).await?;
    while let Some(message) = socket.recv().await? {
        println!("{message:?}");
    }
    Ok(())
}
`;
}

function shell(url, subprotocols) {
  const command = `openline connect ${shellQuote(url)}` + subprotocols.map((name) => ` \\\n  --subprotocol ${/^[\w.-]+$/.test(name) ? name : shellQuote(name)}`).join('');
  return `${command}

# A page cannot add headers, and a browser always sends
# the page's Origin. To knock as this page does:
${command} \\
  -H ${shellQuote(`Origin: ${location.origin}`)}
`;
}

const hexList = (bytes) => Array.from(bytes, (byte) => `0x${byte.toString(16).padStart(2, '0')}`).join(', ');
const shellQuote = (word) => `'${word.replaceAll("'", `'\\''`)}'`;

/** A literal that JavaScript and Rust read alike. */
function quote(data, mark) {
  const escaped = data.replaceAll('\\', '\\\\').replaceAll(mark, `\\${mark}`).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
  return mark + escaped.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`) + mark;
}

async function copy() {
  try {
    await navigator.clipboard.writeText($('snippet').textContent);
    tell('Copied');
  } catch { // no clipboard on a page that came over plain http from another machine
    getSelection().selectAllChildren($('snippet'));
    tell('Selected');
  }
}

function tell(word) {
  $('copy').textContent = word;
  $('announce').textContent = word;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => {
    $('copy').textContent = 'Copy';
    $('announce').textContent = '';
  }, 2000);
}

function chooseLanguage(tab) {
  language = tab.id.slice('tab-'.length);
  for (const other of document.querySelectorAll('[role=tab]')) other.setAttribute('aria-selected', String(other === tab));
  $('snippet').setAttribute('aria-labelledby', tab.id);
  showCode();
}

// Small words

function make(tag, className, content = '') {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = content;
  return node;
}

const count = (n) => n.toLocaleString('en');
const tally = (messages, bytes) => (messages ? `${count(messages)} ${messages === 1 ? 'message' : 'messages'} · ${bytesText(bytes)}` : '0');
const bytesText = (n) => (n < 10_000 ? `${count(n)} B` : n < 1e6 ? `${(n / 1e3).toFixed(0)} kB` : `${(n / 1e6).toFixed(2)} MB`);
const milliseconds = (ms) => `${ms < 100 ? ms.toFixed(1) : ms.toFixed(0)} ms`;

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Wiring

function choosePreset(path) {
  complain('address');
  complain('subprotocols');
  $('address').value = location.origin.replace(/^http/, 'ws') + path;
  $('subprotocols').value = PRESETS[path].subprotocols;
  if (!form.touched) $('text').value = PRESETS[path].message.endsWith('\n') ? '' : PRESETS[path].message;
  showForm();
}

function onSubmit(id, action) {
  $(id).addEventListener('submit', (event) => {
    event.preventDefault();
    action();
  });
}

onSubmit('connect', connect);
onSubmit('send', send);
onSubmit('close', close);
for (const button of document.querySelectorAll('.preset')) button.onclick = () => choosePreset(button.dataset.path);
for (const input of document.querySelectorAll('[name=mode]')) {
  input.onchange = () => {
    complain('send');
    showForm();
  };
}
for (const id of ['address', 'subprotocols', 'text', 'hex', 'file']) {
  $(id).addEventListener('input', () => {
    form.touched ||= id === 'text';
    complain(id in { address: 0, subprotocols: 0 } ? id : 'send');
    showForm();
  });
}
for (const id of ['code', 'reason']) {
  $(id).oninput = () => {
    const { problem, field } = readClose();
    complain('close', problem, field);
  };
}
for (const id of ['direction', 'filter']) $(id).addEventListener('input', filter);
$('pause').onclick = pause;
$('clear').onclick = clear;
$('copy').onclick = copy;
$('reset').onclick = () => sendNow('reset\n');
$('latest').onclick = toEnd;
$('log').addEventListener('scroll', follow, { passive: true });
new ResizeObserver(() => following && toEnd()).observe($('log'));

const tabs = [...document.querySelectorAll('[role=tab]')];
for (const tab of tabs) {
  tab.onclick = () => chooseLanguage(tab);
  tab.onkeydown = ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = tabs.at((tabs.indexOf(tab) + step) % tabs.length);
    next.focus();
    chooseLanguage(next);
  };
}

for (const id of ['text', 'hex']) {
  $(id).addEventListener('keydown', (event) => {
    if (event.isComposing) return; // an input method's Enter chooses a word
    if (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      send();
    }
  });
}

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  event.preventDefault();
  if (isLive()) send();
  else connect();
});

setInterval(() => {
  pace = { received: line.received, perSecond: Math.max(line.received - pace.received, 0) };
  if (line.socket) showFacts();
}, 1000);

choosePreset('/test');
showState();
showKept();
