//! §6.1, §7.2.1: what goes out compressed, and what does not.

use openline_proto::deflate::{Deflate, Inflater};
use openline_proto::{Config, Outgoing};

use crate::deflated::{both, both_of, eager, json, noise, said};
use crate::wire::{self, Frame};

fn frames_of(peer: &mut crate::peer::Peer) -> Vec<Frame> {
    let written = peer.takes();
    wire::frames(&written)
}

#[test]
fn a_message_that_shrinks_is_compressed() {
    for mut peer in both(&Deflate::default()) {
        let text = json(20);
        peer.connection.send(text.as_str(), &mut peer.output).unwrap();
        let frames = frames_of(&mut peer);
        let [Frame { fin: true, compressed: true, opcode: wire::TEXT, payload, .. }] = &frames[..] else { panic!() };
        assert!(payload.len() < text.len() / 2);
        // §7.2.1: the tail is removed.
        assert!(!payload.ends_with(b"\0\0\xff\xff"));
        assert_eq!(said(&mut Inflater::new(), &frames), [(text.into_bytes(), true)]);
    }
}

/// In every way there is to send it.
#[test]
fn a_message_that_does_not_shrink_is_sent_as_it_is() {
    for mut peer in both(&eager()) {
        for payload in [noise(1, 1), noise(20, 2), noise(5_000, 3), noise(300_000, 4)] {
            peer.connection.send(&payload, &mut peer.output).unwrap();
            let message = Outgoing::from(payload.clone()).compressed();
            peer.connection.send(message, &mut peer.output).unwrap();
            peer.connection.send_part(&payload, true, &mut peer.output).unwrap();
            let frames = frames_of(&mut peer);
            assert_eq!(said(&mut Inflater::new(), &frames), vec![(payload, false); 3]);
        }
    }
}

#[test]
fn short_and_empty_messages_are_sent_as_they_are() {
    for mut peer in both(&Deflate { min_bytes: 100, ..Deflate::default() }) {
        for (text, compressed) in [("", false), (&*"x".repeat(99), false), (&*"x".repeat(100), true)] {
            peer.connection.send(text, &mut peer.output).unwrap();
            assert_eq!(said(&mut Inflater::new(), &frames_of(&mut peer)), [(text.into(), compressed)]);
        }
    }
    for mut peer in both(&Deflate { min_bytes: 0, ..Deflate::default() }) {
        peer.connection.send("", &mut peer.output).unwrap();
        peer.expects(b"\x81\0");
    }
}

#[test]
fn the_caller_decides() {
    for mut peer in both(&Deflate::default()) {
        let text = json(20);
        peer.connection.send(Outgoing::from(&text).uncompressed(), &mut peer.output).unwrap();
        let short = "ha".repeat(20);
        peer.connection.send(short.as_str(), &mut peer.output).unwrap();
        peer.connection.send(Outgoing::from(&short).compressed(), &mut peer.output).unwrap();
        peer.connection.send(Outgoing::from("").compressed(), &mut peer.output).unwrap();
        let said = said(&mut Inflater::new(), &frames_of(&mut peer));
        let (text, short) = (text.into_bytes(), short.into_bytes());
        assert_eq!(said, [(text, false), (short.clone(), false), (short, true), (vec![], false)]);
    }
}

/// Nothing is compressed unless that was agreed on.
#[test]
fn without_agreement_nothing_is_compressed() {
    for mut peer in crate::peer::Peer::both() {
        let text = json(20);
        peer.connection.send(Outgoing::from(&text).compressed(), &mut peer.output).unwrap();
        peer.expects(wire::frame(0x81, text.as_bytes()));
    }
}

/// RFC 6455 §5.4: a long message in fragments; RFC 7692 §6.1: RSV1 on the first.
#[test]
fn long_messages_are_sent_in_fragments() {
    let config = Config { fragment_bytes: 100, ..Config::default() };
    for mut peer in both_of(&eager(), config) {
        let text = json(500);
        peer.connection.send(text.as_str(), &mut peer.output).unwrap();
        let frames = frames_of(&mut peer);
        assert!(frames.len() > 20);
        assert!(frames.iter().all(|frame| frame.payload.len() <= 100));
        assert_eq!(frames.iter().filter(|frame| frame.compressed).count(), 1);
        assert_eq!(said(&mut Inflater::new(), &frames), [(text.into_bytes(), true)]);
    }
}

/// Each part can be inflated when it is there, and together they are one message.
#[test]
fn streamed_messages() {
    for mut peer in both(&Deflate::default()) {
        for empty_end in [false, true] {
            let parts: Vec<String> = (1..6).map(|n| json(n * 20)).collect();
            let mut inflater = Inflater::new();
            let mut arrived: Vec<u8> = Vec::new();
            let mut frames = Vec::new();
            for (i, part) in parts.iter().enumerate() {
                let last = i + 1 == parts.len() && !empty_end;
                peer.connection.send_part(part.as_str(), last, &mut peer.output).unwrap();
                for frame in frames_of(&mut peer) {
                    arrived.extend(inflater.inflate(&frame.payload, usize::MAX).unwrap().bytes);
                    frames.push(frame);
                }
                assert_eq!(arrived, parts[..=i].concat().as_bytes());
            }
            if empty_end {
                peer.connection.send_part("", true, &mut peer.output).unwrap();
                frames.extend(frames_of(&mut peer));
            }
            assert_eq!(said(&mut Inflater::new(), &frames), [(parts.concat().into_bytes(), true)]);
        }
    }
}

/// The first part decides for all of them.
#[test]
fn streams_of_what_does_not_shrink() {
    for mut peer in both(&Deflate::default()) {
        let (noise, text) = (noise(10_000, 5), vec![b'x'; 10_000]);
        for (first, then, compressed) in [(&noise, &text, false), (&text, &noise, true)] {
            for part in [first, then, then] {
                peer.connection.send_part(part, false, &mut peer.output).unwrap();
            }
            peer.connection.send_part(&[][..], true, &mut peer.output).unwrap();
            let whole = [&first[..], then, then].concat();
            assert_eq!(said(&mut Inflater::new(), &frames_of(&mut peer)), [(whole, compressed)]);
            peer.connection.send(&text, &mut peer.output).unwrap();
            assert_eq!(said(&mut Inflater::new(), &frames_of(&mut peer)), [(text.clone(), true)]);
        }
        // By the caller's choice, too.
        let part = Outgoing::from(&text).uncompressed();
        peer.connection.send_part(part, false, &mut peer.output).unwrap();
        peer.connection.send_part(&text, true, &mut peer.output).unwrap();
        assert_eq!(said(&mut Inflater::new(), &frames_of(&mut peer)), [(text.repeat(2), false)]);
    }
}

/// Control frames go between the fragments of a compressed message.
#[test]
fn pings_overtake_compressed_fragments() {
    let config = Config { fragment_bytes: 50, ..Config::default() };
    for mut peer in both_of(&eager(), config) {
        let text = json(100);
        peer.connection.send(text.as_str(), &mut peer.output).unwrap();
        let mut slices = [std::io::IoSlice::new(&[])];
        peer.output.slices(&mut slices);
        peer.output.advance(10);
        peer.connection.ping(b"now", &mut peer.output).unwrap();
        peer.sends(peer.frames(b"\x89\x01x"));
        assert!(peer.output.has_control());
    }
}
