//! Readers that do not keep up, by each rule and at each door: what they hear is the sequence, or they are told what is missing;
//! and the metrics say how many they were.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use openline_server::hub::{Limits, Namespaces, Overflow, Settings};
use openline_server::{Admin, Config, Listen};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::support::{PATIENCE, Raw, Running, masked, start, upgrade};

/// More than what the kernel takes for a reader that does not read: some 4 MiB of ours, and little of its own.
const MESSAGES: u64 = 200;

const BYTES: usize = 60_000;

async fn server(overflow: Overflow) -> Running {
    let settings = Settings { overflow, ..Settings::default() };
    let channels = Limits { max_outbox_bytes: 512 << 10, ..Limits::default() };
    let admin = Some(Admin { listen: Listen::At(([127, 0, 0, 1], 0).into()), is_needed: true });
    start(Config { namespaces: Namespaces::new(settings), channels, admin, ..Config::default() }).await
}

/// `openline_overflow_total`.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    conflated: u64,
    dropped: u64,
    disconnected: u64,
}

async fn counted(server: &Running) -> Counted {
    let mut raw = Raw::connect(server.admin.unwrap()).await;
    raw.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let metrics = raw.answer().await.body;
    let of = |outcome: &str| -> u64 {
        let name = format!("openline_overflow_total{{outcome=\"{outcome}\"}} ");
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(&name))
            .unwrap_or_else(|| panic!("{metrics}"))
            .parse()
            .unwrap()
    };
    Counted { conflated: of("conflated"), dropped: of("dropped"), disconnected: of("disconnected") }
}

/// A reader that asked, and does not read on for now.
async fn slow_reader(server: &Running, request: &str, status: u16) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let mut raw = Raw(BufReader::with_capacity(4096, socket.connect(server.address).await.unwrap()));
    raw.send(request).await;
    assert_eq!(raw.answer().await.status, status);
    raw
}

async fn slow_line(server: &Running) -> Raw {
    slow_reader(server, &upgrade("/c/x"), 101).await
}

