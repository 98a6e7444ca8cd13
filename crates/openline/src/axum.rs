//! WebSockets in axum: an extractor with the verbs of axum's own.
//!
//! ```no_run
//! use axum::{Router, response::Response, routing::any};
//! use openline::axum::{WebSocket, WebSocketUpgrade};
//!
//! async fn handler(upgrade: WebSocketUpgrade) -> Response {
//!     upgrade.protocols(["chat"]).on_upgrade(echo)
//! }
//!
//! async fn echo(mut socket: WebSocket) {
//!     while let Ok(Some(message)) = socket.recv().await {
//!         if socket.send(message).await.is_err() {
//!             break;
//!         }
//!     }
//! }
//!
//! let app: Router = Router::new().route("/chat", any(handler));
//! ```
//!
//! What differs from axum's own: pages from other hosts may not connect unless [`origins`](WebSocketUpgrade::origins)
//! lets them, text is `str`, pings are answered without being shown, and messages are limited to 1 MiB by default.

use std::fmt;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use openline_proto::Config;
use openline_proto::handshake::{Acceptance, Offer, Origins, Rejection, Subprotocol};

use crate::upgrade::{Upgrade, head};
use crate::upgraded::UpgradedStream;

/// The WebSocket that [`WebSocketUpgrade::on_upgrade`] brings.
pub type WebSocket = crate::WebSocket<UpgradedStream>;

/// Extracts a request for a WebSocket; anything else is refused with what is wrong about it.
///
/// Route it with `any`, which serves HTTP/1.1 and, with the feature `http2`, HTTP/2 (RFC 8441); `get` serves HTTP/1.1
/// only.
#[derive(Debug)]
#[must_use = "a WebSocket opens when what `on_upgrade` returns is returned"]
pub struct WebSocketUpgrade<F = DefaultOnFailedUpgrade> {
    offer: Offer,
    on_upgrade: OnUpgrade,
    origins: Origins,
    subprotocol: Option<Subprotocol>,
    config: Config,
    on_failed_upgrade: F,
}

impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = WebSocketUpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, WebSocketUpgradeRejection> {
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let offer = Offer::read(&head(method, uri, parts.version, parts.headers.clone(), &parts.extensions))?;
        let on_upgrade = parts.extensions.remove().ok_or(WebSocketUpgradeRejection::NotUpgradable)?;
        Ok(Self {
            offer,
            on_upgrade,
            origins: Origins::default(),
            subprotocol: None,
            config: Config::default(),
            on_failed_upgrade: DefaultOnFailedUpgrade,
        })
    }
}

impl<F> WebSocketUpgrade<F> {
    /// The subprotocols that we speak, in the order of our preference: the first one that the client offers is
    /// selected. Without any, or with none in common, the WebSocket opens without a subprotocol.
    pub fn protocols(mut self, protocols: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let offered = self.offer.subprotocols();
        let offered = |name: &str| offered.iter().find(|offered| &***offered == name).cloned();
        self.subprotocol = protocols.into_iter().find_map(|name| offered(name.as_ref()));
        self
    }

