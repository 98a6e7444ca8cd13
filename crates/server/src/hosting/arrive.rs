//! A request for a line to a hosted place: everything that the line needs is there before the handshake is answered.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use openline::proto::handshake::{Acceptance, Negotiated, Offer, Rejection, Subprotocol};

use super::app::Call;
use super::entry;
use super::guest::{Guest, Kind, Says};
use super::place::{Found, Here};
use super::proxy;
use crate::edge::answer::{self, text};
use crate::edge::visitor::Visitor;
use crate::rates::Spending;
use crate::rights::Identity;
use crate::site::Site;

/// What a refusal is.
pub(super) type Refusal = Box<Response<Bytes>>;

/// Somebody who is let in.
pub(crate) enum Arrival {
    /// With the response, and what was agreed on.
    Guest(Box<(Guest, Response<()>, Negotiated)>),
    /// What is agreed on is between them and the server behind.
    Tunnel(Box<proxy::Tunnel>),
    /// What becomes of it an application says.
    Call(Box<Call>),
}

/// Lets somebody in, and says who it is.
pub(crate) async fn arrive(
    request: &mut Request<()>,
    found: &Found,
    visitor: &Visitor,
    site: &Site,
) -> Result<(Arrival, Identity), Refusal> {
    let place = &found.place;
    let rejected = |rejection: Rejection| Box::new(rejection.response().map(Bytes::from));
    let identity = entry::admit(place, request, visitor, site)?;
    let request = &*request;
    match &place.here {
        Here::Redirect(redirect) => return Err(Box::new(redirect.respond(request.uri(), found))),
        Here::Respond(respond) => return Err(Box::new(respond.respond())),
        Here::Files(_) => return Err(Box::new(answer::not_found(request.uri().path(), ""))),
        _ => {}
    }
    let offer = || Offer::read(request).map_err(rejected);
    // What is no request for a WebSocket takes no place; an application says itself what it is.
    let offer = if let Here::App(_) = &place.here { None } else { Some(offer()?) };
    let slot = place.slot().map_err(|()| {
        Box::new(answer::try_later(format!("{} holds as many lines as it may. Try again later.", place.path())))
    })?;
    let offer = match (&place.here, offer) {
        (Here::App(app), _) => return Ok((Arrival::Call(Box::new(Call::new(app, place, slot))), identity)),
        (_, Some(offer)) => offer,
        (_, None) => return Err(Box::new(text(StatusCode::NOT_FOUND, "There is no WebSocket here."))),
    };
    if let Here::Proxy(pool) = &place.here
        && pool.is_tunnel
    {
        let mut tunnel = proxy::open_tunnel(request, pool, found, visitor, site).await?;
        tunnel.slot = slot;
        return Ok((Arrival::Tunnel(Box::new(tunnel)), identity));
    }
    let listed = || offer.subprotocols().iter().find(|name| place.subprotocols.contains(name)).cloned();
    let mut headers = HeaderMap::new();
    let (kind, subprotocol): (Kind, Option<Subprotocol>) = match &place.here {
        Here::Echo if place.subprotocols.is_empty() => (Kind::Echo, offer.subprotocols().first().cloned()),
        Here::Echo => (Kind::Echo, listed()),
        Here::Exec(programs) => (Kind::Exec(programs.start(request, found, visitor, site)?), listed()),
        Here::Tcp(tcp) => {
            let chosen = listed().or_else(|| tcp.choose(&offer));
            let bridge = tcp.connect(found, chosen.as_ref(), &place.line).await?;
            (Kind::Tcp(Box::new(bridge)), chosen)
        }
        Here::Proxy(pool) => {
            let opened = proxy::connect(request, &offer, pool, found, visitor, site).await?;
            headers = opened.headers;
            (Kind::Proxy(Box::new(opened.relay)), opened.subprotocol)
        }
        Here::Channel(_) | Here::Files(_) | Here::Redirect(_) | Here::Respond(_) | Here::App(_) => {
            return Err(Box::new(text(StatusCode::NOT_FOUND, "There is no WebSocket here.")));
        }
    };
    place.decorate(&mut headers);
    let acceptance = Acceptance { subprotocol, headers, deflate: place.deflate.clone() };
    let (response, negotiated) = offer.accept(&acceptance).map_err(|error| rejected(error.into()))?;
    let says = Says(Spending::of(request).filter(Spending::is_limited).map(Box::new));
    Ok((Arrival::Guest(Box::new((Guest { kind, slot, says }, response, negotiated))), identity))
}
