//! The echo of sockudo-ws' examples, over any stream.

use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use sockudo_ws::{
    Config, Error, WebSocketStream,
    handshake::{build_response, generate_accept_key, parse_request},
    protocol::Message,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// # Errors
/// When the connection fails.
pub async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Error> {
    open(&mut stream).await?;
    let mut socket = WebSocketStream::server(stream, Config::default());
    while let Some(message) = socket.next().await.transpose()? {
        match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await?,
            Message::Close(_) => break,
            _ => {}
        }
    }
    Ok(())
}

async fn open(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<(), Error> {
    let mut request = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Err(Error::ConnectionClosed);
        }
        if let Some((request, _)) = parse_request(&request)? {
            let response = build_response(&generate_accept_key(request.key), None, None);
            stream.write_all(&response).await?;
            stream.flush().await?;
            return Ok(());
        }
    }
}
