//! The echo of tokio-tungstenite's examples, over any stream.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{accept_async, tungstenite};

/// # Errors
/// When the connection fails.
pub async fn echo(stream: impl AsyncRead + AsyncWrite + Unpin) -> tungstenite::Result<()> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await.transpose()? {
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
