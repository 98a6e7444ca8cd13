//! A WebSocket passed on as bytes: what the two ends agree on is theirs, and nobody here looks at it.

use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use openline::http1::{HeadLimits, ResponseReader, encode_request};
use openline::proto::handshake::accept_key;
use openline::{ClientStream, http1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use super::fields::{introduce, strip_hop_by_hop};
use super::plain::{asker, host, path_at, refuse};
use super::pool::{Pool, Taken};
use crate::edge::answer::text;
use crate::edge::visitor::Visitor;
use crate::hosting::arrive::Refusal;
use crate::hosting::place::Found;
use crate::hosting::reading;
use crate::lines::Line;
use crate::rates::{Spending, What};
use crate::site::Site;

/// The other server's end, after a 101 that was checked.
#[derive(Debug)]
pub(crate) struct Tunnel {
    upstream: ClientStream,
    /// What it sent behind the 101.
    rest: Bytes,
    /// The 101, for the client.
    pub(crate) response: Vec<u8>,
    idle_timeout: Option<Duration>,
    toll: Option<Box<Toll>>,
    pub(in crate::hosting) slot: Option<OwnedSemaphorePermit>,
    _taken: Taken,
}

/// Asks the first server that can be reached for the upgrade that the client asks for.
pub(in crate::hosting) async fn open(
    request: &Request<()>,
    pool: &Arc<Pool>,
    found: &Found,
    visitor: &Visitor,
    site: &Site,
) -> Result<Tunnel, Refusal> {
    let asker = asker(request, pool, visitor, site);
    let (taken, mut upstream) = pool.reach(found).await?;
    let member = &taken.0;
    let mut asked = Request::new(());
    *asked.headers_mut() = request.headers().clone();
    let path = path_at(&member.upstream, request.uri(), found);
    *asked.uri_mut() = path.parse().map_err(|_| Box::new(refuse(found, member, &"the path is none")))?;
    let headers = asked.headers_mut();
    strip_hop_by_hop(headers);
    introduce(headers, &asker);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(host) = host(pool, &member.upstream, asker.host.as_ref()) {
        headers.insert(HOST, host);
    }
    let (response, rest) = match timeout(pool.response_timeout, ask(&mut upstream, &asked)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(Box::new(refuse(found, member, &error))),
        Err(_) => {
            let why = "What is behind this address does not answer.";
            return Err(Box::new(text(StatusCode::GATEWAY_TIMEOUT, why)));
        }
    };
    let status = response.status().as_u16();
    if status >= 300 {
        let body = timeout(pool.response_timeout, body(&mut upstream, &response, rest)).await.unwrap_or_default();
        let mut refusal = response.map(|()| body);
        strip_hop_by_hop(refusal.headers_mut());
        refusal.headers_mut().remove(CONTENT_LENGTH);
        return Err(Box::new(refusal));
    }
    if !is_upgrade(&response, request) {
        return Err(Box::new(refuse(found, member, &format_args!("{status} is no upgrade to WebSocket"))));
    }
    let response = with_route(response, found);
    let idle_timeout = found.place.line.idle_timeout;
    Ok(Tunnel { upstream, rest, response, idle_timeout, toll: Toll::of(request), slot: None, _taken: taken })
}

/// A refusal's body, up to 16 KiB: as long as it says it is. One of another kind is left out.
async fn body(stream: &mut ClientStream, response: &Response<()>, rest: Bytes) -> Bytes {
    const MOST: usize = 16 << 10;
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.unwrap_or(0).min(MOST);
    let mut body = BytesMut::from(&rest[..rest.len().min(length)]);
    while body.len() < length && matches!(stream.read_buf(&mut body).await, Ok(1..)) {}
    body.truncate(length);
    body.freeze()
}

/// Whether it is the answer to this key (RFC 6455 §4.1): bytes are passed on to nobody who did not say so.
fn is_upgrade(response: &Response<()>, request: &Request<()>) -> bool {
    let field =
        |name| response.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or_default();
    let key = request.headers().get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    response.status() == StatusCode::SWITCHING_PROTOCOLS
        && field(UPGRADE).eq_ignore_ascii_case("websocket")
        && field(CONNECTION).split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
        && field(SEC_WEBSOCKET_ACCEPT) == accept_key(key)
}

fn with_route(mut response: Response<()>, found: &Found) -> Vec<u8> {
    let headers = response.headers_mut();
    strip_hop_by_hop(headers);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    found.place.decorate(headers);
    http1::encode_response(&response)
}

/// The head of the answer, and what came behind it.
async fn ask(stream: &mut ClientStream, request: &Request<()>) -> io::Result<(Response<()>, Bytes)> {
    stream.write_all(&encode_request(request)).await?;
    stream.flush().await?;
    let mut reader = ResponseReader::new(&HeadLimits::default());
    let mut bytes = BytesMut::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let Some((response, head_bytes)) = reader.read(&bytes).map_err(io::Error::other)? {
            let rest = bytes.split_off(head_bytes);
            if response.status().is_informational() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                bytes = rest;
                continue;
            }
            return Ok((response, rest.freeze()));
        }
    }
}

