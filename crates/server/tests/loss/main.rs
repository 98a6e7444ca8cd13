//! Nothing is lost in silence: numbered messages through connections that are cut, reset, delayed and stalled, at every door.
//!
//! ```text
//! publisher ─▶ faults ─▶ server ─▶ faults ─▶ clients (WebSocket, event stream, long poll)
//! ```
//!
//! The n-th publication of a channel is the number n, however often its publisher had to try. Each client holds what it gets
//! against the sequence: the next number, or a gap that was announced before; anything else fails the test. The short form
//! is a test like any other. The long one:
//!
//! ```sh
//! OPENLINE_LOSS_MESSAGES=1000000 OPENLINE_LOSS_CHANNELS=16 cargo test --release -p openline-server --test loss -- --nocapture
//! ```
//!
//! It has sixteen channels (`OPENLINE_LOSS_CHANNELS`), each with a publisher and clients of its own, as one waits for its faults most of
//! the time. The seed that it prints decides what happens to each connection; `OPENLINE_LOSS_SEED` gives it again.

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
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clients::Source;
use crate::faults::Faults;
use crate::report::Report;

/// Of each kind, of each channel.
const CLIENTS: usize = 4;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name}: {value:?}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_received_is_the_sequence_or_a_gap_was_told() {
    let messages: u64 = setting("OPENLINE_LOSS_MESSAGES", 3_000);
    let seed: u64 = setting("OPENLINE_LOSS_SEED", std::process::id().into());
    let channels: u64 = setting("OPENLINE_LOSS_CHANNELS", 1);
    println!("OPENLINE_LOSS_SEED={seed} OPENLINE_LOSS_MESSAGES={messages} OPENLINE_LOSS_CHANNELS={channels}");
    assert_eq!(messages % channels, 0, "each channel has as many");
    let each = messages / channels;
    // Enough of the past for most who come back, and not for all of them.
    let history = HistoryLimits { count: 60, bytes: 1 << 20, age: Duration::from_secs(300) };
    let namespaces = Namespaces::new(Settings { history, ..Settings::default() });
    let limits = Limits { max_outbox_bytes: 256 << 10, ..Limits::default() };
    let server = support::start(Config { namespaces, channels: limits, ..Config::default() }).await;
    let report = Arc::new(Report::default());
    let began = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..channels {
        let faults = Faults::start(server.address, seed.wrapping_add(number), report.clone()).await;
        running.spawn(one_channel(format!("/c/numbers-{number}"), faults, each, report.clone()));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    println!("{report}");
    println!("all heard after {:.1?}", began.elapsed());
    report.check(messages);
}

/// A publisher and its clients, to the end.
async fn one_channel(path: String, faults: Faults, messages: u64, report: Arc<Report>) {
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let source = || Source { address: faults.address, path: path.clone(), messages };
        clients.spawn(clients::websocket(source(), report.clone()));
        clients.spawn(clients::events(source(), report.clone()));
        clients.spawn(clients::poll(source(), report.clone()));
    }
    tokio::select! {
        () = publisher::publish(faults.address, &path, messages, &report) => {}
        Some(Err(lost)) = clients.join_next() => panic!("{lost}"),
    }
    // The last thing published is there for whoever comes back.
    let all = async {
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
    };
    timeout(Duration::from_secs(60), all).await.expect("the clients hear the end");
}
