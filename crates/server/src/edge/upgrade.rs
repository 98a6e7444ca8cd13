//! A request to upgrade: judged, answered, and if it may, an open line until its end.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use openline::proto::Role;
use openline::proto::handshake::{Acceptance, Negotiated, Offer, Rejection};
use openline::{Error, WebSocket, http1};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::answer;
use super::visitor::{Visitor, introduce};
use crate::demo::Place;
use crate::doors::websocket::Visit;
use crate::lines::Line;
use crate::routes::Endpoint;
use crate::site::Site;

/// A line, from its request to its end. `leftover`: what the peer sent behind the head, already frames.
pub(super) async fn serve<S>(
    request: Box<Request<()>>,
    leftover: Bytes,
    stream: S,
    visitor: Visitor,
    site: Arc<Site>,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = visitor.peer;
    // In a box that is freed when the line is open: it stays open for long.
    let opening = Box::pin(open(request, leftover, stream, visitor, &site));
    let Some((mut socket, mut line, guest)) = opening.await? else { return Ok(()) };
    // The endpoint has the line until either ends, or until the server does.
    let ended = tokio::select! {
        biased;
        goodbye = line.told_to_close() => socket.close(goodbye.code, goodbye.reason).await.map(drop),
        ended = guest.run(&mut socket, &site) => ended,
    };
    match ended {
        Ok(()) => tracing::debug!(%peer, "the line closed"),
        Err(error) => tracing::debug!(%peer, %error, "the line broke"),
    }
    Ok(())
}

/// Judges and answers the request; `None`: it was refused.
async fn open<'a, S>(
    mut request: Box<Request<()>>,
    leftover: Bytes,
    mut stream: S,
    visitor: Visitor,
    site: &'a Site,
) -> io::Result<Option<(WebSocket<S>, Line, Guest<'a>)>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    introduce(&mut request, &visitor, site);
    let client = visitor.client(&request, site);
    let (guest, response, negotiated) = match decide(&request, &visitor, site) {
        Ok(decision) => decision,
        Err(refusal) => return answer::send_and_close(stream, *refusal).await.map(|()| None),
    };
    drop(request);
    let line = site.lines.open();
    stream.write_all(&response).await?;
    stream.flush().await?; // TLS may hold some of it back
    let socket = WebSocket::from_parts(stream, &leftover, Role::Server, &negotiated, site.line.clone());
    let Visitor { peer, certificate, .. } = visitor;
    match certificate {
        Some(own) => tracing::debug!(%peer, %client, certificate = %own.fingerprint(), "a line opened"),
        None => tracing::debug!(%peer, %client, "a line opened"),
    }
    Ok(Some((socket, line, guest)))
}

/// Whoever has a line, by what it came for.
#[derive(Debug)]
enum Guest<'a> {
    Demo(Place<'a>),
    Channels(Box<Visit>),
}

impl Guest<'_> {
    /// Serves an open line until it ends.
    async fn run<S>(self, socket: &mut WebSocket<S>, site: &Site) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            // In a box: a line has the memory of its own endpoint, and not of the largest.
            Self::Demo(place) => place.run(socket).await,
            Self::Channels(visit) => Box::pin(visit.run(socket, site)).await,
        }
    }
}

/// Lets a guest in, with the head of the response and what was agreed on. It has its place before the handshake is
/// answered: whoever reads the answer is in.
fn decide<'a>(
    request: &Request<()>,
    visitor: &Visitor,
    site: &'a Site,
) -> Result<(Guest<'a>, Vec<u8>, Negotiated), Box<Response<Bytes>>> {
    let rejected = |rejection: Rejection| Box::new(rejection.response().map(Bytes::from));
    let endpoint = site.admit(request, visitor)?;
    let read = || Offer::read(request).map_err(rejected);
    let (offer, acceptance) = match &endpoint {
        Endpoint::Page(_) => return Err(Box::new(answer::not_found(request.uri().path()))),
        Endpoint::Demo(socket) => {
            let offer = read()?;
            let acceptance = socket.accept(&offer)?;
            (offer, acceptance)
        }
        Endpoint::Channels(_) => (read()?, Acceptance::default()),
    };
    let acceptance = Acceptance { deflate: site.config.deflate.clone(), ..acceptance };
    let (mut response, negotiated) = offer.accept(&acceptance).map_err(|error| rejected(error.into()))?;
    let guest = match endpoint {
        Endpoint::Demo(socket) => Guest::Demo(socket.enter(site)),
        Endpoint::Channels(target) => {
            let visit = Visit::begin(request, target, site)?;
            response = visit.announce(response);
            Guest::Channels(Box::new(visit))
        }
        Endpoint::Page(_) => return Err(Box::new(answer::not_found(request.uri().path()))),
    };
    Ok((guest, http1::encode_response(&response), negotiated))
}
