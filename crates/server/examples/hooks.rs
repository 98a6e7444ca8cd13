//! A backend for hooks: who may connect, what may be said, and what is answered to calls.
//!
//! ```sh
//! cargo run -p openline-server --example hooks
//! openline serve --config examples/hooks/hooks.toml
//! ```

use std::convert::Infallible;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// A question is no longer than what a client may publish, and what surrounds it.
const MAX_BYTES: usize = 1 << 20;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3001".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)));
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let question = match Limited::new(request.into_body(), MAX_BYTES).collect().await {
        Ok(body) => serde_json::from_slice(&body.to_bytes()).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    Ok(Response::new(Full::from(decide(&path, &question).to_string())))
}

fn decide(path: &str, question: &Value) -> Value {
    match path {
        "/connect" => match question["data"]["name"].as_str() {
            Some(name) => json!({ "result": { "user": name, "info": { "name": name }, "expire_at": now() + 300 } }),
            None => json!({ "disconnect": { "code": 4501, "reason": "say your name in data.name" } }),
        },
        "/refresh" => json!({ "result": { "expire_at": now() + 300 } }),
        "/subscribe" => json!({ "result": { "data": { "welcome": question["channel"] } } }),
        "/publish" => match question["data"]["text"].as_str().unwrap_or_default() {
            spam if spam.contains("spam") => json!({ "error": { "code": 403, "message": "no spam" } }),
            text => json!({ "result": { "data": { "text": text.chars().take(500).collect::<String>() } } }),
        },
        "/rpc" if question["method"] == "time" => json!({ "result": { "data": { "now": now() } } }),
        _ => json!({ "error": { "code": 404, "message": "nothing to call by that name" } }),
    }
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
