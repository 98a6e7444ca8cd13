//! How often, and how, the socket is written to.

use std::io::ErrorKind;
use std::task::Poll;

use bytes::Bytes;
use openline::deflate::Deflate;
use openline::handshake::{ClientHandshake, Negotiated, ServerHandshake};
use openline::{Config, Error, Message, Role, SendError, SharedMessage, SharedMessages, WebSocket};

use crate::poll::once;
use crate::script::{Read, Script, Write, script, slow};
use crate::wire::{self, masked};

fn server(stream: Script) -> WebSocket<Script> {
    WebSocket::from_parts(stream, b"", Role::Server, &Negotiated::default(), Config::default())
}

/// One read that brings so many messages.
fn burst(messages: usize) -> Read {
    Read::Bytes((0..messages).flat_map(|i| masked(0x81, i.to_string().as_bytes())).collect())
}

#[tokio::test]
async fn recv_and_feed_write_once_for_each_read() {
    let (stream, handle) = script([burst(100), Read::Wait, burst(50)], []);
    let mut socket = server(stream);
    let mut writes = Vec::new();
    for _ in 0..2 {
        while let Poll::Ready(message) = once(socket.recv()) {
            assert!(once(socket.feed(message.unwrap().unwrap())).is_ready());
        }
        writes.push(handle.state().calls);
    }
    assert_eq!(writes, [1, 2]);
    assert_eq!(wire::messages(&handle.take_written()).len(), 150);
}

