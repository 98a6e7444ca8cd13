//! §6, §7.2.2: compressed messages that come in.

use openline_proto::deflate::{Deflate, InflateError};
use openline_proto::{Kind, ProtocolError};

use crate::deflated::{both, eager, frame, json, message};
use crate::heard::{Heard, Mode};
use crate::peer::Peer;
use crate::wire;

/// §7.2.3: every example, at both ends.
#[test]
fn the_examples_of_the_rfc() {
    for example in [
        &b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
        // §7.2.3.1: in two frames.
        b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00",
        // §7.2.3.3: a block that is not compressed.
        b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        // §7.2.3.4: a block with BFINAL set.
        b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
        // §7.2.3.5: two blocks.
        b"\xc1\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
    ] {
        for mut peer in both(&eager()) {
            peer.sends(peer.frames(example));
            peer.hears(Heard::text("Hello"));
            peer.sends(peer.frames(example));
            peer.hears(Heard::text("Hello"));
        }
    }
}

/// §7.2.3.6.
#[test]
fn empty_messages() {
    for mut peer in both(&eager()) {
        for body in [&b"\x00"[..], b"\x02\x00", b"\x03\x00\x00", b"\x03\x00"] {
            peer.sends(peer.frames(frame(0x81, body)));
            peer.hears(Heard::text(""));
            peer.sends(peer.frames(frame(0x82, body)));
            peer.hears(Heard::binary(b""));
        }
    }
}

/// §6: RSV1 unset is a message as it is, whatever was agreed on.
#[test]
fn messages_that_are_not_compressed_come_as_they_are() {
    for mut peer in both(&eager()) {
        peer.sends(peer.frames(b"\x81\x05Hello\x01\x03Hel\x80\x02lo"));
        peer.hears(Heard::text("Hello"));
        peer.hears(Heard::text("Hello"));
        peer.sends(peer.frames([&message(0x81, b"one")[..], b"\x82\x03two", &message(0x82, b"three")].concat()));
        peer.hears(Heard::text("one"));
        peer.hears(Heard::binary(b"two"));
        peer.hears(Heard::binary(b"three"));
    }
}

/// §6.1: "The bit is set […] on the first fragment", RFC 6455 §5.2: and nowhere else.
#[test]
fn rsv1_anywhere_else_fails_the_connection() {
    for wire in [
        &b"\x41\x03\xf2\x48\xcd\xc0\x04\xc9\xc9\x07\x00"[..],
        b"\x01\x01x\xc0\x01x",
        b"\xc9\x00",
        b"\xca\x00",
        b"\xc8\x02\x03\xe8",
        // RSV2 and RSV3 have no meaning, with or without RSV1.
        b"\xa1\x01x",
        b"\x91\x01x",
        b"\xe1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\xd1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
    ] {
        for mut peer in both(&eager()) {
            peer.breaks(peer.frames(wire), ProtocolError::ReservedBits);
        }
    }
    for mut peer in Peer::both() {
        peer.breaks(peer.frames(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"), ProtocolError::ReservedBits);
    }
}

/// §6.2: fragments of a compressed message cut its bytes anywhere, and control frames come between them.
#[test]
fn fragments_cut_anywhere_with_pings_between() {
    let text = json(40);
    let compressed = message(0x81, text.as_bytes());
    let body = wire::frames(&compressed)[0].payload.clone();
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in both(&eager()) {
            peer.mode = mode;
            for cut in (0..body.len()).step_by(7) {
                let mut wire = frame(0x01, &body[..cut]);
                wire.extend(b"\x89\x01x\x00\x00");
                wire.extend(wire::frame(0x80, &body[cut..]));
                peer.sends(peer.frames(wire));
                peer.expects(b"\x8a\x01x");
                let (mut whole, mut pings) = (String::new(), 0);
                for heard in peer.heard() {
                    match heard {
                        Heard::Message(message) => whole.push_str(message.as_text().unwrap()),
                        Heard::Part(Kind::Text, part, _) => whole.push_str(str::from_utf8(&part).unwrap()),
                        Heard::Ping(_) => pings += 1,
                        heard => panic!("{heard:?}"),
                    }
                }
                assert_eq!((whole.as_str(), pings), (text.as_str(), 1), "cut at {cut}");
            }
        }
    }
}

/// Reads, too.
#[test]
fn reads_cut_anywhere() {
    let text = "aκό€😀z".repeat(30);
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in both(&eager()) {
            peer.mode = mode;
            let wire = peer.frames([message(0x81, text.as_bytes()), message(0x82, text.as_bytes())].concat());
            for cut in 0..wire.len() {
                peer.sends(&wire[..cut]);
                peer.sends(&wire[cut..]);
                let mut heard = Vec::new();
                for event in peer.heard() {
                    match event {
                        Heard::Message(message) => heard.extend_from_slice(message.as_bytes()),
                        Heard::Part(_, part, _) => heard.extend(part),
                        heard => panic!("{heard:?}"),
                    }
                }
                assert_eq!(heard, text.repeat(2).as_bytes(), "cut at {cut}");
            }
        }
    }
}

