//! A server's, or a proxy's, answer to a request of ours: head, what follows it, and what of a refusal's body is of use.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::http1::{HeadError, HeadLimits, ResponseReader};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The peer ended the connection.
    Closed,
    /// What it says begins as TLS does.
    SpeaksTls,
    Head(HeadError),
    Io(io::Error),
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Closed } else { Self::Io(error) }
    }
}

impl From<HeadError> for NoAnswer {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

/// Sends a request's head and reads the answer's, and what came behind it.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &[u8],
    limits: &HeadLimits,
) -> Result<(Response<()>, BytesMut), NoAnswer> {
    let sending = async {
        stream.write_all(request).await?;
        stream.flush().await
    };
    // A peer that does not want our request may have said why before it hung up.
    let unsent = sending.await.err();
    let mut reader = ResponseReader::new(limits);
    let mut bytes = BytesMut::new();
    loop {
        bytes.reserve(1 << 10);
        match (stream.read_buf(&mut bytes).await, unsent.is_some()) {
            (Ok(1..), _) => {}
            (Ok(0) | Err(_), true) => return Err(unsent.map_or(NoAnswer::Closed, NoAnswer::Io)),
            (Ok(0), false) => return Err(NoAnswer::Closed),
            (Err(error), false) => return Err(error.into()),
        }
        // RFC 8446 §5.1: an alert (21) or a handshake record (22), of any version; no HTTP begins like this.
        if matches!(bytes[..], [21 | 22, 3, ..]) {
            return Err(NoAnswer::SpeaksTls);
        }
        while let Some((response, head_bytes)) = reader.read(&bytes)? {
            let rest = bytes.split_off(head_bytes);
            // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received prior to a final response"
            if response.status().is_informational() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                bytes = rest;
                continue;
            }
            return Ok((response, rest));
        }
    }
}

/// A refusal's body, as far as it is of use: the first 16 KiB, and whatever has come when the line ends. A body without
/// a length, or in chunks, is taken as it comes until the server closes or has been quiet for a moment.
pub(super) async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, mut body: BytesMut, headers: &HeaderMap) -> Bytes {
    const MAX_BYTES: usize = 16 << 10;
    const QUIET: Duration = Duration::from_millis(500);
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let wanted = length.unwrap_or(MAX_BYTES).min(MAX_BYTES);
    while body.len() < wanted {
        body.reserve(1 << 10);
        match timeout(QUIET, stream.read_buf(&mut body)).await {
            Ok(Ok(1..)) => {}
            _ => break,
        }
    }
    body.truncate(wanted);
    body.freeze()
}
