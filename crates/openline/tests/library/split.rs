//! Two halves of one connection, in two tasks.

use std::io::ErrorKind;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use openline::handshake::Negotiated;
use openline::{CloseCode, Config, Error, Initiator, Message, Role, SendError, SharedMessage, TimedOut, WebSocket};
use tokio::io::AsyncReadExt;
use tokio::sync::Barrier;
use tokio::time::{Instant, timeout};

use crate::peer::{client_of, pair, tcp};
use crate::poll::{Task, once};
use crate::script::{Read, Script, Write, script};
use crate::wire::{self, masked};

fn server(stream: Script, config: Config) -> WebSocket<Script> {
    WebSocket::from_parts(stream, b"", Role::Server, &Negotiated::default(), config)
}

#[tokio::test(start_paused = true)]
async fn each_half_does_its_part() {
    let (mut peer, socket) = client_of(Config::default());
    let (mut sender, mut receiver) = socket.split();
    let receiving = tokio::spawn(async move {
        assert_eq!(receiver.recv().await.unwrap(), Some(Message::from("to us")));
        assert_eq!(receiver.recv().await.unwrap(), None);
        receiver
    });
    sender.send("a").await.unwrap();
    sender.feed("b").await.unwrap();
    sender.feed_shared(&SharedMessage::new("c")).await.unwrap();
    sender.ping(b"d").await.unwrap();
    sender.send_shared(&SharedMessage::new("e")).await.unwrap();
    peer.expects(b"\x81\x01a\x89\x01d\x81\x01b\x81\x01c\x81\x01e").await;
    peer.sends(masked(0x81, b"to us")).await;
    peer.sends(masked(0x89, b"?")).await;
    peer.expects(b"\x8a\x01?").await;
    sender.close(CloseCode::GOING_AWAY).await.unwrap();
    peer.expects(b"\x88\x02\x03\xe9").await;
    peer.sends(masked(0x88, b"\x03\xe9")).await;
    peer.expects_end().await;
    drop(peer);
    let closed = receiving.await.unwrap().closed().unwrap();
    assert!(closed.is_clean() && closed.by == Initiator::Us, "{closed:?}");
    assert_eq!(sender.closed(), Some(closed));
}

#[tokio::test(start_paused = true)]
async fn a_close_of_the_peer_is_told_to_both() {
    let (mut peer, socket) = client_of(Config::default());
    let (mut sender, mut receiver) = socket.split();
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.expects_nothing().await;
    let mut receiving = Task::new(receiver.recv());
    assert!(receiving.poll_while_woken().is_pending());
    assert!(matches!(sender.send("late").await, Err(Error::Send(SendError::Closed))));
    peer.expects(b"\x88\x02\x03\xe8").await;
    peer.expects_end().await;
    drop(peer);
    assert!(matches!(receiving.poll_while_woken(), Poll::Ready(Ok(None))));
}

/// What the receiver has for the application waits for room in the output, and so does the sender.
#[tokio::test(start_paused = true)]
async fn both_halves_blocked_on_a_full_peer_both_wake() {
    let (mut peer, socket) = pair(1024, Role::Server, Config { max_output_bytes: 1, ..Config::default() });
    let (mut sender, mut receiver) = socket.split();
    let long = vec![7; 10_000];
    let mut sending = Task::new(sender.send(long.clone()));
    assert!(sending.poll_while_woken().is_pending());
    peer.sends(masked(0x81, b"held")).await;
    let mut receiving = Task::new(receiver.recv());
    assert!(receiving.poll_while_woken().is_pending());

    let frame = loop {
        let before = sending.is_woken() && receiving.is_woken();
        let mut some = vec![0; 500];
        let read = peer.stream.read(&mut some).await.unwrap();
        assert!(before || (sending.is_woken() && receiving.is_woken()), "a half sleeps on");
        peer.puts_back(&some[..read]);
        if let Poll::Ready(sent) = sending.poll_while_woken() {
            sent.unwrap();
            break peer.takes_frame().await;
        }
    };
    assert_eq!((frame.first, frame.payload), (0x82, long));
    assert!(receiving.is_woken());
    assert_eq!(receiving.poll_while_woken().map(Result::unwrap), Poll::Ready(Some(Message::from("held"))));
}

