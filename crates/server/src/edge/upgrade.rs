//! A request to upgrade: judged, answered, and if it may, an open line.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response};
use openline::proto::Role;
use openline::proto::handshake::{Acceptance, Negotiated, Offer, Rejection};
use openline::{Error, WebSocket, http1};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::answer;
use super::visitor::{Visitor, introduce};
use crate::counts::Kind;
use crate::demo::Place;
use crate::doors::websocket::Visit;
use crate::hosting::{self, Arrival, Call, Tunnel};
use crate::lines::{Goodbye, Line, Owner};
use crate::routes::Endpoint;
use crate::session::{self, Transport};
use crate::site::{Admitted, Site};

/// Judges and answers the request; `None`: it was refused. `leftover`: what the peer sent behind the head, already frames.
pub(super) async fn open<S>(
    mut request: Box<Request<()>>,
    leftover: Bytes,
    mut stream: S,
    visitor: Visitor,
    site: Arc<Site>,
) -> io::Result<Option<super::Line>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    introduce(&mut request, &visitor, &site);
    let client = visitor.client(&request, &site);
    let Decision { guest, response, negotiated, config, owner } = match decide(&mut request, &visitor, &site).await {
        Ok(decision) => decision,
        Err(refusal) => {
            site.counts.answered(&refusal);
            return answer::send_and_close(stream, *refusal).await.map(|()| None);
        }
    };
    if let Guest::App(call) = guest {
        return call.open(*request, leftover, stream, owner, visitor.peer, &site).await;
    }
    drop(request);
    let line = site.lines.open_for(guest.kind(), owner);
    site.counts.accepted.inc();
    let answer = async {
        stream.write_all(&response).await?;
        stream.flush().await // TLS may hold some of it back
    };
    timeout(site.config.line.write_timeout, answer).await??;
    if let Guest::Tunnel(tunnel) = guest {
        return Ok(Some(tunnel.serve(stream, leftover, line, visitor.peer)));
    }
    let socket = WebSocket::from_parts(stream, &leftover, Role::Server, &negotiated, config);
    let Visitor { peer, certificate, .. } = visitor;
    match certificate {
        Some(own) => tracing::debug!(%peer, %client, certificate = %own.fingerprint(), "a line opened"),
        None => tracing::debug!(%peer, %client, "a line opened"),
    }
    Ok(Some(match guest {
        Guest::Demo(place) => place.serve(socket, line, peer),
        Guest::Channels(visit) => serve(socket, line, peer, (visit, site)),
        Guest::Session(connection) => serve(socket, line, peer, connection),
        Guest::Hosted(guest) => guest.serve(socket, line, peer),
        Guest::Tunnel(_) | Guest::App(_) => return Ok(None), // they went above
    }))
}

/// What has a line.
pub(crate) trait Serve<S> {
    /// What it says when the server ends, if it has words of its own.
    fn goodbye(&self) -> Option<Goodbye> {
        None
    }

    /// Serves an open line until it ends.
    fn serve(self, socket: &mut WebSocket<S>) -> impl Future<Output = Result<(), Error>> + Send;
}

