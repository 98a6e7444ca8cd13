//! §5.4: messages in fragments.

use openline_proto::{Config, Kind, ProtocolError, SendError};

use crate::heard::Heard;
use crate::peer::Peer;
use crate::wire::{self, Said};

mod receiving {
    use super::*;

    #[test]
    fn fragments_are_put_together_in_order() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x01\x03one\x00\x03two\x00\x05three\x80\x04four"));
            peer.hears(Heard::text("onetwothreefour"));
            peer.sends(peer.frames(b"\x02\x01\xff\x80\x01\xfe"));
            peer.hears(Heard::binary(b"\xff\xfe"));
            peer.hears_nothing();
            peer.expects(b"");
        }
    }

    /// §5.4: a fragment may be empty, the first and the last as well.
    #[test]
    fn empty_fragments_count_as_fragments() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x01\0\x80\0"));
            peer.hears(Heard::text(""));
            peer.sends(peer.frames(b"\x02\0\x00\0\x00\x02hi\x00\0\x80\0"));
            peer.hears(Heard::binary(b"hi"));
        }
    }

    /// §5.4: "Control frames (see Section 5.5) MAY be injected in the middle of a fragmented message", and "An endpoint
    /// MUST be capable of handling control frames in the middle of a fragmented message."
    #[test]
    fn control_frames_between_fragments_are_handled_at_once() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x01\x03Hel\x89\x04ping"));
            peer.hears(Heard::Ping(b"ping".to_vec()));
            peer.expects(b"\x8a\x04ping");
            peer.sends(peer.frames(b"\x8a\x04pong\x80\x02lo"));
            peer.hears(Heard::Pong(b"pong".to_vec()));
            peer.hears(Heard::text("Hello"));
            peer.expects(b"");
        }
    }

    #[test]
    fn a_control_frame_between_fragments_may_come_byte_by_byte() {
        for mut peer in Peer::both() {
            for byte in peer.frames(b"\x01\x03Hel\x89\x04ping\x80\x02lo") {
                peer.sends([byte]);
            }
            peer.hears(Heard::Ping(b"ping".to_vec()));
            peer.hears(Heard::text("Hello"));
            peer.expects(b"\x8a\x04ping");
        }
    }

    /// §5.4: a continuation frame continues something.
    #[test]
    fn a_continuation_of_nothing_fails_the_connection() {
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x80\x01x"), ProtocolError::UnexpectedContinuation);
        }
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x00\x01x"), ProtocolError::UnexpectedContinuation);
        }
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x01\x01a\x80\x01b"));
            peer.hears(Heard::text("ab"));
            peer.breaks(peer.frames(b"\x80\0"), ProtocolError::UnexpectedContinuation);
        }
    }

    /// §5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another message unless an
    /// extension has been negotiated that can interpret the interleaving."
    #[test]
    fn a_message_inside_another_fails_the_connection() {
        for second in [&b"\x81\x01x"[..], b"\x01\x01x", b"\x82\0", b"\x02\0"] {
            for first in [&b"\x01\x01a"[..], b"\x02\0", b"\x02\x01a\x00\x01b"] {
                for mut peer in Peer::both() {
                    peer.sends(peer.frames(first));
                    peer.breaks(peer.frames(second), ProtocolError::InterleavedMessage);
                }
            }
        }
    }

    /// The type of a message is that of its first fragment, whatever came before.
    #[test]
    fn the_first_fragment_says_the_kind() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x02\x01\xff\x80\x01\xff\x01\x01a\x80\x01b"));
            peer.hears(Heard::binary(b"\xff\xff"));
            peer.hears(Heard::text("ab"));
        }
    }
}

mod sending {
    use super::*;

    /// §5.4: "A fragmented message consists of a single frame with the FIN bit clear and an opcode other than 0, followed
    /// by zero or more frames with the FIN bit clear and the opcode set to 0, and terminated by a single frame with the
    /// FIN bit set and an opcode of 0."
    #[test]
    fn a_long_message_goes_in_fragments() {
        let config = Config { fragment_bytes: 4, ..Default::default() };
        for mut peer in Peer::both_of(config.clone()) {
            peer.connection.send("Hello, world", &mut peer.output).unwrap();
            peer.expects(b"\x01\x04Hell\x00\x04o, w\x80\x04orld");
            peer.connection.send(b"Hello", &mut peer.output).unwrap();
            peer.expects(b"\x02\x04Hell\x80\x01o");
            peer.connection.send("Hell", &mut peer.output).unwrap();
            peer.expects(b"\x81\x04Hell");
            peer.connection.send("", &mut peer.output).unwrap();
            peer.expects(b"\x81\0");
        }
    }

    /// §5.6: "a particular text frame might include a partial UTF-8 sequence".
    #[test]
    fn a_fragment_may_end_inside_a_character() {
        let config = Config { fragment_bytes: 1, ..Default::default() };
        for mut peer in Peer::both_of(config) {
            peer.connection.send("ä", &mut peer.output).unwrap();
            peer.expects(b"\x01\x01\xc3\x80\x01\xa4");
        }
    }

