//! A plain HTTP request to a hosted place.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::body::{Body, full};
use super::place::{Found, Here};
use super::{entry, proxy};
use crate::edge::answer;
use crate::edge::visitor::Visitor;
use crate::site::Site;

/// Answers it. `gone`: the peer has hung up.
pub(crate) async fn respond(
    mut request: Request<Incoming>,
    found: Found,
    visitor: &Visitor,
    site: &Site,
    gone: CancellationToken,
) -> Response<Body> {
    let place = &found.place;
    if let Err(refusal) = entry::admit(place, &mut request, visitor, site) {
        return full(*refusal);
    }
    let mut response = match &place.here {
        Here::Files(folder) => folder.respond(request.method(), request.headers(), request.uri(), &found).await,
        Here::App(app) => app.respond(request).await,
        Here::Redirect(redirect) => full(redirect.respond(request.uri(), &found)),
        Here::Respond(respond) => full(respond.respond()),
        Here::Proxy(pool) => tokio::select! {
            response = proxy::respond(request, pool, &found, visitor, site) => response,
            // Nobody waits for the answer any more: the server behind need not make it.
            () = gone.cancelled() => full(answer::text(StatusCode::BAD_REQUEST, "The connection ended.")),
        },
        Here::Echo | Here::Exec(_) | Here::Tcp(_) | Here::Channel(_) => full(match *request.method() {
            Method::GET | Method::HEAD => answer::upgrade_required(request.uri().path()),
            _ => answer::method_not_allowed("GET"),
        }),
    };
    place.decorate(response.headers_mut());
    response
}
