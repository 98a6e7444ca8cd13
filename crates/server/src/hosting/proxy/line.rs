//! A WebSocket to another server, opened before the client's handshake is answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use openline::proto::handshake::{Offer, Subprotocol};
use openline::{Client, ConnectError, Refused};

use super::fields;
use super::plain::{asker, host, path_at, refuse};
use super::pool::{Member, Pool};
use super::relay::Relay;
use crate::edge::answer::text;
use crate::edge::visitor::Visitor;
use crate::hosting::arrive::Refusal;
use crate::hosting::place::Found;
use crate::site::Site;

/// What the other server said to it.
pub(in crate::hosting) struct Opened {
    pub(in crate::hosting) relay: Relay,
    pub(in crate::hosting) subprotocol: Option<Subprotocol>,
    pub(in crate::hosting) headers: HeaderMap,
}

/// Opens it at the first server that can be reached.
pub(in crate::hosting) async fn connect(
    request: &Request<()>,
    offer: &Offer,
    pool: &Arc<Pool>,
    found: &Found,
    visitor: &Visitor,
    site: &Site,
) -> Result<Opened, Refusal> {
    let asker = asker(request, pool, visitor, site);
    let own = &found.place.subprotocols;
    let mut client =
        Client::new().config(pool.line.clone()).deflate(pool.compression.clone()).timeout(pool.response_timeout);
    for subprotocol in offer.subprotocols().iter().filter(|name| own.is_empty() || own.contains(name)) {
        client = client.subprotocol(subprotocol);
    }
    for (name, value) in &fields::of_handshake(request.headers(), &asker) {
        // What is not text, no server reads as text either.
        if let Ok(value) = value.to_str() {
            client = client.header(name.as_str(), value);
        }
    }
    let (taken, stream) = pool.reach(found).await?;
    let member = taken.0.clone();
    let host = host(pool, &member.upstream, asker.host.as_ref());
    let host = host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    // TLS, if there is any, is below already.
    let url = format!("ws://{host}{}", path_at(&member.upstream, request.uri(), found));
    match client.connect_with(stream, &url).await {
        Ok((socket, response)) => Ok(Opened {
            subprotocol: socket.subprotocol().and_then(|name| Subprotocol::new(name).ok()),
            headers: fields::of_upgrade(response.headers()),
            relay: Relay::new(socket, pool.clone(), taken),
        }),
        Err(error) => Err(Box::new(refusal(found, &member, error))),
    }
}

fn refusal(found: &Found, member: &Member, error: ConnectError) -> Response<Bytes> {
    match error {
        // What it says to the client: log in, go elsewhere, not here.
        ConnectError::Refused(refused) if refused.status.as_u16() >= 300 => pass_on(*refused),
        ConnectError::Timeout { after, .. } => {
            tracing::warn!(route = %found.place.shown, upstream = %member.upstream, "no answer in {after:?}");
            text(StatusCode::GATEWAY_TIMEOUT, "What is behind this address does not answer.")
        }
        error => refuse(found, member, &error),
    }
}

fn pass_on(refused: Refused) -> Response<Bytes> {
    let Refused { status, mut headers, body } = refused;
    fields::strip_hop_by_hop(&mut headers);
    headers.remove(http::header::CONTENT_LENGTH);
    headers.remove(http::header::DATE);
    let mut response = Response::new(body);
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}
