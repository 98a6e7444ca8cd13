//! Opening handshakes and everything else that may knock, over TCP, byte for byte (RFC 6455 §4.2, RFC 9112).

mod support;

use std::time::Duration;

use openline::handshake::{Host, Origin};
use openline_server::knock::Knock;
use openline_server::{Config, Order};

use crate::support::{Answer, PATIENCE, Running, close, masked, start, upgrade, upgrade_with};

/// The only answer to these bytes.
async fn answer(server: &Running, bytes: impl AsRef<[u8]>) -> Answer {
    let mut raw = server.connect().await;
    raw.send(bytes).await;
    let answer = raw.answer().await;
    raw.expects_eof().await;
    answer
}

/// A request that asks for `/test`, with the given lines instead of the usual ones.
fn request(first: &str, lines: &[&str]) -> String {
    let mut request = format!("{first}\r\n");
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request + "\r\n"
}

const GET: &str = "GET /test HTTP/1.1";
const HOST: &str = "Host: localhost";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";

/// The request of the article that this server was written for, to the letter, and its answer.
const ARTICLE: &str = "GET /chat HTTP/1.1\r\n\
    Host: inapp.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\
    Sec-WebSocket-Protocol: chat\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Origin: http://old.inapp.com\r\n\
    \r\n";

#[tokio::test]
async fn the_article_is_answered_when_its_origin_is_allowed() {
    let origins = vec![Origin::parse("http://old.inapp.com").unwrap()];
    let server = start(Config { knock: Knock { origins, ..Knock::default() }, ..Config::default() }).await;
    let mut raw = server.connect().await;
    raw.send(ARTICLE).await;
    let answer = raw.answer().await;
    assert_eq!(answer.head.lines().next(), Some("HTTP/1.1 101 Switching Protocols"));
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    assert_eq!(answer.header("connection"), Some("Upgrade"));
    assert_eq!(answer.header("sec-websocket-accept"), Some("HSmrc0sMlYUkAGmm5OPpG2HaGWk="));
    assert_eq!(answer.header("sec-websocket-protocol"), Some("chat"));
    raw.send(masked(0x88, &1000_u16.to_be_bytes())).await;
    raw.expects(close(1000, "")).await;

    let closed = start(Config::default()).await;
    assert_eq!(self::answer(&closed, ARTICLE).await.status, 421);
}

#[tokio::test]
async fn a_proper_offer_opens_a_line() {
    let server = start(Config::default()).await;
    for proper in [
        upgrade("/test"),
        upgrade("/test?token=x"),
        upgrade("/%74est"),
        upgrade("/x/../test"),
        upgrade("http://localhost/test"),
        // §4.2.1: names and tokens without case, in lists, in any order.
        request(
            GET,
            &["host: LOCALHOST:1234", "upgrade: h2c, WebSocket", "connection: keep-alive, UPGRADE", VERSION, KEY],
        ),
        format!("\r\n{}", upgrade("/test")),
    ] {
        let mut raw = server.connect().await;
        raw.send(&proper).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 101, "{proper:?}: {answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(answer.header("sec-websocket-protocol"), None);
        assert_eq!(answer.header("sec-websocket-extensions"), None);
        raw.send(masked(0x81, b"Hello")).await;
        raw.expects(b"\x81\x05Hello").await;
    }
}

/// What came with the handshake are the first frames.
#[tokio::test]
async fn frames_may_follow_the_request_at_once() {
    let server = start(Config::default()).await;
    let mut raw = server.connect().await;
    raw.send([upgrade("/test").into_bytes(), masked(0x81, b"early"), masked(0x81, b"bird")].concat()).await;
    assert_eq!(raw.answer().await.status, 101);
    raw.expects(b"\x81\x05early\x81\x04bird").await;
}

