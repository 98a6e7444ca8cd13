"""`openline connect` as the client of servers that get something wrong, or right in an unusual way."""

import pytest
from odd_server import OddServer

OK, CANNOT_CONNECT, REFUSED, ENDED_BADLY, PROTOCOL = 0, 4, 5, 6, 7

CLOSE_1000 = b"\x88\x02\x03\xe8"


@pytest.fixture
def against(connect):
    """Runs `openline connect` against a server that follows this script."""

    def run(script, *arguments, input=""):
        server = OddServer(script)
        try:
            return connect(server.url, *arguments, input=input)
        finally:
            server.end()

    return run


def closes(line):
    """The closing handshake, begun by the server."""
    line.sends(CLOSE_1000)
    assert line.frame() == (0x88, b"\x03\xe8")
    line.hangs_up()


def test_the_request_is_as_it_must_be(against):
    def script(line):
        head, _, rest = line.request.partition("\r\n\r\n")
        first, *fields = head.split("\r\n")
        fields = dict(field.split(": ", 1) for field in fields)
        names = {name.lower(): value for name, value in fields.items()}
        assert first == "GET /odd HTTP/1.1"
        assert rest == ""
        assert names["host"].startswith("127.0.0.1:")
        assert names["upgrade"] == "websocket"
        assert names["connection"] == "Upgrade"
        assert names["sec-websocket-version"] == "13"
        assert len(names["sec-websocket-key"]) == 24
        assert names["sec-websocket-extensions"].startswith("permessage-deflate")
        assert not {"origin", "sec-websocket-protocol"} & set(names)
        line.sends(line.answer())
        closes(line)

    assert against(script)[0] == OK


def test_every_connection_has_a_key_of_its_own(against):
    keys = []

    def script(line):
        keys.append(line.key)
        line.sends(line.answer())
        closes(line)

    assert [against(script)[0] for _ in range(3)] == [OK] * 3
    assert len(set(keys)) == 3


def test_the_articles_answer_is_taken(against):
    def script(line):
        assert "Sec-WebSocket-Protocol: chat\r\n" in line.request
        line.sends(line.answer(upgrade="WebSocket", extra="Sec-WebSocket-Protocol: chat\r\n"))
        closes(line)

    code, _, err = against(script, "--subprotocol", "chat")
    assert code == OK
    assert "chat" in err


def test_an_answer_may_come_a_byte_at_a_time(against):
    def script(line):
        for byte in line.answer(extra="Sec-WebSocket-Protocol: chat\r\n") + b"\x81\x02hi":
            line.sends(bytes([byte]))
        closes(line)

    assert against(script, "--subprotocol", "chat")[:2] == (OK, "hi\n")


def test_frames_that_come_with_the_answer_are_not_lost(against):
    def script(line):
        line.sends(line.answer() + b"\x81\x03one" + b"\x01\x02tw\x80\x01o")
        closes(line)

    assert against(script)[:2] == (OK, "one\ntwo\n")


def test_an_answer_and_a_close_in_one_packet(against):
    def script(line):
        line.sends(line.answer() + b"\x81\x02hi" + CLOSE_1000)
        assert line.frame() == (0x88, b"\x03\xe8")
        line.hangs_up()

    assert against(script)[:2] == (OK, "hi\n")