    /// Whose pages may connect. Default: those of the host that the request is for, and clients that are no browsers.
    ///
    /// Browsers let any page open a WebSocket to any server, with the server's cookies (§10.2): before you allow
    /// [`Origins::Any`], be sure that no cookie opens anything here.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// All limits and deadlines at once; the methods after this change single ones.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// A longer message fails the connection with 1009. Default 1 MiB.
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.max_message_bytes = bytes as u64;
        self
    }

    /// A longer frame fails the connection with 1009. Default 1 MiB.
    pub fn max_frame_size(mut self, bytes: usize) -> Self {
        self.config.max_frame_bytes = bytes as u64;
        self
    }

    /// No further message is queued while so many bytes wait for the client to read: `send` and `feed` wait. Default
    /// 1 MiB.
    pub fn max_write_buffer_size(mut self, bytes: usize) -> Self {
        self.config.max_output_bytes = bytes;
        self
    }

    /// What the client offers: its subprotocols, its origin, the host it means.
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// The subprotocols that the client offers, in the order of its preference.
    pub fn requested_protocols(&self) -> impl Iterator<Item = &str> {
        self.offer.subprotocols().iter().map(|name| &**name)
    }

    /// What [`protocols`](Self::protocols) selected.
    pub fn selected_protocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// What to do when the response cannot be sent, and no WebSocket opens. Default: nothing.
    pub fn on_failed_upgrade<C: OnFailedUpgrade>(self, callback: C) -> WebSocketUpgrade<C> {
        let Self { offer, on_upgrade, origins, subprotocol, config, on_failed_upgrade: _ } = self;
        WebSocketUpgrade { offer, on_upgrade, origins, subprotocol, config, on_failed_upgrade: callback }
    }

    /// The response that opens the WebSocket, or refuses a foreign origin with 403. The callback runs in a task of its
    /// own as soon as the WebSocket is open.
    #[must_use = "the WebSocket opens when this is returned"]
    pub fn on_upgrade<C, Fut>(self, callback: C) -> Response
    where
        C: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
        F: OnFailedUpgrade,
    {
        if let Some(origin) = self.offer.origin()
            && !self.origins.allow(Some(origin), self.offer.host())
        {
            return refuse(&Rejection::ForeignOrigin(origin.clone()));
        }
        let acceptance = Acceptance { subprotocol: self.subprotocol, ..Acceptance::default() };
        let (response, negotiated) = match self.offer.accept(&acceptance) {
            Ok(accepted) => accepted,
            Err(error) => return refuse(&error.into()),
        };
        let upgrade = Upgrade::new(self.on_upgrade, negotiated).config(self.config);
        let on_failed_upgrade = self.on_failed_upgrade;
        tokio::spawn(async move {
            match upgrade.await {
                Ok(socket) => callback(socket).await,
                Err(error) => on_failed_upgrade.call(error),
            }
        });
        response.map(|()| Body::empty())
    }
}

fn refuse(rejection: &Rejection) -> Response {
    rejection.response().map(Body::from)
}

/// What [`WebSocketUpgrade::on_failed_upgrade`] takes: any closure that takes the error.
pub trait OnFailedUpgrade: Send + 'static {
    /// The response was not sent.
    fn call(self, error: hyper::Error);
}

impl<F: FnOnce(hyper::Error) + Send + 'static> OnFailedUpgrade for F {
    fn call(self, error: hyper::Error) {
        self(error);
    }
}

/// Does nothing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DefaultOnFailedUpgrade;

impl OnFailedUpgrade for DefaultOnFailedUpgrade {
    fn call(self, _error: hyper::Error) {}
}

/// Why a request is not one for a WebSocket. As a response it is [`Rejection::response`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebSocketUpgradeRejection {
    /// What is wrong with the request.
    Handshake(Rejection),
    /// Ours, not the client's: the server does not serve connections with upgrades. `axum::serve` does.
    NotUpgradable,
}

impl IntoResponse for WebSocketUpgradeRejection {
    fn into_response(self) -> Response {
        if let Self::Handshake(rejection) = self {
            return refuse(&rejection);
        }
        let mut response = Response::new(Body::from(format!("{self}\n")));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        response
    }
}

impl fmt::Display for WebSocketUpgradeRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshake(rejection) => rejection.fmt(f),
            Self::NotUpgradable => {
                f.write_str("This server is misconfigured: it serves connections that cannot be upgraded.")
            }
        }
    }
}

impl std::error::Error for WebSocketUpgradeRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Handshake(rejection) => Some(rejection),
            Self::NotUpgradable => None,
        }
    }
}

impl From<Rejection> for WebSocketUpgradeRejection {
    fn from(rejection: Rejection) -> Self {
        Self::Handshake(rejection)
    }
}
