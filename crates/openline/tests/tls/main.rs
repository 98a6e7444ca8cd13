//! `wss://`: who is trusted, which certificate is shown, how a line in TLS ends, and the reason when there is no TLS.
#![cfg(feature = "tls")]
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]
#![allow(clippy::unwrap_used)] // what a test expects, it may unwrap

#[path = "../support/certificates.rs"]
mod certificates;

mod lines;
mod names;
mod reasons;
mod server;
