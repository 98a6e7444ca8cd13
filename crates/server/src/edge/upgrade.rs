//! A request to upgrade: judged, answered, and if it may, an open line until its end.

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use openline::proto::Role;
use openline::proto::handshake::{Acceptance, Negotiated, Offer, Rejection};
use openline::{WebSocket, http1};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::answer;
use super::visitor::{Visitor, introduce};
use crate::demo::{Endpoint, Socket};
use crate::knock::Reach;
use crate::site::Site;

/// `leftover`: what the peer sent behind the head, already frames.
pub(super) async fn serve<S>(
    mut request: Box<Request<()>>,
    leftover: Bytes,
    mut stream: S,
    visitor: Visitor,
    site: &Site,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    introduce(&mut request, &visitor);
    let (endpoint, response, negotiated) = match decide(&request, visitor.reach, site) {
        Ok(decision) => decision,
        Err(refusal) => return Box::pin(answer::send_and_close(stream, *refusal)).await,
    };
    drop(request);
    let mut line = site.lines.open();
    let place = endpoint.enter(site);
    stream.write_all(&response).await?;
    drop(response);
    let mut socket = WebSocket::from_parts(stream, &leftover, Role::Server, &negotiated, site.line.clone());
    drop((leftover, negotiated));
    let Visitor { peer, certificate, .. } = visitor;
    match certificate {
        Some(client) => tracing::debug!(%peer, client = %client.fingerprint(), ?endpoint, "a line opened"),
        None => tracing::debug!(%peer, ?endpoint, "a line opened"),
    }
    // The endpoint has the line until either ends, or until the server does.
    let ended = tokio::select! {
        biased;
        goodbye = line.told_to_close() => socket.close(goodbye.code, goodbye.reason).await.map(drop),
        ended = place.run(&mut socket) => ended,
    };
    match ended {
        Ok(()) => tracing::debug!(%peer, "the line closed"),
        Err(error) => tracing::debug!(%peer, %error, "the line broke"),
    }
    Ok(())
}

/// Who answers, the head of the response, and what was agreed on.
fn decide(
    request: &Request<()>,
    reach: Reach,
    site: &Site,
) -> Result<(Socket, Vec<u8>, Negotiated), Box<Response<Bytes>>> {
    let rejected = |rejection: Rejection| Box::new(rejection.response().map(Bytes::from));
    let Endpoint::Socket(endpoint) = site.admit(request, reach)? else {
        return Err(Box::new(answer::not_found(request.uri().path())));
    };
    let offer = Offer::read(request).map_err(rejected)?;
    let acceptance = Acceptance { deflate: site.config.deflate.clone(), ..endpoint.accept(&offer)? };
    let (response, negotiated) = offer.accept(&acceptance).map_err(|error| rejected(error.into()))?;
    Ok((endpoint, http1::encode_response(&response), negotiated))
}
