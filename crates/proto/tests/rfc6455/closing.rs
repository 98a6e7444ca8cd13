//! §5.5.1, §7: the closing handshake, failing a connection, and what is said about it afterwards.

use std::time::Duration;

use openline_proto::{Close, CloseCode, Config, Initiator, IoState, ProtocolError, Role, SendError, State, TimedOut};

use crate::heard::Heard;
use crate::peer::{Peer, close_frame};
use crate::wire;

/// §7.1.1: who closes TCP once both Close frames crossed.
fn after_the_handshake(peer: &Peer) -> (State, IoState) {
    match peer.connection.role() {
        Role::Server => (State::Closing, IoState::Shutdown),
        Role::Client => (State::Closing, IoState::AwaitEof),
    }
}

mod the_close_frame_5_5_1 {
    use super::*;

    /// "When sending a Close frame in response, the endpoint typically echos the status code it received."
    #[test]
    fn is_answered_with_its_code_and_reason() {
        for frame in [&b"\x88\0"[..], b"\x88\x02\x03\xe8", b"\x88\x08\x0f\xa0reason"] {
            for mut peer in Peer::both() {
                peer.sends(peer.frames(frame));
                peer.expects(frame);
                assert_eq!(peer.states(), after_the_handshake(&peer));
            }
        }
    }

    #[test]
    fn is_heard_once_however_it_is_cut() {
        let close = Close::new(CloseCode::GOING_AWAY, "gehe über");
        let frame = close_frame(1001, "gehe über");
        for cut in 0..=frame.len() + 4 {
            for mut peer in Peer::both() {
                let wire = peer.frames(&frame);
                let cut = cut.min(wire.len());
                peer.sends(&wire[..cut]);
                peer.sends(&wire[cut..]);
                peer.hears(Heard::Close(close.clone()));
                peer.hears_nothing();
                peer.expects(&frame);
            }
        }
    }

    /// "If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer".
    #[test]
    fn with_a_body_of_one_byte_fails_the_connection() {
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x88\x01\x03"), ProtocolError::TruncatedCloseCode);
        }
    }

    /// "The application MUST NOT send any more data frames after sending a Close frame."
    #[test]
    fn is_followed_by_no_data() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "");
            nothing_can_be_sent(&mut peer);
            peer.expects(b"\x88\x02\x03\xe8");
        }
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x88\0"));
            nothing_can_be_sent(&mut peer);
            peer.expects(b"\x88\0");
        }
    }

    fn nothing_can_be_sent(peer: &mut Peer) {
        let (connection, output) = (&mut peer.connection, &mut peer.output);
        let shared = openline_proto::SharedMessage::new("x");
        assert_eq!(connection.send("x", output), Err(SendError::Closed));
        assert_eq!(connection.send_part("x", true, output), Err(SendError::Closed));
        assert_eq!(connection.send_shared(&shared, output), Err(SendError::Closed));
        assert_eq!(connection.send_all_shared(&[shared].into_iter().collect(), output), Err(SendError::Closed));
        assert_eq!(connection.ping(b"x", output), Err(SendError::Closed));
    }

    /// What was queued before it goes before it.
    #[test]
    fn goes_behind_the_messages_that_wait() {
        for mut peer in Peer::both() {
            let long = vec![b'x'; 100_000];
            peer.connection.send(long.clone(), &mut peer.output).unwrap();
            peer.connection.send("last", &mut peer.output).unwrap();
            peer.sends(peer.frames(b"\x88\x02\x03\xe8"));
            let said = wire::said(&peer.takes(), false);
            let expected =
                [wire::Said::Binary(long), wire::Said::Text(b"last".to_vec()), wire::Said::Close(b"\x03\xe8".to_vec())];
            assert_eq!(said, expected);
        }
    }

    /// "An endpoint MAY delay sending a Close frame until its current message is sent" – or not: a message that was begun
    /// in parts is left unfinished.
    #[test]
    fn may_come_in_the_middle_of_a_message() {
        for mut peer in Peer::both() {
            peer.connection.send_part("begun", false, &mut peer.output).unwrap();
            peer.sends(peer.frames(b"\x01\x05begun\x88\x02\x03\xe8"));
            peer.hears(Heard::Close(CloseCode::NORMAL.into()));
            assert_eq!(peer.connection.send_part("more", true, &mut peer.output), Err(SendError::Closed));
            peer.expects(b"\x01\x05begun\x88\x02\x03\xe8");
        }
    }

    /// §1.4: "After receiving a control frame indicating the connection should be closed, a peer discards any further data
    /// received."
    #[test]
    fn ends_what_is_looked_at() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x88\0\x81\x01x\x88\x02\x03\xe9\x83\0\xff"));
            peer.hears(Heard::Close(Close::empty()));
            peer.hears_nothing();
            peer.expects(b"\x88\0");
            assert_eq!(peer.closed().code(), 1005);
        }
    }
}

