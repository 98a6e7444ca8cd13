//! A plain request, passed on.

use std::error::Error;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use tokio::time::timeout;

use super::body::{Download, Upload};
use super::fields::{self, Asker};
use super::pool::{Member, Pool};
use super::{HostHeader, Upstream};
use crate::edge::answer::{self, method_not_allowed, text};
use crate::edge::path;
use crate::edge::visitor::{ClientAddress, Visitor};
use crate::hosting::body::{Body, boxed, full};
use crate::hosting::dial::DialError;
use crate::hosting::place::Found;
use crate::hosting::{entry, template};
use crate::rates::{Spending, What};
use crate::rights::Identity;
use crate::site::Site;

/// Answers it with what the other server says.
pub(in crate::hosting) async fn respond(
    request: Request<Incoming>,
    pool: &Pool,
    found: &Found,
    visitor: &Visitor,
    site: &Site,
) -> Response<Body> {
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return full(method_not_allowed("any method but TRACE and CONNECT"));
    }
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > pool.max_body_bytes) {
        return full(too_big(pool));
    }
    // What a body says of its length is counted before anybody behind hears of it; what says nothing, as it comes.
    let spending = Spending::of(&request).filter(|spending| spending.is_limited_in(What::Bytes));
    let spending = match (spending, length) {
        (Some(spending), Some(length)) => match spending.take(None, What::Bytes, length) {
            Ok(()) => None,
            Err(too_much) => return full(answer::too_much(&too_much)),
        },
        (spending, _) => spending,
    };
    let asker = asker(&request, pool, visitor, site);
    let (mut head, body) = request.into_parts();
    fields::of_request(&mut head.headers, &asker);
    let body = Upload::new(body, pool.max_body_bytes, spending);
    // RFC 9110 §9.2.2: what can be asked twice.
    let is_repeatable = matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut tried = Vec::new();
    let mut again = false;
    let mut last: Option<Response<Bytes>> = None;
    while let Some(taken) = pool.take(&tried) {
        let member = taken.0.clone();
        let Some(uri) = target(&member.upstream, &head.uri, found) else {
            return full(text(StatusCode::BAD_REQUEST, "The path has characters that no address has."));
        };
        let mut request = Request::new(body.clone());
        (*request.method_mut(), *request.uri_mut()) = (head.method.clone(), uri);
        *request.headers_mut() = head.headers.clone();
        if let Some(host) = host(pool, &member.upstream, asker.host.as_ref()) {
            request.headers_mut().insert(HOST, host);
        }
        match timeout(pool.response_timeout, member.client.request(request)).await {
            Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                return full(refuse(found, &member, &"it switches protocols without being asked"));
            }
            Ok(Ok(response)) => {
                let mut response = response.map(|body| boxed(Download { body, _taken: taken }));
                *response.version_mut() = Version::HTTP_11;
                fields::strip_hop_by_hop(response.headers_mut());
                return response;
            }
            Ok(Err(_)) if body.is_too_big() => return full(too_big(pool)),
            Ok(Err(error)) => {
                if let Some(too_much) = body.too_much() {
                    return full(answer::too_much(too_much));
                }
                if error.is_connect() {
                    member.pause();
                }
                last = Some(failed(found, &member, &error));
                // Before the request was sent, or where it does no harm to send it again: a connection that was kept may have
                // been closed just now.
                match error.is_connect() {
                    true if body.is_whole() => tried.push(member),
                    false if body.is_whole() && is_repeatable && !again => again = true,
                    _ => break,
                }
            }
            Err(_) => {
                tracing::warn!(route = %found.place.shown, upstream = %member.upstream, "no answer in {:?}", pool.response_timeout);
                return full(text(StatusCode::GATEWAY_TIMEOUT, "What is behind this address does not answer."));
            }
        }
    }
    full(last.unwrap_or_else(|| text(StatusCode::BAD_GATEWAY, "There is nothing behind this address.")))
}

pub(super) fn asker<B>(request: &Request<B>, pool: &Pool, visitor: &Visitor, site: &Site) -> Asker {
    let peer = visitor.peer.ip().to_canonical();
    let identity = request.extensions().get::<Identity>();
    Asker {
        peer,
        is_trusted: site.config.proxies.trust(visitor.peer.ip()),
        is_tls: site.tls.is_some(),
        host: request.headers().get(HOST).cloned(),
        client: request.extensions().get::<ClientAddress>().map_or(peer, |client| client.0),
        user: identity.map(|identity| (pool.user_header.clone(), identity.user().and_then(entry::written))),
    }
}

/// The `Host` for one server.
pub(super) fn host(pool: &Pool, upstream: &Upstream, asked: Option<&HeaderValue>) -> Option<HeaderValue> {
    match pool.host {
        HostHeader::Keep => asked.cloned(),
        HostHeader::Upstream => HeaderValue::try_from(upstream.authority()).ok(),
    }
}

/// The path, in its normal form, and the query, at one server.
pub(super) fn path_at(upstream: &Upstream, uri: &Uri, found: &Found) -> String {
    let path = path::normalise(uri.path());
    let path = match &upstream.base {
        None => path.into_owned(),
        Some(base) => {
            let rest = path.strip_prefix(template::literal(&found.place.template)).unwrap_or(&path);
            match format!("{base}{rest}") {
                all if all.starts_with('/') => all,
                all => format!("/{all}"),
            }
        }
    };
    uri.query().map_or(path.clone(), |query| format!("{path}?{query}"))
}

fn target(upstream: &Upstream, uri: &Uri, found: &Found) -> Option<Uri> {
    let path: PathAndQuery = path_at(upstream, uri, found).parse().ok()?;
    // The scheme is the connector's business.
    Uri::builder().scheme("http").authority(upstream.authority()).path_and_query(path).build().ok()
}

fn too_big(pool: &Pool) -> Response<Bytes> {
    text(StatusCode::PAYLOAD_TOO_LARGE, format!("A request's body has at most {} bytes here.", pool.max_body_bytes))
}

fn failed(found: &Found, member: &Member, error: &legacy::Error) -> Response<Bytes> {
    if let Some(dialing) = error.source().and_then(|source| source.downcast_ref::<DialError>()) {
        tracing::warn!(route = %found.place.shown, upstream = %member.upstream, error = %dialing, "cannot reach the server behind");
        return dialing.response();
    }
    let cause = error.source().map_or_else(|| error.to_string(), |source| source.to_string());
    refuse(found, member, &cause)
}

/// RFC 9110 §15.6.3: 502.
pub(super) fn refuse(found: &Found, member: &Member, why: &dyn std::fmt::Display) -> Response<Bytes> {
    tracing::warn!(route = %found.place.shown, upstream = %member.upstream, "the server behind answers wrongly: {why}");
    text(StatusCode::BAD_GATEWAY, "What is behind this address answers wrongly.")
}
