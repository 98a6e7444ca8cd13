//! WebSocket client and server on tokio.
//!
//! ```text
//!   connect(url) ──────────────────────────────────────────────┐
//!                                                              ▼
//!   Listener ──accept──► Incoming ──request──► Opening ──► WebSocket ──split──► (Sender, Receiver)
//!                                                 │            ▲
//!                                          reject(status)      └── from_upgraded (hyper), on_upgrade (axum)
//! ```
//!
//! A client:
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut socket = openline::connect("ws://localhost:8080/test").await?;
//! socket.send("hello").await?;
//! while let Some(message) = socket.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A server is a [`Listener`], and a task for each client. An open [`WebSocket`] holds no buffer while nothing happens
//! on it, answers pings and runs its deadlines while it receives, and writes everything that one read asked for in one
//! write. The protocol itself, without I/O, is in [`proto`].
//!
//! `wss://` needs one of the features `ring` and `aws-lc-rs`; more about it is in `tls`.
//!
//! Further features: `hyper` for `upgrade` and `WebSocket::from_upgraded`, `axum` for an extractor, `http2` for WebSockets over
//! HTTP/2 with either. None of them changes what is here without them.

pub mod http1;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "hyper")]
mod upgrade;
#[cfg(feature = "hyper")]
mod upgraded;

mod alarm;
mod answer;
mod client;
mod driver;
mod error;
mod head;
mod input;
mod listener;
mod opening;
mod part;
mod pool;
mod reconnect;
mod seed;
mod split;
mod timers;
mod websocket;
mod wheel;

pub use answer::OpeningError;
pub use client::{
    Client, ClientStream, ConnectError, InvalidProxy, Proxy, ProxyError, Queue, RedirectReason, Refused, Setting,
    Stage, connect,
};
pub use error::Error;
pub use head::Head;
pub use http::StatusCode;
pub use listener::{Incoming, Listener};
pub use opening::{Opening, Refusal};
pub use openline_proto as proto;
pub use openline_proto::{
    Close, CloseCode, Closed, Config, Initiator, Kind, Message, MessageRef, Outgoing, ProtocolError, Role, SendError,
    SharedMessage, SharedMessages, Text, TimedOut, deflate, handshake,
};
pub use part::Part;
pub use reconnect::{Attempt, Backoff, End, Event, Lost, Opened, QueueFull, Reconnecting, Verdict};
pub use split::{Receiver, Sender};
#[cfg(feature = "hyper")]
pub use upgrade::{Upgrade, upgrade};
#[cfg(feature = "hyper")]
pub use upgraded::UpgradedStream;
pub use websocket::{BinaryWriter, Reply, TextWriter, WebSocket};
