//! A session on an answer that does not end: an event stream, or lines of replies. Commands come beside it, to `/emulation`.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, Incoming};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::codes::Disconnect;
use super::push;
use super::seat::Seat;
use super::session::{Arrival, Out, Transport};
use super::wire::Encoding;
use crate::counts::Kind;
use crate::doors::{Body, sse};
use crate::edge::answer::text;
use crate::lines::Line;
use crate::site::Site;

/// The longest first frame: a token, data, and what is subscribed to.
const MAX_CONNECT_BYTES: usize = 64 << 10;

/// Opens a stream; the request has the first commands in it.
pub(crate) async fn respond(
    request: Request<Incoming>,
    transport: Transport,
    site: &Arc<Site>,
    gone: CancellationToken,
) -> Result<Response<Body>, Box<Response<Bytes>>> {
    let (head, body) = request.into_parts();
    let head = Request::from_parts(head, ());
    let arrival = Arrival::of(&head, site)?;
    let (head, ()) = head.into_parts();
    let (encoding, commands) = match (transport, &head.method) {
        (Transport::Sse, &Method::GET) => {
            let mut pairs = head.uri.query().unwrap_or_default().split('&');
            let Some(commands) = pairs.find_map(|pair| pair.strip_prefix("cf_connect=")) else {
                return Err(bad("Connect with a command in ?cf_connect=, as the client libraries do."));
            };
            // As forms are written: a space is a plus.
            let commands = commands.replace('+', " ");
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(&commands).collect();
            (Encoding::Json, Bytes::from(decoded))
        }
        (Transport::HttpStream | Transport::Sse, &Method::POST) => {
            let is_binary = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
            let encoding = if is_binary { Encoding::Protobuf } else { Encoding::Json };
            (encoding, read(body, MAX_CONNECT_BYTES).await?)
        }
        (Transport::HttpStream, _) => return Err(not_allowed("POST, OPTIONS")),
        _ => return Err(not_allowed("GET, POST, OPTIONS")),
    };
    if commands.len() > MAX_CONNECT_BYTES {
        return Err(too_large(MAX_CONNECT_BYTES));
    }
    let mut seat = Seat::new(transport, encoding, arrival, site);
    seat.receive(commands);
    let stream = Stream {
        seat,
        is_events: transport == Transport::Sse,
        gone: Box::pin(gone.cancelled_owned()),
        line: site.lines.open(Kind::SessionStream),
        ended: false,
    };
    let mut response = Response::new(stream.boxed_unsync());
    sse::described(response.headers_mut());
    if transport == Transport::HttpStream {
        let kind = match encoding {
            Encoding::Json => "application/json",
            Encoding::Protobuf => "application/octet-stream",
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(response)
}

/// Reads a body of so many bytes at most.
pub(crate) async fn read(body: Incoming, max_bytes: usize) -> Result<Bytes, Box<Response<Bytes>>> {
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(max_bytes)),
        Err(_) => Err(bad("The body of the request broke off.")),
    }
}

fn too_large(max_bytes: usize) -> Box<Response<Bytes>> {
    Box::new(text(StatusCode::PAYLOAD_TOO_LARGE, format!("A request has {max_bytes} bytes at most here.")))
}

pub(crate) fn bad(why: &str) -> Box<Response<Bytes>> {
    Box::new(text(StatusCode::BAD_REQUEST, why))
}

pub(crate) fn not_allowed(allowed: &'static str) -> Box<Response<Bytes>> {
    let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, format!("Send {allowed}."));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    Box::new(refusal)
}

/// The body of the answer.
struct Stream {
    seat: Seat,
    is_events: bool,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    line: Line,
    ended: bool,
}

impl Stream {
    /// One or more messages, as they are carried.
    fn carry(&self, bytes: &[u8]) -> Bytes {
        match (self.is_events, self.seat.session.encoding) {
            (_, Encoding::Protobuf) => Bytes::copy_from_slice(bytes),
            (false, Encoding::Json) => [bytes, b"\n"].concat().into(),
            (true, Encoding::Json) => {
                let mut event = Vec::with_capacity(bytes.len() + 16);
                for line in bytes.split(|byte| *byte == b'\n') {
                    event.extend_from_slice(b"data: ");
                    event.extend_from_slice(line);
                    event.push(b'\n');
                }
                event.push(b'\n');
                event.into()
            }
        }
    }
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let stream = &mut *self;
        loop {
            if stream.ended || stream.gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            if stream.line.poll_told_to_close(cx).is_ready() {
                stream.seat.session.disconnect(Disconnect::SHUTDOWN);
            }
            let bytes = match stream.seat.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Out::Disconnect(_)) => {
                    stream.ended = true;
                    continue;
                }
                Poll::Ready(Out::Replies(bytes)) => stream.carry(&bytes),
                Poll::Ready(Out::Publication(publication, channel)) => {
                    stream.carry(push::message(&publication, &channel, stream.seat.session.encoding).as_bytes())
                }
            };
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
    }
}
