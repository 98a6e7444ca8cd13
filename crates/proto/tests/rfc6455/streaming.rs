//! Messages in parts, as they come (§5.4, §5.6): memory for a part, however long the message.

use openline_proto::{Config, Connection, Event, Kind, Output, Payload, ProtocolError, SendError};

use crate::heard::{Heard, Mode};
use crate::peer::Peer;
use crate::wire;

fn part(kind: Kind, payload: &str, last: bool) -> Heard {
    Heard::Part(kind, payload.into(), last)
}

mod receiving {
    use super::*;

    #[test]
    fn each_piece_of_a_message_is_a_part() {
        for mut peer in Peer::both() {
            peer.mode = Mode::Parts;
            let frame = peer.frames(b"\x82\x05Hello");
            peer.sends(&frame[..frame.len() - 2]);
            peer.hears(part(Kind::Binary, "Hel", false));
            peer.sends(&frame[frame.len() - 2..]);
            peer.hears(part(Kind::Binary, "lo", true));
            peer.sends(peer.frames(b"\x01\x03one\x00\0\x00\x03two\x80\0\x81\0\x82\x01x"));
            peer.hears(part(Kind::Text, "one", false));
            peer.hears(part(Kind::Text, "two", false));
            peer.hears(part(Kind::Text, "", true));
            peer.hears(part(Kind::Text, "", true));
            peer.hears(part(Kind::Binary, "x", true));
            peer.hears_nothing();
        }
    }

    /// No byte of a message is kept between steps, but for a code point that is not whole yet: each part lies in the input,
    /// or is one such code point.
    #[test]
    fn parts_lie_in_the_input() {
        const FRAME_BYTES: usize = 1 << 20;
        let config = Config { max_frame_bytes: u64::MAX, max_message_bytes: u64::MAX, ..Default::default() };
        let now = std::time::Instant::now();
        let mut output = Output::new();
        let mut server = Connection::server(&Default::default(), config, now);
        for (opcode, character) in [(0x01, "€"), (0x02, "xyz")] {
            let payload = character.repeat(FRAME_BYTES / 3);
            let mut heard = 0;
            for first in [opcode, 0x00, 0x00, 0x80] {
                let mut wire = wire::mask(&wire::frame(first, payload.as_bytes()));
                for mut read in wire.chunks_mut(4096) {
                    while !read.is_empty() {
                        let received = server.receive_parts(read, now, &mut output).unwrap();
                        match received.event {
                            Some(Event::Part { payload: Payload::Input(range), .. }) => heard += range.len(),
                            Some(Event::Part { payload: Payload::Owned(straddler), .. }) => {
                                assert_eq!(straddler, character);
                                heard += straddler.len();
                            }
                            event => assert_eq!(event, None),
                        }
                        read = &mut read[received.consumed..];
                    }
                }
            }
            assert_eq!(heard, 4 * payload.len());
        }
    }

    /// §5.6: text is never cut inside a code point.
    #[test]
    fn parts_of_text_hold_whole_code_points() {
        let text = "aä€😀z";
        for mut peer in Peer::both() {
            peer.mode = Mode::Parts;
            for byte in peer.frames(wire::frame(0x81, text.as_bytes())) {
                peer.sends([byte]);
            }
            for (character, last) in [("a", false), ("ä", false), ("€", false), ("😀", false), ("z", true)] {
                peer.hears(part(Kind::Text, character, last));
            }
            peer.hears_nothing();
        }
    }

    /// §5.5: what comes between the fragments is handled as ever.
    #[test]
    fn control_frames_come_between_parts() {
        for mut peer in Peer::both() {
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x01\x01a\x89\x01p\x00\x01b\x88\x02\x03\xe8"));
            peer.hears(part(Kind::Text, "a", false));
            peer.hears(Heard::Ping(b"p".to_vec()));
            peer.hears(part(Kind::Text, "b", false));
            peer.hears(Heard::Close(openline_proto::CloseCode::NORMAL.into()));
            peer.expects(b"\x8a\x01p\x88\x02\x03\xe8");
        }
    }

    #[test]
    fn rules_are_rules_in_parts_too() {
        for (wire, error) in [
            (&b"\x80\x01x"[..], ProtocolError::UnexpectedContinuation),
            (b"\x01\x01a\x81\x01b", ProtocolError::InterleavedMessage),
            (b"\x81\x01\xff", ProtocolError::InvalidUtf8),
        ] {
            for mut peer in Peer::both() {
                peer.mode = Mode::Parts;
                assert_eq!(peer.try_sends(&peer.frames(wire)), Err(error.clone()));
            }
        }
    }
}

/// An application may change its mind between two reads, in the middle of a message.
mod changing_over {
    use super::*;

