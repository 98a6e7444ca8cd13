//! Rate limits, at the doors: what is too much, how that is said, and that nobody else is disturbed.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::time::Duration;

use openline_server::hosting::{Exec, Proxy, Route, Sharing, Tcp, What};
use openline_server::knock::Knock;
use openline_server::{Config, HostSettings, Network, Policies, Policy, Proxies, Rate, RateOverrides, Rates, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::support::{Answer, PATIENCE, Running, close, masked, start, upgrade, upgrade_with};

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

/// A service hears what was allowed, and nothing of the message that was too much.
#[tokio::test]
async fn a_tcp_service_hears_no_more_than_may_be_said() {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = || What::Tcp(Tcp::to(service.local_addr().unwrap().to_string().parse().unwrap()));
    let unsaid = RateOverrides::default;
    let messages = "too many messages: 2/h for one";
    let bytes = "too many bytes: 10/h for one";
    let cases = [
        (
            RateOverrides { messages_per_connection: Some(few(2)), ..unsaid() },
            ["abcd", "abcd", "a"],
            format!("{messages} connection; wait 1800 s"),
        ),
        (
            RateOverrides { messages_per_address: Some(few(2)), ..unsaid() },
            ["abcd", "abcd", "a"],
            format!("{messages} address; wait 1800 s"),
        ),
        (
            RateOverrides { bytes_per_connection: Some(few(10)), ..unsaid() },
            ["abcd", "abcd", "abcd"],
            format!("{bytes} connection; wait 720 s"),
        ),
        (
            RateOverrides { bytes_per_address: Some(few(10)), ..unsaid() },
            ["abcd", "abcd", "abcd"],
            format!("{bytes} address; wait 720 s"),
        ),
    ];
    for (rates, said, reason) in cases {
        let is_shared = reason.contains("address");
        let route = Route { rates, ..Route::new("/tcp", to()) };
        let server = start(Config { routes: vec![route], ..Config::default() }).await;
        let mut line = server.open("/tcp").await;
        for message in said {
            line.send(masked(0x82, message.as_bytes())).await;
        }
        let (mut stream, _) = timeout(PATIENCE, service.accept()).await.expect("it is there").unwrap();
        line.expects(close(1008, &reason)).await;
        line.send(masked(0x88, b"")).await;
        drop(line); // the server waits for that, for a while
        let mut heard = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut heard)).await.expect("it ends").unwrap();
        assert_eq!(heard, "abcdabcd", "{reason}");
        // Another line has what it may say for itself, and nothing of what its address may.
        let mut other = server.open("/tcp").await;
        other.send(masked(0x82, b"abcd")).await;
        let (mut stream, _) = service.accept().await.unwrap();
        match is_shared {
            true => other.expects(&close(1008, "")[..1]).await,
            false => {
                let mut heard = [0; 4];
                timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("it hears it").unwrap();
                stream.write_all(b"heard").await.unwrap();
                other.expects(b"\x82\x05heard").await;
            }
        }
    }
}

/// A server behind, and what its channel `x` says.
async fn behind_us() -> (Running, support::Raw) {
    let behind = start(Config { proxies: this_machine(), knock: localhost(), ..Config::default() }).await;
    let line = behind.open("/c/x").await;
    (behind, line)
}

/// Nobody reads what passes through a tunnel, so nobody can be told that it is too much: it waits.
#[tokio::test]
async fn a_tunnel_passes_no_more_bytes_in_a_time_than_may_be_said() {
    const PERIOD: Duration = Duration::from_millis(500);
    let (behind, _) = behind_us().await;
    let rate = Some(Some(Rate { amount: 100, per: PERIOD }));
    let unsaid = RateOverrides::default;
    for rates in [
        RateOverrides { bytes_per_connection: rate, ..unsaid() },
        RateOverrides { bytes_per_address: rate, ..unsaid() },
    ] {
        let is_shared = rates.bytes_per_address.is_some();
        let proxy = Proxy { tunnel: true, ..Proxy::to(format!("ws://{}/test", behind.address).parse().unwrap()) };
        let route = Route { rates, ..Route::new("/tunnel", What::Proxy(Box::new(proxy))) };
        let server = start(Config { routes: vec![route], ..Config::default() }).await;
        let (mut one, mut other) = (server.open("/tunnel").await, server.open("/tunnel").await);
        let begin = Instant::now();
        let message = [b'x'; 94]; // with the head and the key of its frame, 100
        for _ in 0..3 {
            one.send(masked(0x81, &message)).await;
            one.expects([&[0x81, 94], &message[..]].concat()).await;
        }
        assert!(begin.elapsed() >= 2 * PERIOD, "{:?}", begin.elapsed());
        // Another line of the same address waits for what this one said.
        other.send(masked(0x81, &message)).await;
        other.expects([&[0x81, 94], &message[..]].concat()).await;
        assert!(!is_shared || begin.elapsed() >= 3 * PERIOD, "{:?}", begin.elapsed());
        one.send(masked(0x88, &close(4001, "own")[2..])).await;
        one.expects(close(4001, "own")).await;
    }
}

