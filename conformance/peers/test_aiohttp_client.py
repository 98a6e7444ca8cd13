"""Python `aiohttp` as the client of `openline serve`."""

import asyncio

import aiohttp
import pytest
from aiohttp import WSMsgType

BIG = 300_000


def with_socket(test, url, **options):
    """Runs `test(socket)`, with a deadline."""

    async def run():
        async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0, **options) as socket:
            return await asyncio.wait_for(test(socket), 10)

    return asyncio.run(run())


@pytest.mark.parametrize("text", ["Ping", "", "zwölf Boxkämpfer 🥊", "x" * BIG])
def test_text_comes_back_as_it_went(demo, text):
    async def test(socket):
        await socket.send_str(text)
        assert await socket.receive_str() == text

    with_socket(test, demo.url("/test"))


@pytest.mark.parametrize("data", [b"\x00\xff", b"", b"\x80" * BIG])
def test_binary_comes_back_as_it_went(demo, data):
    async def test(socket):
        await socket.send_bytes(data)
        assert await socket.receive_bytes() == data

    with_socket(test, demo.url("/test"))


def test_a_ping_is_answered_with_what_it_carried(demo):
    async def test(socket):
        await socket.ping(b"are you there?")
        pong = await socket.receive()
        assert (pong.type, pong.data) == (WSMsgType.PONG, b"are you there?")

    with_socket(test, demo.url("/test"), autoping=False)


def test_a_pong_that_nobody_asked_for_is_no_matter(demo):
    async def test(socket):
        await socket.pong(b"hello?")
        await socket.send_str("still here")
        assert await socket.receive_str() == "still here"

    with_socket(test, demo.url("/test"))


@pytest.mark.parametrize("compress", [9, 10, 15])
@pytest.mark.parametrize("compression", ["on", "takeover"])
def test_compressed_messages_come_back_as_they_went(serve, compress, compression):
    async def test(socket):
        assert socket.compress == 15  # the client's own window, which is not limited
        for text in ["short", "zwölf Boxkämpfer 🥊" * 100, "x" * BIG, ""] * 3:
            await socket.send_str(text)
            assert await socket.receive_str() == text

    with_socket(test, serve("--compression", compression).url("/test"), compress=compress)


def test_compression_is_a_flag(serve):
    async def test(socket):
        assert socket.compress == 0

    with_socket(test, serve("--compression", "off").url("/test"), compress=15)


def test_the_first_subprotocol_is_chosen(demo):
    async def test(socket):
        assert socket.protocol == "soap"

    with_socket(test, demo.url("/test"), protocols=["soap", "wamp"])


def test_without_an_offer_there_is_no_subprotocol(demo):
    async def test(socket):
        assert socket.protocol is None

    with_socket(test, demo.url("/test"))


@pytest.mark.parametrize("code, reason", [(1000, b""), (1001, b"going home"), (4000, "é".encode() * 61)])
def test_the_close_code_comes_back(demo, code, reason):
    async def test(socket):
        assert await socket.close(code=code, message=reason)
        assert socket.close_code == code

    with_socket(test, demo.url("/test"))


def test_in_the_chat_everyone_hears_every_other(demo):
    async def test(ann):
        async with aiohttp.ClientSession() as session, session.ws_connect(demo.url("/chat")) as ben:
            await ann.send_str("hello from Ann")
            assert await ben.receive_str() == "hello from Ann"
            await ben.send_str("hello from Ben")
            assert await ann.receive_str() == "hello from Ben"

    with_socket(test, demo.url("/chat"), protocols=["chat"])


def test_the_counter_counts_and_starts_again(demo):
    async def test(socket):
        assert [await socket.receive_str() for _ in range(3)] == ["0", "1", "2"]
        await socket.send_str("reset\n")
        while await socket.receive_str() != "0":
            pass
        assert await socket.receive_str() == "1"

    with_socket(test, demo.url("/increment"), protocols=["dumb-increment-protocol"])


def test_the_counter_wants_its_subprotocol(demo):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        with_socket(None, demo.url("/increment"))
    assert refused.value.status == 400
