//! The plain HTTP requests of a connection: hyper speaks, the guard lets it see what was verified.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer;
use super::guard::HeadGuard;
use super::visitor::{Visitor, introduce};
use crate::demo::Endpoint;
use crate::knock::Reach;
use crate::site::Site;

/// hyper's smallest allowed buffer is 8 KiB. A head that we let pass must fit as well.
const MIN_BUFFER_BYTES: usize = 64 << 10;

/// Answers requests until the guard shows no more of them, or the connection ends by itself. `None`: it broke.
pub(super) async fn serve<S>(guard: HeadGuard<S>, visitor: &Visitor, site: &Arc<Site>) -> Option<HeadGuard<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|mut request| {
        introduce(&mut request, visitor);
        let answer = respond(&request, visitor.reach, site).map(Full::new);
        async { Ok::<_, Infallible>(answer) }
    });
    let mut connection = http1::Builder::new()
        // The EOF that the guard shows means "no more requests", and not "the peer is gone": what is owed is finished.
        .half_close(true)
        // Heads come in one piece, and the guard has their deadline.
        .header_read_timeout(None)
        .max_headers(site.config.head.max_headers)
        .max_buf_size(site.config.head.max_bytes.max(MIN_BUFFER_BYTES))
        .serve_connection(TokioIo::new(guard), service);
    let served = tokio::select! {
        served = &mut connection => served,
        () = site.closing.cancelled() => {
            Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    match served {
        Ok(()) => Some(connection.into_parts().io.into_inner()),
        Err(error) => {
            tracing::debug!(%error, "the connection broke");
            None
        }
    }
}

fn respond<B>(request: &Request<B>, reach: Reach, site: &Site) -> Response<Bytes> {
    let endpoint = match site.admit(request, reach) {
        Ok(endpoint) => endpoint,
        Err(refusal) => return *refusal,
    };
    match (endpoint, request.method()) {
        (Endpoint::Page(asset), &Method::GET | &Method::HEAD) => asset.respond(request.headers()),
        (Endpoint::Page(_), _) => answer::method_not_allowed("GET, HEAD"),
        (Endpoint::Socket(_), &Method::GET | &Method::HEAD) => answer::upgrade_required(request.uri().path()),
        (Endpoint::Socket(_), _) => answer::method_not_allowed("GET"),
    }
}