mod starting_the_closing_handshake_7_1_2 {
    use super::*;

    #[test]
    fn sends_a_close_frame_and_waits_for_the_answer() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "bye");
            peer.expects(b"\x88\x05\x03\xe8bye");
            assert_eq!(peer.states(), (State::Closing, IoState::Open));
            assert_eq!(peer.connection.closed(), None);

            peer.sends(peer.frames(b"\x88\x02\x03\xe8"));
            peer.hears(Heard::Close(CloseCode::NORMAL.into()));
            peer.expects(b"");
            assert_eq!(peer.states(), after_the_handshake(&peer));
            let closed = peer.closed();
            assert_eq!((closed.code(), closed.by, closed.is_clean()), (1000, Initiator::Us, true));
            assert_eq!(closed.sent, Some(Close::new(CloseCode::NORMAL, "bye")));
        }
    }

    /// The first call counts.
    #[test]
    fn happens_once() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "first");
            peer.closes(CloseCode::GOING_AWAY, "second");
            peer.expects(close_frame(1000, "first"));
            peer.closes(CloseCode::GOING_AWAY, "third");
            peer.expects(b"");
            peer.sends(peer.frames(b"\x88\0"));
            peer.closes(CloseCode::GOING_AWAY, "fourth");
            peer.expects(b"");
            assert_eq!(peer.closed().sent, Some(Close::new(CloseCode::NORMAL, "first")));
        }
        for mut peer in Peer::both() {
            peer.sends(peer.frames(close_frame(4000, "theirs")));
            peer.closes(CloseCode::NORMAL, "ours comes too late");
            peer.expects(close_frame(4000, "theirs"));
        }
    }

    /// Messages that the peer had sent before it saw our Close frame are heard.
    #[test]
    fn still_hears_what_comes_before_the_answer() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "");
            peer.sends(peer.frames(b"\x81\x02on\x01\x03the\x80\x03way\x8a\x01x"));
            peer.hears(Heard::text("on"));
            peer.hears(Heard::text("theway"));
            peer.hears(Heard::Pong(b"x".to_vec()));
            peer.sends(peer.frames(b"\x88\0"));
            peer.hears(Heard::Close(Close::empty()));
        }
    }

    /// WHATWG: "the RFC erroneously states that the status code is required" to start.
    #[test]
    fn needs_no_code() {
        for mut peer in Peer::both() {
            peer.connection.close(Close::empty(), peer.now, &mut peer.output);
            peer.expects(b"\x88\0");
        }
    }

    /// Both ends begin: each Close frame is the answer to the other, and nobody answers twice.
    #[test]
    fn from_both_ends_at_once() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "ours");
            peer.sends(peer.frames(close_frame(1001, "theirs")));
            peer.expects(close_frame(1000, "ours"));
            assert_eq!(peer.states(), after_the_handshake(&peer));
            let closed = peer.closed();
            assert_eq!((closed.code(), closed.reason(), closed.by), (1001, "theirs", Initiator::Us));
        }
    }

    #[test]
    fn with_a_peer_that_breaks_a_rule_instead_of_answering() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "");
            peer.expects(b"\x88\x02\x03\xe8");
            let error = peer.try_sends(&peer.frames(b"\x83\0"));
            assert_eq!(error, Err(ProtocolError::ReservedOpcode(3)));
            peer.expects(b"");
            assert_eq!(peer.states(), (State::Closing, IoState::Shutdown));
            assert_eq!((peer.closed().code(), peer.closed().by), (1006, Initiator::Us));
        }
    }
}

/// §7.1.1: "the underlying TCP connection, in most normal cases, SHOULD be closed first by the server, so that it holds the
/// TIME_WAIT state and not the client". What is in the way of that has a deadline.
mod closing_tcp_7_1_1 {
    use super::*;

    const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

