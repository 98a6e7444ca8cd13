"""Opening handshakes byte by byte, over a plain socket."""

import socket

import pytest

# The request of the article that the demo is made for, as it stands there.
ARTICLE = (
    "GET /chat HTTP/1.1\r\n"
    "Host: inapp.com\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
    "Sec-WebSocket-Protocol: chat\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Origin: http://old.inapp.com\r\n"
    "\r\n"
)

# RFC 6455 §1.3, on a host that every demo answers for.
SAMPLE = (
    "GET /test HTTP/1.1\r\n"
    "Host: localhost\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n"
)
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Line:
    """A TCP connection with bytes going both ways."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def sends(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def head(self):
        """The status of the response and its header fields, names in lower case."""
        while b"\r\n\r\n" not in self.unread:
            received = self.socket.recv(65536)
            assert received, f"the connection ended after {self.unread!r}"
            self.unread += received
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        assert status.startswith("HTTP/1.1 ")
        return int(status.split()[1]), {name.lower(): value.strip() for name, value in (f.split(":", 1) for f in fields)}

    def expects(self, data):
        while len(self.unread) < len(data):
            received = self.socket.recv(65536)
            assert received, f"the connection ended after {self.unread!r}"
            self.unread += received
        assert self.unread[: len(data)] == data
        self.unread = self.unread[len(data) :]

    def rest(self):
        """Everything until the server closes the connection."""
        while received := self.socket.recv(65536):
            self.unread += received
        return self.unread


def exchange(server, request):
    with Line(server) as line:
        line.sends(request)
        return line.head()


def test_the_articles_request_is_answered_as_in_the_article(serve):
    server = serve("--host", "inapp.com", "--allow-origin", "http://old.inapp.com")
    status, fields = exchange(server, ARTICLE)
    assert status == 101
    assert fields["upgrade"].lower() == "websocket"
    assert fields["connection"].lower() == "upgrade"
    assert fields["sec-websocket-accept"] == "HSmrc0sMlYUkAGmm5OPpG2HaGWk="
    assert fields["sec-websocket-protocol"] == "chat"
    assert "content-length" not in fields and "transfer-encoding" not in fields


def test_without_the_origin_it_is_403(serve):
    status, fields = exchange(serve("--host", "inapp.com"), ARTICLE)
    assert status == 403
    assert "sec-websocket-accept" not in fields


def test_without_the_host_it_is_421(serve):
    request = ARTICLE.replace("Origin: http://old.inapp.com\r\n", "")
    assert exchange(serve(), request)[0] == 421
    assert exchange(serve("--host", "inapp.com"), request)[0] == 101


def test_rfc_6455_section_1_3(demo):
    status, fields = exchange(demo, SAMPLE)
    assert (status, fields["sec-websocket-accept"]) == (101, ACCEPT)


def test_names_are_read_in_any_case(demo):
    request = SAMPLE.replace("Upgrade: websocket", "uPGRADE: WebSocket").replace("Connection: Upgrade", "CONNECTION: keep-alive, UPGRADE")
    assert exchange(demo, request)[0] == 101


def test_a_request_may_come_a_byte_at_a_time(demo):
    with Line(demo) as line:
        for byte in SAMPLE.encode():
            line.sends(bytes([byte]))
        assert line.head()[0] == 101


def test_frames_that_come_with_the_request_are_not_lost(demo):
    with Line(demo) as line:
        line.sends(SAMPLE.encode() + b"\x81\x85\0\0\0\0Hello")
        assert line.head()[0] == 101
        line.expects(b"\x81\x05Hello")


def test_requests_that_are_no_opening_handshake(demo):
    def without(field):
        return "".join(line for line in SAMPLE.splitlines(keepends=True) if not line.startswith(field))

    def instead(old, new):
        assert old in SAMPLE
        return SAMPLE.replace(old, new)

    for request, status in {
        without("Upgrade"): 426,
        without("Connection"): 400,
        without("Sec-WebSocket-Key"): 400,
        without("Sec-WebSocket-Version"): 400,
        without("Host"): 400,
        instead("GET", "POST"): 405,
        instead("HTTP/1.1", "HTTP/1.0"): 400,
        instead("websocket", "h2c"): 426,
        instead("Connection: Upgrade", "Connection: close"): 400,
        instead("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="): 400,
        instead("dGhlIHNhbXBsZSBub25jZQ==", "not base64 at all"): 400,
        instead("Host: localhost", "Host: localhost\r\nHost: localhost"): 400,
    }.items():
        assert exchange(demo, request)[0] == status, request


@pytest.mark.parametrize("version", ["8", "0", "14", "113"])
def test_another_version_is_426_and_says_13(demo, version):
    status, fields = exchange(demo, SAMPLE.replace("Version: 13", f"Version: {version}"))
    assert (status, fields["sec-websocket-version"]) == (426, "13")


def opened(server):
    line = Line(server)
    line.sends(SAMPLE)
    assert line.head()[0] == 101
    return line


def test_a_close_without_a_code_is_answered_without_one_and_the_server_hangs_up(demo):
    with opened(demo) as line:
        line.sends(b"\x88\x80\0\0\0\0")
        assert line.rest() == b"\x88\x00"


def test_an_unmasked_frame_is_1002_and_the_server_hangs_up(demo):
    with opened(demo) as line:
        line.sends(b"\x81\x05Hello")
        assert line.rest()[2:4] == (1002).to_bytes(2, "big")


def test_what_was_good_is_answered_before_what_was_not(demo):
    with opened(demo) as line:
        line.sends(b"\x81\x85\0\0\0\0Hello" + b"\x89\x81\0\0\0\0x" + b"\x83\x80\0\0\0\0")
        line.expects(b"\x8a\x01x\x81\x05Hello")  # a Pong does not wait behind messages
        assert line.rest()[:1] == b"\x88"
