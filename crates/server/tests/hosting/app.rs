//! Applications in Rust beside routes: axum's router, our extractor, and a registry of the lines.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use openline::axum::{WebSocket, WebSocketUpgrade};
use openline::{Client, CloseCode, Config as LineConfig, ConnectError};
use openline_server::hosting::{App, Leave, Respond, Route, What};
use openline_server::{ClientAddress, Config, Identity, Order, Registry};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use crate::support::{PATIENCE, Running, start, upgrade, upgrade_with};
use crate::{closes, get as ask, hear, hears, open};

#[derive(Serialize, Deserialize)]
struct Say {
    text: String,
}

/// `/chat/{room}`: everybody hears what each says.
async fn chat(
    Path(room): Path<String>,
    State(registry): State<Registry>,
    Extension(leave): Extension<Leave>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if room == "closed" {
        return (http::StatusCode::FORBIDDEN, [("x-why", "closed")], "this room is closed").into_response();
    }
    upgrade.protocols(["chat.v2"]).on_upgrade(async move |mut socket: WebSocket| {
        let seat = registry.enter(Identity::User(room.as_str().into())).leave_when(leave);
        let said = |Say { text }| registry.broadcast(&Say { text: format!("{room}: {text}") }).unwrap();
        let _ = seat.serve(&mut socket, said).await;
    })
}

/// Has a line, and never looks whether it has to close.
async fn deaf(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |socket: WebSocket| {
        std::future::pending::<()>().await;
        drop(socket);
    })
}

async fn application() -> (Running, Registry) {
    let registry = Registry::new();
    let router = Router::new()
        .route("/app/chat/{room}", any(chat))
        .route("/app/deaf", any(deaf))
        .route(
            "/app/hello/{name}",
            get(async |Path(name): Path<String>, Extension(ClientAddress(address)): Extension<ClientAddress>| {
                format!("hello {name} at {address}")
            }),
        )
        .route(
            "/app/number/{number}",
            any(async |Path(number): Path<u32>, upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async move |mut socket| drop(socket.send(number.to_string()).await))
            }),
        )
        .route("/app/post", post(async |body: String| body))
        .with_state(registry.clone());
    let headers = http::HeaderMap::from_iter([("x-team".parse().unwrap(), "blue".parse().unwrap())]);
    let line = LineConfig { close_timeout: Duration::from_millis(200), ..LineConfig::default() };
    let server = start(Config {
        routes: vec![
            Route { headers, max_lines: Some(3), line: Some(line), ..Route::new("/app", What::App(App::new(router))) },
            Route::new("/app/own", What::Respond(Respond::text("a route beside it"))),
        ],
        ..Config::default()
    })
    .await;
    (server, registry)
}

