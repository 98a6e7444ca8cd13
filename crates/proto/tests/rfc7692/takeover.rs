//! §7.1.1: messages that refer to those before them, and what that holds in memory.

use std::time::Duration;

use openline_proto::Config;
use openline_proto::deflate::{ContextMemory, Deflate, Deflater, InflateError, Inflater};

use crate::deflated::{agree, both, both_of, frame, json, noise, said};
use crate::heard::Heard;
use crate::peer::Peer;
use crate::wire;

fn remembering(memory: &ContextMemory) -> Deflate {
    Deflate { min_bytes: 1, ..Deflate::with_takeover(memory.clone()) }
}

/// Without pings, which would be the first thing to happen in a quiet time.
fn silent() -> Config {
    Config { ping_interval: None, ..Config::default() }
}

/// §7.2.3.2, both ways.
#[test]
fn the_example_of_the_rfc() {
    let memory = ContextMemory::new(1 << 24);
    for mut peer in both(&Deflate { level: 6, ..remembering(&memory) }) {
        peer.sends(peer.frames(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"));
        peer.hears(Heard::text("Hello"));
        peer.sends(peer.frames(b"\xc1\x05\xf2\x00\x11\x00\x00"));
        peer.hears(Heard::text("Hello"));
        let text = json(10);
        for _ in 0..2 {
            peer.connection.send(text.as_str(), &mut peer.output).unwrap();
        }
        let frames = wire::frames(&peer.takes());
        assert!(frames[1].payload.len() < 20, "the second says that it is the first");
        assert_eq!(said(&mut Inflater::new(), &frames), vec![(text.into_bytes(), true); 2]);
    }
}

/// What is not compressed is in nobody's window; what does not shrink is in none either.
#[test]
fn messages_of_all_kinds_in_one_stream() {
    let memory = ContextMemory::new(1 << 24);
    for window_bits in [9, 12, 15] {
        for mut peer in both(&Deflate { window_bits, peer_window_bits: window_bits, ..remembering(&memory) }) {
            let mut inflater = Inflater::new();
            for n in 0..60_u32 {
                let payload = match n % 5 {
                    0 => noise(700, n / 15),
                    1 => noise(40_000, n / 15),
                    2 => vec![b'x'; 3_000],
                    _ => json(n).into_bytes(),
                };
                if n % 7 == 3 {
                    peer.connection.send_part(&payload, false, &mut peer.output).unwrap();
                    peer.connection.send_part(&[][..], true, &mut peer.output).unwrap();
                } else {
                    peer.connection.send(&payload, &mut peer.output).unwrap();
                }
                let said = said(&mut inflater, &wire::frames(&peer.takes()));
                assert_eq!(said.len(), 1);
                assert!(said[0].0 == payload, "message {n}");
            }
        }
    }
}

/// §7.1.2: no reference goes further back than agreed, and we can follow those that go as far.
#[test]
fn windows_are_kept_to() {
    let memory = ContextMemory::new(1 << 24);
    for window_bits in 9..=15_u8 {
        let deflate = Deflate { window_bits, peer_window_bits: window_bits, ..remembering(&memory) };
        for mut peer in both(&deflate) {
            let window = 1 << window_bits;
            let noise = noise(window * 2, 7);
            // A compressor with the same window on the other side; ours remembers as much and no more.
            let mut theirs = Deflater::new(9, window_bits);
            for at in (0..window).step_by(window / 4) {
                let payload = [&noise[at..at + 200], &noise[at..at + 200]].concat();
                let wire = frame(0x82, theirs.message(&payload, usize::MAX).unwrap());
                peer.sends(peer.frames(wire));
                peer.hears(Heard::binary(&payload));
                peer.waits(Duration::from_secs(31)).unwrap();
                peer.output.to_vec();
            }
        }
    }
}

#[test]
fn contexts_are_dropped_when_it_is_quiet() {
    let memory = ContextMemory::new(1 << 24);
    let mut inflater = Inflater::new();
    let mut theirs = Deflater::new(6, 15);
    for mut peer in both_of(&remembering(&memory), silent()) {
        inflater.reset();
        theirs.reset();
        let windows = memory.used();
        let text = json(10);
        for round in 0..4 {
            peer.connection.send(text.as_str(), &mut peer.output).unwrap();
            let frames = wire::frames(&peer.takes());
            assert!(frames[0].payload.len() > 50, "what was dropped cannot be referred to");
            assert_eq!(said(&mut inflater, &frames), [(text.clone().into_bytes(), true)]);
            let wire = frame(0x81, theirs.message(text.as_bytes(), usize::MAX).unwrap());
            assert_eq!(wire.len() < 20, round > 0, "theirs is not dropped");
            peer.sends(peer.frames(wire));
            peer.hears(Heard::text(&text));
            assert!(memory.used() > windows);
            let wait = peer.next_timeout().unwrap();
            assert_eq!(wait, Duration::from_secs(30));
            peer.waits(wait - Duration::from_millis(1)).unwrap();
            assert!(memory.used() > windows);
            peer.waits(Duration::from_millis(1)).unwrap();
            assert_eq!(memory.used(), windows);
            assert_eq!(peer.next_timeout(), None);
        }
    }
    assert_eq!(memory.used(), 0);
}

/// In the middle of a message that comes in, or of one that is streamed out, nothing is dropped that it needs.
#[test]
fn a_message_that_takes_its_time_is_not_dropped() {
    let memory = ContextMemory::new(1 << 24);
    for mut peer in both_of(&remembering(&memory), silent()) {
        let (mut inflater, text) = (Inflater::new(), json(50));
        let wire = peer.frames(crate::deflated::message(0x81, text.as_bytes()));
        peer.sends(&wire[..50]);
        peer.connection.send_part(text.as_str(), false, &mut peer.output).unwrap();
        let mut frames = wire::frames(&peer.takes());
        peer.waits(Duration::from_secs(55)).unwrap();
        peer.sends(&wire[50..]);
        peer.hears(Heard::text(&text));
        peer.connection.send_part(text.as_str(), true, &mut peer.output).unwrap();
        frames.extend(wire::frames(&peer.takes()));
        assert_eq!(said(&mut inflater, &frames), [(text.repeat(2).into_bytes(), true)]);
    }
}

/// Where there is no memory for a context, messages are compressed by themselves; where there is none for an inflater,
/// what it knew is kept.
#[test]
fn without_memory_everything_still_arrives() {
    for room in [0, 40 << 10, 70 << 10, 200 << 10, 500 << 10] {
        let memory = ContextMemory::new(room);
        for mut peer in both(&remembering(&memory)) {
            let (mut inflater, mut theirs) = (Inflater::new(), Deflater::new(6, 15));
            for n in 0..10 {
                let text = json(10 + n);
                peer.connection.send(text.as_str(), &mut peer.output).unwrap();
                assert_eq!(said(&mut inflater, &wire::frames(&peer.takes())), [(text.clone().into_bytes(), true)]);
                assert!(memory.used() <= room);
                let wire = frame(0x81, theirs.message(text.as_bytes(), usize::MAX).unwrap());
                match peer.try_sends(&peer.frames(wire)) {
                    Ok(()) => peer.hears(Heard::text(&text)),
                    // It was told to do without takeover.
                    Err(error) => {
                        assert_eq!(error, openline_proto::ProtocolError::Inflate(InflateError::Corrupt));
                        assert!(room < 70 << 10, "room for two windows");
                        break;
                    }
                }
            }
        }
        assert_eq!(memory.used(), 0);
    }
}

/// The end of the connection gives back what it held, and so does its failure.
#[test]
fn memory_comes_back() {
    let memory = ContextMemory::new(1 << 24);
    let text = json(10);
    for end in [&b"\x88\x02\x03\xe8"[..], b"\x83\x00"] {
        for mut peer in both(&remembering(&memory)) {
            peer.connection.send(text.as_str(), &mut peer.output).unwrap();
            peer.takes();
            peer.sends(peer.frames(crate::deflated::message(0x81, text.as_bytes())));
            let _ = peer.try_sends(&peer.frames(end));
        }
        assert_eq!(memory.used(), 0);
    }
}

/// One end remembers and the other does not.
#[test]
fn takeover_one_way() {
    let memory = ContextMemory::new(1 << 24);
    let (remembering, forgetting) = (remembering(&memory), Deflate { min_bytes: 1, ..Deflate::default() });
    for (server, client) in [(&remembering, &forgetting), (&forgetting, &remembering)] {
        let [at_server, at_client] = agree(server, client);
        let now = std::time::Instant::now();
        let mut ends = [
            Peer::new(openline_proto::Connection::server(&at_server, Config::default(), now), now),
            Peer::new(openline_proto::Connection::client(&at_client, Config::default(), [7; 32], now), now),
        ];
        let text = json(20);
        for _ in 0..3 {
            for from in [0, 1] {
                let [a, b] = &mut ends;
                let (from, to) = if from == 0 { (a, b) } else { (b, a) };
                from.connection.send(text.as_str(), &mut from.output).unwrap();
                to.sends(from.output.to_vec());
                to.hears(Heard::text(&text));
            }
        }
    }
}
