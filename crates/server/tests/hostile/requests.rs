//! Requests that hide requests (RFC 9112 §11.2): a server and what stands before it must agree on where each one ends.

use crate::bytes::upgrade;
use crate::peer::Peer;
use crate::server::{NOISE, Server};

/// The statuses of all answers to these bytes, up to the end of the connection.
#[track_caller]
fn answers(server: &Server, bytes: &str) -> Vec<u16> {
    let mut peer = Peer::connect(server);
    peer.sends(bytes);
    peer.ends_sending();
    let mut answers = Vec::new();
    while let Some(status) = peer.answer_if_any() {
        answers.push(status);
    }
    answers
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn request(first: &str, fields: &str) -> String {
    format!("{first}\r\nHost: localhost\r\n{fields}\r\n")
}

fn upgrade_with(fields: &str) -> String {
    upgrade("/test").replace("\r\n\r\n", &format!("\r\n{fields}\r\n"))
}

/// A request whose end could be disputed is the last of its connection, and what is behind it is not answered.
#[test]
fn an_end_that_could_be_disputed() {
    let server = Server::start(&[]);
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    for (disputed, status) in [
        // An upgrade with a body: what is behind the head would be a body to one, and frames to the other.
        (upgrade_with("Content-Length: 43\r\n"), 400),
        (upgrade_with("Transfer-Encoding: chunked\r\n") + chunks, 400),
        // §6.1: both is "request smuggling" or nothing.
        (request("POST / HTTP/1.1", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + chunks, 400),
        (request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n") + chunks, 400),
        (upgrade_with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + chunks, 400),
        // §6.3: lengths that are none, or more than one.
        (request("POST / HTTP/1.1", "Content-Length: 0\r\nContent-Length: 43\r\n"), 400),
        (request("POST / HTTP/1.1", "Content-Length: 0, 43\r\n"), 400),
        (request("POST / HTTP/1.1", "Content-Length: +5\r\n") + "hello", 400),
        (request("POST / HTTP/1.1", "Content-Length: 0x5\r\n") + "hello", 400),
        (request("POST / HTTP/1.1", "Content-Length: -5\r\n"), 400),
        (request("POST / HTTP/1.1", "Content-Length: 18446744073709551616\r\n"), 400),
        // §6.1: codings that are unknown, or not the last, or in HTTP/1.0.
        (request("POST / HTTP/1.1", "Transfer-Encoding: xchunked\r\n") + chunks, 400),
        (request("POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n") + chunks, 501),
        (request("POST / HTTP/1.1", "Transfer-Encoding: chunked, identity\r\n") + chunks, 400),
        (request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + chunks, 501),
        (request("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n") + chunks, 400),
        // §5.1, §5.2, §2.2: fields that are read differently by the lenient.
        (request("POST / HTTP/1.1", "Content-Length : 5\r\n") + "hello", 400),
        (request("POST / HTTP/1.1", "X: y\r\n Content-Length: 5\r\n") + "hello", 400),
        (request("POST / HTTP/1.1", "X: y\nContent-Length: 5\r\n") + "hello", 400),
        (request("POST / HTTP/1.1", "X: y\rContent-Length: 5\r\n") + "hello", 400),
    ] {
        assert_eq!(answers(&server, &(disputed.clone() + HIDDEN)), [status], "{disputed:?}");
    }
    server.endured(NOISE);
}

/// A body is a body, whatever is written in it; and a broken one is the last of its connection.
#[test]
fn a_request_inside_a_body() {
    let server = Server::start(&[]);
    let length = HIDDEN.len();
    let last = request("GET / HTTP/1.1", "Connection: close\r\n");
    let counted = request("POST / HTTP/1.1", &format!("Content-Length: {length}\r\n")) + HIDDEN;
    let chunked = request("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    let whole = format!("{chunked}{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n");
    let inside =
        request("POST / HTTP/1.1", &format!("Content-Length: {}\r\n", upgrade("/test").len())) + &upgrade("/test");
    for pipeline in [counted + &whole + &last, whole + &inside + &last] {
        let answered = answers(&server, &pipeline);
        // Nobody wants the bodies, and hyper may end the connection instead of reading one to its end.
        assert!(!answered.is_empty() && [405, 405, 200].starts_with(&answered), "{answered:?}");
    }
    for broken in ["0 \r\n\r\n", "5;a\nhello\r\n0\r\n\r\n", "00000000000000000\r\n\r\n", "-0\r\n\r\n", "\r\n\r\n"] {
        let answered = answers(&server, &format!("{chunked}{broken}{HIDDEN}"));
        assert!(answered == [405] || answered == [400] || answered.is_empty(), "{broken:?}: {answered:?}");
    }
    server.endured(NOISE);
}

#[test]
fn requests_in_a_pipeline_that_ends_in_a_line() {
    let server = Server::start(&[]);
    let mut peer = Peer::connect(&server);
    let plain = request("GET /nowhere HTTP/1.1", "");
    let all = plain.repeat(3) + &upgrade("/test");
    peer.sends([all.as_bytes(), b"\x81\x85\0\0\0\0hello"].concat());
    for status in [404, 404, 404, 101] {
        assert_eq!(peer.answer(), status);
    }
    peer.expects(b"\x81\x05hello");
    drop(peer);

    // Behind the upgrade is no HTTP: "G" is 0x47, a reserved bit and a reserved opcode.
    let mut peer = Peer::connect(&server);
    peer.sends(upgrade("/test") + HIDDEN);
    assert_eq!(peer.answer(), 101);
    peer.expects_close(1002);
    peer.expects_end();
    drop(peer);
    // Nor behind an upgrade that was refused.
    assert_eq!(answers(&server, &(upgrade("/nowhere") + HIDDEN)), [404]);
    assert_eq!(answers(&server, &(upgrade("/test").replace("13\r\n", "8\r\n") + HIDDEN)), [426]);
    // A thousand in one go are answered one by one.
    let mut peer = Peer::connect(&server);
    let mut writer = peer.second_hand();
    let writing = std::thread::spawn(move || writer.sends(plain.repeat(1000) + &upgrade("/test")));
    for _ in 0..1000 {
        assert_eq!(peer.answer(), 404);
    }
    assert_eq!(peer.answer(), 101);
    writing.join().unwrap();
    peer.sends(b"\x88\x80\0\0\0\0");
    peer.expects(b"\x88\0");
    peer.expects_end();
    drop(peer);
    server.endured(NOISE);
}