#[tokio::test]
async fn every_broken_offer_is_told_what_is_wrong() {
    let server = start(Config::default()).await;
    for (broken, status, said) in [
        // RFC 9112
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION]).replace("\r\n", "\n"), 400, "line feed"),
        (request(GET, &[HOST, UPGRADE, " folded", CONNECTION, KEY, VERSION]), 400, "white space"),
        (request(GET, &[HOST, "Upgrade : websocket", CONNECTION, KEY, VERSION]), 400, "colon"),
        (request(GET, &[HOST, "Upgrade: web\0socket", CONNECTION, KEY, VERSION]), 400, "0x00"),
        (request(GET, &[UPGRADE, CONNECTION, KEY, VERSION]), 400, "Host header is missing"),
        (request(GET, &[HOST, HOST, UPGRADE, CONNECTION, KEY, VERSION]), 400, "more than one Host"),
        (request(GET, &["Host: a b", UPGRADE, CONNECTION, KEY, VERSION]), 400, "Host header is malformed"),
        (request("GET /test", &[HOST, UPGRADE, CONNECTION, KEY, VERSION]), 400, "request line"),
        (request("GET  /test HTTP/1.1", &[HOST, UPGRADE, CONNECTION, KEY, VERSION]), 400, "request line"),
        (request("GET test HTTP/1.1", &[HOST, UPGRADE, CONNECTION, KEY, VERSION]), 400, "target"),
        (request("GET /test#x HTTP/1.1", &[HOST, UPGRADE, CONNECTION, KEY, VERSION]), 400, "target"),
        (request("GET /test HTTP/2.0", &[HOST, UPGRADE, CONNECTION, KEY, VERSION]), 505, "HTTP"),
        ("\x16\x03\x01\x02\0".to_owned(), 400, "TLS"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505, "HTTP/2"),
        // RFC 6455 §4.2.1
        (request("GET /test HTTP/1.0", &[HOST, UPGRADE, CONNECTION, KEY, VERSION]), 400, "HTTP/1.1"),
        (request("POST /test HTTP/1.1", &[HOST, UPGRADE, CONNECTION, KEY, VERSION]), 405, "GET"),
        (request(GET, &[HOST, UPGRADE, KEY, VERSION]), 400, "Connection"),
        (request(GET, &[HOST, UPGRADE, "Connection: close", KEY, VERSION]), 400, "Connection"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, VERSION]), 400, "Sec-WebSocket-Key"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, KEY, VERSION]), 400, "Sec-WebSocket-Key"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, "Sec-WebSocket-Key: short", VERSION]), 400, "Sec-WebSocket-Key"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY]), 400, "Sec-WebSocket-Version"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, "Sec-WebSocket-Version: 8"]), 426, "13"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Content-Length: 5"]) + "hello", 400, "no body"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Transfer-Encoding: chunked"]), 400, "no body"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Sec-WebSocket-Protocol: a b"]), 400, "Protocol"),
        (
            request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Sec-WebSocket-Protocol: a, a"]),
            400,
            "more than once",
        ),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Sec-WebSocket-Extensions: ="]), 400, "Extensions"),
        // Who may knock
        (request(GET, &["Host: evil.example", UPGRADE, CONNECTION, KEY, VERSION]), 421, "evil.example"),
        (
            request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Origin: http://evil.example"]),
            403,
            "--allow-origin",
        ),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Origin: null"]), 403, "--allow-origin"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Origin: http://a, http://b"]), 400, "Origin"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "X-Forwarded-For: 1.2.3.4"]), 403, "proxy"),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Sec-Fetch-Site: cross-site"]), 403, "other sites"),
        // What is where
        (upgrade("/"), 404, "/test, /chat and /increment"),
        (upgrade("/nowhere"), 404, "/test, /chat and /increment"),
        (upgrade("/test/"), 404, "/test, /chat and /increment"),
        (upgrade("/TEST"), 404, "/test, /chat and /increment"),
        (upgrade("/increment"), 400, "dumb-increment-protocol"),
        (upgrade_with("/increment", "Sec-WebSocket-Protocol: chat\r\n"), 400, "dumb-increment-protocol"),
    ] {
        let answer = answer(&server, &broken).await;
        assert_eq!(answer.status, status, "{broken:?}: {answer:?}");
        assert!(answer.body.contains(said), "{broken:?}: {:?} does not say {said:?}", answer.body);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let connection = answer.header("connection").unwrap();
        assert!(connection.contains("close"), "{connection:?}");
        match status {
            405 => assert_eq!(answer.header("allow"), Some("GET")),
            426 => {
                assert_eq!(answer.header("upgrade"), Some("websocket"));
                assert_eq!(answer.header("sec-websocket-version"), Some("13"));
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn plain_requests_are_told_what_is_here() {
    let server = start(Config::default()).await;
    let mut raw = server.connect().await;
    for path in ["/test", "/chat", "/increment"] {
        raw.send(format!("GET {path} HTTP/1.1\r\n{HOST}\r\n\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 426);
        assert_eq!(answer.header("upgrade"), Some("websocket"));
        assert_eq!(answer.header("connection"), Some("upgrade"));
        assert_eq!(answer.header("sec-websocket-version"), Some("13"));
        assert!(answer.body.contains(path), "{answer:?}");
        raw.send(format!("DELETE {path} HTTP/1.1\r\n{HOST}\r\n\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")));
    }
    for (first, status, said) in [
        ("GET /nowhere HTTP/1.1", 404, "/test, /chat and /increment"),
        ("POST / HTTP/1.1", 405, "GET, HEAD"),
        ("OPTIONS * HTTP/1.1", 404, "/test, /chat and /increment"),
    ] {
        raw.send(request(first, &[HOST])).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, status, "{first}");
        assert!(answer.body.contains(said), "{first}: {answer:?}");
    }
    for (lines, status) in [
        (&["Host: evil.example"][..], 421),
        (&[HOST, "Origin: http://evil.example"], 403),
        (&[HOST, "Via: 1.1 proxy"], 403),
        (&[HOST, "Sec-Fetch-Site: cross-site"], 403),
        (&[HOST, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"], 200),
        (&[HOST, "Origin: http://localhost:5173"], 200),
    ] {
        raw.send(request("GET / HTTP/1.1", lines)).await;
        assert_eq!(raw.answer().await.status, status, "{lines:?}");
    }
}

#[tokio::test]
async fn the_page_is_served_with_its_files() {
    let server = start(Config::default()).await;
    let mut raw = server.connect().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/?query", "text/html; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
    ] {
        raw.send(request(&format!("GET {path} HTTP/1.1"), &[HOST])).await;
        let answer = raw.answer().await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        let tag = answer.header("etag").unwrap();
        raw.send(request(&format!("GET {path} HTTP/1.1"), &[HOST, &format!("If-None-Match: {tag}")])).await;
        assert_eq!(raw.answer().await.status, 304);
    }
    // RFC 9110 §9.3.2: the head of a GET, and nothing else.
    raw.send(request("HEAD / HTTP/1.1", &[HOST, "Connection: close"])).await;
    let mut rest = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut raw.0, &mut rest).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\n"), "{rest}");
}

#[tokio::test]
async fn a_kept_alive_connection_may_become_a_line() {
    let server = start(Config::default()).await;
    let mut raw = server.connect().await;
    raw.send(request("GET / HTTP/1.1", &[HOST])).await;
    assert_eq!(raw.answer().await.status, 200);
    raw.send(request("GET /nowhere HTTP/1.1", &[HOST])).await;
    assert_eq!(raw.answer().await.status, 404);
    raw.send(upgrade("/test")).await;
    assert_eq!(raw.answer().await.status, 101);
    raw.send(masked(0x81, b"Hello")).await;
    raw.expects(b"\x81\x05Hello").await;

    // All of it in one piece.
    let mut raw = server.connect().await;
    let all = request("GET / HTTP/1.1", &[HOST]) + &upgrade("/test");
    raw.send([all.into_bytes(), masked(0x81, b"Hello")].concat()).await;
    assert_eq!(raw.answer().await.status, 200);
    assert_eq!(raw.answer().await.status, 101);
    raw.expects(b"\x81\x05Hello").await;
}

#[tokio::test]
async fn a_later_request_is_read_as_strictly_as_the_first() {
    let server = start(Config::default()).await;
    for (broken, status) in [
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION]).replace("\r\n", "\n"), 400),
        (request(GET, &[HOST, HOST]), 400),
        (request(GET, &[HOST, UPGRADE, CONNECTION, VERSION]), 400),
        (request(GET, &["Host: evil.example", UPGRADE, CONNECTION, KEY, VERSION]), 421),
        (request(GET, &[HOST, UPGRADE, CONNECTION, KEY, VERSION, "Origin: http://evil.example"]), 403),
    ] {
        let mut raw = server.connect().await;
        raw.send(request("GET / HTTP/1.1", &[HOST])).await;
        assert_eq!(raw.answer().await.status, 200);
        raw.send(&broken).await;
        assert_eq!(raw.answer().await.status, status, "{broken:?}");
        raw.expects_eof().await;
    }
}

