//! Futures that are dropped in the middle: what was read is not lost, what is sent is not cut.

use std::task::Poll;

use openline::handshake::Negotiated;
use openline::{CloseCode, Config, Error, Kind, Message, Role, SendError, WebSocket};

use crate::poll::once;
use crate::script::{Handle, Read, Script, Write, script, slow};
use crate::wire::{self, frame, masked};

fn open(stream: Script, role: Role) -> WebSocket<Script> {
    WebSocket::from_parts(stream, b"", role, &Negotiated::default(), Config::default())
}

/// Every kind of thing that a peer sends, as this role hears it, up to the end of the line.
struct Conversation {
    role: Role,
    wire: Vec<u8>,
    /// The messages in it.
    messages: Vec<Message>,
}

impl Conversation {
    fn new(role: Role) -> Self {
        let key = (role == Role::Server).then_some([0x37, 0xfa, 0x21, 0x3d]);
        let long: Vec<u8> = (0..200).collect();
        let wire = [
            frame(0x81, "Grüße, 世界 🦀".as_bytes(), key),
            frame(0x82, &long, key), // a length of 16 bits
            frame(0x89, b"first ping", key),
            frame(0x01, b"in \xe4\xb8", key), // §5.6: "might not be valid UTF-8" by itself
            frame(0x89, b"", key),            // §5.4: a control frame in the middle of a fragmented message
            frame(0x00, b"", key),
            frame(0x80, b"\x96 parts", key),
            frame(0x8a, b"unasked", key),
            frame(0x82, b"", key),
            frame(0x88, b"\x03\xe8bye", key),
        ];
        let messages = vec![
            Message::from("Grüße, 世界 🦀"),
            Message::from(long),
            Message::from("in 世 parts"),
            Message::from(Vec::new()),
        ];
        Self { role, wire: wire.concat(), messages }
    }

    /// What was written in answer to it.
    #[track_caller]
    fn check_answers(&self, written: &Handle) {
        let answers = wire::messages(&written.take_written());
        let pings = [(0xa, b"first ping".to_vec()), (0xa, Vec::new()), (0x8, b"\x03\xe8bye".to_vec())];
        assert_eq!(answers, pings);
    }
}

/// Reads that bring these pieces, with a pause before each.
fn pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Read> {
    let reads = pieces.into_iter().filter(|piece| !piece.is_empty());
    reads.flat_map(|piece| [Read::Wait, Read::Bytes(piece.to_vec())]).chain([Read::Wait, Read::End]).collect()
}

/// Every way to cut the wire that the tests try: once, at every place, and everywhere at once.
fn cuts(wire: &[u8]) -> impl Iterator<Item = Vec<Read>> {
    let once = (0..=wire.len()).map(|at| pieces([&wire[..at], &wire[at..]]));
    once.chain([pieces(wire.chunks(1)), pieces(wire.chunks(3))])
}

