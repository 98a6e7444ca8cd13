//! Clients that sleep. Some wake up.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::server::{NOISE, Server};

/// In the proportions of the defaults, in little: a client that does nothing for a minute.
const FLAGS: [&str; 4] = ["--ping-interval", "500ms", "--pong-timeout", "3s"];
const PING: &[u8] = b"\x89\0";
const PONG: &[u8] = b"\x8a\x80\0\0\0\0";

#[test]
fn one_that_never_wakes_up_is_given_up() {
    let server = Server::start(&FLAGS);
    let mut peer = Peer::open(&server, "/test");
    let start = Instant::now();
    peer.expects(PING);
    peer.expects_close(1011);
    assert!(start.elapsed() > Duration::from_secs(3), "after {:?}", start.elapsed());
    // Its system would still deliver what is sent to it: nobody has to wait for that.
    peer.expects_end();
    drop(peer);
    server.endured(NOISE);
}

/// Asleep with the Close frame unread, and gone without a word: the line does not wait for it.
#[test]
fn one_that_sleeps_through_its_own_end_leaves_nothing_behind() {
    let server = Server::start(&[&FLAGS[..], &["--close-timeout", "500ms"]].concat());
    let mut peer = Peer::open(&server, "/test");
    peer.sends(b"\x81\x85\0\0\0\0hello");
    server.waits_for_connections(0);
    // What was on its way has arrived.
    peer.expects(b"\x81\x05hello");
    peer.expects(PING);
    peer.expects_close(1011);
    peer.expects_end();
    server.endured(NOISE);
}

#[test]
fn one_that_answers_late_but_in_time_stays() {
    let server = Server::start(&FLAGS);
    let mut peer = Peer::open(&server, "/test");
    // For longer than one pong may take.
    for _ in 0..3 {
        peer.expects(PING);
        sleep(Duration::from_secs(1));
        peer.sends(PONG);
    }
    peer.sends(b"\x81\x85\0\0\0\0hello");
    peer.expects(b"\x81\x05hello");
    drop(peer);
    server.endured(NOISE);
}

/// Whatever comes shows that somebody is there; §5.5.2 says "SHOULD respond […] as soon as is practical".
#[test]
fn one_that_talks_and_never_answers_a_ping_stays() {
    let server = Server::start(&["--ping-interval", "200ms", "--pong-timeout", "2s"]);
    let mut peer = Peer::open(&server, "/test");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        peer.expects(PING);
        peer.sends(b"\x81\x85\0\0\0\0hello");
        peer.expects(b"\x81\x05hello");
    }
    drop(peer);
    server.endured(NOISE);
}

/// A client that is busy elsewhere while the server talks to it loses nothing, and is not hurried.
#[test]
fn one_that_sleeps_while_the_server_talks_finds_everything() {
    let server = Server::start(&["--ping-interval", "500ms", "--pong-timeout", "10s"]);
    let mut peer = Peer::connect(&server);
    peer.sends(
        "GET /increment HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: dumb-increment-protocol\r\n\r\n",
    );
    assert_eq!(peer.answer(), 101);
    sleep(Duration::from_secs(2));
    for number in 0..40 {
        assert_eq!(peer.message(), number.to_string().as_bytes());
    }
    drop(peer);
    server.endured(NOISE);
}
