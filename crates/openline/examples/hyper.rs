//! Echoes every message at `/echo`, on hyper: `hyper ADDR`.
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use openline::handshake::{ServerHandshake, Subprotocol};
use std::{convert::Infallible, error::Error, time::Duration};

async fn handle(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    if request.uri().path() != "/echo" {
        let mut response = Response::new("There is only /echo.\n".into());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let subprotocols = ["v2.echo", "v1.echo"].map(|name| Subprotocol::new(name).expect("a token"));
    let handshake = ServerHandshake { subprotocols: subprotocols.into(), ..Default::default() };
    match openline::upgrade(&mut request, &handshake) {
        Ok((response, upgrade)) => {
            tokio::spawn(async move {
                if let Err(error) = echo(upgrade).await {
                    eprintln!("the connection failed: {error}");
                }
            });
            Ok(response.map(|()| String::new()))
        }
        Err(rejection) => Ok(rejection.response()),
    }
}

async fn echo(upgrade: openline::Upgrade) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = upgrade.await?; // once the response is sent
    while let Some((message, mut reply)) = socket.recv_ref().await? {
        reply.feed(message)?; // every answer to one read goes out in one write
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("usage: hyper ADDR")?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await; // too many open files, usually
            continue;
        };
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()); // or a client may take forever over its request
            let connection = http.serve_connection(TokioIo::new(stream), service_fn(handle)).with_upgrades();
            if let Err(error) = connection.await {
                eprintln!("the connection failed: {error}");
            }
        });
    }
}
