"""`centrifuge-python`, as it is published, with tokens and without."""

import asyncio
import ssl
import time

import jwt
import pytest
from cent import Client as Backend
from cent import DisconnectRequest, PublishRequest, SubscribeRequest, UnsubscribeRequest
from cent import Disconnect as CentDisconnect
from centrifuge import (
    CentrifugeError,
    Client,
    ClientEventHandler,
    SubscriptionEventHandler,
)

PATIENCE = 20


class Heard(ClientEventHandler, SubscriptionEventHandler):
    """Keeps everything, by the name of the event."""

    def __init__(self):
        self.events = asyncio.Queue()

    async def next(self, name):
        """The next event of this name."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found, context = await self.events.get()
                if found == name:
                    return context


def keep(name):
    async def handler(self, ctx):
        await self.events.put((name, ctx))

    return handler


for event in ("connected", "disconnected", "publication", "join", "leave", "subscribed", "unsubscribed", "subscribing"):
    setattr(Heard, f"on_{event}", keep(event))


def token(server, user="ann", seconds=60, **claims):
    claims = {"sub": user, "exp": int(time.time()) + seconds, "aud": "openline", **claims}
    return jwt.encode(claims, server.secret, algorithm="HS256")


def test_talks(demo):
    async def talk():
        heard, inside = Heard(), Heard()
        client = Client(demo.websocket, events=heard)
        await client.connect()
        await heard.next("connected")
        sub = client.new_subscription("python", events=inside)
        await sub.subscribe()
        await inside.next("subscribed")
        await sub.publish(data={"n": 1})
        publication = await inside.next("publication")
        assert (publication.pub.data, publication.pub.offset) == ({"n": 1}, 1)
        assert (await sub.history(limit=5)).offset == 1
        assert len((await sub.presence()).clients) == 1
        assert (await sub.presence_stats()).num_clients == 1
        with pytest.raises(CentrifugeError):
            await client.rpc("now", data={})
        await client.disconnect()

    asyncio.run(talk())


@pytest.mark.parametrize("protobuf", [False, True], ids=["JSON", "Protobuf"])
def test_talks_over_tls(over_tls, protobuf):
    async def talk():
        heard, inside = Heard(), Heard()
        trust = ssl.create_default_context(cafile=over_tls.ca)
        client = Client(over_tls.websocket, events=heard, use_protobuf=protobuf, ssl_context=trust)
        await client.connect()
        await heard.next("connected")
        sub = client.new_subscription(f"tls-{protobuf}", events=inside)
        await sub.subscribe()
        await inside.next("subscribed")
        await sub.publish(data=b"1" if protobuf else 1)
        publication = await inside.next("publication")
        assert (publication.pub.data, publication.pub.offset) == (b"1" if protobuf else 1, 1)
        await client.disconnect()

    asyncio.run(talk())


def test_tokens_decide(closed):
    async def decide():
        heard, inside = Heard(), Heard()
        issued, renewed = [], asyncio.Event()

        async def fresh():
            issued.append(token(closed, seconds=2))
            renewed.set()
            return issued[-1]

        client = Client(closed.websocket, events=heard, get_token=fresh)
        await client.connect()
        await heard.next("connected")
        sub = client.new_subscription("chat:room", events=inside)
        await sub.subscribe()
        await inside.next("subscribed")
        await sub.publish(data="hers")
        assert (await inside.next("publication")).pub.info.user == "ann"

        # The token ends, and another one takes its place: nobody is disconnected.
        async with asyncio.timeout(PATIENCE):
            while len(issued) < 3:
                await renewed.wait()
                renewed.clear()
        backend = Backend(closed.api, closed.key)
        await asyncio.to_thread(backend.publish, PublishRequest(channel="chat:room", data="still here"))
        assert (await inside.next("publication")).pub.data == "still here"

        await asyncio.to_thread(backend.unsubscribe, UnsubscribeRequest(user="ann", channel="chat:room"))
        assert (await inside.next("unsubscribed")).code == 2000
        goodbye = DisconnectRequest(user="ann", disconnect=CentDisconnect(code=4500, reason="enough"))
        await asyncio.to_thread(backend.disconnect, goodbye)
        gone = await heard.next("disconnected")
        assert (gone.code, gone.reason) == (4500, "enough")

    asyncio.run(decide())


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda server: "x", 3500),
        (lambda server: token(server, aud="elsewhere"), 3500),
        (lambda server: jwt.encode({"sub": "ann", "aud": "openline"}, server.secret, algorithm="HS256"), 3500),
        (lambda server: jwt.encode({"sub": "ann", "exp": 2**40, "aud": "openline"}, None, algorithm="none"), 3500),
        (lambda server: jwt.encode({"sub": "ann", "exp": 2**40, "aud": "openline"}, "o" * 32, algorithm="HS256"), 3500),
        (lambda server: jwt.encode({"sub": "ann", "exp": 2**40, "aud": "openline"}, server.secret * 2, algorithm="HS512"), 3500),
        (lambda server: "", 3507),
    ],
    ids=["none of ours", "audience", "without end", "alg none", "another key", "another algorithm", "no token"],
)
def test_bad_tokens_let_nobody_in(closed, made, code):
    async def knock():
        heard = Heard()
        client = Client(closed.websocket, events=heard, token=made(closed))
        await client.connect()
        assert (await heard.next("disconnected")).code == code

    asyncio.run(knock())


def test_rights_decide(closed):
    async def decide():
        heard, inside = Heard(), Heard()
        client = Client(closed.websocket, events=heard, token=token(closed, "bob"))
        await client.connect()
        await heard.next("connected")
        for channel, code in [("news", 103), ("nowhere:x", 102), ("chat:#ann", 103)]:
            sub = client.new_subscription(channel, events=inside)
            await sub.subscribe()
            assert (await inside.next("unsubscribed")).code == code, channel
        sub = client.new_subscription("chat:#ann,bob", events=inside)
        await sub.subscribe()
        await inside.next("subscribed")
        with pytest.raises(CentrifugeError):
            await sub.publish(data="not his to say")
        await client.disconnect()

    asyncio.run(decide())


def test_subscription_tokens_open_channels(closed):
    async def open_them():
        heard = Heard()
        client = Client(closed.websocket, events=heard, token=token(closed, "bob"))
        await client.connect()
        await heard.next("connected")
        for channel, claims, opens in [
            ("secret", {"user": "bob", "channel": "secret"}, True),
            ("other", {"user": "bob", "channel": "secret"}, False),
            ("hers", {"user": "ann", "channel": "hers"}, False),
        ]:
            inside = Heard()
            shown = token(closed, claims["user"], channel=claims["channel"])
            sub = client.new_subscription(channel, events=inside, token=shown)
            await sub.subscribe()
            if opens:
                await inside.next("subscribed")
            else:
                assert (await inside.next("unsubscribed")).code == 103
        await client.disconnect()

    asyncio.run(open_them())


def test_the_backend_subscribes(closed):
    async def subscribed():
        subscribed_by_server = asyncio.Queue()

        class ServerSide(Heard):
            async def on_subscribed(self, ctx):
                await subscribed_by_server.put(ctx.channel)

        client = Client(closed.websocket, events=(events := ServerSide()), token=token(closed, "eve", channels=["chat:all"]))
        await client.connect()
        await events.next("connected")
        async with asyncio.timeout(PATIENCE):
            assert await subscribed_by_server.get() == "chat:all"
        backend = Backend(closed.api, closed.key)
        await asyncio.to_thread(backend.subscribe, SubscribeRequest(user="eve", channel="chat:later"))
        async with asyncio.timeout(PATIENCE):
            assert await subscribed_by_server.get() == "chat:later"
        await asyncio.to_thread(backend.publish, PublishRequest(channel="chat:later", data=7))
        assert (await events.next("publication")).pub.data == 7
        await client.disconnect()

    asyncio.run(subscribed())
