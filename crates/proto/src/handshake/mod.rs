//! The opening handshake (RFC 6455 §4), for both sides, over `http` types.
//!
//! No bytes, no sockets, no entropy: a server turns a request into a response, a client turns a URI and a nonce into
//! a request and then judges the response. What both come out with is [`Negotiated`], which is what a connection is
//! made of.
//!
//! ```text
//! client  ClientHandshake::new(uri, nonce) → .request() ─┐                    ┌→ .finish(&response) → Negotiated
//!                                                        ▼                    │
//! server                        Offer::read(&request) → Offer → .accept(..) ──┴→ (response, Negotiated)
//!                                        └→ Rejection::response()
//! ```
//!
//! [`ServerHandshake`] does both server steps by a fixed policy; [`Offer`] is for whoever decides per request. The
//! same two types serve HTTP/1.1 (`GET` and `Upgrade`) and HTTP/2 and HTTP/3 (extended `CONNECT`, RFC 8441 and RFC
//! 9220).
//!
//! ```
//! use http::{Request, StatusCode};
//! use openline_proto::handshake::{ClientHandshake, ServerHandshake, Subprotocol};
//!
//! let chat = Subprotocol::new("chat")?;
//! let client = ClientHandshake::new(&"ws://example.com/rooms".parse()?, [7; 16])?.subprotocols([chat.clone()]);
//! let server = ServerHandshake { subprotocols: vec![chat.clone()], ..ServerHandshake::default() };
//!
//! let (response, _) = server.accept(&client.request())?;
//! assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
//! assert_eq!(client.finish(&response)?.subprotocol(), Some(&chat));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod extensions;
mod host;
mod key;
mod negotiated;
mod offer;
mod origin;
mod rejection;
mod reserved;
mod response;
mod server;
mod subprotocol;
mod tokens;
mod uri;

pub use client::ClientHandshake;
pub use extensions::{ExtensionOffer, InvalidExtensions};
pub use host::{Host, InvalidHost};
pub use key::accept_key;
pub use negotiated::Negotiated;
pub use offer::{AcceptError, Acceptance, ConnectProtocol, Offer, asks_for_websocket};
pub use origin::{InvalidOrigin, Origin, Origins};
pub use rejection::Rejection;
pub use reserved::ReservedHeader;
pub use response::ResponseError;
pub use server::ServerHandshake;
pub use subprotocol::{InvalidSubprotocol, Subprotocol};
pub use uri::{UriError, parse_uri};