    /// Lent or owned, small or kept by reference, of any length: the same frames.
    #[test]
    fn what_is_owned_goes_as_what_is_lent() {
        for fragment_bytes in [1000, 4096, 5000, 65_536] {
            let config = Config { fragment_bytes, ..Default::default() };
            for length in [0_usize, 1, 999, 1000, 1001, 4095, 4096, 4097, 8192, 10_000, 100_000] {
                let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
                for mut peer in Peer::both_of(config.clone()) {
                    peer.connection.send(&payload, &mut peer.output).unwrap();
                    let lent = peer.takes();
                    peer.connection.send(payload.clone(), &mut peer.output).unwrap();
                    peer.expects(&lent);
                    assert_eq!(wire::said(&lent, false), [Said::Binary(payload.clone())]);
                    assert_eq!(wire::frames(&lent).len(), length.max(1).div_ceil(fragment_bytes));
                }
            }
        }
    }

    /// §5.4: an application may choose the fragments.
    #[test]
    fn a_message_may_be_sent_in_parts() {
        for mut peer in Peer::both() {
            for (part, last) in [("one", false), ("two", false), ("three", true)] {
                peer.connection.send_part(part, last, &mut peer.output).unwrap();
            }
            peer.expects(b"\x01\x03one\x00\x03two\x80\x05three");
            peer.connection.send_part(b"all", true, &mut peer.output).unwrap();
            peer.expects(b"\x82\x03all");
            // No frame is spent on a part without a byte, unless it ends the message.
            peer.connection.send_part("", false, &mut peer.output).unwrap();
            peer.expects(b"");
            peer.connection.send_part("x", false, &mut peer.output).unwrap();
            peer.connection.send_part("", false, &mut peer.output).unwrap();
            peer.connection.send_part("", true, &mut peer.output).unwrap();
            peer.expects(b"\x01\x01x\x80\0");
        }
    }

    /// §5.4: another message cannot begin before this one ends, nor can it change its kind.
    #[test]
    fn messages_that_are_sent_do_not_interleave() {
        for mut peer in Peer::both() {
            let (connection, output) = (&mut peer.connection, &mut peer.output);
            connection.send_part("a", false, output).unwrap();
            assert_eq!(connection.send("b", output), Err(SendError::Unfinished));
            let shared = openline_proto::SharedMessage::new("b");
            assert_eq!(connection.send_shared(&shared, output), Err(SendError::Unfinished));
            let all = [shared.clone()].into_iter().collect();
            assert_eq!(connection.send_all_shared(&all, output), Err(SendError::Unfinished));
            assert_eq!(connection.send_part(b"b", true, output), Err(SendError::MixedKinds));
            connection.send_part("c", true, output).unwrap();
            connection.send("d", output).unwrap();
            peer.expects(b"\x01\x01a\x80\x01c\x81\x01d");
        }
    }

    #[test]
    fn control_frames_may_go_between_parts() {
        for mut peer in Peer::both() {
            peer.connection.send_part("a", false, &mut peer.output).unwrap();
            peer.expects(b"\x01\x01a");
            peer.connection.ping(b"p", &mut peer.output).unwrap();
            peer.sends(peer.frames(b"\x89\x01q"));
            peer.connection.send_part("b", true, &mut peer.output).unwrap();
            peer.expects(b"\x89\x01p\x8a\x01q\x80\x01b");
        }
    }

    /// A shared message is one message too, in the same frames for everyone; a client masks its copy.
    #[test]
    fn a_shared_message_goes_in_fragments() {
        for length in [0_usize, 5, 4095, 4096, 65_536, 65_537, 200_000] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let shared = openline_proto::SharedMessage::new(&payload);
            for mut peer in Peer::both() {
                peer.connection.send_shared(&shared, &mut peer.output).unwrap();
                let wire = peer.takes();
                assert_eq!(wire::said(&wire, false), [Said::Binary(payload.clone())]);
                assert_eq!(wire::frames(&wire).len(), length.max(1).div_ceil(65_536));
            }
            assert_eq!((shared.kind(), shared.as_bytes()), (Kind::Binary, &payload[..]));
        }
    }

    /// Many at once are the same messages as one by one, in the same frames.
    #[test]
    fn shared_messages_go_one_after_the_other() {
        use openline_proto::{SharedMessage, SharedMessages};
        for lengths in [&[][..], &[3], &[0, 5, 120], &[125, 126, 3000], &[2000, 2090], &[5000, 65_537, 1]] {
            let messages: SharedMessages =
                lengths.iter().map(|length| SharedMessage::new("x".repeat(*length))).collect();
            assert_eq!((messages.len(), messages.is_empty()), (lengths.len(), lengths.is_empty()));
            for [mut peer, mut other] in [[Peer::client(), Peer::client()], [Peer::server(), Peer::server()]] {
                peer.connection.send("before", &mut peer.output).unwrap();
                peer.connection.send_all_shared(&messages, &mut peer.output).unwrap();
                other.connection.send("before", &mut other.output).unwrap();
                for message in messages.iter() {
                    other.connection.send_shared(message, &mut other.output).unwrap();
                }
                assert!(peer.takes() == other.takes(), "{lengths:?}");
            }
        }
    }
}
