//! The echo of yawc's examples, over any stream; without compression, which nobody asks for.

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use yawc::{OpCode, Options, WebSocket};

/// # Errors
/// When the opening handshake fails.
pub async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<(), hyper::Error> {
    http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(open)).with_upgrades().await
}

async fn open(mut request: Request<Incoming>) -> yawc::Result<Response<Empty<Bytes>>> {
    let options = Options::default()
        .with_utf8()
        .with_backpressure_boundary(100 << 20)
        .with_max_payload_read(100 << 20)
        .with_max_read_buffer(200 << 20);
    let (response, upgrade) = WebSocket::upgrade_with_options(&mut request, options)?;
    tokio::spawn(async move {
        let mut socket = upgrade.await?;
        while let Some(frame) = socket.next().await {
            if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
                socket.send(frame).await?;
            }
        }
        Ok::<_, yawc::WebSocketError>(())
    });
    Ok(response)
}
