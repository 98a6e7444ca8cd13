"""Python `websockets` as the client of `openline serve`."""

import signal

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close
from websockets.sync.client import connect

BIG = 300_000


@pytest.mark.parametrize("message", ["Ping", "", "zwölf Boxkämpfer 🥊", "x" * BIG, b"\x00\xff", b"", b"\x80" * BIG])
def test_a_message_comes_back_as_it_went(demo, message):
    with connect(demo.url("/test"), close_timeout=5) as socket:
        socket.send(message)
        assert socket.recv(5) == message


def test_messages_come_back_in_order(demo):
    with connect(demo.url("/test")) as socket:
        for number in range(1000):
            socket.send(str(number))
        assert [socket.recv(5) for _ in range(1000)] == [str(number) for number in range(1000)]


@pytest.mark.parametrize("fragments", [["a", "", "b"], [b"a", b"b", b"c"], ["é" * 1000] * 100])
def test_a_message_in_fragments_comes_back_whole(demo, fragments):
    with connect(demo.url("/test")) as socket:
        socket.send(fragments)
        assert socket.recv(5) == fragments[0][:0].join(fragments)


def test_a_ping_is_answered(demo):
    with connect(demo.url("/test")) as socket:
        assert socket.ping(b"are you there?").wait(5)


def test_compression_that_is_offered_is_accepted(demo):
    with connect(demo.url("/test"), compression="deflate") as socket:
        assert socket.response.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate; ")
    with connect(demo.url("/test"), compression=None) as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


def test_the_first_subprotocol_is_chosen(demo):
    with connect(demo.url("/test"), subprotocols=["soap", "wamp"]) as socket:
        assert socket.subprotocol == "soap"


def test_without_an_offer_there_is_no_subprotocol(demo):
    with connect(demo.url("/test")) as socket:
        assert socket.subprotocol is None
        assert "Sec-WebSocket-Protocol" not in socket.response.headers


@pytest.mark.parametrize("close", [Close(1000, ""), Close(1001, "going home"), Close(3000, "é" * 61), Close(4999, "")])
def test_the_close_code_comes_back(demo, close):
    with connect(demo.url("/test")) as socket:
        socket.close(close.code, close.reason)
    assert socket.protocol.close_rcvd.code == close.code
    assert socket.protocol.close_rcvd_then_sent is False
    assert socket.close_code == close.code


def test_a_message_over_the_limit_is_1009(demo):
    with connect(demo.url("/test")) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            socket.send("x" * ((1 << 20) + 1))
            socket.recv(5)
        assert closed.value.rcvd.code == 1009


def test_the_limit_is_a_flag(serve):
    server = serve("--max-message-bytes", "1000", "--max-frame-bytes", "500")
    with connect(server.url("/test"), compression=None) as socket:
        socket.send(["x" * 500, "y" * 500])
        assert socket.recv(5) == "x" * 500 + "y" * 500
        with pytest.raises(ConnectionClosed) as closed:
            socket.send("x" * 501)
            socket.recv(5)
        assert closed.value.rcvd.code == 1009


def test_in_the_chat_everyone_hears_every_other(demo):
    with connect(demo.url("/chat"), subprotocols=["chat"]) as ann, connect(demo.url("/chat")) as ben:
        assert (ann.subprotocol, ben.subprotocol) == ("chat", None)
        ann.send("hello from Ann")
        assert ben.recv(5) == "hello from Ann"
        ben.send(b"\x01\x02")
        # Had Ann heard herself, that would come first.
        assert ann.recv(5) == b"\x01\x02"


def test_the_chat_speaks_no_other_subprotocol(demo):
    with connect(demo.url("/chat"), subprotocols=["talk", "chat"]) as ann:
        assert ann.subprotocol == "chat"
    with connect(demo.url("/chat"), subprotocols=["talk"]) as ben:
        assert ben.subprotocol is None


@pytest.mark.parametrize("reset", ["reset", "reset\n"])
def test_the_counter_counts_and_starts_again(demo, reset):
    with connect(demo.url("/increment"), subprotocols=["dumb-increment-protocol"]) as socket:
        assert socket.subprotocol == "dumb-increment-protocol"
        assert [socket.recv(5) for _ in range(3)] == ["0", "1", "2"]
        socket.send(reset)
        while socket.recv(5) != "0":
            pass
        assert socket.recv(5) == "1"


@pytest.mark.parametrize("subprotocols", [None, ["chat"]])
def test_the_counter_wants_its_subprotocol(demo, subprotocols):
    with pytest.raises(InvalidStatus) as refused, connect(demo.url("/increment"), subprotocols=subprotocols):
        pass
    assert refused.value.response.status_code == 400
    assert b"dumb-increment-protocol" in refused.value.response.body


def test_what_is_not_there_is_404(demo):
    with pytest.raises(InvalidStatus) as refused, connect(demo.url("/nowhere")):
        pass
    assert refused.value.response.status_code == 404


def test_a_page_of_another_site_is_403(demo):
    with pytest.raises(InvalidStatus) as refused, connect(demo.url("/test"), origin="https://evil.example"):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 1001), (signal.SIGTERM, 1012)])
def test_a_server_that_stops_says_goodbye_and_exits_0(serve, number, code):
    server = serve()
    with connect(server.url("/test")) as socket:
        server.process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(10)
        assert closed.value.rcvd.code == code
        assert closed.value.rcvd_then_sent is True
    assert server.process.wait(10) == 0