/// The socket keeps one waker for each direction; the half that came last must not take the place of the other.
#[tokio::test(start_paused = true)]
async fn a_half_that_comes_later_does_not_silence_the_other() {
    let (stream, handle) = script([], [Write::Wait]);
    let (mut sender, mut receiver) = server(stream, Config::default()).split();
    let mut sending = Task::new(sender.send("a"));
    assert!(sending.poll().is_pending());
    let mut receiving = Task::new(receiver.recv());
    assert!(receiving.poll().is_pending());
    assert!(sending.poll().is_pending());
    handle.lets_write(Write::Take(100));
    assert!(sending.is_woken() && receiving.is_woken());
    // The receiver writes everything; the sender finds it done.
    assert!(receiving.poll_while_woken().is_pending());
    assert_eq!(handle.take_written(), b"\x81\x01a");
    assert!(sending.poll_while_woken().is_ready());
    handle.reads(Read::Bytes(masked(0x81, b"b")));
    assert!(receiving.is_woken());
    assert!(receiving.poll_while_woken().is_ready());
}

#[tokio::test(start_paused = true)]
async fn the_receiver_finishes_what_a_dropped_send_began() {
    let (stream, handle) = script([], [Write::Take(1), Write::Wait]);
    let (mut sender, mut receiver) = server(stream, Config::default()).split();
    let mut receiving = Task::new(receiver.recv());
    assert!(receiving.poll_while_woken().is_pending());
    assert!(once(sender.send("a")).is_pending());
    handle.lets_write(Write::Take(100));
    assert!(receiving.is_woken());
    assert!(receiving.poll_while_woken().is_pending());
    assert_eq!(handle.take_written(), b"\x81\x01a");
}

/// The connection ends while the sender waits for a peer that does not read: nothing else would ever wake it.
#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_is_told_when_the_receiver_sees_the_end() {
    for read in [Read::Fail(ErrorKind::ConnectionReset), Read::Bytes(b"\x81\x01x".to_vec())] {
        let (stream, handle) = script([], [Write::Take(1), Write::Wait]);
        let (mut sender, mut receiver) = server(stream, Config::default()).split();
        let sending = tokio::spawn(async move { sender.send("a").await });
        let receiving = tokio::spawn(async move { receiver.recv().await });
        tokio::task::yield_now().await;
        let began = Instant::now();
        handle.reads(read);
        assert!(receiving.await.unwrap().is_err());
        let sent = timeout(Duration::from_secs(60), sending).await.expect("the sender sleeps on").unwrap();
        assert!(matches!(sent, Err(Error::Send(SendError::Closed))), "{sent:?}");
        assert!(began.elapsed() <= Duration::from_secs(6), "at once, or with the deadline for a failed connection");
    }
}

#[tokio::test(start_paused = true)]
async fn both_halves_are_told_that_the_peer_stopped_reading() {
    let (mut peer, socket) = pair(16, Role::Server, Config { ping_interval: None, ..Config::default() });
    let (mut sender, mut receiver) = socket.split();
    let sending = tokio::spawn(async move { sender.send(vec![0; 100]).await });
    let receiving = tokio::spawn(async move { receiver.recv().await });
    let began = Instant::now();
    let sent = timeout(Duration::from_secs(60), sending).await.expect("the sender sleeps on").unwrap();
    let received = timeout(Duration::from_secs(60), receiving).await.expect("the receiver sleeps on").unwrap();
    assert_eq!(began.elapsed().as_secs(), 30);
    let timed_out = |error: &Error| matches!(error, Error::TimedOut(TimedOut::Write) | Error::Send(SendError::Closed));
    assert!(timed_out(&sent.unwrap_err()));
    assert!(matches!(received, Err(Error::TimedOut(TimedOut::Write))), "{received:?}");
    peer.takes_all().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_works_without_its_receiver() {
    let (mut peer, socket) = client_of(Config::default());
    let (mut sender, receiver) = socket.split();
    drop(receiver);
    sender.send("a").await.unwrap();
    peer.sends(masked(0x81, b"unheard")).await;
    peer.expects(b"\x81\x01a").await;
    let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL).await.map(|()| sender.closed()) });
    peer.expects(b"\x88\x02\x03\xe8").await;
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.expects_end().await;
    drop(peer);
    assert!(closing.await.unwrap().unwrap().unwrap().is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_works_without_its_sender() {
    let (mut peer, socket) = client_of(Config::default());
    let (sender, mut receiver) = socket.split();
    drop(sender);
    peer.sends([masked(0x81, b"a"), masked(0x89, b"b"), masked(0x88, b"")].concat()).await;
    assert_eq!(receiver.recv().await.unwrap(), Some(Message::from("a")));
    let receiving = tokio::spawn(async move { receiver.recv().await });
    peer.expects(b"\x8a\x01b\x88\x00").await;
    drop(peer);
    assert_eq!(receiving.await.unwrap().unwrap(), None);
}

/// A socket that is dropped with unread bytes is reset, and the reset destroys what is on its way to the peer.
#[tokio::test]
async fn a_close_without_a_receiver_reaches_a_peer_that_sends_on() {
    let (mut peer, socket) = tcp(Role::Server, Config::default()).await;
    let (mut sender, receiver) = socket.split();
    drop(receiver);
    peer.sends(masked(0x82, &[0; 10_000])).await;
    sender.send("last words").await.unwrap();
    let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL).await });
    for _ in 0..100 {
        peer.sends(masked(0x82, &[0; 1000])).await;
    }
    peer.expects(b"\x81\x0alast words\x88\x02\x03\xe8").await;
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.expects_end().await;
    drop(peer);
    closing.await.unwrap().unwrap();
}

