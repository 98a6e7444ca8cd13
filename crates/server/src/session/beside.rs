//! `POST /emulation`: commands for a session whose stream goes only one way.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use prost::Message as _;

use super::sessions::{Id, Order};
use super::stream::{bad, not_allowed, read};
use super::wire::EmulationRequest;
use crate::edge::answer::text;
use crate::site::Site;

/// The longest request: a publication of 64 KiB, the default of the namespaces, and what surrounds it.
const MAX_BYTES: usize = 128 << 10;

/// Hands them over: 204. 404 when there is no such session here, so that its client connects again.
pub(crate) async fn respond(
    request: Request<Incoming>,
    site: &Arc<Site>,
) -> Result<Response<Bytes>, Box<Response<Bytes>>> {
    if request.method() != Method::POST {
        return Err(not_allowed("POST, OPTIONS"));
    }
    let (head, body) = request.into_parts();
    let is_binary = head.headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    let body = read(body, MAX_BYTES).await?;
    let request = match is_binary {
        true => EmulationRequest::decode(body).ok(),
        false => serde_json::from_slice(&body).ok(),
    };
    let Some(EmulationRequest { node, session, data }) = request else {
        return Err(bad("That is no request of a client library."));
    };
    let sessions = &site.realm.sessions;
    let is_here = node == sessions.node.to_string();
    let mailbox = Id::parse(&session).filter(|_| is_here).and_then(|secret| sessions.beside(secret));
    let Some(mailbox) = mailbox else {
        return Err(Box::new(text(StatusCode::NOT_FOUND, "There is no such session here.")));
    };
    if !mailbox.put(Order::Commands(data.into())) {
        let mut full = text(StatusCode::TOO_MANY_REQUESTS, "Too many commands wait for this session already.");
        full.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return Err(Box::new(full));
    }
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}
