//! Peers that take their time: byte by byte, or half of it and no more.

use std::thread;
use std::time::{Duration, Instant};

use crate::bytes::{declares, upgrade};
use crate::peer::{End, Peer};
use crate::server::{KIB, MIB, NOISE, Server, crowd};

/// TCP is a stream: where it is cut means nothing.
#[test]
fn one_byte_per_write() {
    let server = Server::start(&[]);
    let mut peer = Peer::connect(&server);
    for byte in upgrade("/test").bytes() {
        peer.sends([byte]);
    }
    assert_eq!(peer.answer(), 101);
    // A text in fragments, with keys that are not zero, a ping between them, then a length of two bytes, then the end.
    let mut bytes = b"\x01\x83\x37\xfa\x21\x3d\x7f\x9f\x4d\x89\x81\0\0\0\0?\x80\x82\x01\x02\x03\x04\x6d\x6d".to_vec();
    bytes.extend(declares(0x82, 200));
    bytes.extend([7; 200]);
    bytes.extend(b"\x88\x82\0\0\0\0\x03\xe8");
    for byte in bytes {
        peer.sends([byte]);
    }
    peer.expects(b"\x8a\x01?\x81\x05Hello\x82\x7e\x00\xc8");
    peer.expects([7; 200]);
    peer.expects(b"\x88\x02\x03\xe8");
    peer.expects_end();
    drop(peer);
    server.endured(NOISE);
}

/// The time of a head counts from its first byte, so that dribbling does not help.
#[test]
fn a_head_that_dribbles() {
    let server = Server::start(&["--head-timeout", "1s"]);
    let mut peer = Peer::connect(&server);
    let start = Instant::now();
    for byte in upgrade("/test").bytes() {
        if start.elapsed() > Duration::from_millis(1500) || peer.tries_to_send([byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(peer.answer(), 408);
    peer.expects_end();
    assert!(start.elapsed() > Duration::from_secs(1));
    drop(peer);
    server.endured(NOISE);
}

#[test]
fn a_head_that_is_too_large() {
    let server = Server::start(&[]);
    let begun = "GET /test HTTP/1.1\r\nHost: localhost\r\n";
    for (head, status) in [
        (format!("{begun}X: {}", "x".repeat(20 * KIB)), 431),
        (format!("{begun}{}", "X: x\r\n".repeat(100)), 431),
        (format!("GET /{}", "x".repeat(9 * KIB)), 414),
        // RFC 9112 §2.2: one empty line may come first, and no more.
        ("\r\n".repeat(100), 400),
    ] {
        let mut peer = Peer::connect(&server);
        peer.sends(head);
        assert_eq!(peer.answer(), status);
        peer.expects_end();
    }
    // Who goes on, and never reads why not, is cut off.
    let mut peer = Peer::connect(&server);
    peer.sends(begun);
    peer.sends_until_ended(&[b'x'; 4096]);
    // A head has 16 KiB.
    server.endured(NOISE);
}

#[test]
fn a_thousand_half_open_connections() {
    let _turn = crowd();
    let server = Server::start(&["--head-timeout", "3s"]);
    let half = &upgrade("/test")[..100];
    let mut silent: Vec<_> = (0..500).map(|_| Peer::connect(&server)).collect();
    let half_open = |_| {
        let mut peer = Peer::connect(&server);
        peer.sends(half);
        peer
    };
    let mut halves: Vec<_> = (0..500).map(half_open).collect();
    for peer in &mut halves {
        assert_eq!(peer.answer(), 408);
        peer.expects_end();
    }
    // Who said nothing is told nothing.
    for peer in &mut silent {
        peer.expects_end();
    }
    drop((silent, halves));
    // A task, a socket, a few KiB to read into.
    server.endured(NOISE + 1000 * 16 * KIB);
}

/// What is begun holds memory, so it may not stand still for ever, not even for one who answers pings.
#[test]
fn a_message_that_is_begun_and_not_continued() {
    let server = Server::start(&["--message-timeout", "1s", "--ping-interval", "300ms"]);
    let mut fragment = Peer::open(&server, "/test");
    fragment.sends(b"\x01\x81\0\0\0\0x");
    let start = Instant::now();
    let mut pings = 0;
    loop {
        let frame = fragment.frame();
        if frame.first == 0x88 {
            assert_eq!(&frame.payload[..2], 1008_u16.to_be_bytes());
            break;
        }
        assert_eq!(frame.first, 0x89);
        pings += 1;
        fragment.sends(b"\x8a\x80\0\0\0\0");
    }
    assert!(start.elapsed() > Duration::from_millis(900) && pings > 0, "{:?}, {pings} pings", start.elapsed());
    fragment.expects_end();
    // Inside a frame no ping can be answered: whatever it is that ends the line, something does.
    let mut frame = Peer::open(&server, "/test");
    frame.sends(declares(0x82, MIB as u64));
    frame.sends([0; 1000]);
    assert_eq!(frame.end().1, End::Fin);
    drop((fragment, frame));
    server.endured(NOISE);
}
