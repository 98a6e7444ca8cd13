//! §5.1-§5.3, §5.6-§5.8: one frame at a time.

use openline_proto::ProtocolError;

use crate::heard::Heard;
use crate::peer::Peer;
use crate::wire;

/// §5.7, every example: what it means to its reader, and that we write the same bytes where the choice is ours.
mod examples_5_7 {
    use super::*;

    #[test]
    fn a_single_frame_unmasked_text_message() {
        let mut peer = Peer::server();
        peer.sends(b"\x81\x05\x48\x65\x6c\x6c\x6f");
        peer.hears(Heard::text("Hello"));

        let mut peer = Peer::client();
        peer.connection.send("Hello", &mut peer.output).unwrap();
        assert_eq!(peer.output.to_vec(), b"\x81\x05\x48\x65\x6c\x6c\x6f");
    }

    #[test]
    fn a_single_frame_masked_text_message() {
        let mut peer = Peer::client();
        peer.sends(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        peer.hears(Heard::text("Hello"));
    }

    #[test]
    fn a_fragmented_unmasked_text_message() {
        let mut peer = Peer::server();
        peer.sends(b"\x01\x03\x48\x65\x6c");
        peer.hears_nothing();
        peer.sends(b"\x80\x02\x6c\x6f");
        peer.hears(Heard::text("Hello"));

        let mut peer = Peer::client();
        peer.connection.send_part("Hel", false, &mut peer.output).unwrap();
        peer.connection.send_part("lo", true, &mut peer.output).unwrap();
        assert_eq!(peer.output.to_vec(), b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f");
    }

    #[test]
    fn an_unmasked_ping_and_a_masked_pong() {
        let mut peer = Peer::server();
        peer.sends(b"\x89\x05\x48\x65\x6c\x6c\x6f");
        peer.hears(Heard::Ping(b"Hello".to_vec()));
        peer.expects(b"\x8a\x05Hello");

        let mut peer = Peer::client();
        peer.sends(b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        peer.hears(Heard::Pong(b"Hello".to_vec()));
        peer.expects(b"");
    }

    #[test]
    fn binary_messages_of_256_bytes_and_64_kib() {
        for (header, length) in [(&b"\x82\x7e\x01\x00"[..], 256), (b"\x82\x7f\0\0\0\0\0\x01\0\0", 65_536)] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let frame = [header, &payload].concat();

            let mut peer = Peer::server();
            peer.sends(&frame);
            peer.hears(Heard::binary(&payload));

            let mut peer = Peer::client();
            peer.connection.send(&payload, &mut peer.output).unwrap();
            assert_eq!(peer.output.to_vec(), frame);
        }
    }
}

mod masking_5_1_and_5_3 {
    use super::*;

    /// §5.1: "The server MUST close the connection upon receiving a frame that is not masked. In this case, a server MAY
    /// send a Close frame with a status code of 1002".
    #[test]
    fn a_server_fails_on_a_frame_that_is_not_masked() {
        for frame in [&b"\x81\x05Hello"[..], b"\x82\0", b"\x89\0", b"\x8a\0", b"\x88\0", b"\x80\0"] {
            Peer::client().breaks(frame, ProtocolError::UnmaskedFrame);
        }
    }

    /// §5.1: "A client MUST close a connection if it detects a masked frame."
    #[test]
    fn a_client_fails_on_a_masked_frame() {
        for frame in [&b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..], b"\x82\x80\0\0\0\0", b"\x89\x80\0\0\0\0"] {
            Peer::server().breaks(frame, ProtocolError::MaskedFrame);
        }
    }

    /// §5.1: "a client MUST mask all frames that it sends to the server", "A server MUST NOT mask any frames".
    #[test]
    fn a_client_masks_every_frame_and_a_server_none() {
        for (mut peer, masked) in Peer::both().into_iter().zip([false, true]) {
            let (connection, output) = (&mut peer.connection, &mut peer.output);
            connection.send("text", output).unwrap();
            connection.send(vec![7; 100_000], output).unwrap();
            connection.send_part("par", false, output).unwrap();
            connection.send_part("ts", true, output).unwrap();
            connection.send_shared(&openline_proto::SharedMessage::new(vec![8; 100_000]), output).unwrap();
            connection.ping(b"ping", output).unwrap();
            peer.sends(peer.frames(b"\x89\0"));
            peer.closes(openline_proto::CloseCode::NORMAL, "bye");
            let frames = wire::frames(&peer.output.to_vec());
            assert_eq!(frames.len(), 10, "two of the messages go in two frames");
            assert!(frames.iter().all(|frame| frame.masked == masked));
        }
    }

    /// §5.3: "a client MUST pick a fresh masking key" for each frame, from a strong source of entropy: the seed.
    #[test]
    fn a_client_picks_a_fresh_key_for_every_frame() {
        let mut keys = std::collections::HashSet::new();
        let mut peer = Peer::server();
        for _ in 0..1000 {
            peer.connection.send(&[0; 4], &mut peer.output).unwrap();
            let wire = peer.output.to_vec();
            assert_eq!(wire[..2], *b"\x82\x84");
            // The mask of zeros is the key.
            assert_eq!(wire[2..6], wire[6..10]);
            keys.insert(wire[2..6].to_vec());
        }
        assert!(keys.len() > 990, "32 random bits hardly ever repeat");
    }

    /// §10.3: what a server or a script can see of one connection's keys must not tell another's.
    #[test]
    fn keys_depend_on_the_seed_and_on_nothing_else() {
        let now = std::time::Instant::now();
        let wire = |seed| {
            let mut output = openline_proto::Output::new();
            let config = openline_proto::Config::default();
            let mut client = openline_proto::Connection::client(&Default::default(), config, seed, now);
            client.send("same", &mut output).unwrap();
            output.to_vec()
        };
        assert_eq!(wire([1; 32]), wire([1; 32]));
        assert_ne!(wire([1; 32]), wire([2; 32]));
    }

    /// §5.3: "octet i of the transformed data […] XOR of octet i of the original data with octet at index i modulo 4 of
    /// the masking key", wherever reads cut the payload.
    #[test]
    fn the_mask_goes_on_where_a_read_ended() {
        let payload: Vec<u8> = (0..=255).collect();
        let frame = wire::mask(&wire::frame(0x82, &payload));
        for cut in 0..frame.len() {
            let mut peer = Peer::client();
            peer.sends(&frame[..cut]);
            peer.hears_nothing();
            peer.sends(&frame[cut..]);
            peer.hears(Heard::binary(&payload));
        }
    }
}

mod headers_5_2 {
    use super::*;