@pytest.mark.parametrize(
    "answer, said",
    [
        (dict(accept="HSmrc0sMlYUkAGmm5OPpG2HaGWk="), "Sec-WebSocket-Accept"),  # the answer to another key
        (dict(upgrade="h2c"), "h2c"),
        (dict(extra="Sec-WebSocket-Protocol: soap\r\n"), "soap"),
        (dict(extra="Sec-WebSocket-Extensions: permessage-deflate\r\n"), "permessage-deflate"),
        (dict(extra="Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "Sec-WebSocket-Accept"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_nothing_is_sent(against, answer, said):
    def script(line):
        line.sends(line.answer(**answer))
        line.nothing_more()

    code, out, err = against(script, "--subprotocol", "chat", input="a secret\n")
    assert (code, out) == (REFUSED, "")
    assert said in err


@pytest.mark.parametrize("missing", ["Upgrade", "Connection", "Sec-WebSocket-Accept"])
def test_an_answer_with_a_field_missing_is_refused(against, missing):
    def script(line):
        fields = line.answer().split(b"\r\n")
        line.sends(b"\r\n".join(field for field in fields if not field.startswith(missing.encode() + b":")))
        line.nothing_more()

    code, _, err = against(script)
    assert code == REFUSED
    assert missing in err


def test_an_answer_in_plain_http_is_shown(against):
    def script(line):
        line.sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nnothing to see")
        line.nothing_more()

    code, out, err = against(script)
    assert (code, out) == (REFUSED, "")
    assert "200" in err and "nothing to see" in err


def test_a_200_is_refused_though_it_has_all_the_fields(against):
    def script(line):
        line.sends(line.answer(status="200 OK", extra="Content-Length: 0\r\n"))
        line.nothing_more()

    assert against(script)[0] == REFUSED


def test_a_redirect_is_not_followed(against):
    def script(line):
        line.sends(b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n")
        line.nothing_more()

    code, _, err = against(script)
    assert code == REFUSED
    assert "302" in err and "ws://127.0.0.1:1/elsewhere" in err


def test_what_is_no_http_is_refused(against):
    def script(line):
        line.sends(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        line.nothing_more()

    assert against(script)[0] == REFUSED


@pytest.mark.parametrize(
    "frame, close_code",
    [
        (b"\x81\x85\0\0\0\0Hello", 1002),  # a mask, from a server
        (b"\xc1\x00", 1002),  # a reserved bit
        (b"\x83\x00", 1002),  # a reserved opcode
        (b"\x80\x00", 1002),  # a continuation of nothing
        (b"\x09\x00", 1002),  # a ping in fragments
        (b"\x81\x7e\x00\x05Hello", 1002),  # a length that is not in its shortest form
        (b"\x88\x01\x03", 1002),  # half a close code
        (b"\x88\x02\x03\xed", 1002),  # 1005, which is never sent
        (b"\x81\x02\xc3\x28", 1007),  # text that is not UTF-8
    ],
)
def test_a_frame_that_breaks_the_rules_ends_the_line_and_says_why(against, frame, close_code):
    def script(line):
        line.sends(line.answer() + b"\x81\x02hi" + frame)
        first, payload = line.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x88, close_code)
        line.sends(CLOSE_1000 + b"\x81\x05never")  # §7.1.7: what comes now is not read
        line.hangs_up()

    code, out, err = against(script, "--wait", "10s")
    assert (code, out) == (PROTOCOL, "hi\n")
    assert "RFC 6455" in err


def test_a_ping_is_answered_with_what_it_carried(against):
    def script(line):
        line.sends(line.answer() + b"\x89\x03abc")
        assert line.frame() == (0x8A, b"abc")
        closes(line)

    assert against(script)[0] == OK


def test_a_close_without_a_code_is_answered_without_one(against):
    def script(line):
        line.sends(line.answer() + b"\x88\x00")
        assert line.frame() == (0x88, b"")
        line.hangs_up()

    code, _, err = against(script)
    assert code == OK
    assert "without a code" in err


def test_a_line_that_is_cut_ended_badly(against):
    def script(line):
        line.sends(line.answer() + b"\x81\x02hi")
        line.hangs_up()

    assert against(script, "--wait", "10s")[:2] == (ENDED_BADLY, "hi\n")


def test_a_client_that_closes_waits_for_the_answer_and_for_the_server_to_hang_up(against):
    def script(line):
        line.sends(line.answer())
        assert line.frame() == (0x81, b"hello")
        assert line.frame() == (0x88, b"\x03\xe8")
        line.sends(b"\x81\x04late" + CLOSE_1000)  # sent before the Close was read, so it counts
        line.hangs_up()

    assert against(script, "--wait", "0s", input="hello\n")[:2] == (OK, "late\n")


def test_nobody_there(connect):
    assert connect("ws://127.0.0.1:1/")[0] == CANNOT_CONNECT
