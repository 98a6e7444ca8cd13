//! The five doors of a channel, over TCP, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use openline_server::hub::{HistoryLimits, Namespaces, Settings};
use openline_server::{Config, Order};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio::time::timeout;

use crate::support::{Answer, PATIENCE, Raw, Running, close, masked, start, upgrade, upgrade_with};

/// A request on a connection of its own.
async fn ask(server: &Running, first: &str, fields: &str, body: &[u8]) -> Answer {
    let mut raw = server.connect().await;
    let length = body.len();
    let head = format!("{first} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n");
    raw.send([head.as_bytes(), body].concat()).await;
    raw.answer().await
}

/// The head of the answer to a HEAD, which has no body whatever its length says.
async fn head(server: &Running, fields: &str) -> String {
    let mut raw = server.connect().await;
    raw.send(format!("HEAD /c/news HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")).await;
    let mut head = String::new();
    timeout(PATIENCE, raw.0.read_to_string(&mut head)).await.unwrap().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    head
}

async fn publish(server: &Running, path: &str, text: &str) -> String {
    let answer = ask(server, &format!("POST {path}"), "Content-Type: text/plain\r\n", text.as_bytes()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.header("openline-position").unwrap().to_owned()
}

async fn get(server: &Running, path: &str) -> Value {
    let answer = ask(server, &format!("GET {path}"), "", b"").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{answer:?}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    serde_json::from_str(&answer.body).unwrap()
}

/// An event stream, chunk for chunk.
struct Events(Raw);

impl Events {
    async fn open(server: &Running, path: &str, fields: &str) -> Self {
        let mut raw = server.connect().await;
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{fields}\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")), "{answer:?}");
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        Self(raw)
    }

    /// The next lines up to an empty one; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        let next = async {
            let mut event = String::new();
            loop {
                let mut line = String::new();
                assert_ne!(self.0.0.read_line(&mut line).await.unwrap(), 0, "{event:?}");
                match line.as_str() {
                    "0\r\n" => return None,
                    // Between chunks, and their sizes.
                    chunk if chunk.ends_with("\r\n") => {}
                    "\n" => return Some(event),
                    line => event.push_str(line),
                }
            }
        };
        timeout(PATIENCE, next).await.expect("an event comes")
    }
}

/// As a frame: whether it came alone or in a row with others is no affair of who hears it.
fn heard(payload: &[u8]) -> Vec<u8> {
    let head = match payload.len() {
        length @ ..126 => vec![0x82, length as u8],
        length => [&[0x82, 126][..], &(length as u16).to_be_bytes()].concat(),
    };
    [&head, payload].concat()
}

#[tokio::test]
async fn a_burst_is_heard_whole_and_in_order() {
    let server = start(Config::default()).await;
    let mut lines = [server.open("/c/burst").await, server.open("/c/burst").await];
    let mut late = server.open("/c?ch=burst&ch=other").await;
    let mut publisher = server.connect().await;
    // Small ones, which go together; some that make a row too long for that; and one that is long alone.
    for (burst, sizes) in [[10; 16], [0; 16], [3000; 16], [60_000; 16]].into_iter().enumerate() {
        let payloads: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(n, size)| vec![(burst * 16 + n) as u8; *size]).collect();
        let requests = payloads.iter().map(|payload| {
            let length = payload.len();
            let head = "POST /c/burst HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n";
            [format!("{head}Content-Length: {length}\r\n\r\n").as_bytes(), payload].concat()
        });
        publisher.send(requests.collect::<Vec<_>>().concat()).await;
        for line in &mut lines {
            for payload in &payloads {
                line.expects(heard(payload)).await;
            }
        }
        for _ in &payloads {
            assert_eq!(publisher.answer().await.status, 202);
        }
    }
    // Who hears several channels is told which one it was, each time.
    let mut text = String::new();
    while text.matches(r#""channel":"burst""#).count() < 64 {
        let mut bytes = [0; 4096];
        let length = timeout(PATIENCE, late.0.read(&mut bytes)).await.unwrap().unwrap();
        assert_ne!(length, 0);
        text.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
}