    /// §5.2: RSV "MUST be 0 unless an extension is negotiated that defines meanings for non-zero values".
    #[test]
    fn reserved_bits_fail_the_connection() {
        let bits = [0x40, 0x20, 0x10, 0x70, 0x50, 0x30];
        for (bits, opcode) in bits.into_iter().zip([1, 2, 8, 9, 10, 0]) {
            for mut peer in Peer::both() {
                peer.breaks(peer.frames([0x80 | bits | opcode, 1, b'x']), ProtocolError::ReservedBits);
            }
        }
    }

    /// §5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail the WebSocket Connection_."
    #[test]
    fn unknown_opcodes_fail_the_connection() {
        for opcode in (3..8).chain(11..16) {
            for mut peer in Peer::both() {
                peer.breaks(peer.frames([0x80 | opcode, 0]), ProtocolError::ReservedOpcode(opcode));
            }
        }
    }

    /// §5.2: "the minimal number of bytes MUST be used to encode the length, for example, the length of a 124-byte-long
    /// string can't be encoded as the sequence 126, 0, 124."
    #[test]
    fn a_length_that_is_not_minimal_fails_the_connection() {
        for header in [
            &b"\x81\x7e\0\x7c"[..],
            b"\x82\x7e\0\0",
            b"\x82\x7e\0\x7d",
            b"\x82\x7f\0\0\0\0\0\0\0\0",
            b"\x82\x7f\0\0\0\0\0\0\0\x7e",
            b"\x82\x7f\0\0\0\0\0\0\xff\xff",
        ] {
            for mut peer in Peer::both() {
                peer.breaks(peer.frames(header), ProtocolError::NonMinimalLength);
            }
        }
    }

    /// §5.2: "the most significant bit MUST be 0".
    #[test]
    fn a_64_bit_length_with_its_top_bit_set_fails_the_connection() {
        for mut peer in Peer::both() {
            peer.breaks(peer.frames(b"\x82\x7f\x80\0\0\0\0\x01\0\0"), ProtocolError::LengthOutOfRange);
        }
    }

    /// §5.2: lengths in all three forms, at their borders, in both directions.
    #[test]
    fn every_form_of_length_is_read_and_written() {
        for length in [0, 1, 124, 125, 126, 127, 128, 255, 256, 65_535, 65_536] {
            let payload = vec![b'*'; length];
            let frame = wire::frame(0x82, &payload);
            for mut peer in Peer::both() {
                peer.sends(peer.frames(&frame));
                peer.hears(Heard::binary(&payload));
                peer.connection.send(&payload, &mut peer.output).unwrap();
                peer.expects(&frame);
            }
        }
    }

