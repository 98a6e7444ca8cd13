//! Nothing is lost in silence: numbered messages through connections that are cut, reset, delayed and stalled, at every door.
//!
//! ```text
//! publisher ─▶ faults ─▶ server ─▶ faults ─▶ clients (WebSocket, event stream, long poll)
//! ```
//!
//! The n-th publication of the channel is the number n, however often its publisher had to try. Each client holds what it gets
//! against the sequence: the next number, or a gap that was announced before; anything else fails the test. The short form
//! is a test like any other. The long one:
//!
//! ```sh
//! OPENLINE_LOSS_MESSAGES=1000000 cargo test --release -p openline-server --test loss -- --nocapture
//! ```
//!
//! The seed that it prints decides what happens to each connection; `OPENLINE_LOSS_SEED` gives it again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod clients;
mod faults;
mod publisher;
mod random;
mod report;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use openline_server::Config;
use openline_server::hub::{HistoryLimits, Limits, Namespaces, Settings};
use tokio::time::timeout;

use crate::faults::Faults;
use crate::report::Report;

/// Of each kind.
const CLIENTS: usize = 4;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}: {value:?}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_received_is_the_sequence_or_a_gap_was_told() {
    let messages: u64 = setting("OPENLINE_LOSS_MESSAGES", 3_000);
    let seed: u64 = setting("OPENLINE_LOSS_SEED", std::process::id().into());
    println!("OPENLINE_LOSS_SEED={seed} OPENLINE_LOSS_MESSAGES={messages}");
    // Enough of the past for most who come back, and not for all of them.
    let history = HistoryLimits { count: 60, bytes: 1 << 20, age: Duration::from_secs(300) };
    let namespaces = Namespaces::new(Settings { history, ..Settings::default() });
    let channels = Limits { max_outbox_bytes: 256 << 10, ..Limits::default() };
    let server = support::start(Config { namespaces, channels, ..Config::default() }).await;
    let report = Arc::new(Report::default());
    let faults = Faults::start(server.address, seed, report.clone()).await;
    let began = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(tokio::spawn(clients::websocket(faults.address, messages, report.clone())));
        clients.push(tokio::spawn(clients::events(faults.address, messages, report.clone())));
        clients.push(tokio::spawn(clients::poll(faults.address, messages, report.clone())));
    }
    publisher::publish(faults.address, messages, &report).await;
    println!("published after {:.1?}", began.elapsed());
    for client in clients {
        // The last thing published is there for whoever comes back.
        timeout(Duration::from_secs(60), client).await.expect("a client hears the end").unwrap();
    }
    println!("{report}");
    println!("all heard after {:.1?}", began.elapsed());
    report.check(messages);
}