/// A session on the same channel.
async fn slow_session(server: &Running) -> Raw {
    let mut raw = slow_reader(server, &upgrade("/connection/websocket"), 101).await;
    raw.send(masked(0x81, br#"{"id":1,"connect":{}}"#)).await;
    assert!(raw.text().await.contains("\"connect\""));
    raw.send(masked(0x81, br#"{"id":2,"subscribe":{"channel":"x"}}"#)).await;
    assert!(raw.text().await.contains("\"subscribe\""));
    raw
}

async fn slow_events(server: &Running) -> Raw {
    slow_reader(server, "GET /c/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", 200).await
}

/// `1 xxx…` to `200 xxx…`, of four keys, and then `end`.
async fn publish_all(server: &Running) {
    let mut raw = server.connect().await;
    for number in 1..=MESSAGES + 1 {
        let (key, body) = match number {
            number if number > MESSAGES => (String::new(), "end".to_owned()),
            number => (format!("Openline-Key: {}\r\n", number % 4), format!("{number:<BYTES$}")),
        };
        let length = body.len();
        raw.send(format!(
            "POST /c/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n{key}\r\n{body}"
        ))
        .await;
        assert_eq!(raw.answer().await.status, 202);
    }
}

/// What a reader hears.
#[derive(Debug, PartialEq)]
enum Heard {
    Number(u64),
    End,
    /// So many are missing.
    Gap(u64),
    Closed(u16, String),
    /// An event stream ended.
    Over,
}

fn heard(text: &str) -> Heard {
    match text.trim() {
        "end" => Heard::End,
        number => Heard::Number(number.parse().unwrap()),
    }
}

/// The next message of a line, or its end.
async fn message(raw: &mut Raw) -> Heard {
    match frame(raw).await {
        (0x81, payload) => heard(std::str::from_utf8(&payload).unwrap()),
        (0x88, payload) => Heard::Closed(
            u16::from_be_bytes([payload[0], payload[1]]),
            String::from_utf8(payload[2..].to_vec()).unwrap(),
        ),
        (other, _) => panic!("{other:x}"),
    }
}

/// The next frame: its first byte, and its payload.
async fn frame(raw: &mut Raw) -> (u8, Vec<u8>) {
    let read = async {
        let first = raw.0.read_u8().await.unwrap();
        let length = match raw.0.read_u8().await.unwrap() {
            126 => u64::from(raw.0.read_u16().await.unwrap()),
            127 => raw.0.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        let mut payload = vec![0; length as usize];
        raw.0.read_exact(&mut payload).await.unwrap();
        (first, payload)
    };
    timeout(PATIENCE, read).await.expect("something comes")
}

/// The next event that says something, or the end of the stream. Chunks end where they like.
async fn event(raw: &mut Raw) -> Heard {
    let read = async {
        let (mut said, mut name) = (None::<String>, String::new());
        loop {
            let mut line = String::new();
            raw.0.read_line(&mut line).await.unwrap();
            match line.as_str() {
                "0\r\n" => return Heard::Over,
                // Between chunks, and their sizes.
                chunk if chunk.ends_with("\r\n") => {}
                "\n" => match (said.take(), name.as_str()) {
                    (None, _) => {}
                    (Some(data), "gap") => {
                        let gap: serde_json::Value = serde_json::from_str(&data).unwrap();
                        assert_eq!((&gap["gap"], &gap["channel"]), (&"slow".into(), &"x".into()));
                        return Heard::Gap(gap["skipped"].as_u64().unwrap());
                    }
                    (Some(data), _) => return heard(&data),
                },
                line => {
                    if let Some(data) = line.strip_prefix("data: ") {
                        said = Some(data.to_owned());
                    }
                    if let Some(event) = line.strip_prefix("event: ") {
                        name = event.trim().to_owned();
                    }
                }
            }
        }
    };
    timeout(PATIENCE, read).await.expect("something comes")
}

#[tokio::test]
async fn drop_oldest_says_at_an_event_stream_what_is_missing_and_goes_on() {
    let server = server(Overflow::DropOldest).await;
    let mut events = slow_events(&server).await;
    publish_all(&server).await;
    let (mut last, mut gaps, mut told, mut dropped) = (0, 0, 0, 0);
    loop {
        match event(&mut events).await {
            Heard::Number(number) => {
                assert_eq!(number, last + told + 1, "after {last}, and {told} that are missing");
                (last, told) = (number, 0);
            }
            Heard::Gap(skipped) => {
                assert_eq!(told, 0, "told once, before the next message");
                (gaps, told, dropped) = (gaps + 1, skipped, dropped + skipped);
            }
            Heard::End => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((last + told, gaps > 0), (MESSAGES, true));
    assert_eq!(counted(&server).await, Counted { dropped, ..Counted::default() });
}

#[tokio::test]
async fn drop_oldest_closes_a_websocket_before_it_hears_anything_after_the_gap() {
    let server = server(Overflow::DropOldest).await;
    let mut line = slow_line(&server).await;
    publish_all(&server).await;
    let mut last = 0;
    loop {
        match message(&mut line).await {
            Heard::Number(number) => {
                assert_eq!(number, last + 1);
                last = number;
            }
            Heard::Closed(code, reason) => {
                let skipped = reason.strip_prefix("gap: slow; ").and_then(|rest| rest.strip_suffix(" skipped"));
                let skipped: u64 = skipped.unwrap_or_else(|| panic!("{reason}")).parse().unwrap();
                assert_eq!(code, 4010);
                assert!(skipped > 0 && last + skipped <= MESSAGES, "{last} heard, {skipped} skipped");
                // All was published before it was told.
                assert_eq!(counted(&server).await, Counted { dropped: skipped, ..Counted::default() });
                break;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn latest_per_key_gives_the_newest_of_each_key_at_both_doors() {
    let server = server(Overflow::LatestPerKey).await;
    let (mut line, mut events) = (slow_line(&server).await, slow_events(&server).await);
    publish_all(&server).await;
    let mut conflated = 0;
    for door in ["websocket", "events"] {
        let (mut newest, mut last, mut count) = ([0; 4], 0, 0);
        loop {
            let next = if door == "websocket" { message(&mut line).await } else { event(&mut events).await };
            match next {
                Heard::Number(number) => {
                    assert!(number > last, "{door}: {number} after {last}");
                    (last, count) = (number, count + 1);
                    newest[(number % 4) as usize] = number;
                }
                Heard::End => break,
                other => panic!("{door}: {other:?}"),
            }
        }
        assert_eq!(newest, [200, 197, 198, 199], "{door}");
        assert!(count < MESSAGES, "{door}: nothing was left out");
        conflated += MESSAGES - count;
    }
    assert_eq!(counted(&server).await, Counted { conflated, ..Counted::default() });
}

#[tokio::test]
async fn disconnect_ends_an_event_stream_which_comes_back_and_is_told() {
    let server = server(Overflow::Disconnect).await;
    let mut events = slow_events(&server).await;
    publish_all(&server).await;
    let mut last = 0;
    loop {
        match event(&mut events).await {
            Heard::Number(number) => {
                assert_eq!(number, last + 1);
                last = number;
            }
            Heard::Over => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(last < MESSAGES);
    assert_eq!(counted(&server).await, Counted { disconnected: 1, ..Counted::default() });
}

#[tokio::test]
async fn disconnect_closes_a_websocket_with_4008() {
    let server = server(Overflow::Disconnect).await;
    let mut line = slow_line(&server).await;
    publish_all(&server).await;
    let mut last = 0;
    loop {
        match message(&mut line).await {
            Heard::Number(number) => {
                assert_eq!(number, last + 1);
                last = number;
            }
            Heard::Closed(code, _) => {
                assert_eq!(code, 4008);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(last < MESSAGES);
    assert_eq!(counted(&server).await, Counted { disconnected: 1, ..Counted::default() });
}

/// What a session hears until it is told that it was too slow, or `end`: how many publications, and the code.
async fn session_hears(raw: &mut Raw) -> (u64, Option<u64>) {
    let mut heard = 0;
    loop {
        let (first, payload) = frame(raw).await;
        if first == 0x88 {
            return (heard, Some(u16::from_be_bytes([payload[0], payload[1]]).into()));
        }
        for line in std::str::from_utf8(&payload).unwrap().lines() {
            let said: serde_json::Value = serde_json::from_str(line).unwrap();
            let push = &said["push"];
            match (&push["pub"]["data"], &push["unsubscribe"]["code"]) {
                (data, _) if *data == "end" => return (heard, None),
                (data, _) if data.is_string() => heard += 1,
                (_, code) if code.is_u64() => return (heard, code.as_u64()),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_does_not_keep_up_is_counted_as_at_the_doors() {
    for overflow in [Overflow::Disconnect, Overflow::DropOldest, Overflow::LatestPerKey] {
        let server = server(overflow).await;
        let mut session = slow_session(&server).await;
        publish_all(&server).await;
        let (heard, code) = session_hears(&mut session).await;
        let counted = counted(&server).await;
        let of = |conflated, dropped, disconnected| Counted { conflated, dropped, disconnected };
        match overflow {
            Overflow::Disconnect => assert_eq!((code, counted), (Some(3008), of(0, 0, 1))),
            // What comes after a gap it is not told.
            Overflow::DropOldest => {
                assert_eq!((code, counted.dropped > 0), (Some(2500), true));
                assert_eq!(counted, of(0, counted.dropped, 0));
            }
            _ => assert_eq!((code, counted), (None, of(MESSAGES - heard, 0, 0))),
        }
        assert!(heard < MESSAGES);
    }
}

/// Who polls has no outbox, whatever the rule: each request reads the history.
#[tokio::test]
async fn who_polls_is_never_too_slow() {
    for overflow in [Overflow::Disconnect, Overflow::DropOldest, Overflow::LatestPerKey] {
        let server = server(overflow).await;
        let mut waiting = server.connect().await;
        waiting.send("GET /c/x?wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        publish_all(&server).await;
        assert_eq!(waiting.answer().await.status, 200);
        let mut late = server.connect().await;
        late.send("GET /c/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(late.answer().await.status, 200);
        assert_eq!(counted(&server).await, Counted::default());
    }
}