/// The server behind hears nothing of a request that says how long it is, if that is too much.
#[tokio::test]
async fn requests_that_are_passed_on_count_with_their_bytes() {
    let (behind, mut line) = behind_us().await;
    let proxy = Proxy::to(format!("http://{}/c/x", behind.address).parse().unwrap());
    let rates = RateOverrides { bytes_per_address: Some(few(10)), ..RateOverrides::default() };
    let route = Route { rates, ..Route::new("/up", What::Proxy(Box::new(proxy))) };
    let server = start(Config { routes: vec![route], ..Config::default() }).await;
    let post = |body: &str| post("", body).replace("/c/x", "/up");
    let in_chunks = |body: &str| {
        let head = "POST /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    assert_eq!(ask(&server, post("123456")).await.status, 202);
    is_too_much(&ask(&server, post("123456")).await, "too many bytes: 10/h for one address");
    assert_eq!(ask(&server, in_chunks("12")).await.status, 202);
    is_too_much(&ask(&server, in_chunks("123456")).await, "too many bytes: 10/h for one address");
    assert_eq!(ask(&server, "GET /up HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()).await.status, 200);
    assert_eq!(ask(&server, post("12")).await.status, 202);
    line.expects(b"\x82\x06123456\x82\x0212\x82\x0212").await;
}

/// Whatever somebody connects to; at a route it is WebSockets that are counted.
#[tokio::test]
async fn connections_count_everywhere() {
    let (behind, _) = behind_us().await;
    let to = || Proxy::to(format!("ws://{}/test", behind.address).parse().unwrap());
    let routes = |rates: RateOverrides| -> Vec<Route> {
        [("/tunnel", Proxy { tunnel: true, ..to() }), ("/proxy", to())]
            .map(|(path, proxy)| Route { rates: rates.clone(), ..Route::new(path, What::Proxy(Box::new(proxy))) })
            .into()
    };
    let increment = upgrade_with("/increment", "Sec-WebSocket-Protocol: dumb-increment-protocol\r\n");
    let plain = "GET /proxy HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned();
    let rates = Rates { connects_per_address: few(1), ..Rates::default() };
    for (is_demo, request, status) in [
        (true, upgrade("/test"), 101),
        (true, upgrade("/chat"), 101),
        (true, increment, 101),
        (false, upgrade("/tunnel"), 101),
        (false, upgrade("/proxy"), 101),
        (false, plain, 426),
    ] {
        let routes = if is_demo { Vec::new() } else { routes(RateOverrides::default()) };
        let server = start(Config { routes, rates: rates.clone(), ..Config::default() }).await;
        assert_eq!(ask(&server, request.clone()).await.status, status, "{request}");
        is_too_much(&ask(&server, request).await, "too many connects: 1/h for one address");
    }
    let own = RateOverrides { connects_per_address: Some(few(1)), ..RateOverrides::default() };
    let server = start(Config { routes: routes(own), ..Config::default() }).await;
    for path in ["/tunnel", "/proxy"] {
        assert_eq!(ask(&server, upgrade(path)).await.status, 101, "{path}");
        is_too_much(&ask(&server, upgrade(path)).await, "too many connects: 1/h for one address");
    }
}

/// An echo, a chat and a counter to try WebSockets on; a server with a file has no such thing unless it asks for it.
#[tokio::test]
async fn what_is_said_in_the_demo_is_not_counted() {
    let rates = Rates { messages_per_connection: few(1), bytes_per_address: few(1), ..Rates::default() };
    let server = server(rates).await;
    let (mut test, mut chat, mut listens) =
        (server.open("/test").await, server.open("/chat").await, server.open("/chat").await);
    for _ in 0..3 {
        test.send(masked(0x81, b"hi")).await;
        test.until("hi").await;
        chat.send(masked(0x81, b"hi")).await;
        listens.until("hi").await;
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
