//! Keepalive and the other deadlines, end to end, in virtual time.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use openline::handshake::Negotiated;
use openline::{CloseCode, Config, Error, Message, Role, SendError, TimedOut, WebSocket};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

use crate::peer::{client_of, pair, server_of};
use crate::script::script;
use crate::wire::{masked, unmasked};

/// So many seconds, or up to two more: timers ring late, never early.
#[track_caller]
fn assert_seconds(began: Instant, seconds: std::ops::RangeInclusive<u64>) {
    let elapsed = began.elapsed();
    assert!(seconds.contains(&elapsed.as_secs()), "{elapsed:?}");
}

/// No keepalive, so that only the deadline in question runs.
fn quiet() -> Config {
    Config { ping_interval: None, ..Config::default() }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_given_up() {
    let (mut peer, mut socket) = client_of(Config::default());
    let began = Instant::now();
    let receiving = tokio::spawn(async move { (socket.recv().await, socket) });
    peer.expects(b"\x89\x00").await;
    assert_seconds(began, 18..=22);
    let pinged = Instant::now();
    peer.expects_close(1011).await;
    assert_seconds(pinged, 20..=20);
    peer.expects_end().await;
    drop(peer);
    let (received, socket) = receiving.await.unwrap();
    assert!(matches!(received, Err(Error::TimedOut(TimedOut::Pong))), "{received:?}");
    assert_eq!(socket.closed().unwrap().code(), 1006);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_answers_is_kept_for_hours() {
    let pongs = [masked(0x8a, b""), unmasked(0x8a, b"")];
    for ((mut peer, mut socket), pong) in
        [client_of(Config::default()), server_of(Config::default())].into_iter().zip(pongs)
    {
        let receiving = tokio::spawn(async move { socket.recv().await });
        let began = Instant::now();
        let mut pings = 0;
        while began.elapsed() < Duration::from_secs(3 * 3600) {
            let ping = peer.takes_frame().await;
            assert_eq!((ping.first, &ping.payload[..]), (0x89, &b""[..]));
            sleep(Duration::from_secs(19)).await;
            peer.sends(&pong).await;
            pings += 1;
        }
        assert!((250..300).contains(&pings), "{pings}");
        assert!(!receiving.is_finished());
    }
}

#[tokio::test(start_paused = true)]
async fn any_byte_shows_that_the_peer_lives() {
    let (mut peer, mut socket) = client_of(Config { message_timeout: Duration::from_secs(600), ..Config::default() });
    let receiving = tokio::spawn(async move { socket.recv().await });
    // A message that takes ten minutes, a byte every fifteen seconds: no ping is ever needed.
    let frame = masked(0x82, &[7; 40]);
    for byte in &frame {
        sleep(Duration::from_secs(15)).await;
        peer.sends([*byte]).await;
    }
    assert_eq!(receiving.await.unwrap().unwrap(), Some(Message::from(vec![7; 40])));
    peer.expects_end().await; // the socket is gone, and had nothing to say
}

#[tokio::test(start_paused = true)]
async fn without_keepalive_a_silent_line_lives_for_ever() {
    let (mut peer, mut socket) = client_of(quiet());
    assert!(timeout(Duration::from_secs(1_000_000), socket.recv()).await.is_err());
    peer.expects_nothing().await;
}

/// The application was busy for a minute; the peer has answered meanwhile, or had nothing to answer.
#[tokio::test(start_paused = true)]
async fn an_application_that_sleeps_does_not_kill_a_healthy_line() {
    let (mut peer, mut socket) = client_of(Config::default());
    // Not pinged before the sleep.
    assert!(timeout(Duration::from_secs(1), socket.recv()).await.is_err());
    sleep(Duration::from_secs(60)).await;
    assert!(timeout(Duration::from_secs(1), socket.recv()).await.is_err());
    peer.expects(b"\x89\x00").await;
    // Pinged before the sleep, and answered during it.
    peer.sends(masked(0x8a, b"")).await;
    sleep(Duration::from_secs(60)).await;
    assert!(timeout(Duration::from_secs(1), socket.recv()).await.is_err());
    peer.expects_nothing().await;
    // In the middle of a message, which has come meanwhile.
    peer.sends(&masked(0x81, b"late")[..5]).await;
    assert!(timeout(Duration::from_secs(1), socket.recv()).await.is_err());
    peer.sends(&masked(0x81, b"late")[5..]).await;
    sleep(Duration::from_secs(120)).await;
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("late")));
    socket.send("awake").await.unwrap();
}

