"""HTTP/2 over TLS, spoken by httpx: what is asked for by many requests of one connection."""

import subprocess
import threading

import httpx
import pytest

TEXT = {"content-type": "text/plain"}


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


def test_a_channel_has_its_doors_on_one_connection(client):
    heard = []
    listening = threading.Event()

    def listen():
        with client.stream("GET", "/c/http2", headers={"accept": "text/event-stream"}) as stream:
            assert (stream.http_version, stream.status_code) == ("HTTP/2", 200)
            for line in stream.iter_lines():
                listening.set()
                if line.startswith("data:"):
                    heard.append(line)
                    if len(heard) == 2:
                        return

    listener = threading.Thread(target=listen)
    listener.start()
    assert listening.wait(20)
    positions = [client.post("/c/http2", content=word, headers=TEXT).json()["position"] for word in ("one", "two")]
    assert client.post("/c/http2", content="x" * 100_000).status_code == 413
    listener.join(20)
    assert not listener.is_alive()
    assert heard == ["data: one", "data: two"]
    polled = client.get("/c/http2", params={"after": positions[0], "wait": 20}).json()
    assert [publication["text"] for publication in polled["publications"]] == ["two"]


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
