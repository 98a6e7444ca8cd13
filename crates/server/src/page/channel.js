// A channel on the start page: what is posted to one URL is heard by WebSocket, EventSource and fetch at once.
//
// Nothing here but what browsers bring. Each way says on its own how it resumes: a WebSocket with ?after=, an EventSource by
// itself, fetch with the position that the last answer gave.

import { visible } from '/page/page.js';

/** Of each way the newest are shown; whoever wants all of them looks into the log above, or at GET. */
const MAX_ROWS = 6;
/** A row is one line. */
const MAX_CHARS = 200;
const COME_BACK = 2_000; // milliseconds

const $ = (id) => document.getElementById(`channel-${id}`);
const WAYS = ['websocket', 'events', 'polling'];

let listening = null; // what to call to listen no more

const address = () => new URL(`/c/${$('name').value.trim().replace(/[%?#]/g, encodeURIComponent)}`, location.href).href;

function listen() {
  stop();
  const url = address();
  const mine = new AbortController(), { signal } = mine;
  listening = () => mine.abort();
  for (const way of WAYS) {
    $(way).replaceChildren();
    say(way, 'connecting');
  }
  overWebSocket(url.replace(/^http/, 'ws'), signal);
  overEvents(url, signal);
  overPolling(url, signal);
  $('listen').textContent = 'Stop';
}

function stop() {
  listening?.();
  listening = null;
  for (const way of WAYS) say(way, '');
  $('listen').textContent = 'Listen';
}

function overWebSocket(url, signal) {
  if (signal.aborted) return;
  const socket = new WebSocket(url);
  socket.onopen = () => say('websocket', 'open');
  socket.onmessage = ({ data }) => show('websocket', typeof data === 'string' ? data : `${data.size} bytes`);
  socket.onclose = ({ code, reason }) => {
    if (signal.aborted) return;
    say('websocket', `closed: ${code} ${reason}`);
    setTimeout(() => overWebSocket(url, signal), COME_BACK);
  };
  signal.addEventListener('abort', () => socket.close(1000));
}

function overEvents(url, signal) {
  const events = new EventSource(url);
  events.onopen = () => say('events', 'open');
  events.onerror = () => say('events', events.readyState === EventSource.CLOSED ? 'refused' : 'coming back');
  events.onmessage = ({ data }) => show('events', data);
  events.addEventListener('text', ({ data }) => show('events', JSON.parse(data)));
  events.addEventListener('binary', ({ data }) => show('events', `${atob(data).length} bytes`));
  events.addEventListener('gap', ({ data }) => show('events', `gap: ${JSON.parse(data).gap}`));
  signal.addEventListener('abort', () => events.close());
}

async function overPolling(url, signal) {
  let after = '', wait = 0; // the first answer only says where it begins
  while (!signal.aborted) {
    try {
      const answer = await fetch(`${url}?wait=${wait}${after && `&after=${after}`}`, { signal });
      if (!answer.ok) return say('polling', `refused: ${answer.status}`);
      const { publications, gaps = [], next } = await answer.json();
      say('polling', 'waiting');
      for (const { gap } of gaps) show('polling', `gap: ${gap}`);
      for (const { text, json, base64 } of publications) {
        show('polling', text ?? (base64 === undefined ? JSON.stringify(json) : `${atob(base64).length} bytes`));
      }
      [after, wait] = [next, 25];
    } catch {
      if (signal.aborted) return;
      say('polling', 'coming back');
      await new Promise((resolve) => setTimeout(resolve, COME_BACK));
    }
  }
}

async function post() {
  complain('');
  if (!listening) listen();
  try {
    const headers = { 'Content-Type': 'text/plain' };
    const answer = await fetch(address(), { method: 'POST', headers, body: $('text').value });
    if (!answer.ok) complain(await answer.text());
    else $('text').value = '';
  } catch (error) {
    complain(error.message);
  }
}

function show(way, text) {
  const row = document.createElement('li');
  row.dir = 'auto';
  row.textContent = visible(text.slice(0, MAX_CHARS)).replaceAll('\n', ' ');
  $(way).append(row);
  while ($(way).childElementCount > MAX_ROWS) $(way).firstElementChild.remove();
}

function say(way, text) {
  $(`${way}-state`).textContent = visible(text);
}

function complain(problem) {
  $('problem').hidden = !problem;
  $('problem').textContent = visible(problem.trim());
}

/** For a shell: in single quotes, which nothing in a URL ends but themselves. */
function showCurl() {
  const url = `'${address().replaceAll("'", '%27')}'`;
  $('curl').textContent = `curl -d Hello ${url}\ncurl -N -H 'Accept: text/event-stream' ${url}\ncurl ${url}`;
}

$('form').addEventListener('submit', (event) => {
  event.preventDefault();
  post();
});
$('listen').addEventListener('click', () => (listening ? stop() : listen()));
$('name').addEventListener('input', () => {
  if (listening) stop();
  showCurl();
});
showCurl();
