//! What is written, and in which order (§5.4, §5.5): control frames overtake messages at the next border between two
//! frames, wherever the last write ended.

use openline_proto::{CloseCode, Config, Connection, Output, Role, SharedMessage, SharedMessages};

use crate::link::write;
use crate::peer::Peer;
use crate::wire;

/// Queues something of every kind that `Output` keeps in its own way.
fn queue_everything(connection: &mut Connection, output: &mut Output) {
    connection.send("flat", output).unwrap();
    connection.send("", output).unwrap();
    connection.send(vec![b'r'; 4100], output).unwrap(); // by reference, where nothing is masked
    connection.send(vec![b'f'; 9000], output).unwrap(); // the same, in fragments
    connection.send_shared(&SharedMessage::new(&[b's'; 4500]), output).unwrap(); // a whole frame by reference
    connection.send_shared(&SharedMessage::new(&[b't'; 4500]), output).unwrap(); // and another
    connection.send_shared(&SharedMessage::new("flat again"), output).unwrap();
    connection.send(vec![b'z'; 4096], output).unwrap(); // by reference, at the end
}

fn config() -> Config {
    Config { fragment_bytes: 4096, ..Default::default() }
}

/// Where a frame ends in `wire`, 0 included.
fn borders(wire: &[u8]) -> Vec<usize> {
    let mut borders = vec![0];
    for frame in wire::frames(wire) {
        let masked = if frame.masked { 4 } else { 0 };
        borders.push(borders.last().unwrap() + wire::frame(0x82, &frame.payload).len() + masked);
    }
    borders
}

/// A ping that is queued after any number of written bytes goes out at the next border, whatever the writes were.
#[test]
fn a_ping_goes_out_at_the_next_border_wherever_the_last_write_ended() {
    for new in [Peer::client_of, Peer::server_of] {
        let peer = || {
            let mut peer = new(config());
            queue_everything(&mut peer.connection, &mut peer.output);
            peer
        };
        let mut plain = peer();
        // A client's masking keys depend on the order of its frames, so its ping is drawn beforehand.
        let data = plain.output.to_vec();
        plain.connection.ping(b"ping!", &mut plain.output).unwrap();
        let ping = plain.output.to_vec();
        let borders = borders(&data);
        for offset in 0..=data.len() {
            let mut peer = peer();
            let mut wire = write(&mut peer.output, offset, 1 + offset % 16);
            peer.connection.ping(b"ping!", &mut peer.output).unwrap();
            assert_eq!(peer.output.len(), data.len() - offset + ping.len());
            wire.extend(write(&mut peer.output, usize::MAX, 1 + offset % 5));
            let border = *borders.iter().find(|border| **border >= offset).unwrap();
            let expected = [&data[..border], &ping, &data[border..]].concat();
            assert!(wire == expected, "after {offset} bytes, border {border}");
            assert!(peer.output.is_empty());
        }
    }
}

/// Messages that are shared all at once are one piece.
#[test]
fn a_ping_goes_out_behind_shared_messages_of_which_a_part_is_written() {
    let messages: SharedMessages = (b'a'..=b'z').map(|letter| SharedMessage::new(vec![letter; 200])).collect();
    let all: Vec<u8> = messages.iter().flat_map(|message| wire::frame(0x82, message.as_bytes())).collect();
    for offset in [0, 1, 203, 204, 205, 5000, all.len() - 1] {
        let mut peer = Peer::client();
        peer.connection.send_all_shared(&messages, &mut peer.output).unwrap();
        let mut wire = write(&mut peer.output, offset, 3);
        peer.connection.ping(b"", &mut peer.output).unwrap();
        wire.extend(write(&mut peer.output, usize::MAX, 3));
        let expected = if offset == 0 { [b"\x89\0", &all[..]].concat() } else { [&all[..], b"\x89\0"].concat() };
        assert!(wire == expected, "after {offset} bytes");
    }
}

/// The same where written bytes are dropped from the front of a long buffer of small frames.
#[test]
fn a_ping_goes_out_at_the_next_border_of_a_long_backlog() {
    for mut plain in Peer::both() {
        let queue = |connection: &mut Connection, output: &mut Output| {
            for i in 0..400_u32 {
                connection.send(vec![i as u8; 50 + i as usize % 160], output).unwrap();
                if i % 67 == 0 {
                    connection.send(vec![i as u8; 4096], output).unwrap();
                    connection.send_shared(&SharedMessage::new(&[i as u8; 5000]), output).unwrap();
                }
            }
        };
        queue(&mut plain.connection, &mut plain.output);
        let data = plain.output.to_vec();
        plain.connection.ping(b"ping!", &mut plain.output).unwrap();
        let ping = plain.output.to_vec();
        let borders = borders(&data);
        for offset in (0..data.len()).step_by(101).chain(borders.iter().flat_map(|b| [b.saturating_sub(1), *b, b + 1]))
        {
            if offset > data.len() {
                continue;
            }
            let mut peer = match plain.connection.role() {
                Role::Server => Peer::client(),
                Role::Client => Peer::server(),
            };
            queue(&mut peer.connection, &mut peer.output);
            let mut wire = Vec::new();
            while wire.len() < offset {
                let step = (offset - wire.len()).min(3000);
                wire.extend(write(&mut peer.output, step, 1 + wire.len() % 16));
                assert_eq!(peer.output.len(), data.len() - wire.len());
            }
            peer.connection.ping(b"ping!", &mut peer.output).unwrap();
            wire.extend(write(&mut peer.output, usize::MAX, 16));
            let border = *borders.iter().find(|border| **border >= offset).unwrap();
            let expected = [&data[..border], &ping, &data[border..]].concat();
            assert!(wire == expected, "after {offset} bytes, border {border}");
        }
    }
}

