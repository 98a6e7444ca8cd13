//! §5.6 and §8.1: "the whole message MUST contain valid UTF-8", and what is not fails the connection.

use openline_proto::{Config, Kind, ProtocolError};

use crate::heard::{Heard, Mode};
use crate::peer::Peer;
use crate::wire;

/// Texts that use every length of code point, its borders, and what other checks forbid without need.
const VALID: &[&str] = &[
    "",
    "a",
    "κόσμε",
    "\u{0}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
    "\u{d7ff}\u{e000}\u{fffd}",
    "\u{fffe}\u{feff}\u{fdd0}\u{1fffe}",
    "日本語 😀👩‍👩‍👧 ñandú",
];

/// RFC 3629's mistakes, each with the number of its bytes that could still begin something right.
const INVALID: &[(&[u8], usize)] = &[
    (b"\x80", 0), // a continuation that continues nothing
    (b"\xbf", 0),
    (b"\xc0\xaf", 0), // "/" in two bytes
    (b"\xc1\xbf", 0),
    (b"\xe0\x80\xaf", 1), // "/" in three
    (b"\xe0\x9f\xbf", 1),
    (b"\xf0\x80\x80\xaf", 1), // "/" in four
    (b"\xf0\x8f\xbf\xbf", 1),
    (b"\xed\xa0\x80", 1), // a surrogate
    (b"\xed\xbf\xbf", 1),
    (b"\xf4\x90\x80\x80", 1), // over U+10FFFF
    (b"\xf5\x80\x80\x80", 0),
    (b"\xf8\x88\x80\x80\x80", 0),     // five bytes
    (b"\xfc\x84\x80\x80\x80\x80", 0), // six
    (b"\xfe", 0),
    (b"\xff", 0),
    (b"\xc3(", 1), // a code point that something else ends
    (b"\xe2\x82(", 2),
    (b"\xf0\x9f\x98(", 3),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xed\xa0\x80", 8), // Autobahn's: "κόσ", then a surrogate
];

#[test]
fn valid_text_is_heard_however_it_is_cut_and_fragmented() {
    for text in VALID {
        for mut peer in Peer::both() {
            let bytes = text.as_bytes();
            for cut in 0..=bytes.len() {
                let frames = [wire::frame(0x01, &bytes[..cut]), wire::frame(0x80, &bytes[cut..])].concat();
                peer.sends(peer.frames(&frames));
                peer.hears(Heard::text(text));
                let whole = peer.frames(wire::frame(0x81, bytes));
                let cut = cut.min(whole.len());
                peer.sends(&whole[..cut]);
                peer.sends(&whole[cut..]);
                peer.hears(Heard::text(text));
            }
            for byte in peer.frames(wire::frame(0x81, bytes)) {
                peer.sends([byte]);
            }
            peer.hears(Heard::text(text));
            peer.hears_nothing();
        }
    }
}

/// §8.1: "the endpoint MUST _Fail the WebSocket Connection_"; §7.4.1 names the code, 1007.
#[test]
fn invalid_text_fails_the_connection() {
    for mode in [Mode::Whole, Mode::Parts] {
        for (bytes, _) in INVALID {
            for mut peer in Peer::both() {
                peer.mode = mode;
                peer.breaks(peer.frames(wire::frame(0x81, bytes)), ProtocolError::InvalidUtf8);
            }
        }
    }
}

/// At once, that is: with the first byte that cannot be right, although the frame and the message go on.
#[test]
fn invalid_text_fails_at_its_first_wrong_byte() {
    for mode in [Mode::Whole, Mode::Parts] {
        for (bytes, good) in INVALID {
            for mut peer in Peer::both() {
                peer.mode = mode;
                let frame = wire::frame(0x01, &[b"ok", *bytes, &[b'x'; 50]].concat());
                let wire = peer.frames(&frame);
                let wrong = wire.len() - 50 - bytes.len() + good;
                for byte in &wire[..wrong] {
                    peer.sends([*byte]);
                }
                peer.heard();
                peer.breaks(&wire[wrong..wrong + 1], ProtocolError::InvalidUtf8);
            }
        }
    }
}

#[test]
fn text_that_ends_inside_a_code_point_fails_the_connection() {
    for mode in [Mode::Whole, Mode::Parts] {
        for begun in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98", b"\xf0"] {
            for frames in [
                wire::frame(0x81, begun),
                [wire::frame(0x01, begun), wire::frame(0x80, b"")].concat(),
                [wire::frame(0x01, b""), wire::frame(0x80, begun)].concat(),
            ] {
                for mut peer in Peer::both() {
                    peer.mode = mode;
                    peer.breaks(peer.frames(&frames), ProtocolError::InvalidUtf8);
                }
            }
        }
    }
}

/// §5.6: only the whole message must be valid; a code point may go through any number of fragments, with control frames
/// between its bytes.
#[test]
fn a_code_point_may_go_through_fragments_with_pings_between() {
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in Peer::both() {
            peer.mode = mode;
            peer.sends(peer.frames(b"\x01\x01\xf0\x89\x01\xff\x00\x01\x9f\x00\0\x89\0\x00\x01\x98\x80\x01\x80"));
            peer.expects(b"\x8a\x01\xff\x8a\0");
            peer.hears(Heard::Ping(b"\xff".to_vec()));
            peer.hears(Heard::Ping(b"".to_vec()));
            match mode {
                Mode::Whole => peer.hears(Heard::text("😀")),
                Mode::Parts => peer.hears(Heard::Part(Kind::Text, "😀".into(), true)),
            }
        }
    }
}

/// What the core looks at bytes for is text alone.
#[test]
fn pings_and_binary_messages_need_not_be_utf_8() {
    for mut peer in Peer::both() {
        for (bytes, _) in INVALID {
            peer.sends(peer.frames(wire::frame(0x82, bytes)));
            peer.hears(Heard::binary(bytes));
            peer.sends(peer.frames(wire::frame(0x89, bytes)));
            peer.hears(Heard::Ping(bytes.to_vec()));
            peer.expects(wire::frame(0x8a, bytes));
        }
    }
}

/// §5.5.1: a Close frame's reason is UTF-8 too.
#[test]
fn a_close_reason_that_is_not_utf_8_fails_the_connection() {
    for (bytes, _) in INVALID {
        for mut peer in Peer::both() {
            let body = [b"\x03\xe8", *bytes].concat();
            peer.breaks(peer.frames(wire::frame(0x88, &body)), ProtocolError::InvalidCloseReason);
        }
    }
}

/// Four megabytes in fragments of 64 bytes cost no more than they weigh: a check that starts again with each fragment
/// would take minutes.
#[test]
fn text_in_many_fragments_is_checked_once() {
    const BYTES: usize = 4 << 20;
    let config = Config { max_message_bytes: BYTES as u64, ..Default::default() };
    let mut peer = Peer::server_of(config);
    let text = "ä".repeat(32);
    peer.sends(wire::frame(0x01, text.as_bytes()));
    for _ in 2..BYTES / 64 {
        peer.sends(wire::frame(0x00, text.as_bytes()));
    }
    peer.sends(wire::frame(0x80, text.as_bytes()));
    peer.hears(Heard::text(&text.repeat(BYTES / 64)));
}