    #[test]
    fn is_the_servers_part_and_the_client_waits() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x88\x02\x03\xe8"));
            assert_eq!(peer.states(), after_the_handshake(&peer));
            peer.drops();
            assert_eq!(peer.states(), (State::Closed, IoState::Closed));
            assert_eq!((peer.closed().code(), peer.closed().is_clean()), (1000, true));
        }
    }

    #[test]
    fn is_not_waited_for_without_end() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x88\x02\x03\xe8"));
            assert_eq!(peer.next_timeout(), Some(CLOSE_TIMEOUT));
            assert_eq!(peer.waits(CLOSE_TIMEOUT - Duration::from_nanos(1)), Ok(()));
            assert_eq!(peer.states(), after_the_handshake(&peer));
            // The handshake is over, so that the peer does not drop the line is no error.
            assert_eq!(peer.waits(Duration::from_nanos(1)), Ok(()));
            assert_eq!(peer.states(), (State::Closed, IoState::Closed));
            assert_eq!((peer.closed().code(), peer.closed().is_clean()), (1000, true));
            assert_eq!(peer.next_timeout(), None);
        }
    }

    /// §7.1.1: an endpoint may use "any means available" when it must.
    #[test]
    fn without_an_answer_to_our_close_frame() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "");
            peer.takes();
            assert_eq!(peer.next_timeout(), Some(CLOSE_TIMEOUT));
            assert_eq!(peer.waits(CLOSE_TIMEOUT), Err(TimedOut::Close));
            assert_eq!(peer.states(), (State::Closed, IoState::Closed));
            assert_eq!((peer.closed().code(), peer.closed().by), (1006, Initiator::Us));
            assert!(!peer.closed().is_clean());
            assert_eq!(peer.next_timeout(), None);
        }
    }

    /// Nothing that the peer sends but a Close frame puts that deadline off.
    #[test]
    fn while_the_peer_goes_on_talking() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "");
            peer.takes();
            for _ in 0..4 {
                assert_eq!(peer.waits(Duration::from_secs(1)), Ok(()));
                peer.sends(peer.frames(b"\x81\x01x\x89\0"));
                peer.takes();
            }
            assert_eq!(peer.waits(Duration::from_secs(1)), Err(TimedOut::Close));
        }
    }

    #[test]
    fn after_a_failure_waits_for_the_peer_to_see_why() {
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x83\0"), ProtocolError::ReservedOpcode(3));
            assert_eq!(peer.next_timeout(), Some(CLOSE_TIMEOUT));
            assert_eq!(peer.waits(CLOSE_TIMEOUT), Ok(()), "the error was told once");
            assert_eq!(peer.states(), (State::Closed, IoState::Closed));
            assert_eq!(peer.closed().code(), 1006);
        }
    }
}

/// §7.1.5, §7.1.6: what TCP's end means depends on the Close frames that were seen.
mod the_close_code_7_1_5 {
    use super::*;

    #[test]
    fn is_the_received_one() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(close_frame(4999, "because")));
            peer.drops();
            assert_eq!((peer.closed().code(), peer.closed().reason()), (4999, "because"));
            assert_eq!(peer.closed().by, Initiator::Peer);
            assert!(peer.closed().is_clean());
        }
    }

    #[test]
    fn is_1005_when_the_received_frame_has_none() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x88\0"));
            peer.drops();
            assert_eq!((peer.closed().code(), peer.closed().reason()), (1005, ""));
            assert!(peer.closed().is_clean());
        }
    }

    /// A TCP connection that ends in any state, without a Close frame from the peer, was cut off.
    #[test]
    fn is_1006_when_no_close_frame_came() {
        let begun: [&[u8]; 6] = [
            b"",                 // between messages
            b"\x81",             // in a header
            b"\x81\x05Hel",      // in a frame
            b"\x01\x05Hello",    // between fragments
            b"\x89\x05pi",       // in a ping
            b"\x88\x05\x03\xe8", // in a Close frame
        ];
        for begun in begun {
            for mut peer in Peer::both() {
                peer.sends(peer.frames(begun));
                peer.drops();
                assert_eq!(peer.states(), (State::Closed, IoState::Closed));
                assert_eq!((peer.closed().code(), peer.closed().reason()), (1006, ""));
                assert_eq!((peer.closed().by, peer.closed().is_clean()), (Initiator::Peer, false));
                peer.hears_nothing();
            }
        }
    }

    #[test]
    fn is_1006_when_our_close_frame_was_not_answered() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "");
            peer.drops();
            assert_eq!((peer.closed().code(), peer.closed().by), (1006, Initiator::Us));
            assert_eq!(peer.closed().sent, Some(CloseCode::NORMAL.into()));
            assert!(!peer.closed().is_clean());
        }
    }

    #[test]
    fn is_1006_when_we_failed_the_connection() {
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x83\0"), ProtocolError::ReservedOpcode(3));
            peer.drops();
            assert_eq!(peer.states(), (State::Closed, IoState::Closed));
            assert_eq!((peer.closed().code(), peer.closed().by), (1006, Initiator::Us));
        }
    }

    /// Once TCP is gone, nothing more happens.
    #[test]
    fn stays_as_it_is() {
        for mut peer in Peer::both() {
            peer.drops();
            let closed = peer.closed().clone();
            peer.closes(CloseCode::NORMAL, "");
            peer.sends(peer.frames(b"\x88\0\x81\x01x\x89\0"));
            assert_eq!(peer.connection.send("x", &mut peer.output), Err(SendError::Closed));
            assert_eq!(peer.waits(Duration::from_secs(3600)), Ok(()));
            peer.drops();
            peer.hears_nothing();
            peer.expects(b"");
            assert_eq!(*peer.closed(), closed);
            assert_eq!(peer.states(), (State::Closed, IoState::Closed));
        }
    }
}