/// A socket that takes a byte at a time, and pings that come all the while: every frame stays whole, and pings wait for
/// one frame at most.
#[test]
fn pings_between_single_bytes_leave_every_frame_whole() {
    for mut peer in Peer::both_of(config()) {
        queue_everything(&mut peer.connection, &mut peer.output);
        let data = wire::said(&write(&mut peer.output, usize::MAX, 16), peer.connection.role() == Role::Client);
        queue_everything(&mut peer.connection, &mut peer.output);
        let mut wire = Vec::new();
        for i in 0_u32.. {
            if peer.output.is_empty() {
                break;
            }
            if i < 30_000 && i % 11 == 0 {
                peer.sends(peer.frames(wire::frame(0x89, &i.to_be_bytes())));
            }
            wire.extend(write(&mut peer.output, 1, 2));
        }
        let said = wire::said(&wire, peer.connection.role() == Role::Client);
        let (pongs, messages): (Vec<_>, Vec<_>) =
            said.into_iter().partition(|said| matches!(said, wire::Said::Pong(_)));
        assert_eq!(messages, data);
        assert!(pongs.len() > 2000);
        assert!(pongs.is_sorted_by_key(|pong| match pong {
            wire::Said::Pong(payload) => payload.clone(),
            _ => unreachable!(),
        }));
    }
}

/// Nothing, not even a pong, goes into a Close frame; the pongs that are due go before it.
#[test]
fn pongs_go_before_a_close_frame_that_waits() {
    for mut peer in Peer::both() {
        peer.connection.send("message", &mut peer.output).unwrap();
        let mut wire = write(&mut peer.output, 3, 1);
        peer.closes(CloseCode::NORMAL, "");
        peer.sends(peer.frames(b"\x89\x01x"));
        wire.extend(peer.output.to_vec());
        assert_eq!(wire::unmask(&wire), b"\x81\x07message\x8a\x01x\x88\x02\x03\xe8");
    }
}

/// A new output holds no memory; one that was given some keeps it when everything is written, for the next.
#[test]
fn an_empty_output_keeps_the_memory_it_was_given() {
    let mut peer = Peer::client();
    assert_eq!(peer.output.capacity(), 0);
    peer.output = Output::with_capacity(1000);
    peer.connection.send("one", &mut peer.output).unwrap();
    write(&mut peer.output, 4, 1);
    write(&mut peer.output, 1, 1);
    assert!(peer.output.is_empty());
    assert_eq!(peer.output.capacity(), 1000);
    peer.connection.send("two", &mut peer.output).unwrap();
    peer.expects(b"\x81\x03two");
}

/// A backlog that never quite ends is not kept for ever: what is written is forgotten.
#[test]
fn a_long_backlog_holds_the_memory_of_what_waits() {
    for mut peer in Peer::both() {
        let mut wire = 0;
        for i in 0..20_000_u32 {
            peer.connection.send(&[i as u8; 700], &mut peer.output).unwrap();
            if peer.output.len() > 30_000 {
                wire += write(&mut peer.output, 701 + i as usize % 50, 16).len();
            }
            assert!(peer.output.capacity() <= 256 << 10, "{}", peer.output.capacity());
        }
        assert!(wire > 10_000_000);
    }
}

/// `written` moves with every byte that is taken, and only with those: it is how a stalled peer is known.
#[test]
fn what_was_written_is_counted() {
    for mut peer in Peer::both_of(config()) {
        queue_everything(&mut peer.connection, &mut peer.output);
        let total = peer.output.len() as u64;
        assert_eq!(peer.output.written(), 0);
        write(&mut peer.output, 5000, 16);
        assert_eq!((peer.output.written(), peer.output.len() as u64), (5000, total - 5000));
        write(&mut peer.output, usize::MAX, 16);
        assert_eq!((peer.output.written(), peer.output.len()), (total, 0));
        peer.output.advance(0);
        assert_eq!(peer.output.written(), total);
    }
}

/// A vectored write shows as much as its slices hold, in the order of the wire.
#[test]
fn one_write_shows_everything() {
    let mut peer = Peer::client_of(config());
    queue_everything(&mut peer.connection, &mut peer.output);
    peer.connection.ping(b"first", &mut peer.output).unwrap();
    let total = peer.output.len();
    let mut slices = [std::io::IoSlice::new(&[]); 64];
    let used = peer.output.slices(&mut slices);
    assert_eq!(slices[..used].iter().map(|slice| slice.len()).sum::<usize>(), total);
    assert_eq!(*slices[0], *b"\x89\x05first");
    assert_eq!(peer.output.slices(&mut []), 0, "no room, nothing shown");
}

#[test]
#[should_panic(expected = "more written than waits")]
fn more_cannot_be_written_than_waits() {
    let mut peer = Peer::client();
    peer.connection.send("x", &mut peer.output).unwrap();
    peer.output.advance(4);
}
