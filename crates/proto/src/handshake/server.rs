//! A server's side of the opening handshake, by a fixed policy (RFC 6455 §4.2.2).

use http::{HeaderMap, Request, Response};

use super::{Acceptance, Negotiated, Offer, Origins, Rejection, Subprotocol};
use crate::deflate::Deflate;

/// What a server accepts, the same for every request. The default: no subprotocol, pages from the same host only,
/// compression for whoever offers it.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use openline_proto::handshake::{Origin, Origins, ServerHandshake, Subprotocol};
///
/// let handshake = ServerHandshake {
///     subprotocols: vec![Subprotocol::new("v2.chat")?, Subprotocol::new("v1.chat")?],
///     origins: Origins::Only(vec![Origin::parse("https://chat.example")?]),
///     headers: HeaderMap::new(),
///     deflate: None,
/// };
/// # let request = http::Request::builder()
/// #     .header("Host", "chat.example").header("Upgrade", "websocket").header("Connection", "Upgrade")
/// #     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").header("Sec-WebSocket-Version", "13")
/// #     .header("Origin", "https://elsewhere.example").body(())?;
/// let rejection = handshake.accept(&request).unwrap_err();
/// assert_eq!(rejection.status(), 403);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ServerHandshake {
    /// What we speak, in the order of our preference. The first one that the client offers is taken; without any, the
    /// connection opens and speaks none.
    pub subprotocols: Vec<Subprotocol>,
    /// Whose pages may connect.
    pub origins: Origins,
    /// Further header fields for every acceptance. Those of the handshake itself are refused, with a 500.
    pub headers: HeaderMap,
    /// Compression for whoever offers it (RFC 7692); `None` declines. Default: without context takeover, so that an idle
    /// connection holds no memory for it.
    pub deflate: Option<Deflate>,
}

impl Default for ServerHandshake {
    fn default() -> Self {
        let Acceptance { headers, deflate, .. } = Acceptance::default();
        Self { subprotocols: Vec::new(), origins: Origins::default(), headers, deflate }
    }
}

impl ServerHandshake {
    /// Checks a request and answers it.
    ///
    /// # Errors
    /// What [`Offer::read`] finds, or an origin that may not connect. The answer is then [`Rejection::response`].
    pub fn accept(&self, request: &Request<()>) -> Result<(Response<()>, Negotiated), Rejection> {
        self.answer(&Offer::read(request)?)
    }

    /// Answers an offer that was read before.
    ///
    /// # Errors
    /// An origin that may not connect, or a reserved header among ours.
    pub fn answer(&self, offer: &Offer) -> Result<(Response<()>, Negotiated), Rejection> {
        if let Some(origin) = offer.origin()
            && !self.origins.allow(Some(origin), offer.host())
        {
            return Err(Rejection::ForeignOrigin(origin.clone()));
        }
        let subprotocol = self.subprotocols.iter().find(|name| offer.subprotocols().contains(name)).cloned();
        let (headers, deflate) = (self.headers.clone(), self.deflate.clone());
        Ok(offer.accept(&Acceptance { subprotocol, headers, deflate })?)
    }
}
