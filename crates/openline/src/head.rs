//! A request head that was read and is not answered yet: HTTP's last word before a WebSocket, or its first.

use std::io;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use openline_proto::handshake::{self, Offer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout;

use crate::answer::{OpeningError, answer};
use crate::http1::{HeadLimits, RequestReader};
use crate::opening::Opening;

/// One read while a head is incomplete: a browser's request fits.
const READ_BYTES: usize = 2 << 10;

/// A strictly read HTTP/1.1 request head on its stream, not answered yet.
///
/// For servers that speak more than WebSocket on one port: look at the [`request`](Self::request), then either go on
/// [`into_opening`](Self::into_opening), or [`respond`](Self::respond), or hand everything to an HTTP library with
/// [`into_parts`](Self::into_parts).
#[derive(Debug)]
pub struct Head<S> {
    request: Request<()>,
    stream: S,
    /// Everything that was read.
    bytes: Bytes,
    head_bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Head<S> {
    /// Reads one request head. What is malformed, too large or too slow is answered here: 400, 408, 414, 431, 505.
    ///
    /// Not cancel-safe: dropped in the middle, what was read is lost with the stream.
    ///
    /// # Errors
    /// Why there is no request; the stream is gone then.
    pub async fn read(mut stream: S, limits: &HeadLimits) -> Result<Self, OpeningError> {
        match timeout(limits.timeout, read(&mut stream, limits)).await {
            Ok(Ok((request, head_bytes, bytes))) => Ok(Self { request, stream, bytes, head_bytes }),
            Ok(Err(error)) => {
                if let OpeningError::Head(error) = &error {
                    answer(&mut stream, &error.response()).await?;
                }
                Err(error)
            }
            Err(_) => {
                answer(&mut stream, &request_timeout()).await?;
                Err(OpeningError::Timeout)
            }
        }
    }

    /// The request.
    pub fn request(&self) -> &Request<()> {
        &self.request
    }

    /// The stream.
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Whether the request asks for a WebSocket, however badly.
    pub fn is_upgrade(&self) -> bool {
        handshake::asks_for_websocket(&self.request)
    }

    /// Goes on to the opening handshake. A request that is not a proper offer of one (§4.2.1) is answered here: 400,
    /// 405, 426.
    ///
    /// # Errors
    /// Why there is no opening handshake; the stream is gone then.
    pub async fn into_opening(mut self) -> Result<Opening<S>, OpeningError> {
        match Offer::read(&self.request) {
            Ok(offer) => {
                let leftover = self.bytes.split_off(self.head_bytes);
                Ok(Opening::new(self.request, offer, self.stream, leftover))
            }
            Err(rejection) => {
                answer(&mut self.stream, &rejection.response()).await?;
                Err(OpeningError::Rejected(rejection))
            }
        }
    }

    /// Answers the request and ends the connection, gently: what the peer still sends is read and dropped for up to two
    /// seconds. `Content-Length` and `Connection: close` are set here; the body of an answer to `HEAD` is left out.
    ///
    /// # Errors
    /// The stream's.
    pub async fn respond(mut self, mut response: Response<impl AsRef<[u8]>>) -> io::Result<()> {
        let length = response.body().as_ref().len();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        headers.entry(header::CONNECTION).or_insert(HeaderValue::from_static("close"));
        if self.request.method() == http::Method::HEAD {
            return answer(&mut self.stream, &response.map(|_| "")).await;
        }
        answer(&mut self.stream, &response).await
    }

    /// The request, every byte that was read (the head to the letter, and what followed it), and the stream: enough for
    /// an HTTP library to begin anew.
    pub fn into_parts(self) -> (Request<()>, Bytes, S) {
        (self.request, self.bytes, self.stream)
    }
}

async fn read<S: AsyncRead + Unpin>(
    stream: &mut S,
    limits: &HeadLimits,
) -> Result<(Request<()>, usize, Bytes), OpeningError> {
    let mut reader = RequestReader::new(limits);
    let mut bytes = BytesMut::new();
    loop {
        bytes.reserve(READ_BYTES);
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(OpeningError::Closed);
        }
        if let Some((request, head_bytes)) = reader.read(&bytes).map_err(OpeningError::Head)? {
            return Ok((request, head_bytes, bytes.freeze()));
        }
    }
}

/// RFC 9110 §15.5.9.
fn request_timeout() -> Response<&'static str> {
    let body = "The request did not arrive in time: send its head at once.\n";
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}
