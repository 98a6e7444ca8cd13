"""Compression against Python's zlib (RFC 7692): what either side compresses, the other reads, whatever was agreed on."""

import itertools
import socket as sockets
import threading
import zlib

import pytest
from deflate_data import messages
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.sync.client import connect as websockets_connect
from websockets.sync.server import serve as websockets_serve

FORGETS = [False, True]
WINDOWS = [None, 9, 11, 15]


@pytest.fixture(scope="module")
def servers():
    """A server of each kind, shared by all tests of this file."""
    from conftest import Server

    started = {how: Server("--compression", how, "--compression-min-bytes", "1") for how in ("off", "on", "takeover")}
    yield started
    for server in started.values():
        server.end()


@pytest.mark.parametrize("how", ["on", "takeover"])
@pytest.mark.parametrize("server_forgets, client_forgets", [*itertools.product(FORGETS, FORGETS)])
@pytest.mark.parametrize("server_window, client_window", [*itertools.product(WINDOWS, [True, *WINDOWS])])
def test_messages_come_back_as_they_went(servers, how, server_forgets, client_forgets, server_window, client_window):
    factory = ClientPerMessageDeflateFactory(
        server_no_context_takeover=server_forgets,
        client_no_context_takeover=client_forgets,
        server_max_window_bits=server_window,
        client_max_window_bits=client_window,
    )
    url = servers[how].url("/test")
    with websockets_connect(url, compression=None, extensions=[factory], max_size=None) as socket:
        agreed = socket.response.headers["Sec-WebSocket-Extensions"]
        assert agreed.startswith("permessage-deflate")
        assert ("server_no_context_takeover" in agreed) == (server_forgets or how == "on")
        if server_window:
            assert f"server_max_window_bits={server_window}" in agreed
        for message in messages(f"{how} {server_window} {client_window}", count=12):
            socket.send(message)
            assert socket.recv(10) == message


@pytest.mark.parametrize("offer", ["permessage-deflate; server_max_window_bits=8", "permessage-deflate; unknown", "x"])
def test_an_offer_that_cannot_be_served_is_declined(servers, offer):
    headers = {"Sec-WebSocket-Extensions": offer}
    with websockets_connect(servers["on"].url("/test"), compression=None, additional_headers=headers) as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        socket.send("hello")
        assert socket.recv(5) == "hello"


def test_no_compression_is_a_flag(servers):
    with websockets_connect(servers["off"].url("/test"), compression="deflate") as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


def frames(stream):
    """The server's frames: first byte and payload."""
    while head := stream.read(2):
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
        yield head[0], stream.read(length)


def masked(first, payload):
    if len(payload) < 126:
        length = bytes([0x80 | len(payload)])
    elif len(payload) < 1 << 16:
        length = b"\xfe" + len(payload).to_bytes(2, "big")
    else:
        length = b"\xff" + len(payload).to_bytes(8, "big")
    return bytes([first]) + length + bytes(4) + payload


@pytest.mark.parametrize("bits", range(8, 16))
def test_zlib_itself_reads_what_we_compress_and_the_other_way_round(servers, bits):
    """Nothing between the wire and zlib: raw sockets, one context in each direction, the window as small as agreed."""
    server_bits, client_bits = max(bits, 9), max(bits, 9)
    with sockets.create_connection(("127.0.0.1", servers["takeover"].port)) as line:
        offer = f"permessage-deflate; server_max_window_bits={server_bits}; client_max_window_bits={bits}"
        line.sendall(
            f"GET /test HTTP/1.1\r\nHost: 127.0.0.1:{servers['takeover'].port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Extensions: {offer}\r\n\r\n".encode()
        )
        stream = line.makefile("rb")
        head = list(iter(lambda: stream.readline().strip(), b""))
        assert head[0].startswith(b"HTTP/1.1 101")
        deflate = zlib.compressobj(wbits=-client_bits)
        inflate = zlib.decompressobj(wbits=-server_bits)
        compressed = 0
        for message in messages(bits, count=60, longest=20_000):
            payload = message.encode() if isinstance(message, str) else message
            opcode = 1 if isinstance(message, str) else 2
            if bits == 8:
                # zlib has no such window: blocks with nothing that refers back.
                body = zlib.compressobj(0, wbits=-15)
                body = body.compress(payload) + body.flush(zlib.Z_SYNC_FLUSH)
            else:
                body = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
            line.sendall(masked(0xC0 | opcode, body[:-4] or b"\x00"))
            answer = b""
            for first, part in frames(stream):
                answer += part
                if first & 0x0F:
                    is_compressed = bool(first & 0x40)
                if first & 0x80:
                    break
            if is_compressed:
                compressed += 1
                answer = inflate.decompress(answer + b"\x00\x00\xff\xff")
            assert answer == payload
        assert compressed > 10


@pytest.mark.parametrize("server_forgets, client_forgets", [*itertools.product(FORGETS, FORGETS)])
@pytest.mark.parametrize("server_window, client_window", [*itertools.product([None, 9, 15], [None, 9, 15])])
def test_our_client_and_a_server_that_compresses(connect, server_forgets, client_forgets, server_window, client_window):
    lines = [line for line in messages("lines", count=60) if isinstance(line, str) and "\n" not in line]
    seen = []

    def echo(socket):
        seen.append(socket.response.headers.get("Sec-WebSocket-Extensions", ""))
        for message in socket:
            socket.send(message)

    factory = ServerPerMessageDeflateFactory(
        server_no_context_takeover=server_forgets,
        client_no_context_takeover=client_forgets,
        server_max_window_bits=server_window,
        client_max_window_bits=client_window,
    )
    with websockets_serve(echo, "127.0.0.1", 0, compression=None, extensions=[factory], max_size=None) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        code, out, err = connect(url, "--wait", "1s", input="".join(f"{line}\n" for line in lines))
        server.shutdown()
        thread.join()
    assert (code, out) == (0, "".join(f"{line}\n" for line in lines)), err
    assert "permessage-deflate" in seen[0]