mod failing_the_connection_7_1_7 {
    use super::*;

    /// Every rule that a peer can break in a few bytes, and the Close frame that it gets for it.
    #[test]
    fn tells_the_peer_which_rule_it_broke() {
        use ProtocolError::*;
        let config =
            Config { max_frame_bytes: 10, max_message_bytes: 15, max_empty_fragments: 1, ..Default::default() };
        let table: [(&[u8], ProtocolError, u16, &str); 15] = [
            (b"\xc1\0", ReservedBits, 1002, "a reserved bit is set (RFC 6455 §5.2)"),
            (b"\x83\0", ReservedOpcode(3), 1002, "opcode 3 is reserved (RFC 6455 §5.2)"),
            (b"\x8f\0", ReservedOpcode(15), 1002, "opcode 15 is reserved (RFC 6455 §5.2)"),
            (b"\x82\x7e\0\x05", NonMinimalLength, 1002, "a length is not in its shortest form (RFC 6455 §5.2)"),
            (
                b"\x82\x7f\x80\0\0\0\0\0\0\0",
                LengthOutOfRange,
                1002,
                "a length has its most significant bit set (RFC 6455 §5.2)",
            ),
            (b"\x09\0", FragmentedControl, 1002, "a control frame is fragmented (RFC 6455 §5.5)"),
            (b"\x89\x7e\0\x7e", LongControl, 1002, "a control frame is over 125 bytes (RFC 6455 §5.5)"),
            (b"\x80\0", UnexpectedContinuation, 1002, "a continuation frame continues nothing (RFC 6455 §5.4)"),
            (b"\x01\0\x81\0", InterleavedMessage, 1002, "a message begins inside another (RFC 6455 §5.4)"),
            (b"\x88\x01x", TruncatedCloseCode, 1002, "a close code is one byte long (RFC 6455 §5.5.1)"),
            (b"\x88\x02\x03\xee", InvalidCloseCode(1006), 1002, "close code 1006 must not be sent (RFC 6455 §7.4)"),
            (b"\x88\x03\x03\xe8\xff", InvalidCloseReason, 1007, "a close reason is not UTF-8 (RFC 6455 §5.5.1)"),
            (b"\x81\x01\xff", InvalidUtf8, 1007, "a text message is not UTF-8 (RFC 6455 §5.6)"),
            (
                b"\x82\x0b",
                FrameTooBig { bytes: 11, max: 10 },
                1009,
                "a frame of 11 bytes is over the limit of 10 (RFC 6455 §10.4)",
            ),
            (
                b"\x02\0\x00\0",
                TooManyEmptyFragments { max: 1 },
                1008,
                "a message has over 1 empty fragments (RFC 6455 §10.4)",
            ),
        ];
        for (wire, error, code, reason) in table {
            for mut peer in Peer::both_of(config.clone()) {
                assert_eq!((u16::from(error.close_code()), error.to_string()), (code, reason.to_owned()));
                peer.breaks(peer.frames(wire), error.clone());
            }
        }
        for mut peer in Peer::both_of(config) {
            let error = MessageTooBig { max: 15 };
            assert_eq!(error.to_string(), "a message is over the limit of 15 bytes (RFC 6455 §10.4)");
            peer.breaks(peer.frames(b"\x02\x0a0123456789\x80\x06"), error);
        }
        let (unmasked, masked) = (&b"\x81\0"[..], &b"\x81\x80\0\0\0\0"[..]);
        assert_eq!(UnmaskedFrame.to_string(), "a client's frame is not masked (RFC 6455 §5.1)");
        assert_eq!(MaskedFrame.to_string(), "a server's frame is masked (RFC 6455 §5.1)");
        Peer::client().breaks(unmasked, UnmaskedFrame);
        Peer::server().breaks(masked, MaskedFrame);
    }

