//! A server's answer to a request that hyper has read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Extensions, HeaderMap, Method, Request, Response, Uri, Version};
use hyper::upgrade::OnUpgrade;
use openline_proto::handshake::{Negotiated, Rejection, ServerHandshake};
use openline_proto::{Config, Role};

use crate::upgraded::UpgradedStream;
use crate::websocket::WebSocket;

/// Answers a request for a WebSocket: the response is for hyper to send, the [`Upgrade`] becomes the WebSocket once it
/// is sent.
///
/// The connection has to be served `with_upgrades`. A refusal is answered with [`Rejection::response`].
///
/// ```no_run
/// use hyper::{Request, Response, body::Incoming};
/// use openline::handshake::ServerHandshake;
///
/// async fn handle(mut request: Request<Incoming>) -> Result<Response<String>, hyper::Error> {
///     let (response, upgrade) = match openline::upgrade(&mut request, &ServerHandshake::default()) {
///         Ok(accepted) => accepted,
///         Err(rejection) => return Ok(rejection.response()),
///     };
///     tokio::spawn(async move {
///         let mut socket = upgrade.await?;
///         while let Some(message) = socket.recv().await? {
///             socket.feed(message).await?;
///         }
///         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
///     });
///     Ok(response.map(|()| String::new()))
/// }
/// ```
///
/// To decide by more than a [`ServerHandshake`] says: [`Offer::read`](crate::handshake::Offer::read) the request,
/// accept the offer, and give what `hyper::upgrade::on` yields to
/// [`WebSocket::from_upgraded`](crate::WebSocket::from_upgraded).
///
/// # Errors
/// What is wrong with the request, or with its origin.
pub fn upgrade<B>(request: &mut Request<B>, handshake: &ServerHandshake) -> Result<(Response<()>, Upgrade), Rejection> {
    let (method, uri, version) = (request.method().clone(), request.uri().clone(), request.version());
    let head = head(method, uri, version, request.headers().clone(), request.extensions());
    let (response, negotiated) = handshake.accept(&head)?;
    Ok((response, Upgrade::new(hyper::upgrade::on(request), negotiated)))
}

/// A WebSocket that opens as soon as hyper has sent the response.
///
/// It waits for that, so await it in a task of its own and not before the response is returned.
#[derive(Debug)]
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    negotiated: Negotiated,
    config: Arc<Config>,
}

impl Upgrade {
    pub(crate) fn new(on_upgrade: OnUpgrade, negotiated: Negotiated) -> Self {
        Self { on_upgrade, negotiated, config: Arc::default() }
    }

    /// The limits and deadlines of the WebSocket to be.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }
}

impl Future for Upgrade {
    type Output = Result<WebSocket<UpgradedStream>, hyper::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let upgraded = ready!(Pin::new(&mut self.on_upgrade).poll(cx))?;
        let config = self.config.clone();
        Poll::Ready(Ok(WebSocket::from_upgraded(upgraded, Role::Server, &self.negotiated, config)))
    }
}

/// A request's head, as the handshake wants it.
pub(crate) fn head(
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: &Extensions,
) -> Request<()> {
    let mut head = Request::new(());
    (*head.method_mut(), *head.uri_mut(), *head.version_mut()) = (method, uri, version);
    *head.headers_mut() = headers;
    #[cfg(feature = "http2")]
    if let Some(protocol) = extensions.get::<hyper::ext::Protocol>() {
        head.extensions_mut().insert(openline_proto::handshake::ConnectProtocol(protocol.as_str().into()));
    }
    #[cfg(not(feature = "http2"))]
    let _ = extensions;
    head
}