async fn counts(server: &Running, lines: usize) {
    let there = async {
        while server.lines.count_at("/app") != lines {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, there).await.unwrap_or_else(|_| panic!("{} lines, not {lines}", server.lines.count_at("/app")));
}

#[tokio::test]
async fn a_router_answers_beside_routes() {
    let (server, _registry) = application().await;
    let hello = ask(&server, "/app/hello/ann", "").await;
    assert_eq!((hello.body.as_str(), hello.header("x-team")), ("hello ann at 127.0.0.1", Some("blue")));
    assert_eq!(ask(&server, "/app/own", "").await.body, "a route beside it");
    assert_eq!(ask(&server, "/app/nothing", "").await.status, 404);
    let mut raw = server.connect().await;
    raw.send("POST /app/post HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(raw.answer().await.body, "hi");
    // The server's rules are its own, too.
    assert_eq!(ask(&server, "/app/hello/ann", "Origin: http://evil.example\r\n").await.status, 403);
}

#[tokio::test]
async fn its_lines_have_parameters_state_subprotocols_and_a_registry() {
    let (server, registry) = application().await;
    let mut red = open(&server, "/app/chat/red", &["chat.v1", "chat.v2"]).await;
    let mut blue = open(&server, "/app/chat/blue", &[]).await;
    assert_eq!((red.subprotocol(), blue.subprotocol()), (Some("chat.v2"), None));
    counts(&server, 2).await;
    let entered = async {
        while registry.count() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, entered).await.expect("both are in");
    red.send(r#"{"text":"hi"}"#).await.unwrap();
    hears(&mut red, r#"{"text":"red: hi"}"#).await;
    hears(&mut blue, r#"{"text":"red: hi"}"#).await;
    assert_eq!(registry.close(&Identity::User("red".into()), CloseCode::POLICY, "you logged out"), 1);
    closes(&mut red, 1008, "you logged out").await;
    blue.send("not json").await.unwrap();
    assert_eq!(hear(&mut blue).await, None);
    assert_eq!(blue.closed().unwrap().code(), 1007);
    drop((red, blue));
    counts(&server, 0).await;
}

#[tokio::test]
async fn a_refusal_is_the_applications_and_no_line() {
    let (server, _registry) = application().await;
    match Client::new().connect(&format!("ws://{}/app/chat/closed", server.address)).await {
        Err(ConnectError::Refused(refused)) => {
            assert_eq!((refused.status.as_u16(), &refused.body[..]), (403, &b"this room is closed"[..]));
            let field = |name: &str| refused.headers[name].to_str().unwrap();
            assert_eq!((field("x-why"), field("x-team")), ("closed", "blue"));
        }
        other => panic!("{other:?}"),
    }
    for (request, status) in [
        (upgrade("/app/nothing"), 404),
        (upgrade_with("/app/chat/x", "Origin: http://evil.example\r\n"), 403),
        (upgrade("/app/chat/x").replace("Version: 13", "Version: 8"), 426),
        (upgrade("/app/chat/x").replace("dGhlIHNhbXBsZSBub25jZQ==", "x"), 400),
    ] {
        let mut raw = server.connect().await;
        raw.send(request).await;
        assert_eq!(raw.answer().await.status, status);
    }
    assert_eq!(server.lines.count_at("/app"), 0);
}

#[tokio::test]
async fn a_parameter_that_does_not_parse_is_refused() {
    let (server, _registry) = application().await;
    hears(&mut open(&server, "/app/number/7", &[]).await, "7").await;
    for path in ["/app/number/seven", "/app/number/-1", "/app/number/99999999999"] {
        let mut raw = server.connect().await;
        raw.send(upgrade(path)).await;
        assert_eq!(raw.answer().await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn frames_that_come_with_the_request_are_not_lost() {
    let (server, _registry) = application().await;
    let mut raw = server.connect().await;
    let early = crate::support::masked(0x81, br#"{"text":"early"}"#);
    raw.send([upgrade("/app/chat/x").into_bytes(), early].concat()).await;
    assert_eq!(raw.answer().await.status, 101);
    assert_eq!(raw.text().await, r#"{"text":"x: early"}"#);
}

#[tokio::test]
async fn over_its_lines_nobody_else() {
    let (server, _registry) = application().await;
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(open(&server, "/app/chat/x", &[]).await);
    }
    let mut raw = server.connect().await;
    raw.send(upgrade("/app/chat/x")).await;
    assert_eq!(raw.answer().await.status, 503);
    drop(lines);
    counts(&server, 0).await;
    open(&server, "/app/chat/x", &[]).await;
}

#[tokio::test]
async fn at_the_end_lines_are_told_and_who_does_not_listen_is_cut() {
    for (order, code, reason) in
        [(Order::Close, 1001, "the server is stopping"), (Order::Drain, 1012, "the server is restarting")]
    {
        let (mut server, _registry) = application().await;
        let (mut told, mut deaf) = (open(&server, "/app/chat/x", &[]).await, open(&server, "/app/deaf", &[]).await);
        counts(&server, 2).await;
        server.order(order);
        closes(&mut told, code, reason).await;
        assert!(timeout(PATIENCE, deaf.recv()).await.expect("it is cut").is_err());
        let farewell = server.farewell().await;
        assert_eq!((farewell.told, farewell.dropped), (2, 0));
    }
}
