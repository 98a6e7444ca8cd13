//! RFC 6455 §10.4, where a message is longer than what came of it.

use openline_proto::deflate::Deflate;
use openline_proto::{Config, ProtocolError};

use crate::deflated::{both_of, eager, frame, message, noise};
use crate::heard::{Heard, Mode};
use crate::wire;

fn limited(max: u64) -> Config {
    Config { max_frame_bytes: max, max_message_bytes: max, ..Config::default() }
}

#[test]
fn exactly_the_limit_and_one_over() {
    for (max, fill) in [(1000, 0_u8), (65_536, b'x'), (1 << 20, 0)] {
        let payload = vec![fill; max + 1];
        for mut peer in both_of(&eager(), limited(max as u64)) {
            peer.sends(peer.frames(message(0x82, &payload[..max])));
            peer.hears(Heard::binary(&payload[..max]));
            let error = ProtocolError::MessageTooBig { max: max as u64 };
            assert_eq!(u16::from(error.close_code()), 1009);
            peer.breaks(peer.frames(message(0x82, &payload)), error);
        }
    }
}

/// What does not shrink grows a little, and that is no fault of its sender.
#[test]
fn exactly_the_limit_of_what_does_not_shrink() {
    for max in [100, 1000, 65_536, 1 << 20] {
        let payload = noise(max + 1, 1);
        for mut peer in both_of(&eager(), limited(max as u64)) {
            let wire = message(0x82, &payload[..max]);
            assert!(wire::frames(&wire)[0].payload.len() > max);
            peer.sends(peer.frames(wire));
            peer.hears(Heard::binary(&payload[..max]));
            peer.breaks(peer.frames(message(0x82, &payload)), ProtocolError::MessageTooBig { max: max as u64 });
        }
    }
}

/// But it does not grow without end: blocks with nothing in them.
#[test]
fn compressed_bytes_are_bounded_too() {
    for mut peer in both_of(&eager(), limited(1000)) {
        let empty_blocks = b"\0\0\0\xff\xff".repeat(1000);
        let error = ProtocolError::FrameTooBig { bytes: 5000, max: 1000 };
        peer.breaks(peer.frames(frame(0x82, &empty_blocks)), error);
    }
    for mut peer in both_of(&eager(), limited(1000)) {
        let empty_blocks = b"\0\0\0\xff\xff".repeat(100);
        let mut wire = frame(0x02, &empty_blocks);
        for _ in 0..4 {
            wire.extend(wire::frame(0x00, &empty_blocks));
        }
        peer.breaks(peer.frames(wire), ProtocolError::MessageTooBig { max: 1000 });
    }
}

/// The limit holds for all fragments together, and in parts, too.
#[test]
fn fragments_and_parts() {
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in both_of(&eager(), limited(100_000)) {
            peer.mode = mode;
            let body = wire::frames(&message(0x82, &[0; 100_001]))[0].payload.clone();
            let (first, second) = body.split_at(body.len() - 3);
            let wire = [frame(0x02, first), wire::frame(0x80, second)].concat();
            assert_eq!(peer.try_sends(&peer.frames(wire)), Err(ProtocolError::MessageTooBig { max: 100_000 }));
            let heard: usize = peer
                .heard()
                .iter()
                .map(|heard| match heard {
                    Heard::Part(_, part, _) => part.len(),
                    heard => panic!("{heard:?}"),
                })
                .sum();
            assert!(heard <= 100_000);
        }
    }
}

#[test]
fn a_ratio_of_ones_own() {
    let deflate = Deflate { max_ratio: Some(100), ..eager() };
    for mut peer in both_of(&deflate, Config::default()) {
        // 64 KiB are free, whatever they come from.
        peer.sends(peer.frames(message(0x82, &[0; 64 << 10])));
        peer.hears(Heard::binary(&[0; 64 << 10]));
        let text = crate::deflated::json(20_000);
        peer.sends(peer.frames(message(0x81, text.as_bytes())));
        peer.hears(Heard::text(&text));
        let error = ProtocolError::InflateRatio { max: 100 };
        assert_eq!(u16::from(error.close_code()), 1009);
        peer.breaks(peer.frames(message(0x82, &[0; 1 << 20])), error);
    }
}