    /// §6.2: what an error says about a header does not depend on how much of it came at once.
    #[test]
    fn a_header_is_refused_by_its_first_bytes() {
        // The opcode and the length are refused before the key and the payload come.
        Peer::client().breaks(b"\x83\x80", ProtocolError::ReservedOpcode(3));
        Peer::client().breaks(b"\x89\xfe", ProtocolError::LongControl);
        Peer::client().breaks(b"\x82\xfe\0\x05", ProtocolError::NonMinimalLength);
        Peer::client().breaks(b"\x82\xff\x80\0\0\0\0\0\0\0", ProtocolError::LengthOutOfRange);
    }
}

mod data_frames_5_6 {
    use super::*;

    #[test]
    fn text_and_binary_are_told_apart() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x81\x02hi\x82\x02hi\x81\0\x82\0"));
            peer.hears(Heard::text("hi"));
            peer.hears(Heard::binary(b"hi"));
            peer.hears(Heard::text(""));
            peer.hears(Heard::binary(b""));
            peer.hears_nothing();
        }
    }

    /// §5.6: the payload of a binary message is "arbitrary binary data".
    #[test]
    fn binary_may_be_any_bytes() {
        for mut peer in Peer::both() {
            peer.sends(peer.frames(b"\x82\x04\xff\xfe\xc0\x80"));
            peer.hears(Heard::binary(b"\xff\xfe\xc0\x80"));
        }
    }

    /// §6.1, §6.2: messages arrive in the order in which they were sent, any number in one read.
    #[test]
    fn many_messages_in_one_read_come_in_order() {
        for mut peer in Peer::both() {
            let wire: Vec<u8> = (0..=255).flat_map(|i| [0x82, 1, i]).collect();
            peer.sends(peer.frames(&wire));
            for i in 0..=255 {
                peer.hears(Heard::binary(&[i]));
            }
            peer.hears_nothing();
        }
    }
}

/// `receive_whole`, for frames that are messages: what it gives is what `receive` would, and where it gives nothing it did nothing.
mod whole_frames {
    use super::*;
    use openline_proto::Kind;

    #[test]
    fn messages_of_one_input_are_had_one_after_the_other() {
        let mut peer = Peer::client();
        let now = peer.now;
        let mut input = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x82\x80\x37\xfa\x21\x3d\x82";
        let (kind, range) = peer.connection.receive_whole(&mut input, now).unwrap();
        assert_eq!((kind, &input[range.clone()]), (Kind::Text, &b"Hello"[..]));
        let rest = &mut input[range.end..];
        let (kind, range) = peer.connection.receive_whole(rest, now).unwrap();
        assert_eq!((kind, range.clone()), (Kind::Binary, 6..6));
        assert_eq!(peer.connection.receive_whole(&mut rest[range.end..], now), None, "half a header");
    }

    #[test]
    fn everything_else_is_left_as_it_was() {
        for input in [
            &b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f"[..],            // not all of it is there
            b"\x01\x81\x37\xfa\x21\x3d\x7f",                     // the first fragment
            b"\x80\x81\x37\xfa\x21\x3d\x7f",                     // a continuation of nothing
            b"\x89\x80\x37\xfa\x21\x3d",                         // a ping
            b"\x81\x05Hello",                                    // not masked
            b"\xc1\x81\x37\xfa\x21\x3d\x7f",                     // RSV1
            b"\x81\x82\x37\xfa\x21\x3d\xf4\x39",                 // no UTF-8: C3 C3
            b"\x82\xff\0\0\0\0\x7f\xff\xff\xff\x37\xfa\x21\x3d", // longer than anything may be
            b"\x83\x80\x37\xfa\x21\x3d",                         // an opcode of nobody's
        ] {
            let mut peer = Peer::client();
            let now = peer.now;
            let mut bytes = input.to_vec();
            assert_eq!(peer.connection.receive_whole(&mut bytes, now), None, "{input:02x?}");
            assert_eq!(bytes, input, "unmasked for nothing");
        }
    }

    #[test]
    fn nothing_is_had_after_a_close_frame() {
        let mut peer = Peer::client();
        let now = peer.now;
        peer.sends(b"\x88\x80\x37\xfa\x21\x3d");
        let mut late = *b"\x81\x80\x37\xfa\x21\x3d";
        assert_eq!(peer.connection.receive_whole(&mut late, now), None);
    }
}
