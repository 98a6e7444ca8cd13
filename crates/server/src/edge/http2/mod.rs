//! HTTP/2, for clients that ask for it in their TLS handshake (ALPN): the same answers to the same requests, several at a
//! time. WebSockets stay on HTTP/1.1: extended CONNECT (RFC 8441) is not offered, so browsers open them on connections of
//! their own.

mod steady;
mod streams;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::steady::Steady;
use self::streams::{Active, Streams};
use super::answer;
use super::guard::IDLE_TIMEOUT;
use super::http::respond;
use super::visitor::{Visitor, introduce};
use crate::hosting::body;
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
    let write_timeout = site.config.line.write_timeout;
    let opening = Steady::open(stream, site.config.head.timeout, write_timeout);
    let opened = tokio::select! {
        opened = opening => opened,
        () = site.closing.cancelled() => return,
    };
    let Ok(stream) = opened else { return tracing::debug!(peer = %visitor.peer, "no preface of HTTP/2") };

    let streams = Streams::default();
    let (active, mut activity) = watch::channel(());
    let visitor = Arc::new(visitor);
    let service = service_fn(|request: Request<Incoming>| {
        active.send_replace(());
        let (visitor, site, active) = (visitor.clone(), site.clone(), active.subscribe());
        async move {
            // Each request counts as a connection of HTTP/1.1 would.
            let slot = site.slots.clone().try_acquire_owned().ok();
            let response = match as_http1(request, site.config.head.max_headers) {
                _ if slot.is_none() => body::full(answer::full()),
                Ok(mut request) => {
                    introduce(&mut request, &visitor, &site);
                    // Who has enough resets the stream, and what answers it is dropped.
                    respond(request, &visitor, &site, CancellationToken::new()).await
                }
                Err(refusal) => body::full(*refusal),
            };
            Ok::<_, Infallible>(response.map(|body| Active::new(body, active, slot)))
        }
    });
    let connection = http2::Builder::new(streams.spawn(write_timeout))
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(site.config.head.max_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(MAX_SEND_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let patience = tokio::select! {
        served = connection.as_mut() => {
            if let Err(error) = served {
                tracing::debug!(peer = %visitor.peer, %error, "the connection broke");
            }
            return streams.end().await;
        }
        // As long as event streams may take to hear of the end.
        () = site.closing.cancelled() => site.config.drain_window.saturating_add(site.config.shutdown_timeout),
        () = idle(&active, &mut activity) => PING_EVERY,
    };
    connection.as_mut().graceful_shutdown();
    // A peer that answers no more, or goes on as if nothing had been said, has no say in when this ends.
    if timeout(patience, connection).await.is_err() {
        tracing::debug!(peer = %visitor.peer, "the connection did not end, and was cut off");
    }
    streams.end().await;
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

/// The request as it would have come over HTTP/1.1: its path alone, a Host, and so many header fields.
fn as_http1(mut request: Request<Incoming>, max_headers: usize) -> Result<Request<Incoming>, Box<Response<Bytes>>> {
    let refuse = |status, why: &str| Err(Box::new(answer::text(status, why)));
    if request.method() == Method::CONNECT {
        return Err(Box::new(answer::method_not_allowed("GET, HEAD, POST, DELETE, OPTIONS")));
    }
    if request.headers().len() > max_headers {
        return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The request has too many header fields.");
    }
    let parts = request.uri().clone().into_parts();
    match parts.authority.map(|authority| HeaderValue::try_from(authority.as_str())) {
        // RFC 9113 §8.3.1: what follows from `:authority` counts, whatever a Host field says.
        Some(Ok(host)) => drop(request.headers_mut().insert(HOST, host)),
        _ if request.headers().get_all(HOST).iter().count() > 1 => {
            return refuse(StatusCode::BAD_REQUEST, "The request has more than one Host.");
        }
        _ => {}
    }
    *request.uri_mut() = parts.path_and_query.map_or_else(Uri::default, |path: PathAndQuery| Uri::from(path));
    Ok(request)
}
