//! Rate limits, at the doors: what is too much, how that is said, and that nobody else is disturbed.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::time::Duration;

use openline_server::{Config, Network, Proxies, Rate, Rates, Secret};

use crate::support::{Answer, Running, close, masked, start, upgrade, upgrade_with};

const HOUR: Duration = Duration::from_secs(3600);

fn few(amount: u64) -> Option<Rate> {
    Some(Rate { amount, per: HOUR })
}

async fn server(rates: Rates) -> Running {
    let api_keys = vec![Secret::new("correct-horse-battery-staple").unwrap()];
    start(Config { rates, api_keys, ..Config::default() }).await
}

async fn ask(server: &Running, request: String) -> Answer {
    let mut raw = server.connect().await;
    raw.send(request).await;
    raw.answer().await
}

fn post(fields: &str, body: &str) -> String {
    let length = body.len();
    format!("POST /c/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n{body}")
}

fn is_too_much(answer: &Answer, says: &str) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    assert!(answer.body.contains(says), "{}", answer.body);
}

#[tokio::test]
async fn a_connection_that_says_too_much_is_closed_with_4029() {
    let server = server(Rates { messages_per_connection: few(3), ..Rates::default() }).await;
    let (mut loud, mut quiet) = (server.open("/c/x").await, server.open("/c/x").await);
    for _ in 0..3 {
        loud.send(masked(0x81, b"hi")).await;
        loud.expects(b"\x81\x02hi").await;
        quiet.expects(b"\x81\x02hi").await;
    }
    loud.send(masked(0x81, b"hi")).await;
    loud.expects(close(4029, "too many messages: 3/h for one connection; wait 1200 s")).await;
    quiet.send(masked(0x81, b"ok")).await;
    quiet.expects(b"\x81\x02ok").await;
}

#[tokio::test]
async fn bytes_count_as_well() {
    let server = server(Rates { bytes_per_connection: few(10), bytes_per_address: few(100), ..Rates::default() }).await;
    let mut line = server.open("/c/x").await;
    line.send(masked(0x81, b"123456")).await;
    line.expects(b"\x81\x06123456").await;
    line.send(masked(0x81, b"123456")).await;
    line.expects(&close(4029, "too many bytes: 10/h for one connection; wait 720 s")).await;
    assert_eq!(ask(&server, post("", &"x".repeat(80))).await.status, 202);
    is_too_much(&ask(&server, post("", &"x".repeat(80))).await, "too many bytes");
}

#[tokio::test]
async fn an_address_shares_its_rate_and_backends_are_not_held() {
    let server = server(Rates { messages_per_address: few(2), ..Rates::default() }).await;
    let mut line = server.open("/c/x").await;
    line.send(masked(0x81, b"1")).await;
    line.expects(b"\x81\x011").await;
    assert_eq!(ask(&server, post("", "2")).await.status, 202);
    line.expects(b"\x82\x012").await;
    is_too_much(&ask(&server, post("", "3")).await, "too many messages: 2/h for one address");
    for _ in 0..3 {
        let key = "X-API-Key: correct-horse-battery-staple\r\n";
        assert_eq!(ask(&server, post(key, "k")).await.status, 202);
        line.expects(b"\x82\x01k").await;
    }
    line.send(masked(0x81, b"4")).await;
    line.expects(close(4029, "too many messages: 2/h for one address; wait 1800 s")).await;
}

#[tokio::test]
async fn who_begins_to_listen_too_often_is_told_when_to_come_back() {
    let server = server(Rates { subscriptions_per_address: few(3), ..Rates::default() }).await;
    let _line = server.open("/c?ch=a&ch=b&ch=c").await;
    is_too_much(&ask(&server, upgrade("/c/x")).await, "too many subscriptions");
    is_too_much(&ask(&server, "GET /c/x?wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()).await, "subscriptions");
    // To anything but 200 a browser never comes back.
    let events = "GET /c/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    let answer = ask(&server, events.to_owned()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    let retry_ms: u64 = answer.body.trim().strip_prefix("retry: ").unwrap().parse().unwrap();
    assert!((1_100_000..=1_300_000).contains(&retry_ms), "{retry_ms}");
    // The past can still be read, and something said.
    assert_eq!(ask(&server, "GET /c/x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()).await.status, 200);
    assert_eq!(ask(&server, post("", "x")).await.status, 202);
}

#[tokio::test]
async fn an_address_that_connects_too_often_gets_429() {
    let server = server(Rates { connects_per_address: few(2), ..Rates::default() }).await;
    let mut first = server.open("/test").await;
    let _second = server.open("/test").await;
    is_too_much(&ask(&server, upgrade("/test")).await, "too many connects");
    let events = "GET /c/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
    assert_eq!(ask(&server, events.to_owned()).await.status, 200);
    first.send(masked(0x81, b"still here")).await;
    first.expects(b"\x81\x0astill here").await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_it_is_its_clients_that_are_counted() {
    let proxies = Proxies { trusted: vec!["127.0.0.1".parse::<Network>().unwrap()], protocol: false };
    let rates = Rates { connects_per_address: few(1), ..Rates::default() };
    let knock = openline_server::knock::Knock { hosts: vec!["localhost".parse().unwrap()], ..Default::default() };
    let server = start(Config { proxies, rates, knock, ..Config::default() }).await;
    let from = |client: &str| upgrade_with("/test", &format!("X-Forwarded-For: {client}\r\n"));
    assert_eq!(ask(&server, from("192.0.2.1")).await.status, 101);
    is_too_much(&ask(&server, from("192.0.2.1")).await, "too many connects");
    assert_eq!(ask(&server, from("192.0.2.2")).await.status, 101);
    // One subnet of IPv6 is one household.
    assert_eq!(ask(&server, from("2001:db8::1")).await.status, 101);
    is_too_much(&ask(&server, from("2001:db8::2")).await, "too many connects");
}
