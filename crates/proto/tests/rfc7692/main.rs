//! RFC 7692, permessage-deflate, clause by clause: each module is a part of it, and each test one thing that it says.
//!
//! As for RFC 6455, a test plays the peer, with literal bytes.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "../support/heard.rs"]
mod heard;
#[allow(dead_code, reason = "most of it is for RFC 6455")]
#[path = "../support/peer.rs"]
mod peer;
#[allow(dead_code, reason = "most of it is for RFC 6455")]
#[path = "../support/wire.rs"]
mod wire;

mod deflated;

mod limits;
mod negotiation;
mod receiving;
mod sending;
mod shared;
mod takeover;
