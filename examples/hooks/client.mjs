// Talks to the backends beside this file, through openline: npm install centrifuge ws, and then node client.mjs ANN

import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';

const url = process.env.OPENLINE_URL ?? 'ws://localhost:8080/connection/websocket';
const client = new Centrifuge(url, { websocket: WebSocket, data: { name: process.argv[2] } });
client.on('connected', ({ data }) => data?.resume && client.setHeaders({ 'openline-resume': data.resume }));
client.on('disconnected', ({ code, reason }) => console.log('disconnected:', code, reason));
const room = client.newSubscription('chat:lobby');
room.on('publication', ({ data, info }) => console.log(`${info?.user}: ${data.text}`));
room.on('subscribed', async ({ data }) => {
  console.log('in', data.welcome, 'at', (await client.rpc('time', null)).data.now);
  await room.publish({ text: 'hello' });
  await room.publish({ text: 'spam' }).catch(({ code, message }) => console.log(code, message));
});
room.subscribe();
client.connect();
