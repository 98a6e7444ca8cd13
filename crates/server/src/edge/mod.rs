//! The edge: one TCP connection, from its first byte to its last.
//!
//! ```text
//! enter ─▶ (TLS) ─▶ http2, if the client asked for it: pages and refusals, several at a time
//!             └───▶ HeadGuard ─┬─▶ http (hyper): pages and refusals, while requests are plain HTTP
//!                              └─▶ its End ─┬─▶ upgrade: the opening handshake, and then the line
//!                                           └─▶ answer: what is wrong; close
//! ```

pub(crate) mod answer;
mod body;
mod guard;
mod http;
mod http2;
pub(crate) mod path;
mod proxied;
mod stall;
#[cfg(test)]
mod tests;
pub(crate) mod upgrade;
pub(crate) mod visitor;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::Response;
use bytes::Bytes;
use openline::tls::{Acceptor, TlsError, TlsStream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use self::guard::{End, HeadGuard};
use self::visitor::Visitor;
use crate::doors::sse;
use crate::knock::Reach;
use crate::rates::What;
use crate::site::Site;
use crate::tls::ClientCertificate;

/// What is to be done with a connection that was accepted: serve it, say why not, or (`None`) drop it.
pub(crate) fn enter(stream: TcpStream, peer: SocketAddr, reach: Reach, site: &Arc<Site>) -> Option<Connection> {
    let (slot, refusal) = match site.slots.clone().try_acquire_owned() {
        Ok(slot) => (slot, site.closing.is_cancelled().then(answer::closing)),
        Err(_) => (site.refusals.clone().try_acquire_owned().ok()?, Some(answer::full())),
    };
    let arriving = arrive(stream, Visitor::new(peer, reach), refusal, site.clone());
    let arriving = async move {
        arriving.await.unwrap_or_else(|error| {
            tracing::debug!(%peer, %error, "the connection broke");
            None
        })
    };
    Some(Connection { stage: Stage::Arriving(Box::pin(arriving)), _slot: slot })
}

/// One TCP connection, to be served to its end. In boxes, one after the other: a task keeps the memory of all that it ever
/// was, and there are many idle lines.
pub(crate) struct Connection {
    stage: Stage,
    _slot: OwnedSemaphorePermit,
}

enum Stage {
    /// All that comes before a line, and where none comes, all there is.
    Arriving(Pin<Box<dyn Future<Output = Option<Line>> + Send>>),
    Line(Line),
}

/// A line that is open, to its end.
pub(crate) type Line = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Future for Connection {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut self.stage {
                Stage::Line(line) => return line.as_mut().poll(cx),
                Stage::Arriving(arriving) => match ready!(arriving.as_mut().poll(cx)) {
                    Some(line) => self.stage = Stage::Line(line),
                    None => return Poll::Ready(()),
                },
            }
        }
    }
}

async fn arrive(
    mut stream: TcpStream,
    mut visitor: Visitor,
    mut refusal: Option<Response<Bytes>>,
    site: Arc<Site>,
) -> io::Result<Option<Line>> {
    let peer = visitor.peer;
    if site.config.proxies.protocol {
        match passed_on(&mut stream, visitor, &site).await {
            Ok(passed_on) => visitor = passed_on,
            Err(error) => {
                tracing::debug!(%peer, %error, "no PROXY header");
                return Ok(None);
            }
        }
    }
    // A proxy connects for many: what those do is counted when they say who they are.
    if refusal.is_none() && !site.config.proxies.trust(visitor.peer.ip()) {
        let taken = site.allowance.take(None, What::Connects, visitor.peer.ip(), 1);
        refusal = taken.err().map(|too_much| answer::too_much(&too_much));
    }
    let Some(acceptor) = site.tls.clone() else { return attend(stream, visitor, refusal, site).await };
    match Box::pin(shake_hands(stream, acceptor, refusal.is_some(), &site)).await {
        Ok(stream) => {
            let certificate = ClientCertificate::of(&stream).map(Arc::new);
            let visitor = Visitor { certificate, ..visitor };
            // Who is refused anyway is told in HTTP/1.1, which a client of HTTP/2 takes for an error, too.
            if stream.alpn() == Some(http2::ALPN) && refusal.is_none() {
                Box::pin(http2::serve(stream, visitor, site)).await;
                return Ok(None);
            }
            attend(stream, visitor, refusal, site).await
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "no TLS");
            Ok(None)
        }
    }
}

