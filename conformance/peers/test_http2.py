"""HTTP/2 over TLS, spoken by httpx: what is asked for by many requests of one connection."""

import contextlib
import json
import socket
import ssl
import subprocess
import threading

import h2.config
import h2.connection
import h2.events
import h2.settings
import httpx
import pytest


@pytest.fixture(scope="module")
def secure():
    from conftest import Server

    server = Server("--tls-self-signed")
    yield server
    server.end()


@pytest.fixture
def client(secure):
    with httpx.Client(http2=True, verify=False, base_url=f"https://localhost:{secure.port}", timeout=20) as client:
        yield client


def test_pages_and_refusals_are_those_of_http_1(client):
    page = client.get("/")
    assert (page.http_version, page.status_code) == ("HTTP/2", 200)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/nowhere").status_code == 404
    assert client.get("/test").status_code == 426
    assert client.get("/", headers={"origin": "https://evil.example"}).status_code == 403
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421


def test_a_hundred_requests_at_once(secure):
    """RFC 9113 §6.5.2: the limit of streams is told, and the client keeps to it."""
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(http2=True, verify=False, base_url=f"https://localhost:{secure.port}", timeout=20, limits=limits) as one:
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(one.get("/").status_code)) for _ in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses == [200] * 100


def test_websockets_stay_on_http_1(secure):
    """A client that offers http/1.1 alone, as browsers do for wss, gets it."""
    with httpx.Client(http2=False, verify=False, base_url=f"https://localhost:{secure.port}") as client:
        assert client.get("/").http_version == "HTTP/1.1"


def test_an_event_stream_ends_with_the_server(serve):
    """By curl: for httpx's h2 the PING behind the first GOAWAY of a graceful end (RFC 9113 §6.8) is an error."""
    server = serve("--tls-self-signed")
    url = f"https://localhost:{server.port}/c/end"
    curl = subprocess.Popen(
        ["curl", "-skN", "--http2", "--max-time", "20", "-H", "Accept: text/event-stream", "-w", "%{http_version}", url],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert curl.stdout.readline() != ""
    server.process.terminate()
    assert server.process.wait(20) == 0
    assert curl.stdout.read().endswith("2")
    assert curl.wait(20) == 0


class Peer:
    """HTTP/2 by hand, over a TLS socket."""

    def __init__(self, port):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("localhost", port), 20))
        assert self.socket.selected_alpn_protocol() == "h2"
        self.events = []
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))

    def begin(self):
        self.h2.initiate_connection()
        self.socket.sendall(self.h2.data_to_send())

    def get(self, path, *fields):
        return self.ask("GET", path, fields)

    def ask(self, method, path, fields=(), body=b""):
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path), *fields]
        self.h2.send_headers(stream, head, end_stream=not body)
        for at in range(0, len(body), 16000):
            self.h2.send_data(stream, body[at : at + 16000], end_stream=at + 16000 >= len(body))
        self.socket.sendall(self.h2.data_to_send())
        return stream

    def waits_for(self, kind, stream):
        """The next event of that kind on that stream; what else comes stays where it is."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and event.stream_id == stream:
                    self.events.remove(event)
                    return event
            received = self.socket.recv(65536)
            assert received, "the server ended the connection"
            self.events += self.h2.receive_data(received)
            self.socket.sendall(self.h2.data_to_send())

    def status(self, stream):
        return dict(self.waits_for(h2.events.ResponseReceived, stream).headers)[":status"]

    def body_until(self, stream, end):
        body = b""
        while end not in body:
            body += self.waits_for(h2.events.DataReceived, stream).data
        return body


def test_a_channel_has_its_doors_on_one_connection(secure):
    peer = Peer(secure.port)
    peer.begin()
    events = peer.get("/c/http2", ("accept", "text/event-stream"))
    assert peer.status(events) == "200"
    positions = []
    for word in (b"one", b"two"):
        published = peer.ask("POST", "/c/http2", [("content-type", "text/plain")], word)
        assert peer.status(published) == "202"
        positions.append(json.loads(peer.body_until(published, b"}"))["position"])
    assert b"data: one\n" in peer.body_until(events, b"data: two\n")
    assert peer.status(peer.ask("POST", "/c/other", [], b"x" * 80_000)) == "413"
    polled = peer.get(f"/c/http2?after={positions[0]}&wait=20")
    assert peer.status(polled) == "200"
    assert [found["text"] for found in json.loads(peer.body_until(polled, b"\n"))["publications"]] == ["two"]


@pytest.mark.parametrize("said", [b"", b"PRI * HTTP/2.0\r\n"], ids=["nothing", "half a preface"])
def test_who_does_not_begin_is_given_up(serve, said):
    server = serve("--tls-self-signed", "--head-timeout", "1s")
    peer = Peer(server.port)
    peer.socket.sendall(said)
    with contextlib.suppress(ConnectionResetError):
        assert peer.socket.recv(1000) == b""


def test_nobody_waits_at_the_end_for_who_does_not_begin(serve):
    server = serve("--tls-self-signed", "--shutdown-timeout", "60s")
    peer = Peer(server.port)
    server.process.terminate()
    assert server.process.wait(20) == 0
    peer.socket.close()


def test_an_answer_that_is_not_taken_is_given_up(serve):
    """RFC 9113 §5.2: a window that stays shut; pings are answered all the while."""
    server = serve("--tls-self-signed", "--write-timeout", "1s")
    peer = Peer(server.port)
    peer.begin()
    peer.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    page = peer.get("/")
    assert peer.status(page) == "200"
    assert peer.waits_for(h2.events.StreamReset, page)
    # The connection is as good as before.
    peer.h2.increment_flow_control_window(65535)
    again = peer.get("/c/again")
    peer.h2.increment_flow_control_window(65535, again)
    peer.socket.sendall(peer.h2.data_to_send())
    assert b"publications" in peer.body_until(again, b"\n")


def test_each_request_counts_as_a_connection(serve):
    server = serve("--tls-self-signed", "--max-connections", "3")
    peer = Peer(server.port)
    peer.begin()
    events = ("accept", "text/event-stream")
    assert [peer.status(peer.get("/c/many", events)) for _ in range(3)] == ["200", "200", "503"]
