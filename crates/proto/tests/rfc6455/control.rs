//! §5.5: Ping and Pong. Close is in `closing`.

use openline_proto::{CloseCode, Config, ProtocolError, SendError, State};

use crate::heard::Heard;
use crate::peer::{Peer, close_frame};
use crate::wire;

/// §5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
mod every_control_frame {
    use super::*;

    #[test]
    fn over_125_bytes_fails_the_connection() {
        for opcode in [0x88, 0x89, 0x8a] {
            for length in [126, 200, 65_535, 65_536] {
                for mut peer in Peer::both() {
                    peer.breaks(peer.frames(wire::frame(opcode, &vec![0; length])), ProtocolError::LongControl);
                }
            }
        }
    }

    #[test]
    fn in_fragments_fails_the_connection() {
        for opcode in [0x08, 0x09, 0x0a] {
            for mut peer in Peer::both() {
                peer.breaks(peer.frames([opcode, 0]), ProtocolError::FragmentedControl);
            }
        }
    }

    #[test]
    fn of_125_bytes_is_handled() {
        let payload = [b'x'; 125];
        for mut peer in Peer::both() {
            peer.sends(peer.frames(wire::frame(0x89, &payload)));
            peer.hears(Heard::Ping(payload.to_vec()));
            peer.expects(wire::frame(0x8a, &payload));
            peer.sends(peer.frames(wire::frame(0x8a, &payload)));
            peer.hears(Heard::Pong(payload.to_vec()));
            peer.sends(peer.frames(close_frame(1000, &"x".repeat(123))));
            peer.expects(close_frame(1000, &"x".repeat(123)));
        }
    }
}

mod ping_5_5_2 {
    use super::*;

    /// §5.5.3: "A Pong frame sent in response to a Ping frame must have identical "Application data" as found in the
    /// message body of the Ping frame being replied to."
    #[test]
    fn is_answered_with_its_data() {
        let mut peer = Peer::client();
        peer.sends(b"\x89\x81\0\0\0\0x");
        peer.expects(b"\x8a\x01x");
        for length in 0..=125 {
            let payload: Vec<u8> = (0..length).map(|i| 255 - i).collect();
            for mut peer in Peer::both() {
                peer.sends(peer.frames(wire::frame(0x89, &payload)));
                peer.hears(Heard::Ping(payload.clone()));
                peer.expects(wire::frame(0x8a, &payload));
            }
        }
    }

    #[test]
    fn is_answered_however_it_is_cut() {
        let frame = wire::frame(0x89, b"abcdefgh");
        for mut peer in Peer::both() {
            let wire = peer.frames(&frame);
            for cut in 0..=wire.len() {
                peer.sends(&wire[..cut]);
                peer.sends(&wire[cut..]);
                peer.hears(Heard::Ping(b"abcdefgh".to_vec()));
                peer.hears_nothing();
                peer.expects(b"\x8a\x08abcdefgh");
            }
        }
    }

    #[test]
    fn each_is_answered_in_order() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x89\x01a\x89\x01b\x89\0\x89\x01c"));
            peer.expects(b"\x8a\x01a\x8a\x01b\x8a\0\x8a\x01c");
        }
    }

    /// §5.5.2: a Pong is due "unless it already received a Close frame".
    #[test]
    fn is_not_answered_after_a_close_frame() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x88\x02\x03\xe8\x89\x01x"));
            peer.hears(Heard::Close(CloseCode::NORMAL.into()));
            peer.hears_nothing();
            peer.expects(b"\x88\x02\x03\xe8");
        }
    }

    /// §5.5.2: having sent a Close frame is no excuse, for §5.5.1 forbids only "any more data frames".
    #[test]
    fn is_answered_after_our_close_frame() {
        for mut peer in Peer::both() {
            peer.closes(CloseCode::NORMAL, "");
            peer.expects(b"\x88\x02\x03\xe8");
            peer.sends(peer.frames(b"\x89\x01x"));
            peer.expects(b"\x8a\x01x");
        }
    }

    #[test]
    fn can_be_sent_with_up_to_125_bytes_while_open() {
        for mut peer in Peer::both() {
            let (connection, output) = (&mut peer.connection, &mut peer.output);
            assert_eq!(connection.ping(&[0; 126], output), Err(SendError::LongControl));
            connection.ping(&[b'x'; 125], output).unwrap();
            peer.expects(wire::frame(0x89, &[b'x'; 125]));
            peer.closes(CloseCode::NORMAL, "");
            assert_eq!(peer.connection.ping(b"", &mut peer.output), Err(SendError::Closed));
        }
    }
}

mod pong_5_5_3 {
    use super::*;

