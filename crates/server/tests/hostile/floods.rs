//! Floods of frames that cost a peer little: what they cost here is bounded by a limit, and not by the flood.

use std::thread;
use std::time::{Duration, Instant};

use crate::bytes::{long_ping, masked, short_ping, turn};
use crate::peer::Peer;
use crate::server::{MIB, NOISE, Server};

/// §5.5.3: an endpoint "MAY elect to send a Pong frame for only the most recently processed Ping frame". Pongs that
/// wait take 4 KiB at most, so the flood is not seen in the memory at all; kept, they would be 25 MiB, and 11 MiB of
/// the tiny ones.
fn a_peer_that_never_reads_pings(pings: u32, ping: impl Fn(u32) -> Vec<u8>) {
    let server = Server::start(&["--write-timeout", "10m"]);
    let mut peer = Peer::open_narrow(&server, "/test");
    for first in (0..pings).step_by(200) {
        peer.sends((first..first + 200).flat_map(&ping).collect::<Vec<u8>>());
    }
    // Behind the last ping, so that all are read when it is answered.
    peer.sends(b"\x81\x85\0\0\0\0hello");
    let mut answered = None;
    loop {
        let frame = peer.frame();
        if frame.first == 0x81 {
            assert_eq!(frame.payload, b"hello");
            break;
        }
        assert_eq!(frame.first, 0x8a, "{frame:?}");
        assert!(answered < Some(turn(&frame.payload)), "{answered:?}, then {frame:?}");
        answered = Some(turn(&frame.payload));
    }
    assert_eq!(answered, Some(pings - 1), "the most recent ping is answered");
    drop(peer);
    server.endured(NOISE);
}

#[test]
fn pings_to_a_peer_that_never_reads() {
    a_peer_that_never_reads_pings(200_000, |turn| long_ping(turn).to_vec());
}

#[test]
fn tiny_pings_to_a_peer_that_never_reads() {
    a_peer_that_never_reads_pings(2_000_000, |turn| short_ping(turn).to_vec());
}

#[test]
fn pings_between_messages() {
    const MESSAGES: u32 = 5_000;
    let server = Server::start(&[]);
    let mut peer = Peer::open(&server, "/test");
    let mut writer = peer.second_hand();
    let writing = thread::spawn(move || {
        for number in 0..MESSAGES {
            let message = [&number.to_be_bytes()[..], &[b'm'; 1020]].concat();
            let pings = (0..10).flat_map(|ping| short_ping(number * 10 + ping));
            writer.sends(pings.chain(masked(0x82, &message)).collect::<Vec<u8>>());
        }
    });
    let (mut next, mut answered) = (0, None);
    while next < MESSAGES {
        let frame = peer.frame();
        match frame.first {
            0x82 => {
                assert_eq!((turn(&frame.payload), frame.payload.len()), (next, 1024), "every echo, in order, whole");
                next += 1;
            }
            // Pongs may have been replaced by newer ones, and may overtake.
            0x8a => {
                assert!(answered < Some(turn(&frame.payload)), "{answered:?}, then {frame:?}");
                answered = Some(turn(&frame.payload));
            }
            _ => panic!("{frame:?}"),
        }
    }
    writing.join().unwrap();
    assert_eq!(answered, Some(MESSAGES * 10 - 1), "the last ping was before the last message");
    drop(peer);
    // Echoes wait in an output of 1 MiB while the peer catches up; growing, it is there twice.
    server.endured(NOISE + 3 * MIB);
}

/// §5.5.3: a Pong that answers nothing is legal, and "a response to an unsolicited Pong frame is not expected".
#[test]
fn a_million_pongs() {
    let server = Server::start(&[]);
    let mut peer = Peer::open(&server, "/test");
    for _ in 0..1_000 {
        peer.sends(b"\x8a\x80\0\0\0\0".repeat(1_000));
    }
    peer.sends(b"\x81\x85\0\0\0\0hello");
    peer.expects(b"\x81\x05hello");
    drop(peer);
    server.endured(NOISE);
}

/// §10.4: "limits on … the total message size after reassembly from multiple frames".
#[test]
fn fragments_that_never_end() {
    let server = Server::start(&["--close-timeout", "1s"]);
    let fragment = masked(0x00, &[b'f'; 4096]);
    // One MiB is a message yet, and the next byte is one too many.
    let mut peer = Peer::open(&server, "/test");
    peer.sends(masked(0x02, &[b'f'; 4096]));
    peer.sends(fragment.repeat(255));
    peer.sends(masked(0x00, b""));
    peer.sends(b"\x89\x81\0\0\0\0?");
    peer.expects(b"\x8a\x01?");
    peer.sends(masked(0x00, b"f"));
    assert!(peer.expects_close(1009).contains("1048576"));
    peer.expects_end();
    // Who does not stop at that is cut off after the close timeout.
    let mut peer = Peer::open(&server, "/test");
    peer.sends(masked(0x02, &[b'f'; 4096]));
    peer.sends_until_ended(&fragment);
    // The message, 1 MiB; growing, it is there twice.
    server.endured(NOISE + 3 * MIB);
}

/// The message of the least bytes per fragment: as long as any other, and put together in linear time.
#[test]
fn fragments_of_one_byte() {
    let server = Server::start(&[]);
    let start = Instant::now();
    let mut peer = Peer::open(&server, "/test");
    peer.sends(masked(0x01, b"f"));
    let thousand = masked(0x00, b"f").repeat(1 << 10);
    for _ in 0..(1 << 10) - 1 {
        peer.sends(&thousand);
    }
    peer.sends(&thousand[..thousand.len() - 7]);
    peer.sends(b"\x80\x80\0\0\0\0");
    assert_eq!(peer.message(), vec![b'f'; 1 << 20]);
    // It takes a tenth of a second; done anew for each fragment, it would take an hour.
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    drop(peer);
    // The message, put together, and its echo.
    server.endured(NOISE + 3 * MIB);
}

/// They hold no memory, and so never meet a limit of it: they have one of their own.
#[test]
fn a_million_empty_fragments() {
    let server = Server::start(&[]);
    // As many as are allowed, and the message is one.
    let mut peer = Peer::open(&server, "/test");
    peer.sends(b"\x01\x80\0\0\0\0");
    peer.sends(b"\x00\x80\0\0\0\0".repeat(1023));
    peer.sends(b"\x80\x85\0\0\0\0hello");
    peer.expects(b"\x81\x05hello");
    // One more, and whatever comes behind it is dropped.
    peer.sends(b"\x01\x80\0\0\0\0");
    peer.sends(b"\x00\x80\0\0\0\0".repeat(1024));
    assert!(peer.expects_close(1008).contains("1024"));
    for _ in 0..1_000 {
        if peer.tries_to_send(b"\x00\x80\0\0\0\0".repeat(1_000)).is_err() {
            break;
        }
    }
    peer.end();
    drop(peer);
    server.endured(NOISE);
}