#[tokio::test]
async fn recv_ref_and_reply_write_once_for_each_read() {
    let (stream, handle) = script([burst(100), burst(50), Read::Wait], []);
    let mut socket = server(stream);
    while let Poll::Ready(lent) = once(socket.recv_ref()) {
        let (message, mut reply) = lent.unwrap().unwrap();
        reply.feed(message).unwrap();
    }
    assert_eq!(handle.state().calls, 2);
    let messages = wire::messages(&handle.take_written());
    let expected = (0..100).chain(0..50).map(|i: usize| (1, i.to_string().into_bytes()));
    assert_eq!(messages, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn send_writes_at_once() {
    let (stream, handle) = script([burst(5)], []);
    let mut socket = server(stream);
    for sent in 1..=5 {
        let Poll::Ready(Ok(Some(message))) = once(socket.recv()) else { panic!() };
        assert!(once(socket.send(message)).is_ready());
        assert_eq!(handle.state().calls, sent);
    }
    assert_eq!(handle.state().flushes, 5);
}

#[tokio::test]
async fn what_was_fed_goes_out_with_the_next_send_or_flush() {
    let (stream, handle) = script([], []);
    let mut socket = server(stream);
    for text in ["a", "b"] {
        assert!(once(socket.feed(text)).is_ready());
    }
    assert_eq!(handle.state().calls, 0);
    assert!(once(socket.send("c")).is_ready());
    assert_eq!(handle.take_written(), b"\x81\x01a\x81\x01b\x81\x01c");
    assert!(once(socket.feed("d")).is_ready());
    assert!(once(socket.flush()).is_ready());
    assert_eq!((handle.take_written(), handle.state().calls), (b"\x81\x01d".to_vec(), 2));
}

#[tokio::test]
async fn pings_are_answered_while_only_recv_is_called() {
    let (stream, handle) = script([Read::Bytes([masked(0x89, b"1"), masked(0x89, b"2")].concat()), Read::Wait], []);
    let mut socket = server(stream);
    assert!(once(socket.recv()).is_pending());
    assert_eq!((handle.take_written(), handle.state().calls), (b"\x8a\x011\x8a\x012".to_vec(), 1));
    // Inside a fragmented message, and before a message that is already there.
    handle.reads(Read::Bytes([masked(0x01, b"a"), masked(0x89, b"3"), masked(0x80, b"b")].concat()));
    let Poll::Ready(Ok(Some(message))) = once(socket.recv()) else { panic!() };
    assert_eq!(message, Message::from("ab"));
    assert!(once(socket.recv()).is_pending());
    assert_eq!(handle.take_written(), b"\x8a\x013");
}

/// Small frames, payloads by reference and shared frames are one vectored write.
#[tokio::test]
async fn everything_queued_is_one_vectored_write() {
    let (stream, handle) = script([], []);
    let mut socket = server(stream);
    let large = Bytes::from(vec![7; 10_000]);
    assert!(once(socket.feed("small")).is_ready());
    assert!(once(socket.feed(large.clone())).is_ready());
    assert!(once(socket.feed_shared(&SharedMessage::new(large.clone()))).is_ready());
    assert!(once(socket.send("end")).is_ready());
    assert_eq!(handle.state().calls, 1);
    let large = (2, large.to_vec());
    let expected = [(1, b"small".to_vec()), large.clone(), large, (1, b"end".to_vec())];
    assert_eq!(wire::messages(&handle.take_written()), expected);
}

/// Many that were encoded once are one write, whatever they are beside.
#[tokio::test]
async fn many_shared_messages_are_one_write() {
    let (stream, handle) = script([], []);
    let mut socket = server(stream);
    let news: SharedMessages = (0..100).map(|i| SharedMessage::new(i.to_string())).collect();
    assert!(once(socket.feed("before")).is_ready());
    assert!(once(socket.feed_all_shared(&news)).is_ready());
    socket.try_feed_all_shared(&news).unwrap();
    socket.try_feed_shared(&SharedMessage::new("after")).unwrap();
    assert!(once(socket.flush()).is_ready());
    assert_eq!(handle.state().calls, 1);
    let numbers = (0..100).map(|i| (1, i.to_string().into_bytes()));
    let expected = [(1, b"before".to_vec())].into_iter().chain(numbers.clone()).chain(numbers);
    let expected: Vec<_> = expected.chain([(1, b"after".to_vec())]).collect();
    assert_eq!(wire::messages(&handle.take_written()), expected);
}

/// Who does not wait is told that there is no room, and nothing of it is queued; once what was queued is lost, that nothing more goes.
#[tokio::test]
async fn without_room_nothing_is_queued() {
    let (stream, handle) = script([], [Write::Wait, Write::Fail(ErrorKind::BrokenPipe)]);
    let config = Config { max_output_bytes: 5, ..Config::default() };
    let mut socket = WebSocket::from_parts(stream, b"", Role::Server, &Negotiated::default(), config);
    let (one, many) = (SharedMessage::new("12345"), [SharedMessage::new("6")].into_iter().collect());
    socket.try_feed_shared(&one).unwrap();
    assert_eq!(socket.try_feed_shared(&one), Err(SendError::Full));
    assert_eq!(socket.try_feed_all_shared(&many), Err(SendError::Full));
    assert_eq!(socket.queued_bytes(), 7);
    assert!(once(socket.flush()).is_pending());
    let Poll::Ready(Err(Error::Io(_))) = once(socket.flush()) else { panic!() };
    assert_eq!(socket.try_feed_shared(&one), Err(SendError::Closed));
    assert_eq!(socket.try_feed_all_shared(&many), Err(SendError::Closed));
    assert_eq!(handle.take_written(), b"");
}

/// A socket that takes some bytes of a vectored write: the rest follows, in order, with pings between frames only.
#[tokio::test]
async fn partial_vectored_writes_lose_nothing() {
    let large = Bytes::from((0..9_000_u32).map(|i| i as u8).collect::<Vec<_>>());
    for taken in [1, 2, 3, 4, 5, 7, 64, 4095, 4096, 5000, 9_004, 9_005, 20_000] {
        let (stream, handle) = script([], slow(taken, 40_000));
        let mut socket = server(stream);
        for text in ["one", "two"] {
            assert!(once(socket.feed(text)).is_ready());
            assert!(once(socket.feed(large.clone())).is_ready());
        }
        let shared = SharedMessage::new(large.clone());
        assert!(once(socket.feed_shared(&shared)).is_ready());
        let mut polls = 0;
        while once(socket.flush()).is_pending() {
            polls += 1;
            if polls == 3 {
                let _ = once(socket.ping(b"!"));
            }
            assert!(polls < 40_000);
        }
        let mut messages = wire::messages(&handle.take_written());
        messages.retain(|message| *message != (9, b"!".to_vec()));
        let large = (2, large.to_vec());
        let expected = [(1, b"one".to_vec()), large.clone(), (1, b"two".to_vec()), large.clone(), large];
        assert_eq!(messages, expected, "{taken} bytes at a time");
    }
}

/// §5.5.2 "as soon as is practical": a ping overtakes the messages that wait, at the next border between two frames.
#[tokio::test]
async fn a_pong_overtakes_messages_that_wait() {
    let (stream, handle) = script([Read::Bytes(masked(0x89, b"now"))], [Write::Take(1), Write::Wait]);
    let mut socket = server(stream);
    let long = vec![1; 200_000];
    assert!(once(socket.send(&long)).is_pending());
    assert!(once(socket.recv()).is_pending());
    handle.state().writes.clear();
    assert!(once(socket.recv()).is_pending());
    let frames = wire::parse_all(&handle.take_written());
    let firsts: Vec<u8> = frames.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [0x02, 0x8a, 0x00, 0x00, 0x80]);
}

#[tokio::test]
async fn a_socket_that_takes_no_byte_and_says_so_has_failed() {
    for receives in [false, true] {
        let (stream, _) = script([], [Write::Take(0)]);
        let mut socket = server(stream);
        assert!(once(socket.feed(Bytes::from(vec![0; 5000]))).is_ready());
        let result = match receives {
            false => once(socket.flush()),
            true => once(socket.recv()).map_ok(|message| assert_eq!(message, None)),
        };
        let Poll::Ready(Err(Error::Io(error))) = result else { panic!("{result:?}") };
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }
}

/// What the peer sent before it went is still heard, and then what went wrong.
#[tokio::test]
async fn a_write_that_fails_is_told_after_what_was_received() {
    let (stream, _) = script([burst(2)], [Write::Fail(ErrorKind::BrokenPipe)]);
    let mut socket = server(stream);
    assert!(once(socket.feed("unheard")).is_ready());
    for expected in ["0", "1"] {
        let Poll::Ready(Ok(Some(message))) = once(socket.recv()) else { panic!() };
        assert_eq!(message, Message::from(expected));
    }
    let Poll::Ready(Err(Error::Io(error))) = once(socket.recv()) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(socket.closed().unwrap().code(), 1006);
    assert!(matches!(once(socket.recv()), Poll::Ready(Ok(None))), "told once");
}

#[tokio::test]
async fn a_flush_that_fails_ends_the_connection() {
    let (stream, handle) = script([], []);
    handle.state().flush = Some(ErrorKind::BrokenPipe);
    let mut socket = server(stream);
    assert!(once(socket.feed("a")).is_ready());
    let Poll::Ready(Err(Error::Io(error))) = once(socket.recv()) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn interrupted_calls_are_tried_again() {
    let (stream, handle) =
        script([Read::Fail(ErrorKind::Interrupted), burst(1)], [Write::Fail(ErrorKind::Interrupted)]);
    let mut socket = server(stream);
    assert!(once(socket.send("a")).is_ready());
    assert!(once(socket.recv()).is_ready());
    assert_eq!(handle.take_written(), b"\x81\x01a");
}

/// RFC 7692 §6: whether a message is compressed is its sender's choice, and said by RSV1 of its first frame.
#[tokio::test]
async fn streamed_messages_are_compressed_by_choice() {
    let deflate = Some(Deflate::default());
    let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), [7; 16]).unwrap().deflate(deflate.clone());
    let server = ServerHandshake { deflate, ..ServerHandshake::default() };
    let negotiated = server.accept(&client.request()).unwrap().1;
    let (stream, handle) = script([Read::Wait], []);
    let mut socket = WebSocket::from_parts(stream, b"", Role::Server, &negotiated, Config::default());
    let (short, long) = ("tick ".repeat(20), "tick ".repeat(200));

    let mut first_bytes = Vec::new();
    let mut note = |handle: &crate::script::Handle| first_bytes.push(handle.take_written()[0]);
    for part in [&short, &long] {
        let mut text = socket.start_text();
        assert!(once(text.write(part)).is_ready() && once(text.finish()).is_ready());
        note(&handle);
        let mut text = socket.start_text().compressed();
        assert!(once(text.write(part)).is_ready() && once(text.finish()).is_ready());
        note(&handle);
        let mut binary = socket.start_binary().uncompressed();
        assert!(once(binary.write(part.as_bytes())).is_ready() && once(binary.finish()).is_ready());
        note(&handle);
    }
    assert_eq!(first_bytes, [0x01, 0x41, 0x02, 0x41, 0x41, 0x02]);

    // However short the first part is, and although its flush makes it longer.
    let mut text = socket.start_text().compressed();
    assert!(once(text.write("Hi")).is_ready() && once(text.write(&long)).is_ready() && once(text.finish()).is_ready());
    let written = handle.take_written();
    assert_eq!(written[0], 0x41);
    assert!(written.len() < long.len() / 2, "{}", written.len());
}