#[tokio::test]
async fn a_head_has_limits() {
    let mut config = Config::default();
    config.head.timeout = Duration::from_millis(100);
    config.head.max_bytes = 1024;
    config.head.max_headers = 8;
    let server = start(config).await;
    assert_eq!(answer(&server, "GET /test HTTP/1.1\r\nHost: loc").await.status, 408);
    assert_eq!(answer(&server, request(GET, &[HOST, &format!("X: {}", "x".repeat(1024))])).await.status, 431);
    assert_eq!(answer(&server, format!("{GET}\r\n{HOST}\r\n{}\r\n", "X: x\r\n".repeat(8))).await.status, 431);
    assert_eq!(answer(&server, format!("GET /{} HTTP/1.1\r\n", "x".repeat(1024))).await.status, 414);
    // Who says nothing is told nothing.
    server.connect().await.expects_eof().await;
}

#[tokio::test]
async fn over_the_cap_newcomers_are_told_to_come_back() {
    let server = start(Config { max_connections: 1, ..Config::default() }).await;
    let mut first = server.open("/test").await;
    for newcomer in [upgrade("/test"), request("GET / HTTP/1.1", &[HOST])] {
        let answer = answer(&server, newcomer).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    }
    first.send(masked(0x88, b"")).await;
    first.expects(b"\x88\0").await;
    first.expects_eof().await;
    drop(first);
    // Its place is free once its task is over, which nobody outside can see.
    let free = async {
        loop {
            let mut raw = server.connect().await;
            raw.send(upgrade("/test")).await;
            if raw.answer().await.status == 101 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, free).await.unwrap();
}

#[tokio::test]
async fn while_it_drains_newcomers_are_told_to_come_back() {
    let mut server = start(Config { drain_window: Duration::from_secs(60), ..Config::default() }).await;
    let mut told_at_once = server.open("/test").await;
    let mut told_later = server.open("/test").await;
    server.order(Order::Drain);
    told_at_once.expects(close(1012, "the server is restarting")).await;
    for newcomer in [upgrade("/test"), request("GET / HTTP/1.1", &[HOST])] {
        let answer = answer(&server, newcomer).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    }
    // Whose turn has not come talks on.
    told_later.send(masked(0x81, b"Hello")).await;
    told_later.expects(b"\x81\x05Hello").await;
    // Nobody is left to wait for: the window does not matter.
    told_at_once.send(masked(0x88, &1012_u16.to_be_bytes())).await;
    told_later.send(masked(0x88, &1000_u16.to_be_bytes())).await;
    told_later.expects(close(1000, "")).await;
    drop((told_at_once, told_later));
    assert_eq!(server.farewell().await.dropped, 0);
}

#[tokio::test]
async fn a_named_host_is_answered_for() {
    let hosts = vec![Host::parse("chat.lan").unwrap()];
    let server = start(Config { knock: Knock { hosts, ..Knock::default() }, ..Config::default() }).await;
    let asked = |origin: &str| {
        let origin = format!("Origin: {origin}");
        request(GET, &["Host: chat.lan:8080", UPGRADE, CONNECTION, KEY, VERSION, &origin])
    };
    let mut raw = server.connect().await;
    raw.send(asked("http://chat.lan:8080")).await;
    assert_eq!(raw.answer().await.status, 101);
    assert_eq!(answer(&server, asked("http://chat.lan")).await.status, 403);
}
