//! TLS (RFC 6455 §10.6), for either side of a line: rustls, versions 1.2 and 1.3.
//!
//! A client has nothing to set up: `wss://` is checked against the roots of the platform. What else it may trust, and
//! who it is, a [`ClientTls`] says:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use openline::Client;
//! use openline::tls::{ClientTls, Identity};
//!
//! let tls = ClientTls::new()
//!     .add_ca_pem(&std::fs::read("company-ca.pem")?)?
//!     .identity(Identity::from_pem_files("me.pem", "me.key")?);
//! let (mut socket, _) = Client::new().tls(tls.build()?).connect("wss://intranet.example/chat").await?;
//! # Ok(())
//! # }
//! ```
//!
//! A server has one more step between [`Incoming`](crate::Incoming) and [`Opening`](crate::Opening):
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use openline::Listener;
//! use openline::tls::{Acceptor, Identity, ServerTls};
//!
//! let acceptor = Acceptor::new(&ServerTls::new(Identity::from_pem_files("cert.pem", "key.pem")?))?;
//! let listener = Listener::bind("0.0.0.0:443").await?;
//! loop {
//!     let (incoming, acceptor) = (listener.accept().await?, acceptor.clone());
//!     tokio::spawn(async move {
//!         let mut socket = incoming.tls(&acceptor).await?.request().await?.accept(&Default::default()).await?;
//!         while let Some(message) = socket.recv().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//! }
//! # }
//! ```
//!
//! **Whose cryptography.** That of the feature `aws-lc-rs` or `ring`; of both, the former. An application that has
//! installed a `CryptoProvider` for its process gets that one. This crate installs none, and without any says so:
//! [`TlsError::NoProvider`].
//!
//! **The end of a line.** Closing a line closes TLS with its `close_notify`. A peer that ends TCP without one may have been
//! cut off by somebody in between (RFC 8446 §6.1): to whoever reads from it that is `UnexpectedEof`, and to a WebSocket
//! whose closing handshake had not come through, [`Error::Aborted`](crate::Error::Aborted).

mod client;
mod error;
mod fingerprint;
mod identity;
mod names;
mod provider;
mod server;
mod stream;
mod verifier;

pub use client::{ClientTls, Connector};
pub use error::TlsError;
pub use fingerprint::{Fingerprint, InvalidFingerprint};
pub use identity::Identity;
pub use rustls;
pub use server::{Acceptor, ServerTls};
pub use stream::TlsStream;
