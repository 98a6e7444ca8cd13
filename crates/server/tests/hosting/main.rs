//! Routes, and what is at them, as clients meet them.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod app;
mod entry;
#[cfg(unix)]
mod exec;
mod files;
mod kinds;
mod proxy;
mod registry;
mod routes;
#[path = "../support/mod.rs"]
mod support;
mod tcp;

use openline::{Client, ClientStream, Message, WebSocket};
use openline_server::Config;
use openline_server::hosting::{Route, What};
use tokio::time::timeout;

use crate::support::{PATIENCE, Running, start};

/// A server with these routes.
async fn host(routes: Vec<Route>) -> Running {
    start(Config { routes, ..Config::default() }).await
}

async fn host_one(path: &str, what: What) -> Running {
    host(vec![Route::new(path, what)]).await
}

async fn open(server: &Running, path: &str, subprotocols: &[&str]) -> WebSocket<ClientStream> {
    let client = subprotocols.iter().fold(Client::new(), |client, name| client.subprotocol(name));
    client.connect(&format!("ws://{}{path}", server.address)).await.unwrap().0
}

/// The next message; `None` at the end.
async fn hear(socket: &mut WebSocket<ClientStream>) -> Option<Message> {
    timeout(PATIENCE, socket.recv()).await.expect("something comes").unwrap()
}

async fn hears(socket: &mut WebSocket<ClientStream>, expected: &str) {
    assert_eq!(hear(socket).await, Some(Message::Text(expected.into())));
}

/// The line closes like this, and says nothing more.
async fn closes(socket: &mut WebSocket<ClientStream>, code: u16, reason: &str) {
    assert_eq!(hear(socket).await, None);
    let closed = socket.closed().unwrap();
    assert_eq!((closed.code(), closed.reason()), (code, reason));
}

/// Status, header fields, body.
async fn get(server: &Running, path: &str, fields: &str) -> support::Answer {
    let mut raw = server.connect().await;
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")).await;
    raw.answer().await
}