/// What `receive` brings when each of its futures is polled once and dropped.
#[track_caller]
fn drain<T>(mut receive: impl FnMut() -> Poll<Result<Option<T>, Error>>) -> Vec<T> {
    let mut received = Vec::new();
    for _ in 0..10_000 {
        match receive() {
            Poll::Pending => {}
            Poll::Ready(Ok(Some(message))) => received.push(message),
            Poll::Ready(Ok(None)) => return received,
            Poll::Ready(Err(error)) => panic!("{error}"),
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn recv_loses_nothing_at_any_byte() {
    for conversation in [Role::Server, Role::Client].map(Conversation::new) {
        for reads in cuts(&conversation.wire) {
            let (stream, written) = script(reads, slow(3, 50));
            let mut socket = open(stream, conversation.role);
            assert_eq!(drain(|| once(socket.recv())), conversation.messages);
            assert!(socket.closed().unwrap().is_clean());
            conversation.check_answers(&written);
        }
    }
}

#[tokio::test]
async fn recv_ref_loses_nothing_at_any_byte() {
    for conversation in [Role::Server, Role::Client].map(Conversation::new) {
        for reads in cuts(&conversation.wire) {
            let (stream, written) = script(reads, slow(3, 50));
            let mut socket = open(stream, conversation.role);
            let messages =
                drain(|| once(socket.recv_ref()).map_ok(|lent| lent.map(|(message, _)| message.to_message())));
            assert_eq!(messages, conversation.messages);
            conversation.check_answers(&written);
        }
    }
}

#[tokio::test]
async fn recv_part_loses_nothing_at_any_byte() {
    for conversation in [Role::Server, Role::Client].map(Conversation::new) {
        for reads in cuts(&conversation.wire) {
            let (stream, written) = script(reads, slow(3, 50));
            let mut socket = open(stream, conversation.role);
            let mut messages = vec![(Kind::Text, Vec::new(), true)];
            for part in drain(|| once(socket.recv_part())) {
                if messages.last().is_some_and(|(.., last)| *last) {
                    messages.push((part.kind, Vec::new(), false));
                }
                let (kind, bytes, last) = messages.last_mut().unwrap();
                assert!(part.kind == Kind::Binary || str::from_utf8(&part.bytes).is_ok(), "cut inside a character");
                assert_eq!(part.kind, *kind);
                bytes.extend_from_slice(&part.bytes);
                *last = part.last;
            }
            let whole: Vec<_> = messages.into_iter().skip(1).map(|(kind, bytes, _)| (kind, bytes)).collect();
            let expected = conversation.messages.iter().map(|message| (message.kind(), message.as_bytes().to_vec()));
            assert_eq!(whole, expected.collect::<Vec<_>>());
            conversation.check_answers(&written);
        }
    }
}

#[tokio::test]
async fn a_receiver_half_loses_nothing_at_any_byte() {
    for conversation in [Role::Server, Role::Client].map(Conversation::new) {
        for reads in cuts(&conversation.wire) {
            let (stream, written) = script(reads, slow(3, 50));
            let (_sender, mut receiver) = open(stream, conversation.role).split();
            assert_eq!(drain(|| once(receiver.recv())), conversation.messages);
            conversation.check_answers(&written);
        }
    }
}

/// Whoever begins with `recv_part` and goes on with `recv` has heard the first part and misses the rest, and the other
/// way round misses nothing.
#[tokio::test]
async fn recv_and_recv_part_take_turns() {
    let wire = [masked(0x02, b"begun"), masked(0x80, b" and ended"), masked(0x81, b"whole")].concat();
    for at in 0..=wire.len() {
        let mut reads = pieces([&wire[..at], &wire[at..]]);
        reads.pop(); // the line stays open
        let (stream, _) = script(reads.split_off(1), []);
        let mut socket = open(stream, Role::Server);
        let mut first = Vec::new();
        while let Poll::Ready(part) = once(socket.recv()) {
            first.push(part.unwrap().unwrap());
        }
        let parts = drain_parts(&mut socket);
        let heard: Vec<u8> = first.iter().flat_map(|message| message.as_bytes().to_vec()).chain(parts).collect();
        assert_eq!(heard.escape_ascii().to_string(), "begun and endedwhole", "cut at {at}");
    }
}

fn drain_parts(socket: &mut WebSocket<Script>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..10 {
        if let Poll::Ready(part) = once(socket.recv_part()) {
            bytes.extend_from_slice(&part.unwrap().unwrap().bytes);
        }
    }
    bytes
}

#[tokio::test]
async fn a_message_of_which_a_part_was_taken_is_dropped_by_recv() {
    let wire = [masked(0x02, b"begun"), masked(0x80, b" and ended"), masked(0x81, b"whole")].concat();
    let (stream, _) = script([Read::Bytes(wire)], []);
    let mut socket = open(stream, Role::Server);
    let Poll::Ready(Ok(Some(part))) = once(socket.recv_part()) else { panic!() };
    assert_eq!((&part.bytes[..], part.last), (&b"begun"[..], false));
    let Poll::Ready(Ok(Some(message))) = once(socket.recv()) else { panic!() };
    assert_eq!(message, Message::from("whole"));
}

/// A length of 64 bits, cut everywhere in its header and where its payload ends.
#[tokio::test]
async fn a_long_frame_is_put_together_from_any_pieces() {
    let payload: Vec<u8> = (0..70_000_u32).map(|i| i as u8).collect();
    let wire = masked(0x82, &payload);
    for at in (0..20).chain([1000, 65_536]).chain(wire.len() - 5..wire.len()) {
        let (stream, _) = script(pieces([&wire[..at], &wire[at..], &masked(0x88, b"")]), []);
        let mut socket = open(stream, Role::Server);
        assert_eq!(drain(|| once(socket.recv())), [Message::from(payload.clone())]);
    }
}

#[tokio::test]
async fn a_dropped_send_is_written_whole_by_the_next() {
    for role in [Role::Server, Role::Client] {
        let length = if role == Role::Server { 7 } else { 11 };
        for taken in 0..=length {
            let (stream, handle) =
                script([], [Write::Take(taken), Write::Wait].into_iter().skip(usize::from(taken == 0)));
            let mut socket = open(stream, role);
            assert_eq!(once(socket.send("first")).is_ready(), taken == length);
            assert_eq!(handle.state().written.len(), taken);
            handle.state().writes.clear();
            assert!(once(socket.send("second")).is_ready());
            let messages = wire::messages(&handle.take_written());
            assert_eq!(messages, [(1, b"first".to_vec()), (1, b"second".to_vec())]);
        }
    }
}

#[tokio::test]
async fn a_dropped_send_is_finished_by_recv() {
    let (stream, handle) = script([], [Write::Take(3), Write::Wait]);
    let mut socket = open(stream, Role::Server);
    assert!(once(socket.send("first")).is_pending());
    handle.state().writes.clear();
    assert!(once(socket.recv()).is_pending());
    assert_eq!(handle.take_written(), b"\x81\x05first");
}

#[tokio::test]
async fn a_send_dropped_while_it_waits_for_room_is_not_queued() {
    let (stream, handle) = script([], [Write::Wait]);
    let config = Config { max_output_bytes: 10, ..Config::default() };
    let mut socket = WebSocket::from_parts(stream, b"", Role::Server, &Negotiated::default(), config);
    assert!(once(socket.feed("twelve bytes")).is_ready(), "the message that crosses the line fits");
    assert!(once(socket.send("second")).is_pending());
    assert!(once(socket.feed("third")).is_pending());
    handle.state().writes.clear();
    assert!(once(socket.send("fourth")).is_ready());
    let messages = wire::messages(&handle.take_written());
    assert_eq!(messages, [(1, b"twelve bytes".to_vec()), (1, b"fourth".to_vec())]);
}

#[tokio::test]
async fn a_dropped_flush_and_ping_lose_nothing() {
    let (stream, handle) = script([], [Write::Wait]);
    let mut socket = open(stream, Role::Server);
    assert!(once(socket.feed("fed")).is_ready());
    assert!(once(socket.flush()).is_pending());
    assert!(once(socket.ping(b"now")).is_pending());
    assert!(once(socket.ping(&[0; 126])).is_ready(), "too long: not queued");
    handle.state().writes.clear();
    assert!(once(socket.flush()).is_ready());
    assert_eq!(handle.take_written(), b"\x89\x03now\x81\x03fed", "§5.4: a ping goes ahead");
}

#[tokio::test]
async fn a_dropped_close_goes_on() {
    let (stream, handle) = script([], [Write::Take(2), Write::Wait]);
    let mut socket = open(stream, Role::Server);
    assert!(once(socket.close(CloseCode::NORMAL, "bye")).is_pending());
    handle.state().writes.clear();
    assert!(once(socket.recv()).is_pending());
    assert_eq!(handle.take_written(), b"\x88\x05\x03\xe8bye");
    handle.reads(Read::Bytes(masked(0x81, b"late")));
    let Poll::Ready(Ok(Some(message))) = once(socket.recv()) else { panic!() };
    assert_eq!(message, Message::from("late"));
    handle.reads(Read::Bytes(masked(0x88, b"\x03\xe8")));
    handle.reads(Read::End);
    assert!(matches!(once(socket.recv()), Poll::Ready(Ok(None))));
    assert!(handle.state().shut);
}

#[tokio::test]
async fn a_part_is_sent_whole_or_not_at_all() {
    for taken in 1..=4 {
        let (stream, handle) = script([], [Write::Take(taken), Write::Wait]);
        let mut socket = open(stream, Role::Server);
        let mut message = socket.start_binary();
        assert_eq!(once(message.write(b"ab")).is_ready(), taken == 4);
        handle.state().writes.clear();
        assert!(once(message.write(b"cd")).is_ready());
        assert!(once(message.finish()).is_ready());
        assert_eq!(handle.take_written(), b"\x02\x02ab\x00\x02cd\x80\x00");
    }
}

#[tokio::test]
async fn a_streamed_message_that_is_dropped_stays_open() {
    let (stream, handle) = script([], []);
    let mut socket = open(stream, Role::Server);
    assert!(once(socket.start_text().write("begun")).is_ready());
    assert!(matches!(once(socket.send("other")), Poll::Ready(Err(Error::Send(SendError::Unfinished)))));
    assert!(matches!(once(socket.start_binary().write(b"x")), Poll::Ready(Err(Error::Send(SendError::MixedKinds)))));
    assert!(once(socket.ping(b"")).is_ready());
    assert!(once(socket.start_text().finish()).is_ready());
    assert!(once(socket.send("other")).is_ready());
    assert_eq!(handle.take_written(), b"\x01\x05begun\x89\x00\x80\x00\x81\x05other");
}
