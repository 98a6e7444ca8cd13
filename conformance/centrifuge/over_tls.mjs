// node over_tls.mjs PORT: what a client of each kind hears over TLS, of which it misses the second.

import { TRANSPORTS, between, client, connected, endClients, event, gather, subscribed } from './helpers.mjs';

const port = Number(process.argv[2]);
const utf8 = new TextDecoder();

for (const transport of ['websocket', 'protobuf', ...TRANSPORTS.filter((name) => name !== 'websocket')]) {
  const line = await between(port);
  const [far, near] = [client(line.port, transport, { tls: true }), client(port, 'websocket', { tls: true })];
  near.on('error', ({ error }) => {
    console.error(error);
    process.exit(1);
  });
  await connected(near);
  await connected(far);
  const sub = far.newSubscription(`tls-${transport}`);
  const heard = gather(sub, 'publication');
  await subscribed(sub);
  await near.publish(sub.channel, 1);
  await heard.count(1);
  const away = event(far, 'connecting');
  line.cut();
  await away;
  await near.publish(sub.channel, 2);
  await near.publish(sub.channel, 3);
  await heard.count(3);
  const read = ({ data }) => (data instanceof Uint8Array ? utf8.decode(data) : data);
  console.log(`${transport}: ${heard.map(read).join()}`);
  endClients();
  line.end();
}