    /// What was put together comes as the first part, without waiting for more.
    #[test]
    fn from_whole_messages_to_parts() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x01\x03one\x00\x03two"));
            peer.hears_nothing();
            peer.mode = Mode::Parts;
            peer.sends(b"");
            peer.hears(part(Kind::Text, "onetwo", false));
            peer.sends(b"");
            peer.hears_nothing();
            peer.sends(peer.frames(b"\x80\x05three"));
            peer.hears(part(Kind::Text, "three", true));
        }
    }

    /// A code point that is half there goes out when it is whole.
    #[test]
    fn from_whole_messages_to_parts_inside_a_code_point() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x01\x03a\xe2\x82"));
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x80\x02\xacb"));
            peer.hears(part(Kind::Text, "a", false));
            peer.hears(part(Kind::Text, "€", false));
            peer.hears(part(Kind::Text, "b", true));
        }
    }

    /// Of a message of which parts went out, nobody can make a whole one: its rest is checked and dropped.
    #[test]
    fn from_parts_to_whole_messages() {
        for mut peer in Peer::both() {
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x01\x03one"));
            peer.hears(part(Kind::Text, "one", false));
            peer.mode = Mode::Whole;
            peer.sends(peer.frames(b"\x00\x03two\x89\0\x80\x05three\x81\x04next"));
            peer.hears(Heard::Ping(b"".to_vec()));
            peer.hears(Heard::text("next"));
            peer.hears_nothing();

            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x01\x03one"));
            peer.hears(part(Kind::Text, "one", false));
            peer.mode = Mode::Whole;
            let result = peer.try_sends(&peer.frames(b"\x80\x01\xff"));
            assert_eq!(result, Err(ProtocolError::InvalidUtf8));
        }
    }

    /// But one of which nothing went out is nobody's loss: a read that ended after its header, or inside its first code
    /// point, does not cost the message.
    #[test]
    fn from_parts_to_whole_messages_before_the_first_part() {
        for (frame, last) in [(&b"\x81\x03abc"[..], 3), (b"\x82\x03abc", 3), (b"\x81\x03\xe2\x82\xac", 1)] {
            for mut peer in Peer::both() {
                let wire = peer.frames(frame);
                peer.mode = Mode::Parts;
                let (begin, end) = wire.split_at(wire.len() - last);
                peer.sends(begin);
                peer.hears_nothing();
                peer.mode = Mode::Whole;
                peer.sends(end);
                match frame[0] {
                    0x81 => peer.hears(Heard::text(str::from_utf8(&frame[2..]).unwrap())),
                    _ => peer.hears(Heard::binary(&frame[2..])),
                }
                peer.hears_nothing();
            }
        }
        for mut peer in Peer::both() {
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x01\0"));
            peer.mode = Mode::Whole;
            peer.sends(peer.frames(b"\x00\x01\xc3"));
            peer.mode = Mode::Parts;
            peer.sends(b"");
            peer.hears_nothing();
            peer.mode = Mode::Whole;
            peer.sends(peer.frames(b"\x80\x01\xa4"));
            peer.hears(Heard::text("ä"));
        }
    }

    /// And back: a message with a hole in it is worse than none.
    #[test]
    fn from_parts_to_whole_messages_and_back() {
        for mut peer in Peer::both() {
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x01\x03one"));
            peer.hears(part(Kind::Text, "one", false));
            peer.mode = Mode::Whole;
            peer.sends(peer.frames(b"\x00\x03two"));
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x00\x05three\x80\x04four\x81\x04next"));
            peer.hears(part(Kind::Text, "next", true));
            peer.hears_nothing();

            // Nothing came meanwhile, nothing is missing.
            peer.sends(peer.frames(b"\x01\x03one"));
            peer.hears(part(Kind::Text, "one", false));
            peer.mode = Mode::Whole;
            peer.sends(peer.frames(b"\x89\0\x00\0"));
            peer.hears(Heard::Ping(b"".to_vec()));
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x80\x03two"));
            peer.hears(part(Kind::Text, "two", true));
        }
    }
}

mod sending {
    use super::*;

    /// `Output` holds the part and no more; over its limit it takes none.
    #[test]
    fn a_part_is_all_that_waits() {
        for mut peer in Peer::both_of(Config { max_output_bytes: 16 << 10, ..Default::default() }) {
            let part = [7; 1000];
            let mut wire = Vec::new();
            let mut most = 0;
            for _ in 0..10_000 {
                peer.connection.send_part(&part, false, &mut peer.output).unwrap();
                most = most.max(peer.output.len());
                wire.extend(peer.output.to_vec());
            }
            assert!(most <= part.len() + 8, "{most}");
            peer.connection.send_part(&part, true, &mut peer.output).unwrap();
            wire.extend(peer.output.to_vec());
            let masked = peer.connection.role() == openline_proto::Role::Client;
            assert_eq!(wire::said(&wire, masked), [wire::Said::Binary(vec![7; 10_001_000])]);

            let sent =
                (0..1000).take_while(|_| peer.connection.send_part(&part, false, &mut peer.output).is_ok()).count();
            assert_eq!(sent, 17);
            assert_eq!(peer.connection.send_part(&part, true, &mut peer.output), Err(SendError::Full));
            peer.takes();
            // The message goes on where it stopped.
            peer.connection.send_part(b"", true, &mut peer.output).unwrap();
            peer.expects(b"\x80\0");
        }
    }

    /// An owned part of 4 KiB or more is not copied.
    #[test]
    fn a_large_part_is_kept_by_reference() {
        let mut peer = Peer::client();
        let part = bytes::Bytes::from(vec![7; 50_000]);
        peer.connection.send_part(part.clone(), true, &mut peer.output).unwrap();
        assert_eq!(peer.output.len(), 50_004);
        let mut slices = [std::io::IoSlice::new(&[]); 2];
        assert_eq!(peer.output.slices(&mut slices), 2);
        assert_eq!(slices[1].as_ptr(), part.as_ptr());
    }
}