/// Two tasks for each end, on several threads, on a line that is nearly always full.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wakeup_is_lost_between_tasks() {
    const MESSAGES: usize = 5_000;
    let (ours, theirs) = tokio::io::duplex(100);
    let config = Config { max_output_bytes: 64, ..Config::default() };
    let server = WebSocket::from_parts(ours, b"", Role::Server, &Negotiated::default(), config.clone());
    let client = WebSocket::from_parts(theirs, b"", Role::Client, &Negotiated::default(), config);
    let everything_is_read = Arc::new(Barrier::new(2));
    let mut tasks = Vec::new();
    for end in [server, client] {
        let (mut sender, mut receiver) = end.split();
        let everything_is_read = everything_is_read.clone();
        tasks.push(tokio::spawn(async move {
            for i in 0..MESSAGES {
                match i % 3 {
                    0 => sender.feed(i.to_string()).await.unwrap(),
                    1 => sender.send(i.to_string()).await.unwrap(),
                    _ => {
                        sender.send(&i.to_string()).await.unwrap();
                        sender.ping(b"?").await.unwrap();
                    }
                }
            }
            sender.flush().await.unwrap();
            everything_is_read.wait().await;
            let _ = sender.close(CloseCode::NORMAL).await; // or the other one has closed already
        }));
        tasks.push(tokio::spawn(async move {
            for i in 0..MESSAGES {
                assert_eq!(receiver.recv().await.unwrap(), Some(Message::from(i.to_string())));
                if i % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            assert_eq!(receiver.recv().await.unwrap(), None);
        }));
    }
    for task in tasks {
        timeout(Duration::from_secs(60), task).await.expect("a task sleeps on").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_fed_is_written_when_the_receiver_next_wakes() {
    let (stream, handle) = script([], []);
    let (mut sender, mut receiver) = server(stream, Config::default()).split();
    let mut receiving = Task::new(receiver.recv());
    assert!(receiving.poll_while_woken().is_pending());
    assert!(once(sender.feed("a")).is_ready());
    handle.reads(Read::Bytes(masked(0x89, b"")));
    assert!(receiving.poll_while_woken().is_pending());
    assert_eq!(wire::messages(&handle.take_written()), [(1, b"a".to_vec()), (10, Vec::new())]);
}

#[tokio::test(start_paused = true)]
async fn parts_are_received_by_a_half() {
    let (mut peer, socket) = client_of(Config::default());
    let (_sender, mut receiver) = socket.split();
    peer.sends([masked(0x01, b"a"), masked(0x80, b"b")].concat()).await;
    let parts = [receiver.recv_part().await.unwrap().unwrap(), receiver.recv_part().await.unwrap().unwrap()];
    assert_eq!(parts.map(|part| (part.bytes.to_vec(), part.last)), [(b"a".to_vec(), false), (b"b".to_vec(), true)]);
}
