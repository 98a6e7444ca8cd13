//! openline, the server: what `openline serve` runs, to be run inside another program or a test.
//!
//! ```text
//! Config ─▶ Server::bind ─▶ Server ─▶ .serve(order) ─▶ Farewell
//!                             │
//!   listen: accept ─▶ edge: one connection ─┬─▶ hyper: the page, and refusals
//!                        │                  ├─▶ demo: /test, /chat, /increment, on `openline::WebSocket`
//!                        │                  ├─▶ doors: /c/<channel>, by WebSocket, event stream, polling or POST
//!                        │                  ├─▶ session: /connection/…, many channels on one line
//!                        │                  └─▶ hosting: where there are routes, what they lead to, and no demo
//!                        ▼
//!                     knock: who may                       admin: metrics and health, on an address of their own
//! ```
//!
//! See [`Server`] for an example.

mod admin;
mod api;
pub mod cli;
mod config;
mod connections;
mod counts;
mod demo;
mod doors;
mod edge;
pub mod exit;
#[doc(hidden)]
pub mod fuzzing;
mod hooks;
pub mod hosting;
mod hosts;
mod identity;
pub mod knock;
mod lines;
mod listen;
mod outbound;
mod rates;
mod registry;
mod rights;
mod room;
mod routes;
mod server;
mod session;
mod shutdown;
mod site;
mod tls;
mod turns;

/// What channels are made of: see [`Config::namespaces`] and [`Config::channels`].
pub use openline_hub as hub;

pub use config::values::Secret;
pub use config::{Admin, Config, Listen, Network, Proxies};
pub use edge::visitor::ClientAddress;
pub use hooks::{Hook, HookSettings};
pub use hosts::HostSettings;
pub use identity::{KeyError, TokenAlgorithm, TokenKey, TokenSettings};
pub use lines::Lines;
pub use listen::BindError;
pub use rates::{Rate, RateOverrides, Rates};
pub use registry::{Registry, Seat};
pub use rights::{Act, Identity, Policies, Policy, Rights, Who};
pub use server::{Server, StartError};
pub use session::{Clients, SessionSettings};
pub use shutdown::{Farewell, Order};
pub use tls::{Certificates, ClientCertificate, Tls};
