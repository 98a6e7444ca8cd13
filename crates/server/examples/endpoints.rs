//! A server of one's own: files, a program and an axum application behind one address, and a chat that knows who is in it.
//!
//! ```sh
//! cargo run -p openline-server --example endpoints
//! openline connect ws://127.0.0.1:8080/chat/ann      # send {"text": "hello"}
//! curl http://127.0.0.1:8080/chat                    # how many there are
//! curl -X POST http://127.0.0.1:8080/chat/ann/logout # all lines of ann close
//! openline connect ws://127.0.0.1:8080/date          # a program, beside it
//! ```

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use openline::CloseCode;
use openline::axum::{WebSocket, WebSocketUpgrade};
use openline_server::hosting::{App, Exec, Leave, Respond, Route, What};
use openline_server::{Config, Identity, Order, Registry, Server};
use serde::{Deserialize, Serialize};

/// What clients send; what does not decode closes the line with 1007.
#[derive(Deserialize)]
struct Say {
    text: String,
}

#[derive(Serialize)]
struct Said {
    who: String,
    text: String,
}

fn user(name: &str) -> Identity {
    Identity::User(name.into())
}

async fn chat(
    Path(who): Path<String>,
    State(registry): State<Registry>,
    Extension(leave): Extension<Leave>,
    upgrade: WebSocketUpgrade,
) -> Response {
    upgrade.on_upgrade(async move |mut socket: WebSocket| {
        let seat = registry.enter(user(&who)).leave_when(leave);
        let said = |Say { text }| {
            let _ = registry.broadcast(&Said { who: who.clone(), text });
        };
        // How it ended is no matter here.
        let _ = seat.serve(&mut socket, said).await;
    })
}

async fn logout(Path(who): Path<String>, State(registry): State<Registry>) -> String {
    let count = registry.close(&user(&who), CloseCode::POLICY, "you logged out");
    format!("{count} lines of {who} closed\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let router = Router::new()
        .route("/chat", get(async |State(registry): State<Registry>| format!("{} lines\n", registry.count())))
        .route("/chat/{who}", any(chat))
        .route("/chat/{who}/logout", post(logout))
        .with_state(Registry::new());
    let config = Config {
        routes: vec![
            Route::new("/chat", What::App(App::new(router))),
            Route::new("/date", What::Exec(Exec::new("date"))),
            Route::new("/", What::Respond(Respond::text("There are /chat/NAME and /date.\n"))),
        ],
        ..Config::default()
    };
    let server = Server::bind(config).await?;
    println!("listening on {:?}", server.local_addrs());
    server
        .serve(async {
            let _ = tokio::signal::ctrl_c().await;
            Order::Close
        })
        .await;
    Ok(())
}
