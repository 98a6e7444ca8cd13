//! RFC 6455, clause by clause: each module is a part of it, and each test one thing that it says.
//!
//! A test plays the peer, with literal bytes:
//!
//! ```text
//! peer.sends(b"\x89\x81\0\0\0\0x");     // a client's Ping "x", masking key 0
//! peer.expects(b"\x8a\x01x");           // §5.5.3: a Pong with identical data
//! ```
//!
//! What is expected of a client is written without its masks, which nobody can predict (§5.3).

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "../support/heard.rs"]
mod heard;
#[path = "../support/link.rs"]
mod link;
#[path = "../support/pair.rs"]
mod pair;
#[path = "../support/peer.rs"]
mod peer;
#[path = "../support/wire.rs"]
mod wire;

mod closing;
mod control;
mod fragmentation;
mod framing;
mod limits;
mod lines;
mod output;
mod races;
mod streaming;
mod timing;
mod utf8;
