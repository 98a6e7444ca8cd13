//! The internal address: what is counted, whether the server is live and ready, and who is answered.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::net::SocketAddr;

use nix::sys::signal::Signal::SIGTERM;
use tokio::net::TcpListener;

use crate::support::{Answer, Program, Raw, close, masked, openline, upgrade};

async fn serve(args: &[&str]) -> (Program, SocketAddr, SocketAddr) {
    let args = [&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"], args].concat();
    let mut program = Program::start(openline(&args));
    let line = program.line().await;
    let address = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
    let said = program.says("metrics and health on http://").await;
    let admin = said.split("http://").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    (program, address, admin)
}

async fn ask(address: SocketAddr, first: &str, fields: &str) -> Answer {
    let mut raw = Raw::connect(address).await;
    raw.send(format!("{first} HTTP/1.1\r\n{fields}\r\n")).await;
    raw.answer().await
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, &format!("GET {path}"), "Host: localhost\r\n").await
}

/// The value of a metric, by its name and labels.
async fn metric(admin: SocketAddr, name: &str) -> f64 {
    let answer = get(admin, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(answer.body.ends_with("# EOF\n"));
    let line = answer.body.lines().find(|line| line.rsplit_once(' ').is_some_and(|(said, _)| said == name));
    line.unwrap_or_else(|| panic!("no {name} in {}", answer.body)).rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let (_program, address, admin) = serve(&[]).await;
    for (name, value) in [
        ("openline_connections_limit", 10_000.0),
        ("openline_draining", 0.0),
        ("openline_lines{route=\"channel\",transport=\"websocket\"}", 0.0),
        ("openline_channels", 0.0),
    ] {
        assert_eq!(metric(admin, name).await, value, "{name}");
    }
    let open = |path: &'static str| async move {
        let mut raw = Raw::connect(address).await;
        raw.send(upgrade(path)).await;
        assert_eq!(raw.answer().await.status, 101);
        raw
    };
    let (_test, mut line) = (open("/test").await, open("/c/news").await);
    let mut events = Raw::connect(address).await;
    events.send("GET /c/news HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await;
    assert_eq!(events.answer().await.status, 200);
    line.send(masked(0x81, b"hello")).await;
    line.expects(b"\x81\x05hello").await;
    events.until("data: hello\n\n").await;
    for (path, fields, status) in [
        ("/c/news?after=00c0ffee00c0ffee.1", "Host: localhost\r\n", 200),
        ("/nowhere", "Host: localhost\r\n", 404),
        ("/", "Host: evil.example\r\n", 421),
        ("/", "Host: localhost\r\nOrigin: https://evil.example\r\n", 403),
    ] {
        assert_eq!(ask(address, &format!("GET {path}"), fields).await.status, status);
    }
    for (name, value) in [
        ("openline_lines{route=\"test\",transport=\"websocket\"}", 1.0),
        ("openline_lines{route=\"channel\",transport=\"websocket\"}", 1.0),
        ("openline_lines{route=\"channel\",transport=\"events\"}", 1.0),
        ("openline_lines_opened_total{route=\"channel\",transport=\"websocket\"}", 1.0),
        ("openline_handshakes_accepted_total", 2.0),
        ("openline_channels", 1.0),
        ("openline_subscriptions", 2.0),
        ("openline_publications_total", 1.0),
        ("openline_deliveries_total", 2.0),
        ("openline_messages_total{direction=\"in\"}", 1.0),
        ("openline_messages_total{direction=\"out\"}", 2.0),
        ("openline_message_bytes_total{direction=\"out\"}", 10.0),
        ("openline_recoveries_total{outcome=\"gap\"}", 1.0),
        ("openline_refusals_total{status=\"404\",reason=\"not there\"}", 1.0),
        ("openline_refusals_total{status=\"421\",reason=\"host\"}", 1.0),
        ("openline_refusals_total{status=\"403\",reason=\"origin\"}", 1.0),
        ("openline_outbox_bytes", 0.0),
    ] {
        assert_eq!(metric(admin, name).await, value, "{name}");
    }
    assert!(metric(admin, "process_start_time_seconds").await > 1.7e9);
    assert!(metric(admin, "openline_connections").await >= 3.0);
}

/// Whatever is promised in docs/operations.md is there, and whatever is there is promised.
#[tokio::test]
async fn the_documented_names_are_those_that_there_are() {
    let (_program, _, admin) = serve(&[]).await;
    let page = include_str!("../../../docs/operations.md");
    let (_, page) = page.split_once("\n## Metrics\n").unwrap();
    let (page, _) = page.split_once("\n## ").unwrap();
    let promised: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next()).collect();
    let body = get(admin, "/metrics").await.body;
    let there: Vec<_> = body.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for line in &there {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        assert!(promised.contains(&name.as_str()), "{name} is not documented: {promised:?}");
    }
    for name in &promised {
        assert!(
            body.contains(&format!("# TYPE {} ", name.trim_end_matches("_total").trim_end_matches("_info"))),
            "{name}"
        );
    }
}

