//! Channels, a URL each: `/c/<channel>` has five doors, and the request itself says which one it wants.
//!
//! | request | door |
//! | --- | --- |
//! | `GET`, `Upgrade: websocket` | [`websocket`]: payloads as they are |
//! | `GET`, `Accept: text/event-stream` | [`sse`] |
//! | `GET` with `?wait=`, or without | [`poll`]: the next publications, or the recent ones |
//! | `POST` | [`publish`] |
//! | `HEAD`, `DELETE` | the newest position; the recent past is dropped |
//!
//! What a client says to resume, and what it is told when something is missing, means the same at each of them.

pub(crate) mod answer;
pub(crate) mod batch;
pub(crate) mod channels;
pub(crate) mod cors;
pub(crate) mod encoded;
mod json;
mod missed;
pub(crate) mod permit;
mod poll;
mod publish;
pub(crate) mod sse;
mod target;
pub(crate) mod websocket;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use tokio_util::sync::CancellationToken;

pub(crate) use self::channels::Channels;
pub(crate) use self::encoded::Encoded;
use self::permit::Guest;
pub(crate) use self::target::{Target, TargetError};
use crate::edge::answer::text;
use crate::site::Site;

/// What plain HTTP is answered with: all at once, or as it comes.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// What may be sent to a channel's URL.
const METHODS: &str = "GET, HEAD, POST, DELETE, OPTIONS";

/// Answers a request for channels that is not an upgrade. `gone`: the peer has hung up.
pub(crate) async fn respond(
    request: Request<Incoming>,
    target: Target,
    site: &Arc<Site>,
    gone: CancellationToken,
) -> Response<Body> {
    let cross = cors::Cross::of(request.headers());
    let comes_back = sse::comes_back(request.headers());
    let has_body = !request.body().is_end_stream();
    if request.method() == Method::OPTIONS {
        return cross.allow(cors::preflight());
    }
    let answered = match (Guest::of(&request, site), request.method()) {
        (Err(refusal), _) => Err(refusal),
        (Ok(guest), &Method::GET) if sse::is_wanted(request.headers()) => {
            sse::open(&request, &guest, &target, site, gone)
        }
        (Ok(guest), &Method::GET) if target.asks_for_presence() => poll::presence(&guest, &target, site),
        (Ok(guest), &Method::GET) => poll::get(&request, &guest, &target, site, gone).await,
        (Ok(guest), &Method::HEAD) => poll::head(&guest, &target, site),
        (Ok(guest), &Method::POST) => publish::post(request, &guest, &target, site).await,
        (Ok(guest), &Method::DELETE) => publish::delete(&guest, &target, site),
        _ => Err(not_allowed()),
    };
    cross.allow(answered.unwrap_or_else(|mut refusal| {
        if comes_back && matches!(refusal.status(), StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) {
            // HTML, "Server-sent events": "a client can be told to stop reconnecting using the HTTP 204 No Content".
            *refusal = Response::new(Bytes::new());
            *refusal.status_mut() = StatusCode::NO_CONTENT;
        }
        if has_body {
            // RFC 9112 §9.3: a body that is not read to its end leaves no place for another request.
            refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        full(*refusal)
    }))
}

fn not_allowed() -> Box<Response<Bytes>> {
    let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, format!("A channel takes {METHODS}."));
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static(METHODS));
    Box::new(refusal)
}

/// An answer all at once.
pub(crate) fn full(response: Response<Bytes>) -> Response<Body> {
    response.map(|bytes| Full::new(bytes).boxed_unsync())
}