    /// §5.5: the longest reason that an error can give fits a Close frame, uncut.
    #[test]
    fn with_words_that_fit() {
        let max = u64::MAX;
        for error in [
            ProtocolError::FrameTooBig { bytes: max, max },
            ProtocolError::MessageTooBig { max },
            ProtocolError::TooManyEmptyFragments { max: u32::MAX },
        ] {
            assert!(error.to_string().len() <= Close::MAX_REASON_BYTES);
        }
        let config = Config { max_frame_bytes: 0, ..Default::default() };
        for mut peer in Peer::both_of(config) {
            let wire = peer.frames(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff");
            peer.breaks(wire, ProtocolError::FrameTooBig { bytes: u64::MAX >> 1, max: 0 });
        }
    }

    /// What was right before the wrong bytes is heard, and the pongs that were due are sent, before the Close frame.
    #[test]
    fn after_what_came_before_it() {
        for mut peer in Peer::both() {
            let wire = peer.frames(b"\x81\x02ok\x89\x01p\x83\0");
            assert_eq!(peer.try_sends(&wire), Err(ProtocolError::ReservedOpcode(3)));
            peer.hears(Heard::text("ok"));
            peer.hears(Heard::Ping(b"p".to_vec()));
            let close = close_frame(1002, "opcode 3 is reserved (RFC 6455 §5.2)");
            peer.expects([b"\x8a\x01p", &close[..]].concat());
        }
    }

    /// "An endpoint MUST NOT continue to attempt to process data (including a responding Close frame) from the remote
    /// endpoint after being instructed to _Fail the WebSocket Connection_."
    #[test]
    fn and_hears_nothing_more() {
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x83\0"), ProtocolError::ReservedOpcode(3));
            peer.sends(peer.frames(b"\x88\x02\x03\xea"));
            peer.hears_nothing();
            peer.expects(b"");
            assert_eq!((peer.closed().received.clone(), peer.closed().code()), (None, 1006));
        }
    }

    #[test]
    fn and_sends_nothing_more() {
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x83\0"), ProtocolError::ReservedOpcode(3));
            assert_eq!(peer.connection.send("x", &mut peer.output), Err(SendError::Closed));
            assert_eq!(peer.connection.ping(b"x", &mut peer.output), Err(SendError::Closed));
            peer.closes(CloseCode::NORMAL, "");
            peer.expects(b"");
        }
    }
}

mod close_codes_7_4 {
    use super::*;

    fn may_be_on_the_wire(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// Every code there is, in a frame: the registered ones, 3000-3999 and 4000-4999 are echoed; 0-999, the reserved 1004,
    /// 1005, 1006 and 1015, what is unassigned and 5000 upwards break §7.4.
    #[test]
    fn that_may_arrive() {
        for code in 0..=u16::MAX {
            let peer = if code % 2 == 0 { Peer::client() } else { Peer::server() };
            let mut peer = peer;
            let frame = close_frame(code, "");
            let wire = peer.frames(&frame);
            if may_be_on_the_wire(code) {
                peer.sends(wire);
                peer.expects(frame);
                assert_eq!(peer.closed().code(), code);
            } else {
                peer.breaks(wire, ProtocolError::InvalidCloseCode(code));
            }
        }
    }

    /// §7.4.1: 1005, 1006 and 1015 "MUST NOT be set as a status code in a Close control frame": there is no such value.
    #[test]
    fn that_may_be_sent() {
        for code in 0..=u16::MAX {
            assert_eq!(CloseCode::try_from(code).is_ok(), may_be_on_the_wire(code), "{code}");
        }
        for code in [1000, 1001, 1014, 3000, 4999] {
            for mut peer in Peer::both() {
                peer.closes(CloseCode::try_from(code).unwrap(), "why");
                peer.expects(close_frame(code, "why"));
            }
        }
    }

    /// §5.5: a reason that would make the frame too long is cut, at a character.
    #[test]
    fn with_a_reason_that_is_too_long() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::POLICY, &"€".repeat(100));
            peer.expects(close_frame(1008, &"€".repeat(41)));
        }
    }
}
