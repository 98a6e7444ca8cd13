//! The endpoints of the demo, as a client meets them.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::time::Duration;

use openline::{Client, ClientStream, CloseCode, Config as LineConfig, Message, WebSocket};
use openline_server::Config;
use tokio::time::{Instant, timeout};

use crate::support::{PATIENCE, Running, start, upgrade_with};

async fn open(server: &Running, path: &str, subprotocols: &[&str]) -> WebSocket<ClientStream> {
    let mut client = Client::new();
    for name in subprotocols {
        client = client.subprotocol(name);
    }
    client.connect(&format!("ws://{}{path}", server.address)).await.unwrap().0
}

async fn hears(socket: &mut WebSocket<ClientStream>, expected: impl Into<Message>) {
    let message = timeout(PATIENCE, socket.recv()).await.expect("something is said").unwrap();
    assert_eq!(message, Some(expected.into()));
}

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

fn binary(bytes: &[u8]) -> Message {
    Message::Binary(bytes.to_vec().into())
}

#[tokio::test]
async fn test_sends_back_what_it_gets() {
    let server = start(Config::default()).await;
    let mut socket = open(&server, "/test", &[]).await;
    let long = "ä".repeat(300_000);
    for message in [text("Ping"), text(""), binary(b"\0\xff"), binary(b""), text(&long), binary(&[7; 70_000])] {
        socket.send(&message).await.unwrap();
        hears(&mut socket, message).await;
    }
    let closed = socket.close(CloseCode::NORMAL, "done").await.unwrap();
    assert_eq!((closed.code(), closed.is_clean()), (1000, true));
}

#[tokio::test]
async fn test_speaks_the_first_subprotocol_offered() {
    let server = start(Config::default()).await;
    assert_eq!(open(&server, "/test", &["x", "chat"]).await.subprotocol(), Some("x"));
    assert_eq!(open(&server, "/test", &[]).await.subprotocol(), None);
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_with_1009() {
    let line = LineConfig { max_message_bytes: 1000, ..LineConfig::default() };
    let server = start(Config { line, ..Config::default() }).await;
    let mut socket = open(&server, "/test", &[]).await;
    socket.send(vec![0; 1000]).await.unwrap();
    hears(&mut socket, binary(&[0; 1000])).await;
    socket.send(vec![0; 1001]).await.unwrap();
    assert_eq!(timeout(PATIENCE, socket.recv()).await.unwrap().unwrap(), None);
    assert_eq!(socket.closed().unwrap().code(), 1009);
}

#[tokio::test]
async fn chat_lets_everyone_hear_everyone_else() {
    let server = start(Config::default()).await;
    let mut a = open(&server, "/chat", &["chat"]).await;
    let mut b = open(&server, "/chat", &["other", "chat"]).await;
    let mut c = open(&server, "/chat", &["other"]).await;
    assert_eq!([&a, &b, &c].map(|socket| socket.subprotocol()), [Some("chat"), Some("chat"), None]);

    a.send("from a").await.unwrap();
    b.send(&b"from b"[..]).await.unwrap();
    for (hearer, expected) in [(&mut b, text("from a")), (&mut a, binary(b"from b"))] {
        hears(hearer, expected).await;
    }
    // From two at once, in either order.
    let mut heard = [c.recv().await.unwrap().unwrap(), c.recv().await.unwrap().unwrap()];
    heard.sort_by_key(|message| message.as_text().is_none());
    assert_eq!(heard, [text("from a"), binary(b"from b")]);

    b.close(CloseCode::NORMAL, "").await.unwrap();
    c.send("b is gone").await.unwrap();
    // a never heard itself.
    hears(&mut a, text("b is gone")).await;
}

/// Whoever does not read is shown out, with a code that says "come back"; the others hear everything, in order.
#[tokio::test]
async fn chat_shows_out_who_is_too_slow() {
    // The slow one reads in the end, however long the others talk on a busy machine.
    let close_timeout = Duration::from_secs(60);
    let line = LineConfig { max_output_bytes: 64 << 10, close_timeout, ..LineConfig::default() };
    // What they say would be nothing if it were compressed.
    let server = start(Config { line, deflate: None, ..Config::default() }).await;
    let mut speaker = open(&server, "/chat", &[]).await;
    let mut listener = open(&server, "/chat", &[]).await;
    let mut slow = open(&server, "/chat", &[]).await;

    // Enough to fill the socket's buffers on both sides, which the system may grow to some megabytes, and the outbox.
    const MESSAGES: usize = 2000;
    let message = |number: usize| format!("{number:>16384}");
    for number in 0..MESSAGES {
        speaker.send(message(number)).await.unwrap();
        hears(&mut listener, text(&message(number))).await;
    }
    let mut heard = 0;
    while let Some(said) = timeout(PATIENCE, slow.recv()).await.unwrap().unwrap() {
        assert_eq!(said, text(&message(heard)), "nothing is left out before the end");
        heard += 1;
    }
    let closed = slow.closed().unwrap();
    assert_eq!(closed.code(), 1013, "{closed:?}");
    assert!(closed.reason().starts_with("too slow"), "{closed:?}");
    assert!(heard < MESSAGES);
}

#[tokio::test]
async fn increment_counts_and_starts_again() {
    let server = start(Config::default()).await;
    let mut socket = open(&server, "/increment", &["x", "dumb-increment-protocol"]).await;
    assert_eq!(socket.subprotocol(), Some("dumb-increment-protocol"));
    let start = Instant::now();
    for number in 0..5 {
        hears(&mut socket, text(&number.to_string())).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(4 * 50 - 10), "{:?}", start.elapsed());
    for reset in ["reset\n", "reset"] {
        socket.send(reset).await.unwrap();
        let mut last = None;
        let again = async {
            while let Some(message) = socket.recv().await.unwrap() {
                let number: u32 = message.as_text().unwrap().parse().unwrap();
                match last.replace(number) {
                    _ if number == 0 => return,
                    Some(last) => assert_eq!(number, last + 1),
                    None => {}
                }
            }
        };
        timeout(PATIENCE, again).await.expect("0 comes again");
        hears(&mut socket, text("1")).await;
    }
    // Anything else is not for it.
    socket.send("reset please").await.unwrap();
    hears(&mut socket, text("2")).await;
}

#[tokio::test]
async fn increment_wants_its_subprotocol() {
    let server = start(Config::default()).await;
    for fields in ["", "Sec-WebSocket-Protocol: chat\r\n", "Sec-WebSocket-Protocol: Dumb-Increment-Protocol\r\n"] {
        let mut raw = server.connect().await;
        raw.send(upgrade_with("/increment", fields)).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("\"dumb-increment-protocol\""), "{answer:?}");
    }
}
