//! How connections end: properly, in the middle of something, and for a reason that the peer must hear.

use std::time::Duration;

use openline::{CloseCode, Config, Error, Initiator, Message, ProtocolError, Role, SendError, TimedOut};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use crate::peer::{client_of, pair, server_of, tcp};
use crate::poll::once;
use crate::script::{Read, Write, script};
use crate::wire::{frame, masked, unmasked};

/// §7.1.1: the server ends TCP first.
#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_is_answered() {
    let (mut peer, mut socket) = client_of(Config::default());
    peer.sends([masked(0x81, b"last"), masked(0x88, b"\x0f\xa1bye"), masked(0x81, b"too late")].concat()).await;
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("last")));
    let receiving = tokio::spawn(async move { (socket.recv().await, socket) });
    peer.expects(b"\x88\x05\x0f\xa1bye").await;
    peer.expects_end().await;
    drop(peer);
    let (received, mut socket) = receiving.await.unwrap();
    assert_eq!(received.unwrap(), None);
    let closed = socket.closed().unwrap().clone();
    assert_eq!((closed.code(), closed.reason(), closed.by), (4001, "bye", Initiator::Peer));
    assert!(closed.is_clean());
    // And ever after.
    assert_eq!(socket.recv().await.unwrap(), None);
    assert!(socket.recv_ref().await.unwrap().is_none());
    assert!(socket.recv_part().await.unwrap().is_none());
    assert!(matches!(socket.send("late").await, Err(Error::Send(SendError::Closed))));
    assert!(matches!(socket.ping(b"").await, Err(Error::Send(SendError::Closed))));
    socket.flush().await.unwrap();
    assert_eq!(socket.close(CloseCode::NORMAL, "").await.unwrap(), closed);
}

/// §7.1.1: a client waits for the server to end TCP.
#[tokio::test(start_paused = true)]
async fn a_server_that_closes_ends_tcp_first() {
    let (mut peer, mut socket) = server_of(Config::default());
    peer.sends(unmasked(0x88, b"\x03\xe8")).await;
    let receiving = tokio::spawn(async move { socket.recv().await });
    peer.expects_close(1000).await;
    peer.expects_nothing().await;
    assert!(!receiving.is_finished());
    peer.stream.shutdown().await.unwrap();
    assert_eq!(receiving.await.unwrap().unwrap(), None);
    peer.expects_end().await;
}

#[tokio::test(start_paused = true)]
async fn close_drops_what_still_comes_and_tells_how_it_ended() {
    let (mut peer, mut socket) = client_of(Config::default());
    socket.feed("first").await.unwrap();
    let closing = tokio::spawn(async move { socket.close(CloseCode::GOING_AWAY, "good night").await });
    peer.expects(b"\x81\x05first\x88\x0c\x03\xe9good night").await;
    peer.sends([masked(0x81, b"unheard"), masked(0x88, b"\x03\xe9")].concat()).await;
    peer.expects_end().await;
    drop(peer);
    let closed = closing.await.unwrap().unwrap();
    assert_eq!((closed.code(), closed.by, closed.is_clean()), (1001, Initiator::Us, true));
    assert_eq!(closed.sent.unwrap().reason(), "good night");
}

#[tokio::test(start_paused = true)]
async fn after_start_close_messages_still_come() {
    let (mut peer, mut socket) = client_of(Config::default());
    socket.start_close(CloseCode::NORMAL);
    assert!(matches!(socket.feed("late").await, Err(Error::Send(SendError::Closed))));
    peer.sends([masked(0x81, b"heard"), masked(0x88, b"\x03\xe8")].concat()).await;
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("heard")));
    drop(tokio::spawn(async move { peer.takes_all().await }));
    assert_eq!(socket.recv().await.unwrap(), None);
}