#[tokio::test]
async fn what_is_posted_is_heard_at_every_door() {
    let server = start(Config::default()).await;
    let mut line = server.open("/c/news").await;
    let mut events = Events::open(&server, "/c/news", "").await;
    let begin = events.next().await.unwrap();
    assert!(begin.starts_with("retry: 2000\nid: ") && begin.ends_with(".0\n"), "{begin}");
    let poll = tokio::spawn({
        let mut raw = server.connect().await;
        raw.send("GET /c/news?wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        async move { raw.answer().await }
    });
    // The poll is there once the channel has three subscribers.
    let position = loop {
        let answer =
            ask(&server, "POST /c/news", "Content-Type: text/plain\r\nOpenline-Key: k\r\n", "Ping €".as_bytes()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let position = answer.header("openline-position").unwrap().to_owned();
        assert_eq!((&body["position"], &body["repeated"]), (&json!(position), &json!(false)));
        line.expects(b"\x81\x08Ping \xe2\x82\xac").await;
        assert_eq!(events.next().await.unwrap(), format!("id: {position}\ndata: Ping €\n"));
        if body["deliveries"] == 3 {
            break position;
        }
    };
    let polled = timeout(PATIENCE, poll).await.unwrap().unwrap();
    let polled: Value = serde_json::from_str(&polled.body).unwrap();
    assert_eq!(polled["next"], position);
    let publication = &polled["publications"][0];
    assert_eq!(publication["position"], position);
    assert_eq!((&publication["text"], &publication["channel"]), (&json!("Ping €"), &json!("news")));
    assert_eq!(publication["key"], "k");
    assert!(publication["time"].as_u64().unwrap() > 1_700_000_000_000);
    let window = get(&server, "/c/news").await;
    assert_eq!(window["publications"].as_array().unwrap().last(), Some(publication));
    assert!(head(&server, "").await.contains(&format!("\r\nopenline-position: {position}\r\n")));
}

#[tokio::test]
async fn formats_come_by_their_content_types() {
    let server = start(Config::default()).await;
    for (kind, body, expected) in [
        ("text/plain; charset=UTF-8", &b"a\r\nb"[..], json!({ "text": "a\r\nb" })),
        ("application/x-www-form-urlencoded", b"curl -d", json!({ "text": "curl -d" })),
        ("application/json", b" {\"a\":[1]} ", json!({ "json": { "a": [1] } })),
        ("application/problem+json", b"1", json!({ "json": 1 })),
        ("application/octet-stream", b"\0\xff", json!({ "base64": "AP8=" })),
        ("image/png", b"", json!({ "base64": "" })),
    ] {
        let answer = ask(&server, "POST /c/f", &format!("Content-Type: {kind}\r\n"), body).await;
        assert_eq!(answer.status, 202, "{kind}: {answer:?}");
        let mut last = get(&server, "/c/f?limit=1").await["publications"][0].take();
        last.as_object_mut().unwrap().retain(|name, _| matches!(name.as_str(), "text" | "json" | "base64"));
        assert_eq!(last, expected, "{kind}");
    }
    for (kind, body, status) in [
        ("text/plain", &b"\xff"[..], 400),
        ("text/plain; charset=latin1", b"a", 415),
        ("multipart/form-data; boundary=x", b"a", 415),
        ("application/json", b"{", 400),
        ("application/json", b"", 400),
        ("application/json", b"1 2", 400),
        ("application/json", b"\"\xff\"", 400),
    ] {
        let answer = ask(&server, "POST /c/f", &format!("Content-Type: {kind}\r\n"), body).await;
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
        assert!(answer.body.ends_with('\n'), "{}", answer.body);
    }
    assert_eq!(get(&server, "/c/f").await["publications"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_repeated_post_publishes_once() {
    let server = start(Config::default()).await;
    let post = async |key: &str, body: &str| {
        let fields = format!("Content-Type: text/plain\r\nIdempotency-Key: {key}\r\n");
        ask(&server, "POST /c/once", &fields, body.as_bytes()).await
    };
    let first = post("k1", "a").await;
    let again = post("k1", "a").await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.header("openline-position"), again.header("openline-position"));
    assert!(first.body.contains("\"repeated\":false") && again.body.contains("\"repeated\":true"));
    assert_eq!(post("k1", "b").await.status, 422);
    assert_eq!(post(&"k".repeat(129), "b").await.status, 400);
    assert_eq!(post("", "b").await.status, 400);
    assert_eq!(get(&server, "/c/once").await["publications"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_comes_back_misses_nothing() {
    let server = start(Config::default()).await;
    let one = publish(&server, "/c/a", "one").await;
    let two = publish(&server, "/c/a", "two").await;
    let three = publish(&server, "/c/a", "three").await;
    let mut line = server.open(&format!("/c/a?after={one}")).await;
    line.expects(b"\x81\x03two\x81\x05three").await;
    // The id that the browser remembers beats the URL that the page wrote.
    let mut events = Events::open(&server, &format!("/c/a?after={one}"), &format!("Last-Event-ID: {two}\r\n")).await;
    let recovered = events.next().await.unwrap();
    assert_eq!(recovered, format!("retry: 2000\nid: {three}\ndata: three\n"));
    assert_eq!(events.next().await.unwrap(), format!("id: {three}\n"));
    let polled = get(&server, &format!("/c/a?after={one}&limit=1")).await;
    assert_eq!((&polled["publications"][0]["text"], &polled["next"]), (&json!("two"), &json!(two)));
    let polled = get(&server, &format!("/c/a?after={two}&wait=20")).await;
    assert_eq!((&polled["publications"][0]["text"], &polled["next"]), (&json!("three"), &json!(three)));
    let polled = get(&server, &format!("/c/a?after={three}&wait=0")).await;
    assert_eq!((&polled["publications"], &polled["next"]), (&json!([]), &json!(three)));
    // Then, live.
    let four = publish(&server, "/c/a", "four").await;
    line.expects(b"\x81\x04four").await;
    assert_eq!(events.next().await.unwrap(), format!("id: {four}\ndata: four\n"));
}

#[tokio::test]
async fn a_gap_is_told_before_anything_else() {
    let server = start(Config::default()).await;
    let one = publish(&server, "/c/a", "one").await;
    let (epoch, _) = one.split_once('.').unwrap();
    publish(&server, "/c/a", "two").await;
    let deleted = ask(&server, "DELETE /c/a", "", b"").await;
    assert_eq!(deleted.status, 204);
    let three = publish(&server, "/c/a", "three").await;
    for (after, why) in
        [(one.clone(), "expired"), (format!("{epoch}.9"), "future"), ("0123456789abcdef.0".into(), "epoch")]
    {
        let mut line = server.connect().await;
        line.send(upgrade(&format!("/c/a?after={after}"))).await;
        assert_eq!(line.answer().await.status, 101);
        line.expects(close(4010, &format!("gap: {why}; go on from {three}"))).await;
        let mut events = Events::open(&server, "/c/a", &format!("Last-Event-ID: {after}\r\n")).await;
        let gap = format!(r#"{{"channel":"a","gap":"{why}","position":"{three}"}}"#);
        assert_eq!(events.next().await.unwrap(), format!("retry: 2000\nid: {three}\nevent: gap\ndata: {gap}\n"));
        for wait in ["", "&wait=20"] {
            let polled = get(&server, &format!("/c/a?after={after}{wait}")).await;
            let gaps = json!([serde_json::from_str::<Value>(&gap).unwrap()]);
            assert_eq!(polled, json!({ "publications": [], "next": three, "gaps": gaps }));
        }
    }
    // Of several channels it is said which: by number, as the longest of names does not fit into a reason.
    let name = "n".repeat(255);
    let other = publish(&server, &format!("/c/{name}"), "x").await;
    let mut line = server.connect().await;
    line.send(upgrade(&format!("/c?ch=a&ch={name}&after=-,{one}"))).await;
    assert_eq!(line.answer().await.status, 101);
    line.expects(close(4010, &format!("gap: epoch in channel 2; go on from {other}"))).await;
    // What came since can be recovered.
    let polled = get(&server, &format!("/c/a?after={epoch}.2")).await;
    assert_eq!(polled["publications"][0]["text"], "three");
}

#[tokio::test]
async fn what_a_client_says_on_a_channel_is_published() {
    let server = start(Config::default()).await;
    let mut ann = server.open("/c/talk").await;
    let mut bob = server.open("/c/talk").await;
    ann.send(masked(0x81, b"hi")).await;
    ann.send(masked(0x82, b"\xff")).await;
    for line in [&mut ann, &mut bob] {
        line.expects(b"\x81\x02hi\x82\x01\xff").await;
    }
    // A line to several channels cannot say which one it means.
    let mut both = server.open("/c?ch=talk&ch=news").await;
    both.send(masked(0x81, b"hi")).await;
    both.expects(close(1008, "publish to one channel at a time: /c/news")).await;
    // Over the namespace's limit, and under the line's.
    let big = vec![b'x'; 70_000];
    let mut frame = vec![0x82, 0xff];
    frame.extend(70_000_u64.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(big);
    ann.send(frame).await;
    ann.expects(close(1009, "the payload has 70000 bytes; in this namespace it may have 65536")).await;
}

#[tokio::test]
async fn several_channels_share_a_connection() {
    let server = start(Config::default()).await;
    let a = publish(&server, "/c/a", "a1").await;
    let mut line = server.open(&format!("/c?ch=a&ch=b&after={a},-")).await;
    let mut events = Events::open(&server, "/c?ch=a&ch=b", "").await;
    let begin = events.next().await.unwrap();
    let (_, positions) = begin.trim().split_once("id: ").unwrap();
    assert_eq!(positions.split(',').next(), Some(&*a));
    let b = publish(&server, "/c/b", "b1").await;
    let a2 = publish(&server, "/c/a", "a2").await;
    let event = events.next().await.unwrap();
    let (id, data) = event.trim().split_once('\n').unwrap();
    assert_eq!(id, format!("id: {a},{b}"));
    let object: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&object["channel"], &object["text"]), (&json!("b"), &json!("b1")));
    assert!(events.next().await.unwrap().starts_with(&format!("id: {a2},{b}\n")));
    let mut head = [0; 2];
    timeout(PATIENCE, line.0.read_exact(&mut head)).await.unwrap().unwrap();
    let mut message = vec![0; usize::from(head[1])];
    line.0.read_exact(&mut message).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&message).unwrap(), object);
    let polled = get(&server, &format!("/c?ch=a&ch=b&after={a},{b}&wait=20")).await;
    assert_eq!((&polled["publications"][0]["text"], &polled["next"]), (&json!("a2"), &json!(format!("{a2},{b}"))));
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let server = start(Config::default()).await;
    for (first, fields, body, status) in [
        ("GET /c/", "", &b""[..], 400),
        ("GET /c", "", b"", 400),
        ("GET /c/a%20b", "", b"", 400),
        ("GET /c/a?after=1", "", b"", 400),
        ("GET /c/a?wait=x", "", b"", 400),
        ("GET /c/a?limit=0", "", b"", 400),
        ("GET /c/a", "Accept: text/event-stream\r\nLast-Event-ID: x\r\n", b"", 400),
        ("GET /c?ch=a&ch=b&after=-", "", b"", 400),
        ("POST /c?ch=a", "", b"x", 400),
        ("DELETE /c?ch=a", "", b"", 400),
        ("PUT /c/a", "", b"x", 405),
        ("GET /cc/a", "", b"", 404),
        ("POST /c/a", "Origin: http://evil.example\r\n", b"x", 403),
        ("GET /c/a", "Origin: http://evil.example\r\n", b"", 403),
        ("DELETE /c/a", "Sec-Fetch-Site: cross-site\r\n", b"", 403),
        ("OPTIONS /c/a", "Origin: http://evil.example\r\nAccess-Control-Request-Method: POST\r\n", b"", 403),
        ("POST /c/a", "Via: 1.1 proxy\r\n", b"x", 403),
    ] {
        let answer = ask(&server, first, fields, body).await;
        assert_eq!(answer.status, status, "{first}: {answer:?}");
        assert!(answer.header("access-control-allow-origin").is_none());
        assert!(!answer.body.is_empty(), "{first}");
    }
    assert_eq!(ask(&server, "POST /c/a", "", &vec![0; 65_536]).await.status, 202);
    assert_eq!(ask(&server, "POST /c/a", "", &vec![0; 65_537]).await.status, 413);
    let mut raw = server.connect().await;
    raw.send(upgrade("/c/a?after=1")).await;
    assert_eq!(raw.answer().await.status, 400);
    let mut raw = server.connect().await;
    raw.send(upgrade_with("/c/a", "Origin: http://evil.example\r\n")).await;
    assert_eq!(raw.answer().await.status, 403);
}

/// Fetch, "CORS protocol": for the origins that are let in, and no wildcard.
#[tokio::test]
async fn pages_of_this_machine_get_exact_cross_origin_answers() {
    let server = start(Config::default()).await;
    let origin = "Origin: http://localhost:5173\r\n";
    let preflight = ask(
        &server,
        "OPTIONS /c/a",
        &format!("{origin}Access-Control-Request-Method: DELETE\r\nAccess-Control-Request-Headers: content-type\r\n"),
        b"",
    )
    .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, HEAD, POST, DELETE, OPTIONS"));
    assert!(head(&server, origin).await.contains("\r\naccess-control-allow-origin: http://localhost:5173\r\n"));
    for first in ["GET /c/a", "POST /c/a", "DELETE /c/a", "GET /c/a?after=x"] {
        let answer = ask(&server, first, origin, b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:5173"), "{first}");
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert_eq!(answer.header("access-control-expose-headers"), Some("openline-position"));
    }
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://localhost:5173"));
}

#[tokio::test]
async fn who_hangs_up_is_no_subscriber_any_more() {
    let server = start(Config::default()).await;
    let events = Events::open(&server, "/c/a", "").await;
    let mut poll = server.connect().await;
    poll.send("GET /c/a?wait=50 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let line = server.open("/c/a").await;
    let deliveries = async || {
        let answer = ask(&server, "POST /c/b", "", b"").await;
        assert_eq!(answer.status, 202);
        let answer = ask(&server, "POST /c/a", "", b"").await;
        serde_json::from_str::<Value>(&answer.body).unwrap()["deliveries"].as_u64().unwrap()
    };
    while deliveries().await < 2 {}
    drop((events, poll, line));
    timeout(PATIENCE, async { while deliveries().await > 0 {} }).await.expect("all of them leave");
}

#[tokio::test]
async fn event_streams_and_polls_end_with_the_server() {
    let mut server = start(Config::default()).await;
    let mut events = Events::open(&server, "/c/a", "").await;
    events.next().await.unwrap();
    let mut poll = server.connect().await;
    poll.send("GET /c/a?wait=50 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut line = server.open("/c/a").await;
    while serde_json::from_str::<Value>(&ask(&server, "POST /c/a", "", b"").await.body).unwrap()["deliveries"] != 3 {
        poll = server.connect().await;
        poll.send("GET /c/a?wait=50 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        events.next().await.unwrap();
        line.expects(b"\x82\x00").await;
    }
    events.next().await.unwrap();
    line.expects(b"\x82\x00").await;
    let mut poll = server.connect().await;
    poll.send("GET /c/b?wait=50 HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    while serde_json::from_str::<Value>(&ask(&server, "POST /c/c", "", b"").await.body).unwrap()["deliveries"] != 0 {}
    server.order(Order::Drain);
    line.expects(close(1012, "the server is restarting")).await;
    line.send(masked(0x88, &1012_u16.to_be_bytes())).await;
    let last = events.next().await.unwrap();
    assert!(last.starts_with("retry: "), "{last}");
    assert_eq!(events.next().await, None);
    let farewell = server.farewell().await;
    assert_eq!(farewell.dropped, 0);
}

/// A browser never comes back to a 503.
#[tokio::test]
async fn event_streams_are_told_to_come_back_when_there_is_no_place() {
    let stream = "GET /c/a HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    let come_back = async |server: &Running| {
        let mut raw = server.connect().await;
        raw.send(stream).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")), "{answer:?}");
        assert!(answer.body.starts_with("retry: ") && answer.body.ends_with("\n\n"), "{answer:?}");
        raw.expects_eof().await;
    };
    let mut server = start(Config { max_connections: 1, ..Config::default() }).await;
    let mut line = server.open("/test").await;
    come_back(&server).await;
    assert_eq!(ask(&server, "GET /c/a", "", b"").await.status, 503);
    server.order(Order::Drain);
    line.expects(close(1012, "the server is restarting")).await;
    come_back(&server).await;
}

/// A reader that does not read costs a bounded outbox, is told, and can come back for what it missed.
#[tokio::test]
async fn a_slow_reader_is_given_up_alone() {
    let server = start(Config::default()).await;
    let mut slow = server.open("/c/a").await;
    let mut fast = server.open("/c/a").await;
    let body = vec![b'x'; 60_000];
    let mut frame = vec![0x82, 126];
    frame.extend(60_000_u16.to_be_bytes());
    frame.extend(&body);
    let mut deliveries = 2;
    let mut published = 0;
    // The kernel's buffers take some megabytes, then the outbox one more.
    while deliveries == 2 {
        let answer = ask(&server, "POST /c/a", "", &body).await;
        assert_eq!(answer.status, 202);
        deliveries = serde_json::from_str::<Value>(&answer.body).unwrap()["deliveries"].as_u64().unwrap();
        fast.expects(&frame).await;
        published += 1;
        assert!(published < 2000, "nobody is given up");
    }
    // What was written before arrives, and behind it the reason.
    let mut rest = Vec::new();
    timeout(PATIENCE, slow.0.read_to_end(&mut rest)).await.unwrap().unwrap();
    let goodbye = close(4008, "too slow: too much was waiting to be read");
    assert!(rest.ends_with(&goodbye), "{:?}", rest[rest.len().saturating_sub(60)..].escape_ascii().to_string());
    assert!(published * body.len() < 64 << 20);
}

/// A mebibyte of the past in one answer: of the recent window the newest, and after a position the next ones, up to the end.
#[tokio::test]
async fn one_answer_has_so_much_and_says_where_the_rest_is() {
    let history = HistoryLimits { bytes: 8 << 20, ..HistoryLimits::default() };
    let namespaces = Namespaces::new(Settings { history, ..Settings::default() });
    let server = start(Config { namespaces, ..Config::default() }).await;
    let first = publish(&server, "/c/a", "0").await;
    for number in 1..=40 {
        publish(&server, "/c/a", &format!("{number:<60000}")).await;
    }
    let numbers = |window: &Value| -> Vec<u64> {
        let publications = window["publications"].as_array().unwrap();
        publications.iter().map(|one| one["text"].as_str().unwrap().trim().parse().unwrap()).collect()
    };
    let recent = get(&server, "/c/a?limit=1000").await;
    assert_eq!(numbers(&recent), (24..=40).collect::<Vec<_>>());
    let (mut after, mut heard) = (first, Vec::new());
    for _ in 0..3 {
        let window = get(&server, &format!("/c/a?limit=1000&after={after}&wait=20")).await;
        assert!(window.get("gaps").is_none());
        heard.extend(numbers(&window));
        after = window["next"].as_str().unwrap().to_owned();
    }
    assert_eq!(heard, (1..=40).collect::<Vec<_>>());
    assert_eq!(recent["next"], after);
}