/// An endpoint has the line until either ends, or until the server does. Not `async`: that would keep twice what it is
/// given, for as long as the line is open.
pub(crate) fn serve<S>(
    mut socket: WebSocket<S>,
    mut line: Line,
    peer: SocketAddr,
    endpoint: impl Serve<S> + Send + 'static,
) -> super::Line
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let own = endpoint.goodbye();
    Box::pin(async move {
        let ended = {
            let mut serving = pin!(endpoint.serve(&mut socket));
            // By hand, as `select!` would keep another 48 bytes.
            poll_fn(|cx| match line.poll_told_to_close(cx) {
                Poll::Ready(goodbye) => Poll::Ready(Err(goodbye)),
                Poll::Pending => serving.as_mut().poll(cx).map(Ok),
            })
            .await
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(goodbye) => {
                let Goodbye { code, reason } = own.unwrap_or(goodbye);
                socket.close(code, &reason).await.map(drop)
            }
        };
        match ended {
            Ok(()) => tracing::debug!(%peer, "the line closed"),
            Err(error) => tracing::debug!(%peer, %error, "the line broke"),
        }
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for (Box<Visit>, Arc<Site>) {
    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        let (visit, site) = self;
        visit.run(socket, &site).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Serve<S> for Box<session::websocket::Connection> {
    fn goodbye(&self) -> Option<Goodbye> {
        Some(session::websocket::goodbye())
    }

    async fn serve(self, socket: &mut WebSocket<S>) -> Result<(), Error> {
        self.run(socket).await
    }
}

/// Whoever has a line, by what it came for.
#[derive(Debug)]
enum Guest {
    Demo(Place),
    Channels(Box<Visit>),
    Session(Box<session::websocket::Connection>),
    Hosted(hosting::Guest),
    Tunnel(Box<Tunnel>),
    App(Box<Call>),
}

impl Guest {
    fn kind(&self) -> Kind {
        match self {
            Self::Demo(place) => place.kind(),
            Self::Channels(_) => Kind::Channel,
            Self::Session(_) => Kind::Session,
            Self::Hosted(_) | Self::Tunnel(_) | Self::App(_) => Kind::Hosted,
        }
    }
}

/// A guest who is let in, the head of the response, and what was agreed on.
struct Decision {
    guest: Guest,
    response: Vec<u8>,
    negotiated: Negotiated,
    config: Arc<openline::Config>,
    /// Of a line that is somebody's, or by a route.
    owner: Option<Box<Owner>>,
}

/// Lets a guest in. It has its place before the handshake is answered: whoever reads the answer is in.
async fn decide(
    request: &mut Request<()>,
    visitor: &Visitor,
    site: &Arc<Site>,
) -> Result<Decision, Box<Response<Bytes>>> {
    let rejected = |rejection: Rejection| Box::new(rejection.response().map(Bytes::from));
    let Admitted { endpoint, found, host, allowance } = site.admit(request, visitor)?;
    // Who came without a proxy in between was counted by the server when it connected.
    let is_counted = !site.config.proxies.trust(visitor.peer.ip());
    let taken = allowance.connect(visitor.client(request, site), is_counted);
    taken.map_err(|too_much| Box::new(answer::too_much(&too_much)))?;
    request.extensions_mut().insert(allowance);
    if let (Endpoint::Hosted, Some(found)) = (&endpoint, &found) {
        let config = found.place.line.clone();
        let (arrival, identity) = Box::pin(hosting::arrive(request, found, visitor, site)).await?;
        let owner = Some(Box::new(Owner { identity, route: Some(found.place.name().clone()) }));
        return Ok(match arrival {
            Arrival::Guest(arrived) => {
                let (guest, response, negotiated) = *arrived;
                let response = http1::encode_response(&response);
                Decision { guest: Guest::Hosted(guest), response, negotiated, config, owner }
            }
            Arrival::Call(call) => {
                let (response, negotiated) = (Vec::new(), Negotiated::default());
                Decision { guest: Guest::App(call), response, negotiated, config, owner }
            }
            Arrival::Tunnel(mut tunnel) => {
                let response = std::mem::take(&mut tunnel.response);
                let negotiated = Negotiated::default();
                Decision { guest: Guest::Tunnel(tunnel), response, negotiated, config, owner }
            }
        });
    }
    let request = &*request;
    let nothing = || Box::new(answer::not_found(request.uri().path(), site.routes.overview()));
    let read = || Offer::read(request).map_err(rejected);
    let (offer, acceptance) = match &endpoint {
        Endpoint::Page(_) | Endpoint::Hosted => return Err(nothing()),
        Endpoint::Demo(socket) => {
            let offer = read()?;
            let acceptance = socket.accept(&offer)?;
            (offer, acceptance)
        }
        Endpoint::Channels(_) => (read()?, Acceptance::default()),
        Endpoint::Session(Transport::WebSocket) => {
            let offer = read()?;
            let acceptance = session::websocket::accept(&offer);
            (offer, acceptance)
        }
        Endpoint::Session(_) | Endpoint::Beside | Endpoint::Api(_) => {
            return Err(nothing());
        }
    };
    let deflate = match (&found, &host) {
        (Some(found), _) => &found.place.deflate,
        (None, Some(host)) => &host.deflate,
        (None, None) => &site.config.deflate,
    };
    let acceptance = Acceptance { deflate: deflate.clone(), ..acceptance };
    let (mut response, negotiated) = offer.accept(&acceptance).map_err(|error| rejected(error.into()))?;
    let guest = match endpoint {
        Endpoint::Demo(socket) => Guest::Demo(socket.enter(site)),
        Endpoint::Channels(target) => {
            let visit = Visit::begin(request, target, site)?;
            response = visit.announce(response);
            Guest::Channels(Box::new(visit))
        }
        Endpoint::Session(_) => {
            Guest::Session(Box::new(session::websocket::Connection::begin(request, &acceptance, site)?))
        }
        Endpoint::Page(_) | Endpoint::Beside | Endpoint::Api(_) | Endpoint::Hosted => return Err(nothing()),
    };
    let config = match (found, host, &guest) {
        (Some(found), ..) => found.place.line.clone(),
        (None, Some(host), Guest::Session(_)) => host.session_line.clone(),
        (None, Some(host), _) => host.line.clone(),
        (None, None, Guest::Session(_)) => site.realm.line.clone(),
        (None, None, _) => site.line.clone(),
    };
    Ok(Decision { guest, response: http1::encode_response(&response), negotiated, config, owner: None })
}