    /// §5.5.3: "A Pong frame MAY be sent unsolicited. […] A response to an unsolicited Pong frame is not expected."
    #[test]
    fn unsolicited_is_only_heard() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x8a\x05hello\x8a\0"));
            peer.hears(Heard::Pong(b"hello".to_vec()));
            peer.hears(Heard::Pong(b"".to_vec()));
            peer.expects(b"");
            assert_eq!(peer.connection.state(), State::Open);
        }
    }

    /// §5.5.3: an endpoint "MAY elect to send a Pong frame for only the most recently processed Ping frame". We answer
    /// each while they fit in 4 KiB, and beyond that the newest: a peer that pings and never reads gets no more memory.
    #[test]
    fn a_flood_of_pings_is_answered_in_bounded_memory() {
        for mut peer in Peer::both() {
            let mut most = 0;
            for i in 0..200_000_u32 {
                peer.sends(peer.frames(wire::frame(0x89, &i.to_be_bytes())));
                most = most.max(peer.output.len());
            }
            assert!(most <= 4096 + 131, "{most} bytes wait");
            let pongs = wire::frames(&peer.takes());
            assert!(pongs.iter().all(|pong| pong.opcode == wire::PONG));
            let numbers: Vec<u32> =
                pongs.iter().map(|pong| u32::from_be_bytes(*pong.payload.as_array().unwrap())).collect();
            assert!(numbers.is_sorted(), "in order");
            assert_eq!((numbers[0], numbers.last()), (0, Some(&199_999)), "the newest is always answered");
            assert!(numbers.len() > 300, "each is, while there is room");
        }
    }

    /// The same when the largest pings come while a part of a pong is written, with our own pings between.
    #[test]
    fn a_flood_is_bounded_while_the_peer_takes_single_bytes() {
        for mut peer in Peer::both() {
            let mut wire = Vec::new();
            for i in 0..20_000_u32 {
                peer.sends(peer.frames(wire::frame(0x89, &[i as u8; 125])));
                if i % 7 == 0 {
                    let _ = peer.connection.ping(&[i as u8; 125], &mut peer.output);
                }
                if i % 50 == 0 {
                    wire.push(first_byte(&mut peer));
                }
                assert!(peer.output.len() <= 4096 + 131);
            }
            wire.extend(peer.output.to_vec());
            let frames = wire::frames(&wire);
            assert!(frames.iter().all(|frame| frame.payload.len() == 125));
            assert_eq!(frames.last().map(|frame| frame.payload[0]), Some(19_999_u32 as u8));
        }
    }

    fn first_byte(peer: &mut Peer) -> u8 {
        let mut slices = [std::io::IoSlice::new(&[])];
        peer.output.slices(&mut slices);
        let byte = slices[0][0];
        peer.output.advance(1);
        byte
    }

    /// What the newest pong takes the place of is a pong: our own pings are asked once.
    #[test]
    fn a_pong_does_not_take_the_place_of_a_ping() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x89\x05first"));
            let pings = (0..1000).take_while(|_| peer.connection.ping(&[0; 125], &mut peer.output).is_ok()).count();
            for i in 0..100 {
                peer.sends(peer.frames(wire::frame(0x89, &[i; 125])));
            }
            let first = wire::frame(0x8a, b"first");
            let last = wire::frame(0x8a, &[99; 125]);
            peer.expects([first, wire::frame(0x89, &[0; 125]).repeat(pings), last].concat());
        }
    }

    /// Our pings are bounded too, and ask the application to wait.
    #[test]
    fn pings_that_nobody_takes_are_refused() {
        for mut peer in Peer::both() {
            let queued = (0..1000).take_while(|_| peer.connection.ping(&[0; 125], &mut peer.output).is_ok()).count();
            assert!((30..=32).contains(&queued), "{queued}");
            assert_eq!(peer.connection.ping(&[0; 125], &mut peer.output), Err(SendError::Full));
            assert_eq!(wire::frames(&peer.takes()).len(), queued);
            assert_eq!(peer.connection.ping(&[0; 125], &mut peer.output), Ok(()));
        }
    }

    /// Data that fills the output delays neither pongs nor the Close frame.
    #[test]
    fn a_full_output_still_answers() {
        for mut peer in Peer::both_of(Config { max_output_bytes: 100, ..Default::default() }) {
            peer.connection.send(&[1; 200], &mut peer.output).unwrap();
            assert_eq!(peer.connection.send(b"x", &mut peer.output), Err(SendError::Full));
            peer.sends(peer.frames(b"\x89\x01x\x88\0"));
            let frames = wire::frames(&peer.takes());
            let opcodes: Vec<u8> = frames.iter().map(|frame| frame.opcode).collect();
            assert_eq!(opcodes, [wire::PONG, wire::BINARY, wire::CLOSE]);
        }
    }
}
