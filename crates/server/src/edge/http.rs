//! The plain HTTP requests of a connection: hyper speaks, the guard lets it see what was verified.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::answer;
use super::guard::HeadGuard;
use super::visitor::{Visitor, introduce};
use crate::api;
use crate::doors::{self, Target};
use crate::hosting::body::{self, Body};
use crate::hosting::{self, Found};
use crate::routes::Endpoint;
use crate::session::{self, Transport};
use crate::site::{Admitted, Site};

/// hyper's smallest allowed buffer is 8 KiB. A head that we let pass must fit as well.
const MIN_BUFFER_BYTES: usize = 64 << 10;

/// Answers requests until the guard shows no more of them, or the connection ends by itself. `None`: it broke.
pub(super) async fn serve<S>(mut guard: HeadGuard<S>, visitor: &Visitor, site: &Arc<Site>) -> Option<HeadGuard<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let gone = guard.gone();
    let service = service_fn(|mut request| {
        introduce(&mut request, visitor, site);
        let answer = respond(request, visitor, site, gone.clone());
        async move { Ok::<_, Infallible>(answer.await) }
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

/// Answers a request that was introduced. `gone`: its peer hung up.
pub(super) fn respond<'a>(
    request: Request<Incoming>,
    visitor: &Visitor,
    site: &'a Arc<Site>,
    gone: CancellationToken,
) -> impl Future<Output = Response<Body>> + Send + use<'a> {
    let decided = decide(request, visitor, site);
    async move {
        let answer = match decided {
            Decided::Answer(answer) => body::full(*answer),
            Decided::Channels(request, target) => doors::respond(*request, target, site, gone).await.map(body::boxed),
            Decided::Session(request, transport) => {
                session::respond(*request, transport, site, gone).await.map(body::boxed)
            }
            Decided::Api(request, method) => body::full(api::respond(*request, &method, site).await),
            // In a box: what a connection's requests hold is for the smallest of them.
            Decided::Hosted(hosted) => {
                let (request, found, visitor) = *hosted;
                Box::pin(hosting::respond(request, found, &visitor, site, gone)).await
            }
        };
        site.counts.answered(&answer);
        answer
    }
}

/// What becomes of a request.
enum Decided {
    Answer(Box<Response<Bytes>>),
    Channels(Box<Request<Incoming>>, Target),
    /// A stream; or `None`, commands beside one.
    Session(Box<Request<Incoming>>, Option<Transport>),
    Api(Box<Request<Incoming>>, Box<str>),
    Hosted(Box<(Request<Incoming>, Found, Visitor)>),
}

/// At once, and dropping the request if nobody reads its body: so hyper knows, when it writes the answer, that the body will
/// not be read.
fn decide(mut request: Request<Incoming>, visitor: &Visitor, site: &Site) -> Decided {
    let Admitted { endpoint, found, allowance, .. } = match site.admit(&request, visitor) {
        Ok(admitted) => admitted,
        Err(refusal) => return Decided::Answer(refusal),
    };
    request.extensions_mut().insert(allowance);
    if let (Endpoint::Hosted, Some(found)) = (&endpoint, found) {
        return Decided::Hosted(Box::new((request, found, visitor.clone())));
    }
    Decided::Answer(Box::new(match (endpoint, request.method()) {
        (Endpoint::Channels(target), _) => return Decided::Channels(Box::new(request), target),
        (Endpoint::Session(Transport::WebSocket), &Method::GET | &Method::HEAD) => {
            answer::upgrade_required(request.uri().path())
        }
        (Endpoint::Session(Transport::WebSocket), _) => answer::method_not_allowed("GET"),
        (Endpoint::Session(transport), _) => return Decided::Session(Box::new(request), Some(transport)),
        (Endpoint::Api(method), _) => return Decided::Api(Box::new(request), method),
        (Endpoint::Beside, _) => return Decided::Session(Box::new(request), None),
        (Endpoint::Page(asset), &Method::GET | &Method::HEAD) => asset.respond(request.headers()),
        (Endpoint::Page(_), _) => answer::method_not_allowed("GET, HEAD"),
        (Endpoint::Demo(_), &Method::GET | &Method::HEAD) => answer::upgrade_required(request.uri().path()),
        (Endpoint::Hosted, _) => answer::not_found(request.uri().path(), ""),
        (Endpoint::Demo(_), _) => answer::method_not_allowed("GET"),
    }))
}
