//! The library as an application sees it, against peers that are bytes.
#![allow(clippy::unwrap_used)] // what a test expects, it may unwrap

#[path = "../support/peer.rs"]
mod peer;
#[path = "../support/poll.rs"]
mod poll;
#[path = "../support/script.rs"]
mod script;
#[path = "../support/tunnel.rs"]
mod tunnel;
#[path = "../support/wire.rs"]
mod wire;

mod cancel;
mod chaos;
mod client;
mod deadlines;
mod endings;
mod opening;
mod queue;
mod reconnect;
mod sinks;
mod split;
mod stacked;
mod types;
#[cfg(feature = "axum")]
mod upgrades;
mod ways;
mod writes;
