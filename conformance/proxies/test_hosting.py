"""What is behind us, and who is in front: other people's servers behind `--proxy`, noVNC's way through `--tcp`, websocketd's
programs through `--exec`, haproxy and nginx before it all; and slowhttptest against it."""

import asyncio
import contextlib
import http.server
import json
import os
import pathlib
import socket
import stat
import subprocess
import threading
import urllib.request

import pytest
from websockets.asyncio.client import connect as open_line
from websockets.asyncio.server import serve as serve_lines
from websockets.exceptions import ConnectionClosed

HERE = "127.0.0.1"
NODE = pathlib.Path(__file__).parent.parent / "peers"


@contextlib.contextmanager
def in_thread(start):
    """An asyncio server in a thread of its own; gives its port."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    port = []

    async def run():
        async with await start() as server:
            port.append(server.sockets[0].getsockname()[1])
            ready.set()
            await stop.wait()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


@pytest.fixture
def python_server():
    """`websockets`: an echo that tells its path, with a subprotocol, and closes as it is told."""

    async def handler(line):
        await line.send(json.dumps({
            "path": line.request.path, "protocol": line.subprotocol, "origin": line.request.headers.get("Origin"),
            "for": line.request.headers.get("X-Forwarded-For"), "extensions": line.request.headers.get("Sec-WebSocket-Extensions"),
        }))
        async for message in line:
            if message == "close":
                await line.close(4321, "as you say")
            elif message == "vanish":
                line.transport.abort()
            else:
                await line.send(message)

    with in_thread(lambda: serve_lines(handler, HERE, 0, subprotocols=["chat", "other"], max_size=None)) as port:
        yield port


@pytest.fixture
def proxied(serve):
    def start(port, *arguments):
        return serve("--proxy", f"/app=ws://{HERE}:{port}", *arguments).port

    return start


def test_a_python_server_behind_us(python_server, proxied):
    port = proxied(python_server)

    async def client():
        async with open_line(f"ws://{HERE}:{port}/app/room?q=1", subprotocols=["chat"], max_size=None) as line:
            assert line.subprotocol == "chat"
            assert "permessage-deflate" in line.response.headers["Sec-WebSocket-Extensions"]
            told = json.loads(await line.recv())
            assert told == {"path": "/app/room?q=1", "protocol": "chat", "origin": None, "for": HERE, "extensions": None}
            for message in ("hi", "", "ä" * 100_000, b"\x00\xff" * 100_000):
                await line.send(message)
                assert await line.recv() == message
            async with asyncio.timeout(20):
                await (await line.ping())
            await line.send("close")
            with pytest.raises(ConnectionClosed):
                await line.recv()
            assert (line.close_code, line.close_reason) == (4321, "as you say")
        async with open_line(f"ws://{HERE}:{port}/app", subprotocols=["other"]) as line:
            await line.recv()
            await line.send("vanish")
            with pytest.raises(ConnectionClosed):
                await line.recv()
            assert line.close_code == 1014

    asyncio.run(client())


def test_a_node_server_behind_us(run, proxied):
    program = f"const {{ WebSocketServer }} = require({json.dumps(str(NODE / 'node_modules' / 'ws'))});" + """
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: true }, () => console.log("listening on " + server.address().port));
      server.on("connection", (line) => line.on("message", (data, isBinary) => {
        if (String(data) === "close") line.close(3001, "node"); else line.send(data, { binary: isBinary });
      }));
    """
    node = run("node", "--eval", program)
    port = proxied(int(node.says(r"listening on (\d+)")[1]))

    async def client():
        async with open_line(f"ws://{HERE}:{port}/app", max_size=None) as line:
            for message in ("hi", "x" * 200_000, b"\x00" * 70_000):
                await line.send(message)
                assert await line.recv() == message
            await line.send("close")
            with pytest.raises(ConnectionClosed):
                await line.recv()
            assert (line.close_code, line.close_reason) == (3001, "node")

    asyncio.run(client())


def test_one_address_serves_the_whole_application(python_server, serve, tmp_path):
    (tmp_path / "index.html").write_text("<p>the page")

    class Pages(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path)

        def log_message(self, *arguments):
            pass

    pages = http.server.ThreadingHTTPServer((HERE, 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    port = serve("--proxy", f"/=http://{HERE}:{pages.server_port}", "--proxy", f"/ws=ws://{HERE}:{python_server}").port
    for _ in range(3):
        with urllib.request.urlopen(f"http://{HERE}:{port}/") as answer:
            assert answer.read() == b"<p>the page"

    async def client():
        async with open_line(f"ws://{HERE}:{port}/ws", subprotocols=["chat"]) as line:
            assert json.loads(await line.recv())["path"] == "/ws"

    asyncio.run(client())
    pages.shutdown()


def test_novnc_speaks_rfb_through_us(serve):
    """As noVNC and websockify: subprotocol `binary`, RFC 6143's handshake, each side a few bytes at a time."""

    async def vnc(reader, writer):
        writer.write(b"RFB 003.008\n")
        assert await reader.readexactly(12) == b"RFB 003.008\n"
        writer.write(b"\x01\x01")
        assert await reader.readexactly(1) == b"\x01"
        writer.write(b"\0\0\0\0")
        assert await reader.readexactly(1) == b"\x01"
        writer.write(b"\x04\0\x03\0" + bytes(16) + b"\0\0\0\x04desk")
        await reader.read()
        writer.close()

    with in_thread(lambda: asyncio.start_server(vnc, HERE, 0)) as vnc_port:
        port = serve("--tcp", f"/websockify={HERE}:{vnc_port}").port

        async def novnc():
            async with open_line(f"ws://{HERE}:{port}/websockify", subprotocols=["binary"]) as line:
                assert line.subprotocol == "binary"
                heard = b""

                async def read(count):
                    nonlocal heard
                    while len(heard) < count:
                        heard += await line.recv()
                    taken, heard = heard[:count], heard[count:]
                    return taken

                assert await read(12) == b"RFB 003.008\n"
                await line.send(b"RFB 003.")
                await line.send(b"008\n")
                assert await read(2) == b"\x01\x01"
                await line.send(b"\x01")
                assert await read(4) == b"\0\0\0\0"
                await line.send(b"\x01")
                assert (await read(28)).endswith(b"desk")

        asyncio.run(novnc())