impl Tunnel {
    /// Passes bytes both ways until both ends have ended, nothing passed for the route's `idle_timeout`, or the server ends.
    pub(crate) fn serve<S>(self, client: S, leftover: Bytes, mut line: Line, peer: SocketAddr) -> crate::edge::Line
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        Box::pin(async move {
            let Self { upstream, rest, idle_timeout, toll, slot: _slot, _taken, .. } = self;
            let last = Mutex::new(Instant::now());
            let (up, down) = (Way::new(leftover, toll), Way::new(rest, None));
            let passing = Passing { client, upstream, up, down, last: &last };
            tokio::select! {
                biased;
                _ = line.told_to_close() => tracing::debug!(%peer, "the tunnel is closed"),
                () = idle(&last, idle_timeout) => tracing::debug!(%peer, "nothing passed through the tunnel"),
                passed = passing => match passed {
                    Ok(()) => tracing::debug!(%peer, "the tunnel ended"),
                    Err(error) => tracing::debug!(%peer, %error, "the tunnel broke"),
                },
            }
        })
    }
}

/// Until nothing has passed for so long; for ever, if that is no matter.
async fn idle(last: &Mutex<Instant>, limit: Option<Duration>) {
    let Some(limit) = limit else { return pending().await };
    loop {
        let due = *last.lock().unwrap_or_else(PoisonError::into_inner) + limit;
        if due <= Instant::now() {
            return;
        }
        sleep_until(due).await;
    }
}

/// The two ends, until both have said all.
struct Passing<'a, S> {
    client: S,
    upstream: ClientStream,
    up: Way,
    down: Way,
    /// When something passed.
    last: &'a Mutex<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Passing<'_, S> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { client, upstream, up, down, last } = self.get_mut();
        let up = up.poll(client, upstream, last, cx)?;
        let down = down.poll(upstream, client, last, cx)?;
        match up.is_ready() && down.is_ready() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }
}

/// One direction. Nothing more is read until what was read is written, so that whoever speaks waits for whoever does not
/// listen; and while nobody speaks, nothing is held.
struct Way {
    /// Read, and not written yet.
    bytes: Bytes,
    toll: Option<Box<Toll>>,
    /// Whether TLS may hold some of it back.
    is_held_back: bool,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Open,
    /// The one end has said all, which the other does not know yet.
    Ending,
    Ended,
}

impl Way {
    /// One on which some bytes are already.
    fn new(bytes: Bytes, mut toll: Option<Box<Toll>>) -> Self {
        if let Some(toll) = &mut toll {
            toll.unpaid = bytes.len();
        }
        Self { bytes, toll, is_held_back: false, stage: Stage::Open }
    }

    fn poll(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        last: &Mutex<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match self.stage {
                Stage::Open if self.bytes.is_empty() => match reading::poll_read(from, cx)? {
                    Poll::Ready(bytes) if bytes.is_empty() => self.stage = Stage::Ending,
                    Poll::Ready(bytes) => {
                        notice(last);
                        if let Some(toll) = &mut self.toll {
                            toll.unpaid = bytes.len();
                        }
                        self.bytes = bytes;
                    }
                    Poll::Pending if self.is_held_back => {
                        ready!(Pin::new(&mut *to).poll_flush(cx))?;
                        self.is_held_back = false;
                        return Poll::Pending;
                    }
                    Poll::Pending => return Poll::Pending,
                },
                Stage::Open => {
                    if let Some(toll) = &mut self.toll {
                        ready!(toll.poll_paid(cx));
                    }
                    let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.bytes))?;
                    if count == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    notice(last);
                    self.bytes.advance(count);
                    self.is_held_back = true;
                    if self.bytes.is_empty() {
                        self.bytes = Bytes::new(); // what is left of it keeps all of it
                    }
                }
                Stage::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.stage = Stage::Ended;
                }
                Stage::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}

fn notice(last: &Mutex<Instant>) {
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
}

/// What the client may say in a time. What is more waits here, and then in its own system: nobody can be told in bytes
/// that nobody reads.
#[derive(Debug)]
struct Toll {
    spending: Spending,
    unpaid: usize,
    wait: Option<Pin<Box<Sleep>>>,
}

impl Toll {
    /// `None`: it may say what it likes.
    fn of(request: &Request<()>) -> Option<Box<Self>> {
        let spending = Spending::of(request).filter(|spending| spending.is_limited_in(What::Bytes))?;
        Some(Box::new(Self { spending, unpaid: 0, wait: None }))
    }

    fn poll_paid(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.unpaid > 0 {
            if let Some(wait) = &mut self.wait {
                ready!(wait.as_mut().poll(cx));
            }
            self.wait = match self.spending.bytes(self.unpaid) {
                Ok(()) => {
                    self.unpaid = 0;
                    None
                }
                Err(too_much) => Some(Box::pin(sleep(too_much.wait))),
            };
        }
        Poll::Ready(())
    }
}