/// With the PROXY protocol only proxies connect, and say first for whom: before TLS, if there is any.
async fn passed_on(stream: &mut TcpStream, proxy: Visitor, site: &Site) -> io::Result<Visitor> {
    if !site.config.proxies.trust(proxy.peer.ip()) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the peer is no trusted proxy"));
    }
    let header = timeout(site.config.head.timeout, proxied::read_header(stream)).await?;
    Ok(match header? {
        Some(peer) => Visitor::new(peer, Reach::Public),
        None => proxy,
    })
}

/// TLS is spoken before anything else. Who is refused anyway has less time for it; and nobody has any more when the server
/// ends.
async fn shake_hands(
    stream: TcpStream,
    acceptor: Acceptor,
    is_refused: bool,
    site: &Site,
) -> Result<TlsStream<TcpStream>, TlsError> {
    let limit = if is_refused { REFUSAL_PATIENCE } else { Duration::MAX };
    tokio::select! {
        biased;
        accepted = timeout(limit, acceptor.accept_tcp(stream)) => accepted.unwrap_or(Err(TlsError::TimedOut(limit))),
        () = site.closing.cancelled(), if !is_refused => Err(TlsError::Closed),
    }
}

async fn attend<S>(
    stream: S,
    visitor: Visitor,
    refusal: Option<Response<Bytes>>,
    site: Arc<Site>,
) -> io::Result<Option<Line>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match refusal {
        None => serve(stream, visitor, site).await,
        Some(refusal) => {
            site.counts.answered(&refusal);
            refuse(HeadGuard::new(stream, &site.config), refusal).await.map(|()| None)
        }
    }
}

/// Who is refused anyway has this long to send a request.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// The request is read, so that the answer arrives, and no more is done about it.
async fn refuse<S>(mut guard: HeadGuard<S>, refusal: Response<Bytes>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = timeout(REFUSAL_PATIENCE, guard.ready()).await;
    let refusal = if guard.wants_events() { sse::come_back() } else { refusal };
    let (_, _, stream) = guard.into_end();
    answer::send_and_close(stream, refusal).await
}

async fn serve<S>(stream: S, visitor: Visitor, site: Arc<Site>) -> io::Result<Option<Line>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some((end, leftover, stream)) = serve_requests(stream, &visitor, &site).await? else { return Ok(None) };
    let last_words = match end {
        None | Some(End::Closed | End::Idle | End::Body) => return answer::close(stream).await.map(|()| None),
        Some(End::Upgrade(request)) => {
            return upgrade::open(request, leftover, stream, visitor, site).await;
        }
        Some(End::Malformed(error)) => error.response().map(Into::into),
        Some(End::HalfHead) => answer::half_a_head(),
        Some(End::SlowHead) => answer::too_slow(),
    };
    site.counts.answered(&last_words);
    answer::send_and_close(stream, last_words).await.map(|()| None)
}

/// Plain HTTP, as long as it lasts: why it ended, what was not read, and the connection (`None`: it is of no more use).
async fn serve_requests<S>(
    stream: S,
    visitor: &Visitor,
    site: &Arc<Site>,
) -> io::Result<Option<(Option<End>, Bytes, S)>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut guard = HeadGuard::new(stream, &site.config);
    // Most connections begin with an upgrade, and those have no use for hyper.
    tokio::select! {
        biased;
        ready = guard.ready() => ready?,
        () = site.closing.cancelled() => {
            // Who has begun to ask is answered; who keeps a connection for later has nothing to hear.
            if guard.has_begun() {
                refuse(guard, answer::closing()).await?;
            }
            return Ok(None);
        }
    }
    if !guard.shows_something() {
        return Ok(Some(guard.into_end()));
    }
    Ok(http::serve(guard, visitor, site).await.map(HeadGuard::into_end))
}