/// The same for one that sends for minutes, to a peer that takes its time, and reads only then.
#[tokio::test(start_paused = true)]
async fn an_application_that_only_sends_for_minutes_does_not_kill_a_healthy_line() {
    let (mut peer, mut socket) = pair(64, Role::Server, Config::default());
    peer.sends(&masked(0x81, b"begun")[..5]).await;
    assert!(timeout(Duration::from_secs(30), socket.recv()).await.is_err());
    let sending = tokio::spawn(async move {
        socket.send(vec![0; 1000]).await.unwrap();
        socket
    });
    let mut byte = [0; 64];
    peer.sends(&masked(0x81, b"begun")[5..]).await;
    while !sending.is_finished() {
        sleep(Duration::from_secs(25)).await; // under the write timeout
        peer.stream.read_exact(&mut byte[..32]).await.unwrap();
    }
    let mut socket = sending.await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("begun")));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_given_up_by_send() {
    for keepalive in [quiet(), Config::default()] {
        let (_peer, mut socket) = pair(64, Role::Server, keepalive);
        let began = Instant::now();
        let sent = socket.send(vec![0; 1000]).await;
        assert!(matches!(sent, Err(Error::TimedOut(TimedOut::Write))), "{sent:?}");
        assert_seconds(began, 30..=30);
        assert_eq!(socket.closed().unwrap().code(), 1006);
        assert!(matches!(socket.send("more").await, Err(Error::Send(SendError::Closed))));
        assert!(matches!(socket.recv().await, Err(Error::TimedOut(TimedOut::Write))));
        assert!(matches!(socket.recv().await, Ok(None)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_given_up_by_recv() {
    let config = Config { max_output_bytes: 10, ..quiet() };
    let (mut peer, mut socket) = pair(64, Role::Server, config);
    peer.sends(masked(0x81, b"answer me")).await;
    socket.feed(vec![0; 1000]).await.unwrap();
    let began = Instant::now();
    let received = socket.recv().await;
    assert!(matches!(received, Err(Error::TimedOut(TimedOut::Write))), "{received:?}");
    assert_seconds(began, 30..=30);
}

/// A stream with a buffer of its own, as TLS has, takes what is written; the peer has not.
#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_flush_is_given_up() {
    for receives in [false, true] {
        let (stream, handle) = script([], []);
        handle.state().holds = true;
        let mut socket = WebSocket::from_parts(stream, b"", Role::Server, &Negotiated::default(), quiet());
        let began = Instant::now();
        socket.feed("held").await.unwrap();
        let ended = match receives {
            false => timeout(Duration::from_secs(60), socket.flush()).await,
            true => timeout(Duration::from_secs(60), socket.recv()).await.map(|received| received.map(drop)),
        };
        assert!(matches!(ended, Ok(Err(Error::TimedOut(TimedOut::Write)))), "{ended:?}");
        assert_seconds(began, 30..=30);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_flushes_late_is_not_given_up() {
    let (stream, handle) = script([], []);
    let mut socket = WebSocket::from_parts(stream, b"", Role::Server, &Negotiated::default(), quiet());
    for _ in 0..3 {
        handle.state().holds = true;
        let later = handle.clone();
        tokio::spawn(async move {
            sleep(Duration::from_secs(29)).await;
            later.lets_flush();
        });
        socket.send("held").await.unwrap();
        assert!(timeout(Duration::from_secs(60), socket.recv()).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_not_given_up() {
    let (mut peer, mut socket) = pair(64, Role::Server, Config::default());
    let sending = tokio::spawn(async move { socket.send(vec![0; 100]).await });
    for _ in 0..38 {
        sleep(Duration::from_secs(29)).await;
        peer.stream.read_u8().await.unwrap();
    }
    sending.await.unwrap().unwrap();
}

/// A peer that paused once and then read everything has a whole write timeout when it pauses again, at the same byte.
#[tokio::test(start_paused = true)]
async fn each_pause_of_a_reader_counts_from_its_own_beginning() {
    let (mut peer, mut socket) = pair(64, Role::Server, Config::default());
    let (_others_peer, mut other) = pair(64, Role::Server, Config::default());
    for i in 0..3 {
        let reading = async {
            sleep(Duration::from_secs(20)).await;
            Ok(peer.takes_frame().await)
        };
        let ((), frame) = tokio::try_join!(socket.send(vec![i; 100]), reading).unwrap();
        assert_eq!(frame.payload, [i; 100]);
        // Another connection has what this one wrote from, so the next message is written from something new.
        other.feed("later").await.unwrap();
        sleep(Duration::from_secs(20)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_not_answered_times_out() {
    let (mut peer, mut socket) = client_of(Config::default());
    let began = Instant::now();
    let closed = socket.close(CloseCode::NORMAL, "").await;
    assert!(matches!(closed, Err(Error::TimedOut(TimedOut::Close))), "{closed:?}");
    assert_seconds(began, 5..=5);
    peer.expects(b"\x88\x02\x03\xe8").await;
    assert_eq!(socket.closed().unwrap().code(), 1006);
}

/// Bytes that still come do not hold the deadline off, whoever sends them and however many.
#[tokio::test(start_paused = true)]
async fn a_close_times_out_under_a_flood() {
    for answers in [false, true] {
        let (mut peer, mut socket) = client_of(Config::default());
        let flood = tokio::spawn(async move {
            peer.expects_close(1000).await;
            if answers {
                peer.sends(masked(0x88, b"\x03\xe8")).await;
            }
            while peer.sends_if_open(&masked(0x89, b"")).await {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let began = Instant::now();
        let closed = socket.close(CloseCode::NORMAL, "").await;
        match answers {
            true => assert!(closed.unwrap().is_clean(), "both Close frames crossed, only TCP does not end"),
            false => assert!(matches!(closed, Err(Error::TimedOut(TimedOut::Close))), "{closed:?}"),
        }
        assert_seconds(began, 5..=5);
        drop(socket);
        flood.await.unwrap();
    }
}

/// A client waits for the server to end TCP (§7.1.1), but not for ever.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_end_tcp_is_not_waited_for() {
    let (mut peer, mut socket) = server_of(Config::default());
    let began = Instant::now();
    peer.sends(unmasked(0x88, b"\x03\xe8")).await;
    assert_eq!(socket.recv().await.unwrap(), None);
    assert_seconds(began, 5..=5);
    peer.expects_close(1000).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_go_on_fails_the_connection() {
    let (mut peer, mut socket) = client_of(quiet());
    peer.sends(masked(0x01, b"begun")).await;
    let receiving = tokio::spawn(async move { socket.recv().await });
    let began = Instant::now();
    // §5.4: control frames in between are not the message going on.
    for _ in 0..11 {
        sleep(Duration::from_secs(5)).await;
        peer.sends(masked(0x89, b"")).await;
        peer.expects(b"\x8a\x00").await;
    }
    peer.expects_close(1008).await;
    assert_seconds(began, 60..=60);
    peer.expects_end().await;
    drop(peer);
    let received = receiving.await.unwrap();
    assert!(matches!(received, Err(Error::TimedOut(TimedOut::Message))), "{received:?}");
}

/// The timer that was set for the message rings, finds nothing due, and is heard no more.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_fell_away_costs_nothing() {
    let (mut peer, mut socket) = client_of(quiet());
    let message = masked(0x82, b"whole");
    peer.sends(&message[..8]).await;
    assert!(timeout(Duration::from_secs(1), socket.recv()).await.is_err());
    peer.sends(&message[8..]).await;
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from(b"whole".to_vec())));
    let mut polls = 0;
    let mut receiving = pin!(socket.recv());
    let counted = poll_fn(|cx| {
        polls += 1;
        assert!(polls < 100, "it spins");
        receiving.as_mut().poll(cx)
    });
    assert!(timeout(Duration::from_secs(1_000_000), counted).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_if_asked_for() {
    let (mut peer, mut socket) =
        client_of(Config { idle_timeout: Some(Duration::from_secs(100)), ..Config::default() });
    let receiving = tokio::spawn(async move { (socket.recv().await, socket) });
    let began = Instant::now();
    for _ in 0..4 {
        peer.expects(b"\x89\x00").await;
        peer.sends(masked(0x8a, b"")).await;
    }
    let frame = loop {
        let frame = peer.takes_frame().await;
        if frame.first != 0x89 {
            break frame;
        }
        peer.sends(masked(0x8a, b"")).await;
    };
    assert_seconds(began, 100..=100);
    assert_eq!((frame.first, &frame.payload[..2]), (0x88, &b"\x03\xe9"[..]));
    peer.sends(masked(0x88, b"\x03\xe9")).await;
    peer.expects_end().await;
    drop(peer);
    let (received, socket) = receiving.await.unwrap();
    assert_eq!(received.unwrap(), None);
    assert!(socket.closed().unwrap().is_clean());
}

/// Two ends that both send and never read: neither hangs, neither grows.
#[tokio::test(start_paused = true)]
async fn two_peers_that_only_send_give_each_other_up() {
    let (ours, theirs) = tokio::io::duplex(1000);
    let negotiated = Default::default();
    let mut ends = Vec::new();
    for (stream, role) in [(ours, Role::Server), (theirs, Role::Client)] {
        let mut socket = WebSocket::from_parts(stream, b"", role, &negotiated, Config::default());
        ends.push(tokio::spawn(async move {
            let mut sent = 0;
            let error = loop {
                match socket.send(vec![0; 500]).await {
                    Ok(()) => sent += 1,
                    Err(error) => break error,
                }
            };
            (sent, error, socket) // kept: the other's deadline is its own
        }));
    }
    let began = Instant::now();
    for end in ends {
        let (sent, error, _socket) = end.await.unwrap();
        assert!(sent <= 2, "what the line holds, and no more: {sent}");
        assert!(matches!(error, Error::TimedOut(TimedOut::Write) | Error::Io(_)), "{error:?}");
    }
    assert_seconds(began, 30..=30);
}

/// A flood that keeps the line readable does not keep the timers from running.
#[tokio::test(start_paused = true)]
async fn a_flood_of_pings_does_not_stop_the_clock() {
    let config = Config { idle_timeout: Some(Duration::from_secs(10)), ..Config::default() };
    let (mut peer, mut socket) = client_of(config);
    let receiving = tokio::spawn(async move { socket.recv().await });
    let began = Instant::now();
    let closed = loop {
        peer.sends(masked(0x89, b"").repeat(100)).await;
        sleep(Duration::from_millis(10)).await;
        let mut frames = peer.takes_frames().await.into_iter();
        if let Some(close) = frames.find(|frame| frame.first == 0x88) {
            break close;
        }
    };
    assert_eq!(&closed.payload[..2], b"\x03\xe9");
    assert_seconds(began, 10..=10);
    drop(peer);
    assert!(receiving.await.unwrap().is_err());
}
