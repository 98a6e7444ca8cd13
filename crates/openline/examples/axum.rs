//! Echoes every message at `/echo`, in axum: `axum ADDR`.
use axum::{Router, response::Response, routing::any};
use openline::axum::{WebSocket, WebSocketUpgrade};
use std::error::Error;

async fn handler(upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(["v2.echo", "v1.echo"]) // the first one that the client offers
        .on_failed_upgrade(|error| eprintln!("no WebSocket: {error}"))
        .on_upgrade(|socket| async move {
            if let Err(error) = echo(socket).await {
                eprintln!("the connection failed: {error}");
            }
        })
}

async fn echo(mut socket: WebSocket) -> Result<(), openline::Error> {
    while let Some((message, mut reply)) = socket.recv_ref().await? {
        reply.feed(message)?; // every answer to one read goes out in one write
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: axum ADDR")?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, Router::new().route("/echo", any(handler))).await?;
    Ok(())
}
