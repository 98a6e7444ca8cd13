//! §10.4: "Implementations that have implementation- and/or platform-specific limitations regarding the frame size or total
//! message size after reassembly from multiple frames MUST protect themselves against exceeding those limits."

use openline_proto::{Config, ProtocolError, SendError};

use crate::heard::{Heard, Mode};
use crate::peer::Peer;
use crate::wire;

#[test]
fn a_frame_may_have_as_many_bytes_as_is_allowed_and_no_more() {
    let config = Config { max_frame_bytes: 10, ..Default::default() };
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in Peer::both_of(config.clone()) {
            peer.mode = mode;
            peer.sends(peer.frames(wire::frame(0x82, &[1; 10])));
            peer.heard();
            peer.breaks(peer.frames(wire::frame(0x82, &[1; 11])), ProtocolError::FrameTooBig { bytes: 11, max: 10 });
        }
    }
}

#[test]
fn a_message_may_have_as_many_bytes_as_is_allowed_and_no_more() {
    let config = Config { max_message_bytes: 10, ..Default::default() };
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in Peer::both_of(config.clone()) {
            peer.mode = mode;
            peer.sends(peer.frames(wire::frame(0x82, &[1; 10])));
            peer.sends(peer.frames(b"\x01\x05hello\x00\x04hell\x80\x01o"));
            peer.sends(peer.frames(b"\x01\x05hello\x00\x05hello\x80\0"));
            peer.sends(peer.frames(b"\x01\x05hello\x00\x05hello"));
            peer.heard();
            peer.breaks(peer.frames(b"\x80\x01!"), ProtocolError::MessageTooBig { max: 10 });
        }
        for mut peer in Peer::both_of(config.clone()) {
            peer.mode = mode;
            peer.breaks(peer.frames(wire::frame(0x82, &[1; 11])), ProtocolError::MessageTooBig { max: 10 });
        }
    }
}

/// The header is enough: what is too big is refused before a byte of it is waited for.
#[test]
fn a_declared_length_is_refused_before_its_bytes_come() {
    for mut peer in Peer::both() {
        let max = 1 << 20;
        peer.breaks(peer.frames(b"\x82\x7f\0\0\0\0\0\x10\0\x01"), ProtocolError::FrameTooBig { bytes: max + 1, max });
    }
    let config = Config { max_message_bytes: 100, ..Default::default() };
    for mut peer in Peer::both_of(config) {
        peer.sends(peer.frames(b"\x02\x01x"));
        peer.breaks(peer.frames(b"\x80\x64"), ProtocolError::MessageTooBig { max: 100 });
    }
}

/// The largest length there is neither overflows nor is believed.
#[test]
fn no_length_is_too_big_to_be_refused() {
    let config = Config { max_frame_bytes: u64::MAX, max_message_bytes: u64::MAX - 1, ..Default::default() };
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in Peer::both_of(config.clone()) {
            peer.mode = mode;
            // Without a limit to speak of, the header is taken, and memory is not.
            peer.sends(peer.frames(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"));
            peer.hears_nothing();
            peer.expects(b"");
        }
    }
    for mut peer in Peer::both() {
        peer.breaks(
            peer.frames(b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff"),
            ProtocolError::FrameTooBig { bytes: u64::MAX >> 1, max: 1 << 20 },
        );
    }
}

/// Fragments that never end meet the limit of the message.
#[test]
fn endless_fragments_meet_the_limit_of_the_message() {
    for mode in [Mode::Whole, Mode::Parts] {
        for mut peer in Peer::both_of(Config { max_message_bytes: 1000, ..Default::default() }) {
            peer.mode = mode;
            peer.sends(peer.frames(b"\x02\x01x"));
            for _ in 0..999 {
                peer.sends(peer.frames(b"\x00\x01x"));
            }
            peer.heard();
            peer.breaks(peer.frames(b"\x00\x01x"), ProtocolError::MessageTooBig { max: 1000 });
        }
    }
}

/// Fragments without a byte meet a limit of their own, since they would never meet the other.
#[test]
fn empty_fragments_are_counted() {
    for max in [0, 1, 5] {
        for mut peer in Peer::both_of(Config { max_empty_fragments: max, ..Default::default() }) {
            for i in 0..max {
                peer.sends(peer.frames(if i == 0 { b"\x02\0" } else { b"\x00\0" }));
            }
            let next: &[u8] = if max == 0 { b"\x02\0" } else { b"\x00\0" };
            peer.breaks(peer.frames(next), ProtocolError::TooManyEmptyFragments { max });
        }
    }
}

/// The count is of one message; the last frame of a message, and a message without a byte, are no such fragments.
#[test]
fn empty_messages_are_not_empty_fragments() {
    for mut peer in Peer::both_of(Config { max_empty_fragments: 1, ..Default::default() }) {
        for _ in 0..100 {
            peer.sends(peer.frames(b"\x81\0\x02\x01x\x00\0\x80\0"));
            peer.hears(Heard::text(""));
            peer.hears(Heard::binary(b"x"));
        }
    }
}

/// Control frames are not data: they need no more than their own 125 bytes, whatever the limits of messages.
#[test]
fn control_frames_are_not_held_against_the_limits_of_messages() {
    for mut peer in Peer::both_of(Config { max_frame_bytes: 0, max_message_bytes: 0, ..Default::default() }) {
        peer.sends(peer.frames(wire::frame(0x89, &[7; 125])));
        peer.expects(wire::frame(0x8a, &[7; 125]));
        peer.sends(peer.frames(b"\x88\x02\x03\xe8"));
        peer.expects(b"\x88\x02\x03\xe8");
    }
}

/// What we send is bounded by the peer's reading: over the limit, nothing more is queued.
#[test]
fn a_full_output_takes_no_message() {
    for mut peer in Peer::both_of(Config { max_output_bytes: 1000, ..Default::default() }) {
        let shared = openline_proto::SharedMessage::new(&[1; 400]);
        while peer.connection.has_room(&peer.output) {
            peer.connection.send_shared(&shared, &mut peer.output).unwrap();
        }
        let (connection, output) = (&mut peer.connection, &mut peer.output);
        let full = output.len();
        assert!((1000..1500).contains(&full));
        assert_eq!(connection.send(b"x", output), Err(SendError::Full));
        assert_eq!(connection.send_part(b"x", false, output), Err(SendError::Full));
        assert_eq!(connection.send_shared(&shared, output), Err(SendError::Full));
        assert_eq!(connection.send_all_shared(&[shared.clone()].into_iter().collect(), output), Err(SendError::Full));
        assert_eq!(output.len(), full, "a refused message leaves nothing");
        peer.takes();
        peer.connection.send(b"x", &mut peer.output).unwrap();
        peer.expects(b"\x82\x01x");
    }
}

/// Room that there was is not taken by the peer: who saw it may queue a message, whatever arrives between.
#[test]
fn a_pong_takes_no_room_from_messages() {
    for mut peer in Peer::both_of(Config { max_output_bytes: 100, ..Default::default() }) {
        peer.connection.send(&[1; 80][..], &mut peer.output).unwrap();
        assert!(peer.connection.has_room(&peer.output));
        peer.sends(peer.frames(wire::frame(0x89, &[7; 125])));
        assert!(peer.output.len() > 100);
        assert!(peer.connection.has_room(&peer.output));
        peer.connection.send(b"x", &mut peer.output).unwrap();
        peer.connection.send(&[2; 20][..], &mut peer.output).unwrap();
        assert!(!peer.connection.has_room(&peer.output));
    }
}