# As they stand in websocketd's own folder of examples, in each of these languages.
PROGRAMS = {
    "count.sh": ("#!/bin/bash\nfor ((COUNT = 1; COUNT <= 3; COUNT++)); do\n  echo $COUNT\n  sleep 0.1\ndone\n", [], ["1", "2", "3"]),
    "count.py": ("#!/usr/bin/env python3\nfrom sys import stdout\nfrom time import sleep\nfor count in range(0, 3):\n  print(count + 1)\n  stdout.flush()\n  sleep(0.1)\n", [], ["1", "2", "3"]),
    "greeter.py": ("#!/usr/bin/env python3\nfrom sys import stdin, stdout\nwhile True:\n  line = stdin.readline().strip()\n  if not line: break\n  print('Hello %s!' % line)\n  stdout.flush()\n", ["Ann", "Bob"], ["Hello Ann!", "Hello Bob!"]),
    "greeter.js": ("#!/usr/bin/env node\nprocess.stdin.setEncoding('utf8');\nprocess.stdin.on('data', (data) => console.log('Hello ' + data.trim() + '!'));\n", ["Ann"], ["Hello Ann!"]),
    "dump-env.sh": ("#!/bin/bash\necho $REQUEST_METHOD $QUERY_STRING $REMOTE_ADDR\n", [], ["GET a=b 127.0.0.1"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_websocketds_programs_run_unchanged(serve, tmp_path, name):
    text, says, hears = PROGRAMS[name]
    path = tmp_path / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    port = serve("--exec", f"/={path}").port

    async def client():
        async with open_line(f"ws://{HERE}:{port}/?a=b") as line:
            for say in says:
                await line.send(say)
            for hear in hears:
                assert await asyncio.wait_for(line.recv(), 20) == hear
            if not says:
                with pytest.raises(ConnectionClosed):
                    await asyncio.wait_for(line.recv(), 20)
                assert line.close_code == 1000

    asyncio.run(client())


@pytest.mark.parametrize("proxy", ["haproxy", "nginx"])
def test_a_proxy_in_front_and_a_server_behind(serve, haproxy, nginx, python_server, proxy):
    server = serve("--trust-proxy", HERE, "--host", HERE, "--proxy", f"/app=ws://{HERE}:{python_server}", "--allow-public-backends")
    port = haproxy(server, ssl=False, options=["option forwardfor"]) if proxy == "haproxy" else nginx(server, ssl=False)

    async def client():
        async with open_line(f"ws://{HERE}:{port}/app", subprotocols=["chat"], additional_headers={"X-Forwarded-For": "6.6.6.6"}) as line:
            told = json.loads(await line.recv())
            assert told["for"].split(", ")[-2:] == [HERE, HERE], told
            await line.send("hi")
            assert await line.recv() == "hi"

    asyncio.run(client())


@pytest.mark.parametrize("attack", ["-H", "-B", "-X"])
def test_slowhttptest(serve, tmp_path, attack):
    """Slow heads, slow bodies, slow readers: 200 of them, and everybody else is answered."""
    (tmp_path / "big").write_bytes(bytes(1 << 20))
    behind = http.server.ThreadingHTTPServer((HERE, 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=behind.serve_forever, daemon=True).start()
    port = serve(tmp_path, "--proxy", f"/app=http://{HERE}:{behind.server_port}", "--head-timeout", "2s").port
    path = {"-H": "/", "-B": "/app/", "-X": "/big"}[attack]
    command = ["slowhttptest", attack, "-c", "200", "-r", "200", "-i", "1", "-l", "6", "-p", "3", "-u", f"http://{HERE}:{port}{path}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as slow:
        while slow.poll() is None:
            with urllib.request.urlopen(f"http://{HERE}:{port}/big", timeout=3) as answer:
                assert len(answer.read()) == 1 << 20
    with socket.create_connection((HERE, port)):
        pass
    behind.shutdown()
    assert os.path.exists(tmp_path)