#[tokio::test]
async fn live_to_the_end_and_ready_until_it_begins() {
    let (mut program, address, admin) = serve(&["--drain-window", "60s"]).await;
    let mut lines = Vec::new();
    for _ in 0..2 {
        let mut raw = Raw::connect(address).await;
        raw.send(upgrade("/test")).await;
        assert_eq!(raw.answer().await.status, 101);
        lines.push(raw);
    }
    assert_eq!((get(admin, "/live").await.status, get(admin, "/ready").await.status), (200, 200));
    program.signal(SIGTERM);
    program.says("closing 2 lines").await;
    lines[0].expects(close(1012, "the server is restarting")).await;
    assert_eq!((get(admin, "/live").await.status, get(admin, "/ready").await.status), (200, 503));
    assert_eq!(metric(admin, "openline_draining").await, 1.0);
}

#[tokio::test]
async fn the_rule_of_hosts_and_origins_holds_there_too() {
    let (_program, address, admin) = serve(&["--host", "push.example"]).await;
    for (fields, status) in [
        ("Host: localhost\r\n", 200),
        ("Host: 127.0.0.1:9\r\n", 200),
        ("Host: push.example\r\n", 200),
        ("Host: evil.example\r\n", 421),
        ("Host: localhost\r\nOrigin: https://evil.example\r\n", 403),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n", 403),
        ("Host: localhost\r\nX-Forwarded-For: 1.2.3.4\r\n", 403),
        ("", 400),
    ] {
        assert_eq!(ask(admin, "GET /metrics", fields).await.status, status, "{fields}");
    }
    assert_eq!(ask(admin, "POST /metrics", "Host: localhost\r\nContent-Length: 0\r\n").await.status, 405);
    assert_eq!(get(admin, "/c/news").await.status, 404);
    assert_eq!(get(address, "/metrics").await.status, 404, "nothing of it is where everybody is");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_only_if_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, err) =
        Program::start(openline(&["serve", "--listen", "127.0.0.1:0", "--admin", &address])).end().await;
    assert_eq!((code, out.as_str()), (3, ""), "{err}");
    assert!(err.starts_with(&format!("error: cannot listen on {address} for metrics and health")), "{err}");
    assert!(err.contains("--admin off"), "{err}");

    // Nobody asked, and somebody has the port: ourselves, if nobody else.
    let _somebody = TcpListener::bind("127.0.0.1:8090").await;
    let mut program = Program::start(openline(&["serve", "--listen", "127.0.0.1:0"]));
    assert!(program.line().await.starts_with("listening on http://127.0.0.1:"));
    program.says("no metrics and no health: cannot listen on 127.0.0.1:8090").await;

    let (_program, _) = Program::serve(&["--admin", "off"]).await;
}