/// A long message comes in parts as it inflates, each of whole code points.
#[test]
fn parts_are_bounded_however_much_they_inflate_to() {
    let config =
        openline_proto::Config { max_message_bytes: 64 << 20, max_frame_bytes: 64 << 20, ..Default::default() };
    for (kind, opcode, text) in [(Kind::Text, 0x81, "€uro".repeat(400_000)), (Kind::Binary, 0x82, "\0".repeat(3 << 20))]
    {
        for mut peer in crate::deflated::both_of(&eager(), config.clone()) {
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(message(opcode, text.as_bytes())));
            let (mut whole, mut lasts) = (Vec::new(), 0);
            for heard in peer.heard() {
                let Heard::Part(found, part, last) = heard else { panic!("{heard:?}") };
                assert_eq!(found, kind);
                assert!(part.len() <= (16 << 10) + 3, "a part of {} bytes", part.len());
                lasts += usize::from(last);
                whole.extend(part);
            }
            assert_eq!((whole == text.as_bytes(), lasts), (true, 1));
        }
    }
}

/// An application that asked for parts, and then for whole messages, gets the next one whole.
#[test]
fn whole_messages_follow_parts() {
    for mut peer in both(&eager()) {
        peer.mode = Mode::Parts;
        let wire = peer.frames(message(0x82, &[7; 100_000]));
        peer.sends(&wire[..wire.len() - 1]);
        assert!(matches!(peer.heard()[..], [Heard::Part(..), ..]));
        peer.mode = Mode::Whole;
        peer.sends(&wire[wire.len() - 1..]);
        peer.hears_nothing();
        peer.sends(peer.frames(message(0x81, b"next")));
        peer.hears(Heard::text("next"));
    }
}

/// RFC 6455 §8.1: text is checked once it is inflated.
#[test]
fn inflated_text_is_utf_8() {
    for (text, more) in [(&b"\xff"[..], true), (b"abc\xce", true), (b"\xed\xa0\x80", true), (b"abc\xff\xff", false)] {
        for mode in [Mode::Whole, Mode::Parts] {
            for mut peer in both(&eager()) {
                peer.mode = mode;
                let wire = if more { message(0x81, text) } else { [message(0x01, text), b"\x80\0".to_vec()].concat() };
                let error = peer.try_sends(&peer.frames(wire)).unwrap_err();
                assert_eq!((error.clone(), u16::from(error.close_code())), (ProtocolError::InvalidUtf8, 1007));
            }
        }
    }
}

/// Corrupt, cut short, or meant to cost time: 1007, and 1008.
#[test]
fn what_cannot_be_inflated_fails_the_connection() {
    use InflateError::*;
    let many_final_blocks = [&b"\x03\x00".repeat(1026)[..], b"\x00"].concat();
    for (body, error, code) in [
        // A block of the reserved kind; a length that does not match its complement; a distance too far back.
        (&b"\x06"[..], Corrupt, 1007),
        (b"\x07\x00", Corrupt, 1007),
        (b"\x00\x05\x00\xfa\xfe\x48", Corrupt, 1007),
        (b"\xf2\x00\x11\x00\x00", Corrupt, 1007),
        // Nothing at all, half a block, and a tail that was to be removed.
        (b"", Truncated, 1007),
        (b"\xf2\x48\xcd", Truncated, 1007),
        (b"\xf2\x48\xcd\xc9\xc9\x07", Truncated, 1007),
        (b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff", Truncated, 1007),
        (b"\x00\x05\x00\xfa\xff\x48\x65\x6c", Truncated, 1007),
        (b"\x05\xe0\x81\x08", Truncated, 1007),
        (&many_final_blocks, TooManyFinalBlocks, 1008),
    ] {
        for mut peer in both(&eager()) {
            let error = ProtocolError::Inflate(error);
            assert_eq!(u16::from(error.close_code()), code);
            peer.breaks(peer.frames(frame(0x82, body)), error);
        }
    }
}

/// §7.1.1: without takeover agreed on, a message cannot refer to the one before.
#[test]
fn nothing_is_remembered_without_takeover() {
    for mut peer in both(&Deflate::default()) {
        peer.sends(peer.frames(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"));
        peer.hears(Heard::text("Hello"));
        peer.breaks(peer.frames(b"\xc1\x05\xf2\x00\x11\x00\x00"), ProtocolError::Inflate(InflateError::Corrupt));
    }
}
