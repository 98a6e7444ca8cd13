//! A session on an answer that does not end: an event stream, or lines of replies. Commands come beside it, to `/emulation`.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

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
    let (replies, body) = mpsc::channel(1);
    let line = site.lines.open(Kind::SessionStream);
    tokio::spawn(Stream { seat, is_events: transport == Transport::Sse, line, replies }.run(gone));
    let mut response = Response::new(Replies(body).boxed_unsync());
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

/// A session whose replies somebody else writes: as the body of an answer is asked for only when there is room for more, whoever
/// does not read it must be noticed elsewhere.
struct Stream {
    seat: Seat,
    is_events: bool,
    line: Line,
    replies: mpsc::Sender<Bytes>,
}

impl Stream {
    async fn run(mut self, gone: CancellationToken) {
        let (outbox, replies) = (self.seat.session.outbox().clone(), self.replies.clone());
        let too_slow = poll_fn(|cx| outbox.poll_too_slow(cx));
        let is_slow = tokio::select! {
            biased;
            () = gone.cancelled() => false,
            () = replies.closed() => false,
            () = too_slow => true,
            () = self.talk() => false,
        };
        if is_slow {
            self.seat.session.disconnect(Disconnect::SLOW);
            let last_words = self.seat.last_words();
            let last_words: Vec<Bytes> = last_words.iter().map(|bytes| self.carry(bytes)).collect();
            // Whoever else is in its channels need not wait until it is known whether it hears them.
            drop(self);
            for bytes in last_words {
                let _ = replies.send(bytes).await; // an error: nobody is there to hear it
            }
        }
    }

    async fn talk(&mut self) {
        let replies = self.replies.clone();
        while let Ok(place) = replies.reserve().await {
            let out = poll_fn(|cx| {
                if self.line.poll_told_to_close(cx).is_ready() {
                    self.seat.session.disconnect(Disconnect::SHUTDOWN);
                }
                self.seat.poll_next(cx)
            });
            place.send(match out.await {
                Out::Disconnect(_) => return,
                Out::Replies(bytes) => self.carry(&bytes),
                Out::Publication(publication, channel) => {
                    self.carry(push::message(&publication, &channel, self.seat.session.encoding).as_bytes())
                }
            });
        }
    }

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

/// The body of the answer.
struct Replies(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Replies {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
