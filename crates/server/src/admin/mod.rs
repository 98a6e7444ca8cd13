//! The internal address: metrics and health, for whoever runs the server.
//!
//! `/metrics` in the text format of OpenMetrics, which Prometheus reads; `/live`: 200 as long as the process answers; `/ready`: 200
//! while newcomers are welcome, 503 while the server ends.

mod metrics;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::config::Admin;
use crate::edge::answer::text;
use crate::knock::Reach;
use crate::listen::{self, BindError};
use crate::site::Site;

/// Those who look at a server are few; more than these wait for each other.
const MAX_CONNECTIONS: usize = 64;

/// A kept connection ends after this: scrapers come again with another one.
const MAX_LIFE: Duration = Duration::from_secs(600);

/// A request's head must be here within this time, as on the other addresses.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const OVERVIEW: &str = "There are /metrics, /live and /ready.";

/// The listener, and where it is. An address that is not needed may be in use.
///
/// # Errors
/// The address was asked for, and cannot be listened on.
pub(crate) fn bind(admin: &Admin) -> Result<Result<(TcpListener, SocketAddr), BindError>, BindError> {
    let bound = listen::bind(&[admin.listen]).and_then(|mut listeners| {
        // Of "this machine alone" IPv4 will do.
        let listener = listeners.remove(0);
        let address = listener.local_addr();
        address.map(|address| (listener, address)).map_err(|error| BindError { address: ([0; 4], 0).into(), error })
    });
    match bound {
        Err(error) if admin.is_needed => Err(error),
        bound => Ok(bound),
    }
}

/// Answers for ever.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>) {
    /// As listeners for everybody wait when the system is out of file descriptors.
    const BACK_OFF: Duration = Duration::from_millis(100);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            sleep(BACK_OFF).await;
            continue;
        };
        let site = site.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answer = respond(&request, &site);
                async { Ok::<_, Infallible>(answer.map(Full::new)) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            if let Ok(Err(error)) = timeout(MAX_LIFE, connection).await {
                tracing::debug!(%peer, %error, "the connection to the internal address broke");
            }
            drop(slot);
        });
    }
}

fn respond<B>(request: &Request<B>, site: &Site) -> Response<Bytes> {
    // A name may be pointed anywhere (DNS rebinding), an address may not: the rule of loopback, wherever this listens.
    if let Err(refusal) = site.config.knock.admit(request, Reach::Loopback) {
        return text(refusal.status(), refusal.to_string());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "Send GET.");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/metrics" => {
            let mut answer = text(StatusCode::OK, "");
            *answer.body_mut() = metrics::exposition(site).into();
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
            answer
        }
        "/live" => text(StatusCode::OK, "live"),
        "/ready" if site.closing.is_cancelled() => text(StatusCode::SERVICE_UNAVAILABLE, "The server is ending."),
        "/ready" => text(StatusCode::OK, "ready"),
        "/" => text(StatusCode::OK, OVERVIEW),
        path => text(StatusCode::NOT_FOUND, format!("There is nothing at {path:?}. {OVERVIEW}")),
    }
}
