//! Rate limits, at the doors: what is too much, how that is said, and that nobody else is disturbed.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::time::Duration;

use openline_server::hosting::{Exec, Proxy, Route, Sharing, What};
use openline_server::knock::Knock;
use openline_server::{Config, HostSettings, Network, Policies, Policy, Proxies, Rate, RateOverrides, Rates, Secret};

use crate::support::{Answer, Running, close, masked, start, upgrade, upgrade_with};

const HOUR: Duration = Duration::from_secs(3600);

fn few(amount: u64) -> Option<Rate> {
    Some(Rate { amount, per: HOUR })
}

async fn server(rates: Rates) -> Running {
    let api_keys = vec![Secret::new("correct-horse-battery-staple").unwrap()];
    start(Config { rates, api_keys, ..Config::default() }).await
}

/// Trusted as a proxy.
fn this_machine() -> Proxies {
    Proxies { trusted: vec!["127.0.0.1".parse::<Network>().unwrap()], protocol: false }
}

/// Behind a proxy only named hosts are answered.
fn localhost() -> Knock {
    Knock { hosts: ["localhost", "127.0.0.1"].map(|host| host.parse().unwrap()).into(), ..Knock::default() }
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
    let proxies = this_machine();
    let rates = Rates { connects_per_address: few(1), ..Rates::default() };
    let knock = localhost();
    let server = start(Config { proxies, rates, knock, ..Config::default() }).await;
    let from = |client: &str| upgrade_with("/test", &format!("X-Forwarded-For: {client}\r\n"));
    assert_eq!(ask(&server, from("192.0.2.1")).await.status, 101);
    is_too_much(&ask(&server, from("192.0.2.1")).await, "too many connects");
    assert_eq!(ask(&server, from("192.0.2.2")).await.status, 101);
    // One subnet of IPv6 is one household.
    assert_eq!(ask(&server, from("2001:db8::1")).await.status, 101);
    is_too_much(&ask(&server, from("2001:db8::2")).await, "too many connects");
}

/// A host's, a route's and a namespace's own rates, each over that of the level above.
#[tokio::test]
async fn the_nearest_level_decides() {
    let messages = |amount| RateOverrides { messages_per_connection: Some(few(amount)), ..RateOverrides::default() };
    let policies = Policies::new(Policy::open()).with("own", Policy { rates: messages(4), ..Policy::open() });
    let own_host = HostSettings { rates: messages(2), ..HostSettings::new("own.example".parse().unwrap()) };
    let route = |path: &str, what, rates| Route { rates, ..Route::new(path, what) };
    let routes = vec![
        route("/room/{room}", What::Channel("{room}".to_owned()), messages(3)),
        route("/echo", What::Echo, messages(3)),
        route("/plain", What::Echo, RateOverrides::default()),
    ];
    let config = Config {
        rates: Rates { messages_per_connection: few(1), ..Rates::default() },
        policies,
        hosts: vec![own_host],
        routes,
        demo: false,
        ..Config::default()
    };
    let server = start(config).await;
    for (host, path, allowed, code) in [
        ("localhost", "/c/x", 1, 4029),
        ("own.example", "/c/x", 2, 4029),
        ("own.example", "/room/x", 3, 4029),
        ("own.example", "/room/own:x", 4, 4029),
        ("localhost", "/c/own:x", 4, 4029),
        ("localhost", "/echo", 3, 1008),
        ("localhost", "/plain", 1, 1008),
        ("own.example", "/plain", 2, 1008),
    ] {
        let mut line = server.connect().await;
        line.send(upgrade(path).replace("localhost", host)).await;
        assert_eq!(line.answer().await.status, 101, "{host} {path}");
        for _ in 0..allowed {
            line.send(masked(0x81, b"hi")).await;
            line.expects(b"\x81\x02hi").await;
        }
        line.send(masked(0x81, b"hi")).await;
        let wait = 3600 / allowed;
        let reason = format!("too many messages: {allowed}/h for one connection; wait {wait} s");
        line.expects(close(code, &reason)).await;
    }
}

/// A program, a service and another server are not told what was too much.
#[tokio::test]
async fn what_is_hosted_does_not_hear_what_is_too_much() {
    let behind = start(Config { proxies: this_machine(), knock: localhost(), ..Config::default() }).await;
    let rates = RateOverrides { bytes_per_address: Some(few(10)), ..RateOverrides::default() };
    let route = |path: &str, what| Route { rates: rates.clone(), ..Route::new(path, what) };
    let proxy = Proxy::to(format!("ws://{}/test", behind.address).parse().unwrap());
    let mut routes = vec![route("/proxy", What::Proxy(Box::new(proxy)))];
    if cfg!(unix) {
        routes.push(route("/exec", What::Exec(Exec::new("cat"))));
        routes.push(route("/shared", What::Exec(Exec { sharing: Sharing::All, ..Exec::new("cat") })));
    }
    let paths: Vec<_> = routes.iter().map(|route| route.path.clone()).collect();
    let server = start(Config { routes, ..Config::default() }).await;
    for path in paths {
        let mut line = server.open(&path).await;
        line.send(masked(0x81, b"123456")).await;
        line.expects(b"\x81\x06123456").await;
        line.send(masked(0x81, b"123456")).await;
        line.expects(close(1008, "too many bytes: 10/h for one address; wait 720 s")).await;
    }
}

/// A host's settings hold for its channels and its own routes, and for nobody else's.
#[tokio::test]
async fn a_host_has_limits_and_origins_of_its_own() {
    let name = || "own.example".parse().unwrap();
    let own = HostSettings {
        line: Some(openline::Config { max_message_bytes: 5, ..openline::Config::default() }),
        origins: Some(vec!["https://app.example".parse().unwrap()]),
        rates: RateOverrides { connects_per_address: Some(few(5)), ..RateOverrides::default() },
        ..HostSettings::new(name())
    };
    let routes = vec![Route { host: Some(name()), ..Route::new("/own", What::Echo) }, Route::new("/all", What::Echo)];
    let policies = Policies::new(Policy::open());
    let server = start(Config { hosts: vec![own], routes, policies, demo: false, ..Config::default() }).await;
    let ask = async |host: &str, path: &str, fields: &str| {
        let mut line = server.connect().await;
        line.send(upgrade_with(path, fields).replace("localhost", host)).await;
        (line.answer().await, line)
    };
    for (host, path, longest) in [
        ("own.example", "/c/x", 5),
        ("own.example", "/own", 5),
        ("own.example", "/all", 100),
        ("localhost", "/c/x", 100),
    ] {
        let (answer, mut line) = ask(host, path, "").await;
        assert_eq!(answer.status, 101, "{host} {path}");
        let payload = vec![b'x'; longest];
        line.send(masked(0x81, &payload)).await;
        line.expects([&[0x81, longest as u8], &payload[..]].concat()).await;
        if longest < 100 {
            line.send(masked(0x81, &[b'x'; 6])).await;
            line.expects(&close(1009, "")[..1]).await;
        }
    }
    let from = "Origin: https://app.example\r\n";
    assert_eq!(ask("own.example", "/c/x", from).await.0.status, 101);
    assert_eq!(ask("own.example", "/all", from).await.0.status, 101);
    assert_eq!(ask("localhost", "/c/x", from).await.0.status, 403);
    is_too_much(&ask("own.example", "/c/x", "").await.0, "too many connects: 5/h");
    assert_eq!(ask("localhost", "/c/x", "").await.0.status, 101, "at other hosts nobody counts");
}
