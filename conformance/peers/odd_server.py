"""A server that speaks just as a test tells it to, right or wrong."""

import base64
import hashlib
import re
import socket
import threading


class OddServer:
    """Accepts one connection, reads the opening handshake, and does what `script(line)` does."""

    def __init__(self, script):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(10)
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/odd"
        self.line = None
        self.script = script
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        accepted, _ = self.listener.accept()
        accepted.settimeout(10)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with accepted:
            self.line = Line(accepted)
            self.script(self.line)

    def end(self):
        self.thread.join(15)
        self.listener.close()
        assert not self.thread.is_alive()


class Line:
    """A client's connection: what it asked for, and bytes to send it."""

    def __init__(self, accepted):
        self.socket = accepted
        self.request = ""
        while "\r\n\r\n" not in self.request:
            received = accepted.recv(65536)
            assert received, "the client went before it had asked"
            self.request += received.decode()
        self.key = re.search(r"^Sec-WebSocket-Key: *(\S+)", self.request, re.MULTILINE | re.IGNORECASE)[1]
        self.accept = base64.b64encode(
            hashlib.sha1(f"{self.key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        ).decode()

    def answer(self, *, status="101 Switching Protocols", upgrade="websocket", accept=None, extra=""):
        return (
            f"HTTP/1.1 {status}\r\n"
            f"Upgrade: {upgrade}\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept or self.accept}\r\n"
            f"{extra}\r\n"
        ).encode()

    def sends(self, data):
        self.socket.sendall(data)

    def hangs_up(self):
        self.socket.close()

    def frame(self):
        """The next frame of the client: its first byte, and its payload without the mask."""
        first, second = self.exactly(2)
        assert second & 0x80, "a client masks every frame"
        length = second & 0x7F
        assert length < 126, "the tests of this file send little"
        key, masked = self.exactly(4), self.exactly(length)
        return first, bytes(byte ^ key[index % 4] for index, byte in enumerate(masked))

    def exactly(self, count):
        data = b""
        while len(data) < count:
            received = self.socket.recv(count - len(data))
            assert received, "the client hung up"
            data += received
        return data

    def nothing_more(self):
        """The client sends nothing more, and hangs up."""
        try:
            rest = self.socket.recv(65536)
        except ConnectionResetError:
            rest = b""
        assert rest == b"", f"the client still said {rest!r}"