/// A peer that ends its direction with its Close frame still reads: §5.5.1 owes it an answer, however slow the line.
#[tokio::test(start_paused = true)]
async fn a_peer_that_ended_its_side_is_still_answered() {
    let (mut peer, mut socket) = pair(16, Role::Server, Config { max_output_bytes: 1 << 20, ..Config::default() });
    socket.feed("sixteen bytes and more").await.unwrap();
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.stream.shutdown().await.unwrap();
    let receiving = tokio::spawn(async move { socket.recv().await });
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!receiving.is_finished());
    peer.expects(b"\x81\x16sixteen bytes and more\x88\x02\x03\xe8").await;
    peer.expects_end().await;
    assert_eq!(receiving.await.unwrap().unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_ended_its_side_and_does_not_read_is_not_waited_for_long() {
    let (mut peer, mut socket) = pair(16, Role::Server, Config::default());
    socket.feed("sixteen bytes and more").await.unwrap();
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.stream.shutdown().await.unwrap();
    let began = Instant::now();
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_eq!(began.elapsed().as_secs(), 5);
}

/// §7.1.5: 1006, and an error instead of the `None` of a clean end.
#[tokio::test(start_paused = true)]
async fn a_line_that_ends_anywhere_else_is_aborted() {
    let whole = [masked(0x81, b"heard"), masked(0x82, &[0; 200]), masked(0x89, b"ping")].concat();
    for length in 0..=whole.len() {
        let (mut peer, mut socket) = client_of(Config::default());
        peer.sends(&whole[..length]).await;
        drop(peer);
        let mut heard = 0;
        let error = loop {
            match socket.recv().await {
                Ok(Some(_)) => heard += 1,
                Ok(None) => panic!("a clean end after {length} bytes"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Aborted | Error::Io(_)), "{error:?}");
        assert_eq!(heard, usize::from(length >= 11) + usize::from(length >= 11 + 208));
        let closed = socket.closed().unwrap();
        assert_eq!((closed.code(), closed.is_clean(), closed.by), (1006, false, Initiator::Peer));
        assert!(matches!(socket.recv().await, Ok(None)), "told once");
        assert!(matches!(socket.send("late").await, Err(Error::Send(SendError::Closed))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_ends_in_the_middle_of_a_streamed_message_is_aborted() {
    let (mut peer, mut socket) = client_of(Config::default());
    peer.sends(masked(0x02, b"part")).await;
    drop(peer);
    assert_eq!(&socket.recv_part().await.unwrap().unwrap().bytes[..], b"part");
    assert!(matches!(socket.recv_part().await, Err(Error::Aborted)));
}

/// A peer that ends its direction without a Close frame has aborted, though it may still read (1006).
#[tokio::test(start_paused = true)]
async fn half_a_line_without_a_close_frame_is_aborted() {
    let (mut peer, mut socket) = client_of(Config::default());
    peer.sends(masked(0x81, b"last")).await;
    peer.stream.shutdown().await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("last")));
    assert!(matches!(socket.recv().await, Err(Error::Aborted)));
    assert_eq!(socket.closed().unwrap().code(), 1006);
}

/// But what it asked for before is still written to it, however slow the line, and no ping is expected to be answered.
#[tokio::test(start_paused = true)]
async fn half_a_line_gets_what_it_is_owed() {
    let ping_interval = Some(Duration::from_secs(1));
    let config = Config { ping_interval, pong_timeout: Duration::from_secs(1), ..Config::default() };
    let (mut peer, mut socket) = pair(16, Role::Server, config);
    socket.feed("sixteen bytes and more").await.unwrap();
    peer.stream.shutdown().await.unwrap();
    let receiving = tokio::spawn(async move { socket.recv().await });
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!receiving.is_finished());
    peer.expects(b"\x81\x16sixteen bytes and more").await;
    assert!(matches!(receiving.await.unwrap(), Err(Error::Aborted)));
}

#[tokio::test(start_paused = true)]
async fn half_a_line_that_does_not_read_is_given_up() {
    let (mut peer, mut socket) = pair(16, Role::Server, Config::default());
    socket.feed("sixteen bytes and more").await.unwrap();
    peer.stream.shutdown().await.unwrap();
    let began = Instant::now();
    assert!(matches!(socket.recv().await, Err(Error::TimedOut(TimedOut::Write))));
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_frame_is_an_error() {
    for role in [Role::Server, Role::Client] {
        let (mut peer, mut socket) = tcp(role, Config::default()).await;
        let key = (role == Role::Server).then_some([1, 2, 3, 4]);
        let second = frame(0x82, &[7; 100], key);
        peer.sends([&frame(0x81, b"heard", key)[..], &second[..50]].concat()).await;
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from("heard")));
        assert!(timeout(Duration::ZERO, socket.recv()).await.is_err());
        peer.stream.set_zero_linger().unwrap();
        drop(peer);
        let received = socket.recv().await;
        assert!(matches!(received, Err(Error::Io(_))), "{received:?}");
        assert_eq!(socket.closed().unwrap().code(), 1006);
        assert!(matches!(socket.recv().await, Ok(None)));
    }
}

/// Whatever a peer can do wrong, as a client does it, and the code that it is told.
fn mistakes() -> Vec<(Vec<u8>, u16)> {
    let text = masked(0x01, b"begun");
    vec![
        (unmasked(0x81, b"x"), 1002),
        (masked(0xc1, b"x"), 1002),
        (masked(0xa1, b"x"), 1002),
        (masked(0x91, b"x"), 1002),
        (masked(0x83, b"x"), 1002),
        (masked(0x8b, b"x"), 1002),
        (b"\x82\xfe\0\x7d\0\0\0\0".to_vec(), 1002),
        (b"\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0".to_vec(), 1002),
        (b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0".to_vec(), 1002),
        (masked(0x09, b"x"), 1002),
        (masked(0x89, &[0; 126]), 1002),
        (masked(0x88, &[3; 200]), 1002),
        (masked(0x80, b"x"), 1002),
        ([text.clone(), masked(0x81, b"x")].concat(), 1002),
        (masked(0x88, b"\x03"), 1002),
        (masked(0x88, b"\x03\xed"), 1002),
        (masked(0x88, b"\x03\xe8\xff"), 1007),
        (masked(0x81, b"\xff"), 1007),
        ([text.clone(), masked(0x80, b"\xe4")].concat(), 1007),
        (masked(0x82, &vec![0; (1 << 20) + 1]), 1009),
        ([masked(0x02, &vec![0; 1 << 20]), masked(0x80, b"x")].concat(), 1009),
        ([text, masked(0x00, b"").repeat(1 << 11)].concat(), 1008),
    ]
}

/// §7.1.7, and §7.1.1 why it is not simply dropped: a reset, because unread bytes were left, would destroy the Close
/// frame on its way. The peer keeps sending while it is told.
#[tokio::test]
async fn every_mistake_is_told_to_a_peer_that_keeps_sending() {
    for (wire, code) in mistakes() {
        let (mut peer, mut socket) = tcp(Role::Server, Config::default()).await;
        let receiving = tokio::spawn(async move { (socket.recv().await, socket) });
        let (mut read, mut write) = peer.stream.into_split();
        let sending = tokio::spawn(async move {
            write.write_all(&wire).await.unwrap();
            for _ in 0..100 {
                write.write_all(&masked(0x82, &[7; 10_000])).await.unwrap();
            }
            write
        });
        let mut told = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut read, &mut told).await.expect("no reset");
        let mut write = sending.await.unwrap();
        write.shutdown().await.unwrap();
        let (close, length) = crate::wire::parse(&told).unwrap();
        assert_eq!((close.first, &close.payload[..2], length), (0x88, &code.to_be_bytes()[..], told.len()));
        let (received, socket) = receiving.await.unwrap();
        let Err(Error::Protocol(error)) = received else { panic!("{received:?}") };
        assert_eq!(close.payload[2..], *error.to_string().as_bytes(), "the reason");
        assert_eq!(u16::from(socket.closed().unwrap().sent.clone().unwrap().code().unwrap()), code);
        assert_eq!(socket.closed().unwrap().code(), 1006);
        peer = crate::peer::Peer::new(read.reunite(write).unwrap());
        drop(peer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_tells_a_server_that_masks() {
    let (mut peer, mut socket) = server_of(Config::default());
    peer.sends(masked(0x81, b"x")).await;
    let receiving = tokio::spawn(async move { socket.recv().await });
    peer.expects_close(1002).await;
    peer.expects_end().await;
    drop(peer);
    assert!(matches!(receiving.await.unwrap(), Err(Error::Protocol(ProtocolError::MaskedFrame))));
}

/// Messages that came before a mistake are still delivered, and answered before the Close frame.
#[tokio::test(start_paused = true)]
async fn what_came_before_a_mistake_is_heard() {
    let (mut peer, mut socket) = client_of(Config::default());
    peer.sends([masked(0x81, b"a"), masked(0x89, b"b"), masked(0x81, b"c"), unmasked(0x81, b"x")].concat()).await;
    let echo = tokio::spawn(async move {
        loop {
            match socket.recv().await {
                Ok(Some(message)) => socket.feed(message).await.unwrap(),
                other => break other,
            }
        }
    });
    // §5.4: a pong may go ahead of the messages that wait.
    peer.expects(b"\x8a\x01b\x81\x01a\x81\x01c").await;
    peer.expects_close(1002).await;
    peer.expects_end().await;
    drop(peer);
    assert!(matches!(echo.await.unwrap(), Err(Error::Protocol(ProtocolError::UnmaskedFrame))));
}

/// The error is told although the peer takes none of it, or is gone.
#[tokio::test(start_paused = true)]
async fn a_mistake_is_told_to_the_application_whatever_becomes_of_the_line() {
    use std::io::ErrorKind;
    for writes in
        [vec![], vec![Write::Wait], vec![Write::Fail(ErrorKind::BrokenPipe)], vec![Write::Take(1), Write::Wait]]
    {
        for end in [None, Some(Read::End), Some(Read::Fail(ErrorKind::ConnectionReset))] {
            let (stream, _handle) = script([Read::Bytes(b"\x81\x01x".to_vec())].into_iter().chain(end), writes.clone());
            let negotiated = Default::default();
            let mut socket = openline::WebSocket::from_parts(stream, b"", Role::Server, &negotiated, Config::default());
            let began = Instant::now();
            let received = socket.recv().await;
            assert!(matches!(received, Err(Error::Protocol(ProtocolError::UnmaskedFrame))), "{received:?}");
            assert!(began.elapsed() <= Duration::from_secs(6));
            assert!(matches!(once(socket.recv()), std::task::Poll::Ready(Ok(None))));
        }
    }
}

/// A socket that closed or failed says so in words that name what happened.
#[tokio::test(start_paused = true)]
async fn errors_have_words() {
    let (mut peer, mut socket) = client_of(Config::default());
    peer.sends(b"\x81\x01x").await;
    drop(tokio::spawn(async move { peer.takes_all().await }));
    let error = socket.recv().await.unwrap_err();
    assert_eq!(error.to_string(), "the peer broke the protocol: a client's frame is not masked (RFC 6455 §5.1)");
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(Error::Aborted.to_string(), "the line ended without a closing handshake (1006)");
}
