//! openline, the server: what `openline serve` runs, to be run inside another program or a test.
//!
//! ```text
//! Config ─▶ Server::bind ─▶ Server ─▶ .serve(order) ─▶ Farewell
//!                             │
//!   listen: accept ─▶ edge: one connection ─┬─▶ hyper: the page, and refusals
//!                        │                  ├─▶ demo: /test, /chat, /increment, on `openline::WebSocket`
//!                        │                  └─▶ doors: /c/<channel>, by WebSocket, event stream, polling or POST
//!                        ▼
//!                     knock: who may
//! ```
//!
//! See [`Server`] for an example.

pub mod cli;
mod config;
mod connections;
mod demo;
mod doors;
mod edge;
pub mod exit;
pub mod knock;
mod lines;
mod listen;
mod rights;
mod routes;
mod server;
mod shutdown;
mod site;
mod tls;

/// What channels are made of: see [`Config::namespaces`] and [`Config::channels`].
pub use openline_hub as hub;

pub use config::values::Secret;
pub use config::{Config, Listen, Network, Proxies};
pub use edge::visitor::ClientAddress;
pub use lines::Lines;
pub use listen::BindError;
pub use rights::{Act, Identity, Policies, Policy, Rights, Who};
pub use server::{Server, StartError};
pub use shutdown::{Farewell, Order};
pub use tls::{Certificates, ClientCertificate, Tls};
