"""Channels through nginx with its default buffering and timeouts, and with curl alone."""

import json
import subprocess
import threading

import pytest

HERE = "127.0.0.1"


@pytest.fixture(params=["alone", "nginx"])
def base(request, serve, nginx):
    """The URL of the server, or of nginx in front of it."""
    server = serve("--trust-proxy", HERE, "--host", "127.0.0.1", "--host", "localhost")
    port = server.port if request.param == "alone" else nginx(server, ssl=False)
    return f"http://{HERE}:{port}"


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *map(str, arguments)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Events:
    """`curl -N` on an event stream: what it prints, line by line, as it comes."""

    def __init__(self, url, *arguments):
        self.process = subprocess.Popen(
            ["curl", "-sSN", "--max-time", "60", "-H", "Accept: text/event-stream", *arguments, url], stdout=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def event(self):
        """The next one, as a dictionary of its fields; comments are skipped."""
        alarm = threading.Timer(20, self.process.kill)
        alarm.start()
        fields = {}
        for line in self.process.stdout:
            if line == "\n" and fields:
                alarm.cancel()
                return fields
            name, colon, value = line.rstrip("\n").partition(":")
            if name and colon:
                fields[name] = value.removeprefix(" ")
        raise AssertionError("the stream ended, or nothing came")


def test_an_event_stream_is_not_held_back_and_resumes(base):
    url = f"{base}/c/news"
    with Events(url) as events:
        beginning = events.event()
        assert beginning["retry"] == "2000" and beginning["id"].endswith(".0")
        for text in ("one", "two"):
            answer = json.loads(curl("-d", text, url))
            assert answer["deliveries"] == 1
            event = events.event()
            assert event == {"id": answer["position"], "data": text}
    curl("-d", "three", url)
    with Events(url, "-H", f"Last-Event-ID: {event['id']}") as events:
        assert events.event()["data"] == "three"


def test_a_long_poll_waits_and_goes_on_where_it_was(base):
    url = f"{base}/c/polled"
    first = json.loads(curl(f"{url}?wait=0"))
    assert first["publications"] == []
    polled = {}
    poll = threading.Thread(target=lambda: polled.update(json.loads(curl(f"{url}?after={first['next']}&wait=15"))))
    poll.start()
    position = json.loads(curl("-d", "news", url))["position"]
    poll.join()
    assert [one["text"] for one in polled["publications"]] == ["news"] and polled["next"] == position


def test_curl_publishes_reads_and_deletes(base):
    url = f"{base}/c/things"
    curl("-d", "text", url)
    curl("-H", "Content-Type: application/json", "-d", '{"a": 1}', url)
    curl("-H", "Content-Type: application/octet-stream", "--data-binary", "\x01\x02", url)
    for _ in range(2):
        last = json.loads(curl("-H", "Idempotency-Key: once", "-d", "once", url))
    assert last["repeated"]
    window = json.loads(curl(url))
    assert [{**one, "channel": 0, "position": 0, "time": 0} for one in window["publications"]] == [
        {"channel": 0, "position": 0, "time": 0, **payload}
        for payload in ({"text": "text"}, {"json": {"a": 1}}, {"base64": "AQI="}, {"text": "once"})
    ]
    head = curl("-I", url).lower()
    assert f"openline-position: {last['position']}" in head and "cache-control: no-store" in head
    assert curl("-o", "/dev/null", "-w", "%{http_code}", "-X", "DELETE", url) == "204"
    assert json.loads(curl(url))["publications"] == []
    gap = json.loads(curl(f"{url}?after={last['position'].split('.')[0]}.1"))
    assert gap["gaps"][0]["gap"] == "expired"


def test_a_websocket_and_curl_hear_each_other(base, line):
    url = f"{base}/c/both"
    socket = line(url.replace("http:", "ws:"))
    curl("-d", "from curl", url)
    assert socket.stdout.readline() == "from curl\n"
    with Events(url) as events:
        events.event()
        socket.stdin.write("from a line\n")
        socket.stdin.flush()
        assert events.event()["data"] == "from a line"


def test_answers_say_who_may_keep_them(base):
    curl("-d", "x", f"{base}/c/kept")
    for path in ("/c/kept", "/c/kept?wait=0"):
        head = curl("-D", "-", "-o", "/dev/null", base + path).lower()
        assert "cache-control: no-store" in head and "x-content-type-options: nosniff" in head
