//! Lines that just end: FIN from a peer that still reads, and resets at the worst moment (§7.1.5: that is 1006).

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bytes::{declares, masked, upgrade};
use crate::peer::Peer;
use crate::server::{KIB, MIB, NOISE, Server};

/// What it said is answered, and then there is nothing more to say: no Close frame, as none came.
#[test]
fn fin_behind_a_message() {
    let server = Server::start(&[]);
    let mut peer = Peer::open(&server, "/test");
    peer.sends(b"\x81\x85\0\0\0\0hello");
    peer.ends_sending();
    peer.expects(b"\x81\x05hello");
    peer.expects_end();
    // All of it in one segment.
    let mut peer = Peer::connect(&server);
    peer.sends([upgrade("/test").as_bytes(), b"\x81\x85\0\0\0\0hello"].concat());
    peer.ends_sending();
    assert_eq!(peer.answer(), 101);
    peer.expects(b"\x81\x05hello");
    peer.expects_end();
    server.endured(NOISE);
}

/// More than the systems of both take at once, which is 4 MiB on most.
const LARGE: usize = 8 * MIB;
const LARGE_FLAGS: [&str; 4] = ["--max-message-bytes", "8MiB", "--max-frame-bytes", "8MiB"];

/// Its FIN is here long before the echo is written. A ping would be, too, and it cannot answer any.
#[test]
fn fin_behind_a_large_message_to_a_slow_reader() {
    let server = Server::start(&[&LARGE_FLAGS[..], &["--ping-interval", "500ms", "--pong-timeout", "2s"]].concat());
    let mut peer = Peer::open_narrow(&server, "/test");
    peer.sends(masked(0x82, &vec![b'g'; LARGE]));
    peer.ends_sending();
    sleep(Duration::from_secs(4));
    assert!(peer.message() == vec![b'g'; LARGE]);
    peer.expects_end();
    // The message, and its echo.
    server.endured(NOISE + 2 * LARGE);
}

/// And a peer that ends its side, and then does not read either, is given up as any other that does not read.
#[test]
fn fin_behind_a_large_message_from_one_that_never_reads() {
    let server = Server::start(&[&LARGE_FLAGS[..], &["--write-timeout", "1s"]].concat());
    let mut peer = Peer::open_narrow(&server, "/test");
    peer.sends(masked(0x82, &vec![b'g'; LARGE]));
    peer.ends_sending();
    let start = Instant::now();
    server.waits_for_connections(0);
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
    server.endured(NOISE + 2 * LARGE);
}

#[test]
fn fin_elsewhere() {
    let server = Server::start(&[]);
    let said_before: [&[u8]; 5] = [
        b"",
        b"\x81",                          // inside a header
        b"\x81\x85\0\0\0\0he",            // inside a frame
        b"\x01\x85\0\0\0\0hello",         // inside a message
        b"\x01\x85\0\0\0\0hello\x00\xff", // inside a length
    ];
    for said in said_before {
        let mut peer = Peer::open(&server, "/test");
        peer.sends(said);
        peer.ends_sending();
        peer.expects_end();
    }
    // Behind its Close frame it has said all there is to say.
    let mut peer = Peer::open(&server, "/test");
    peer.sends(b"\x81\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xe8");
    peer.ends_sending();
    peer.expects(b"\x81\x05hello\x88\x02\x03\xe8");
    peer.expects_end();
    // Before it is a line: half a request is none, and no request is nothing.
    let mut peer = Peer::connect(&server);
    peer.sends(&upgrade("/test")[..100]);
    peer.ends_sending();
    assert_eq!(peer.answer(), 400);
    peer.expects_end();
    let mut peer = Peer::connect(&server);
    peer.ends_sending();
    peer.expects_end();
    server.endured(NOISE);
}

/// Whoever stays in a room hears on when another is gone.
#[test]
fn fin_in_a_room() {
    let server = Server::start(&[]);
    let (mut gone, mut stays) = (Peer::open(&server, "/chat"), Peer::open(&server, "/chat"));
    let mut speaks = Peer::open(&server, "/chat");
    gone.sends(b"\x81\x83\0\0\0\0bye");
    gone.ends_sending();
    for listener in [&mut stays, &mut speaks] {
        listener.expects(b"\x81\x03bye");
    }
    gone.expects_end();
    speaks.sends(b"\x81\x85\0\0\0\0hello");
    stays.expects(b"\x81\x05hello");
    drop((stays, speaks));
    server.endured(NOISE);
}

#[test]
fn reset_at_the_worst_moment() {
    let server = Server::start(&["--write-timeout", "10m"]);
    let request = upgrade("/test");
    for _ in 0..20 {
        // Inside the handshake, and between its end and the answer.
        for head in [&request[..0], &request[..1], &request[..100], &request[..]] {
            let mut peer = Peer::connect(&server);
            peer.sends(head);
            peer.resets();
        }
        // Inside a header, a frame, a message; behind a Close frame that is not answered yet.
        for said in [
            b"\x81".to_vec(),
            b"\x81\x85\0\0\0\0he".to_vec(),
            [declares(0x82, MIB as u64), vec![0; 100 * KIB]].concat(),
            b"\x01\x85\0\0\0\0hello".to_vec(),
            b"\x88\x82\0\0\0\0\x03\xe8".to_vec(),
        ] {
            let mut peer = Peer::open(&server, "/test");
            peer.sends(said);
            peer.resets();
        }
    }
    // With an echo of its own on the way that it does not take.
    for _ in 0..5 {
        let mut peer = Peer::open_narrow(&server, "/test");
        peer.sends(masked(0x82, &[b'g'; MIB]));
        peer.resets();
    }
    // The messages of the last, should they all be there at once.
    server.endured(NOISE + 5 * MIB);
}
