//! Saying no: an answer that ends a connection before it became a WebSocket, and the error that tells our side.

use std::fmt;
use std::io;
use std::time::Duration;

use http::Response;
use openline_proto::handshake::Rejection;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::http1::{self, HeadError};

/// After an answer that ends the connection, what the peer still sends is read and dropped for this long, so that a
/// reset does not destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(2);

/// And at most so much of it.
const LINGER_BYTES: usize = 256 << 10;

/// Writes a response, ends our direction, and waits a little for the peer to end its own.
pub(crate) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    response: &Response<impl AsRef<[u8]>>,
) -> io::Result<()> {
    let mut bytes = http1::encode_response(response);
    bytes.extend_from_slice(response.body().as_ref());
    // A peer that does not even take its refusal is dropped.
    let _ = timeout(LINGER, async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await?;
        let mut sink = [0; 1024];
        let mut rest = LINGER_BYTES;
        while let read @ 1.. = stream.read(&mut sink).await? {
            rest = rest.saturating_sub(read);
            if rest == 0 {
                break;
            }
        }
        Ok::<(), io::Error>(())
    })
    .await;
    Ok(())
}

/// Why a TCP connection did not become a WebSocket. Where there was something to answer, it was answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpeningError {
    /// The peer ended the connection before its request was complete.
    Closed,
    /// The request was not complete in time; answered with 408.
    Timeout,
    /// The head is malformed or too large; answered with what is wrong.
    Head(HeadError),
    /// The request is no acceptable opening handshake; answered with what is wrong.
    Rejected(Rejection),
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the peer closed the connection before its request was complete"),
            Self::Timeout => f.write_str("the request did not arrive in time"),
            Self::Head(error) => error.fmt(f),
            Self::Rejected(rejection) => rejection.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for OpeningError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Head(error) => Some(error),
            Self::Rejected(rejection) => Some(rejection),
            Self::Io(error) => Some(error),
            Self::Closed | Self::Timeout => None,
        }
    }
}

impl From<io::Error> for OpeningError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
