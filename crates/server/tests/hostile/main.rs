//! Hostile peers against the real program: what each of them gets, what it may cost, and that nobody else notices.
//!
//! The outcomes are promised in `docs/hostile-peers.md`; here they are held. Peers are raw TCP and literal bytes, and
//! know nothing of our client. Bounds of memory are growth over an idle server, each with its reason; bounds of time
//! are ten times and more of what is seen, because a machine may be busy.

#![cfg(target_os = "linux")] // memory and open files are read from /proc
#![allow(clippy::unwrap_used)] // these are tests, though clippy sees no `#[test]` on their helpers

mod bytes;
mod peer;
mod server;
mod witness;

mod broadcast;
mod churn;
mod closing;
mod deaf;
mod declared;
mod floods;
mod gone;
mod nested;
mod readers;
mod requests;
mod silence;
mod slow;
