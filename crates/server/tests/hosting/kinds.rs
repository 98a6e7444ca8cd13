//! What every kind of line has from its route: origins, subprotocols, limits, keepalive, idle time, compression, a cap, and fields.

use std::time::Duration;

use http::HeaderMap;
use openline::Config as LineConfig;
use openline::proto::handshake::{Origin, Subprotocol};
use openline_server::hosting::{Compression, Exec, Origins, Proxy, Route, Tcp, What};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::proxy::behind_us;
use crate::support::{PATIENCE, Running, upgrade_with};
use crate::{hear, host, open};

/// One of each, and what is behind them.
async fn kinds() -> (Vec<(&'static str, What)>, TcpListener, Running) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let any = Route { origins: Origins::Any, ..Route::new("/proxy", What::Echo) };
    let behind = behind_us(vec![any]).await;
    let kinds = vec![
        ("/echo", What::Echo),
        ("/exec", What::Exec(Exec::new("cat"))),
        ("/tcp", What::Tcp(Tcp::to(service.local_addr().unwrap().to_string().parse().unwrap()))),
        ("/proxy", What::Proxy(Box::new(Proxy::to(format!("ws://{}", behind.address).parse().unwrap())))),
    ];
    (kinds, service, behind)
}

async fn is_left(server: &Running, path: &str) {
    let left = async {
        while server.lines.count_at(path) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, left).await.expect("the line ends");
}

#[tokio::test]
async fn every_kind_of_line_has_the_settings_of_its_route() {
    let (kinds, _service, _behind) = kinds().await;
    let paths: Vec<&str> = kinds.iter().map(|(path, _)| *path).collect();
    let line =
        LineConfig { max_message_bytes: 10, ping_interval: Some(Duration::from_millis(50)), ..LineConfig::default() };
    let own = |(path, what)| Route {
        origins: Origins::These(vec![Origin::parse("https://app.example").unwrap()]),
        subprotocols: vec![Subprotocol::new("chat").unwrap()],
        max_lines: Some(1),
        headers: HeaderMap::from_iter([("x-team".parse().unwrap(), "blue".parse().unwrap())]),
        compression: Compression::Off,
        line: Some(line.clone()),
        ..Route::new(path, what)
    };
    let server = host(kinds.into_iter().map(own).collect()).await;
    for path in paths {
        let offer = "Sec-WebSocket-Protocol: other, chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        let ask = async |origin: &str| {
            let mut raw = server.connect().await;
            raw.send(upgrade_with(path, &format!("Origin: {origin}\r\n{offer}"))).await;
            let answer = raw.answer().await;
            (raw, answer)
        };
        assert_eq!(ask("https://evil.example").await.1.status, 403, "{path}");
        let (mut raw, answer) = ask("https://app.example").await;
        assert_eq!((answer.status, answer.header("x-team")), (101, Some("blue")), "{path}");
        assert_eq!(answer.header("sec-websocket-protocol"), Some("chat"), "{path}");
        assert_eq!(answer.header("sec-websocket-extensions"), None, "{path}");
        assert_eq!(ask("https://app.example").await.1.status, 503, "{path}: one line at once");
        // Nothing was said, so it is asked whether somebody is there.
        assert_eq!(timeout(PATIENCE, raw.0.read_u8()).await.expect("a ping comes").unwrap(), 0x89, "{path}");
        drop(raw);
        is_left(&server, path).await;
        let mut socket = open(&server, path, &["chat"]).await;
        socket.send("12345678901").await.unwrap();
        assert_eq!(hear(&mut socket).await, None, "{path}");
        assert_eq!(socket.closed().unwrap().code(), 1009, "{path}");
    }
}

#[tokio::test]
async fn a_line_of_any_kind_that_says_nothing_ends_where_that_is_asked_for() {
    let (kinds, _service, behind) = kinds().await;
    let paths: Vec<&str> = kinds.iter().map(|(path, _)| *path).collect();
    let line = LineConfig { idle_timeout: Some(Duration::from_millis(100)), ..LineConfig::default() };
    let own = |(path, what)| Route { line: Some(line.clone()), ..Route::new(path, what) };
    let server = host(kinds.into_iter().map(own).collect()).await;
    for path in paths {
        let mut socket = open(&server, path, &[]).await;
        assert_eq!(hear(&mut socket).await, None, "{path}");
        assert_eq!(socket.closed().unwrap().code(), 1001, "{path}");
    }
    // What is said in a tunnel nobody knows: it is cut.
    let proxy = Proxy { tunnel: true, ..Proxy::to(format!("ws://{}", behind.address).parse().unwrap()) };
    let server = host(vec![own(("/proxy", What::Proxy(Box::new(proxy))))]).await;
    let mut socket = open(&server, "/proxy", &[]).await;
    assert!(timeout(PATIENCE, socket.recv()).await.expect("it is cut").is_err());
}
