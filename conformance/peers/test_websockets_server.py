"""`openline connect` as the client of Python `websockets`."""

import contextlib
import threading

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.server import serve as websockets_serve


@contextlib.contextmanager
def serving(handler, **options):
    """A server on a free port; gives its URL, and hands on what goes wrong in the handler."""
    problems = []

    def run(socket):
        try:
            handler(socket)
        except Exception as problem:
            problems.append(problem)
            raise

    with websockets_serve(run, "127.0.0.1", 0, close_timeout=5, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join()
    assert problems == []


def echo(socket):
    for message in socket:
        socket.send(message)


def test_lines_go_out_and_messages_come_in(connect):
    lines = ["hello", "", "zwölf Boxkämpfer 🥊", "x" * 300_000, " spaces stay "]
    with serving(echo) as url:
        code, out, err = connect(url, "--wait", "0.3s", input="".join(f"{line}\n" for line in lines))
    assert out == "".join(f"{line}\n" for line in lines)
    assert code == 0
    assert "1000" in err


def test_each_line_is_one_text_message_and_the_last_needs_no_end(connect):
    got = []
    with serving(got.extend) as url:
        assert connect(url, "--wait", "0s", input="one\ntwo\r\nthree")[0] == 0
    assert got == ["one", "two", "three"]


def test_binary_goes_out_as_binary(connect):
    got = []
    with serving(got.extend) as url:
        assert connect(url, "--binary", "--wait", "0s", input="one\ntwo\n")[0] == 0
    assert got == [b"one", b"two"]


def test_binary_comes_in_as_hex(connect):
    with serving(lambda socket: socket.send(b"\x00\xffh")) as url:
        assert connect(url)[:2] == (0, "0x00ff68\n")


def test_fragments_come_in_as_one_line(connect):
    with serving(lambda socket: socket.send(["one ", "", "two"])) as url:
        assert connect(url)[:2] == (0, "one two\n")


def test_a_ping_is_answered(connect):
    answered = []

    def ping(socket):
        answered.append(socket.ping(b"are you there?").wait(5))

    with serving(ping) as url:
        assert connect(url)[0] == 0
    assert answered == [True]


def test_compression_is_offered_and_spoken_where_it_is_accepted(connect):
    for compression, accepted in [("deflate", True), (None, False)]:
        def handler(socket):
            assert socket.request.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate")
            assert ("Sec-WebSocket-Extensions" in socket.response.headers) == accepted
            socket.send("text " * 200)

        with serving(handler, compression=compression) as url:
            assert connect(url)[:2] == (0, "text " * 200 + "\n")


def test_subprotocols_are_offered_in_order_and_one_is_chosen(connect):
    def handler(socket):
        assert socket.request.headers["Sec-WebSocket-Protocol"] == "chat, soap"
        assert socket.subprotocol == "soap"

    with serving(handler, subprotocols=["soap"]) as url:
        code, _, err = connect(url, "--subprotocol", "chat", "--subprotocol", "soap")
    assert code == 0
    assert "soap" in err


def test_headers_and_origin_are_sent(connect):
    def handler(socket):
        assert socket.request.headers["Authorization"] == "Bearer t0ken"
        assert socket.request.headers["Origin"] == "https://app.example"

    with serving(handler, origins=["https://app.example"]) as url:
        assert connect(url, "-H", "Authorization: Bearer t0ken", "--origin", "https://app.example")[0] == 0


@pytest.mark.parametrize(
    "close, exit_code",
    [((1000, "done"), 0), ((1001, "going home"), 0), ((1011, "it broke"), 6), ((4001, "über"), 6)],
)
def test_how_the_server_closes_is_said_and_judged(connect, close, exit_code):
    with serving(lambda socket: socket.close(*close)) as url:
        code, out, err = connect(url, input="")
    assert (code, out) == (exit_code, "")
    assert str(close[0]) in err and close[1] in err


def test_a_client_that_is_through_closes_with_1000(connect):
    closed = []

    def handler(socket):
        for _ in socket:
            pass
        closed.append((socket.protocol.close_rcvd.code, socket.protocol.close_rcvd_then_sent))

    with serving(handler) as url:
        assert connect(url, "--wait", "0s", input="bye\n")[0] == 0
    assert closed == [(1000, True)]


def test_a_refusal_is_shown(connect):
    with serving(echo, process_request=lambda socket, request: socket.respond(401, "who are you?\n")) as url:
        code, out, err = connect(url)
    assert (code, out) == (5, "")
    assert "401" in err and "who are you?" in err


def test_a_message_over_the_limit_is_1009(connect):
    closed = []

    def handler(socket):
        socket.send("x" * 1001)
        with pytest.raises(ConnectionClosedError):
            socket.recv(5)
        closed.append(socket.protocol.close_rcvd.code)

    with serving(handler) as url:
        code, out, err = connect(url, "--max-message-bytes", "1000", "--wait", "5s")
    assert (code, out, closed) == (7, "", [1009])
    assert "1000" in err
