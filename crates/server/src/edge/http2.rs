//! HTTP/2, for clients that ask for it in their TLS handshake (ALPN): the same answers to the same requests, several at a
//! time. WebSockets stay on HTTP/1.1: extended CONNECT (RFC 8441) is not offered, so browsers open them on connections of
//! their own.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::answer;
use super::guard::IDLE_TIMEOUT;
use super::http::respond;
use super::visitor::{Visitor, introduce};
use crate::hosting::body::{self, Body};
use crate::site::Site;

/// What a client offers in its TLS handshake to speak this (RFC 9113 §3.2).
pub(super) const ALPN: &[u8] = b"h2";

/// Requests at once, each of which may be an event stream. RFC 9113 §6.5.2 recommends no fewer than 100.
const MAX_STREAMS: u32 = 100;

/// What may wait for one stream, as the kernel would hold for a connection of its own.
const MAX_SEND_BYTES: usize = 64 << 10;

/// A peer that is gone without a word is noticed as on a line: after a ping and as long again.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Answers requests until either side has enough.
pub(super) async fn serve<S>(stream: S, visitor: Visitor, site: Arc<Site>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streams = Arc::default();
    let (active, mut activity) = watch::channel(());
    let visitor = Arc::new(visitor);
    let service = service_fn(|request: Request<Incoming>| {
        active.send_replace(());
        let (visitor, site, active) = (visitor.clone(), site.clone(), active.subscribe());
        async move {
            let response = match as_http1(request) {
                Ok(mut request) => {
                    introduce(&mut request, &visitor, &site);
                    // Who has enough resets the stream, and what answers it is dropped.
                    respond(request, &visitor, &site, CancellationToken::new()).await
                }
                Err(refusal) => body::full(*refusal),
            };
            Ok::<_, Infallible>(response.map(|body| Active { body, _active: active }))
        }
    });
    let connection = http2::Builder::new(Streams(Arc::downgrade(&streams)))
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(site.config.head.max_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(MAX_SEND_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let enough = pin!(async {
        tokio::select! {
            () = site.closing.cancelled() => {}
            () = idle(&active, &mut activity) => {}
        }
    });
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = enough => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(peer = %visitor.peer, %error, "the connection broke");
    }
}

/// Until nothing was asked for, and nothing was being answered, for as long as HTTP/1.1 connections may wait.
async fn idle(active: &watch::Sender<()>, activity: &mut watch::Receiver<()>) {
    /// Itself.
    const NOBODY: usize = 1;
    loop {
        activity.mark_unchanged();
        tokio::select! {
            () = sleep(IDLE_TIMEOUT) => if active.receiver_count() == NOBODY { return },
            _ = activity.changed() => {}
        }
    }
}

/// The request as it would have come over HTTP/1.1: its path alone, and a Host.
fn as_http1(mut request: Request<Incoming>) -> Result<Request<Incoming>, Box<Response<Bytes>>> {
    if request.method() == Method::CONNECT {
        return Err(Box::new(answer::method_not_allowed("GET, HEAD, POST, DELETE, OPTIONS")));
    }
    let parts = request.uri().clone().into_parts();
    if let Some(authority) = parts.authority
        && let Ok(host) = HeaderValue::try_from(authority.as_str())
    {
        // RFC 9113 §8.3.1: what follows from `:authority` counts, whatever a Host field says.
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = parts.path_and_query.map_or_else(Uri::default, |path: PathAndQuery| Uri::from(path));
    Ok(request)
}

/// An answer that shows, as long as it is being sent, that the connection is in use.
struct Active {
    body: Body,
    _active: watch::Receiver<()>,
}

impl HttpBody for Active {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The tasks of a connection's streams, none of which outlives the connection: it alone has the set, as they have this.
#[derive(Clone)]
struct Streams(Weak<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let Some(streams) = self.0.upgrade() else { return };
        let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(stream);
    }
}
