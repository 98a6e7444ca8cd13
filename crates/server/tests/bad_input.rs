//! What is wrong with a request for a channel, at every door: each has its answer, which says what is wrong, and nobody else
//! notices. docs/channels.md has the same table.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use openline_server::Config;
use openline_server::hub::{Limits, Namespaces, Settings};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::support::{PATIENCE, Raw, Running, masked, start, upgrade_with};

/// The ways to ask for a channel. A WebSocket publishes by a message, all others by their request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    WebSocket,
    Events,
    Poll,
    Window,
    Post,
    Head,
    Delete,
}

use Door::{Delete, Events, Head, Poll, Post, WebSocket, Window};

const ALL: [Door; 7] = [WebSocket, Events, Poll, Window, Post, Head, Delete];

/// Those that take a position.
const RESUMING: [Door; 4] = [WebSocket, Events, Poll, Window];

/// What comes of a request.
#[derive(Debug, PartialEq)]
enum Outcome {
    Status(u16),
    /// 101, and then this close code.
    Closed(u16),
    /// 200, and a gap for this reason is said.
    Gap(&'static str),
}

use Outcome::{Closed, Gap, Status};

impl Door {
    /// A request for a path, with further fields, and a body where it has one.
    fn request(self, path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (method, path) = match self {
            WebSocket => return upgrade_with(path, fields).into_bytes(),
            Events => ("GET", path.to_owned()),
            Poll => ("GET", format!("{path}{separator}wait=20")),
            Window => ("GET", path.to_owned()),
            Post => ("POST", path.to_owned()),
            Head => ("HEAD", path.to_owned()),
            Delete => ("DELETE", path.to_owned()),
        };
        let accept = if self == Events { "Accept: text/event-stream\r\n" } else { "" };
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{accept}{fields}\r\n");
        [head.as_bytes(), body].concat()
    }
}

/// Sends a request at a door, and says what comes of it. Every refusal says why.
async fn outcome(server: &Running, door: Door, path: &str, fields: &str, body: &[u8]) -> Outcome {
    let mut raw = server.connect().await;
    raw.send(door.request(path, fields, body)).await;
    if door == Head {
        // An answer to HEAD has no body, whatever its length says.
        let mut head = [0; 12];
        timeout(PATIENCE, raw.0.read_exact(&mut head)).await.unwrap().unwrap();
        return Status(std::str::from_utf8(&head[9..]).unwrap().parse().unwrap());
    }
    let answer = raw.answer().await;
    match answer.status {
        101 => Closed(close_code(&mut raw).await),
        200 if door == Events => {
            let why = async {
                raw.until("\nevent: gap\ndata: ").await;
                let mut rest = String::new();
                tokio::io::AsyncBufReadExt::read_line(&mut raw.0, &mut rest).await.unwrap();
                rest
            };
            gap(&why.await)
        }
        200 if answer.body.contains("\"gaps\"") => gap(&answer.body),
        status => {
            if status >= 400 {
                assert!(answer.body.len() > 10 && answer.body.ends_with('\n'), "{door:?} {path}: {answer:?}");
                assert_ne!(answer.header("content-type"), Some("text/html"), "{answer:?}");
            }
            Status(status)
        }
    }
}

fn gap(said: &str) -> Outcome {
    let why = ["expired", "epoch", "future"].into_iter().find(|why| said.contains(&format!("\"gap\":\"{why}\"")));
    Gap(why.unwrap_or_else(|| panic!("{said}")))
}

async fn close_code(raw: &mut Raw) -> u16 {
    let code = async {
        assert_eq!(raw.0.read_u8().await.unwrap(), 0x88);
        raw.0.read_u8().await.unwrap();
        raw.0.read_u16().await.unwrap()
    };
    timeout(PATIENCE, code).await.expect("a close frame comes")
}

async fn publish(server: &Running, fields: &str, body: &[u8]) -> String {
    let mut raw = server.connect().await;
    raw.send(Post.request("/c/a", fields, body)).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.header("openline-position").unwrap().to_owned()
}

#[tokio::test]
async fn whatever_is_wrong_has_its_answer_at_every_door() {
    let settings = Settings { max_publication_bytes: 1000, ..Settings::default() };
    let channels = Limits { max_channels: 1, ..Limits::default() };
    let namespaces = Namespaces::new(settings).with("kept", Settings::default()).closed();
    let server = start(Config { namespaces, channels, ..Config::default() }).await;
    let mut witness = server.open("/c/a").await;
    let position = publish(&server, "Idempotency-Key: k\r\n", b"first").await;
    witness.expects(b"\x82\x05first").await;
    let (epoch, _) = position.split_once('.').unwrap();
    let long = format!("/c/{}", "n".repeat(256));

    let mut table: Vec<(Door, String, String, Vec<u8>, Outcome)> = Vec::new();
    let mut row = |door, path: &str, fields: &str, body: &[u8], outcome| {
        table.push((door, path.to_owned(), fields.to_owned(), body.to_owned(), outcome));
    };
    for door in ALL {
        // The name of a channel: none, characters that there may not be, broken percent-encoding, a namespace that is none.
        for path in ["/c/", "/c", "/c?ch=", "/c/a%20b", "/c/%E2%82%AC", "/c/a%FF", "/c/a%00", "/c/:a", &long] {
            row(door, path, "", b"", Status(400));
        }
        row(door, "/c/un%20known:a", "", b"", Status(400));
        row(door, "/c/unknown:a", "", b"", Status(404));
        // Its only channel is there.
        let full = match door {
            // Nothing is dropped, and nothing made.
            Delete => Status(204),
            _ => Status(503),
        };
        row(door, "/c/another", "", b"", full);
    }
    for door in RESUMING {
        // A position that is none; one too many; one in the id that a browser remembers.
        for after in ["x", "1", "00c0ffee00c0ffee", "00c0ffee00c0ffee.", "00C0FFEE00C0FFEE.1", "00c0ffee00c0ffee.-1"] {
            row(door, &format!("/c/a?after={after}"), "", b"", Status(400));
            row(door, "/c/a", &format!("Last-Event-ID: {after}\r\n"), b"", Status(400));
        }
        row(door, "/c/a?after=00c0ffee00c0ffee.99999999999999999999", "", b"", Status(400));
        row(door, &format!("/c/a?after={position},{position}"), "", b"", Status(400));
        row(door, "/c/a?after=%FF", "", b"", Status(400));
        // Another life of the channel; ahead of it.
        let told = |why| if door == WebSocket { Closed(4010) } else { Gap(why) };
        row(door, "/c/a?after=0123456789abcdef.0", "", b"", told("epoch"));
        row(door, "/c/a?after=0123456789abcdef.18446744073709551615", "", b"", told("epoch"));
        row(door, &format!("/c/a?after={epoch}.99"), "", b"", told("future"));
        row(door, &format!("/c/a?after={epoch}.18446744073709551615"), "", b"", told("future"));
    }
    for path in ["/c/a?wait=x", "/c/a?wait=-1", "/c/a?limit=0", "/c/a?limit=1001", "/c/a?limit=x"] {
        row(Window, path, "", b"", Status(400));
    }
    // What is published: too much, said to be what it is not, under a key that cannot be or was another's.
    row(Post, "/c/a", "", &[b'x'; 1001], Status(413));
    row(Post, "/c/a", "Content-Type: text/plain; charset=latin1\r\n", b"x", Status(415));
    row(Post, "/c/a", "Content-Type: multipart/form-data; boundary=x\r\n", b"x", Status(415));
    row(Post, "/c/a", "Content-Type: text/plain\r\n", b"\xff", Status(400));
    row(Post, "/c/a", "Content-Type: application/json\r\n", b"{", Status(400));
    row(Post, "/c/a", "Content-Type: application/json\r\n", b"", Status(400));
    row(Post, "/c/a", "Idempotency-Key: k\r\n", b"second", Status(422));
    row(Post, "/c/a", "Idempotency-Key: k\r\nContent-Type: text/plain\r\n", b"first", Status(422));
    row(Post, "/c/a", "Idempotency-Key: \r\n", b"x", Status(400));
    row(Post, "/c/a", &format!("Idempotency-Key: {}\r\n", "k".repeat(129)), b"x", Status(400));
    row(Post, "/c/a", &format!("Openline-Key: {}\r\n", "k".repeat(129)), b"x", Status(400));
    row(Post, "/c/a", "Idempotency-Key: \u{fc}\r\n", b"x", Status(400));
    // One channel at a time.
    for door in [Post, Delete] {
        row(door, "/c?ch=a", "", b"x", Status(400));
    }

    let rows = table.len();
    for (door, path, fields, body, expected) in table {
        let found = outcome(&server, door, &path, &fields, &body).await;
        assert_eq!(found, expected, "{door:?} {path} {fields:?}");
    }
    println!("{rows} rows");
    // Nobody else was disturbed: nothing was published, and the line is as it was.
    assert_eq!(publish(&server, "", b"last").await, format!("{epoch}.2"));
    witness.expects(b"\x82\x04last").await;
}

/// What a WebSocket says on a channel: too much for the namespace, too much for any line, no UTF-8, to several at once.
#[tokio::test]
async fn whatever_is_wrong_with_a_message_has_its_close_code() {
    let settings = Settings { max_publication_bytes: 200, ..Settings::default() };
    let line = openline::Config { max_message_bytes: 400, ..openline::Config::default() };
    let server = start(Config { namespaces: Namespaces::new(settings), line, ..Config::default() }).await;
    let mut witness = server.open("/c/a").await;
    let frame = |first: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&[first, 0xfe], &length[..], &[0; 4], payload].concat()
    };
    for (path, message, code) in [
        ("/c/a", frame(0x82, &[b'x'; 201]), 1009),
        ("/c/a", frame(0x82, &[b'x'; 401]), 1009),
        ("/c/a", masked(0x81, b"\xff"), 1007),
        ("/c?ch=a&ch=b", masked(0x81, b"x"), 1008),
        ("/c/a", masked(0x83, b"x"), 1002),
    ] {
        let mut line = server.open(path).await;
        line.send(message).await;
        assert_eq!(close_code(&mut line).await, code, "{path}");
    }
    witness.send(masked(0x81, b"still here")).await;
    witness.expects(b"\x81\x0astill here").await;
}
