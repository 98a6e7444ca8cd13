//! Everybody comes back at once, as after a restart of what is in between: each is given exactly what it missed, out of the one
//! history that there is, and nobody waits for ever.
//!
//! `OPENLINE_STORM_CLIENTS=10000` is the long form (`./check storm`).
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use openline::{Client, Message};
use tokio::sync::{Barrier, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::support::{Program, Raw};

const MISSED: usize = 100;

/// 100 of them for 10,000 clients would be a gigabyte, if each had its own.
const BYTES: usize = 1 << 10;

/// Handshakes that are under way at the same time; whoever comes then queues behind them.
const AT_ONCE: usize = 512;

/// What the server may take more for each client, with what its allocator keeps: a fraction of what each of them missed.
const MAX_BYTES_EACH: usize = 32 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them_are_given_what_they_missed() {
    let clients: usize = std::env::var("OPENLINE_STORM_CLIENTS").map_or(1_000, |count| count.parse().unwrap());
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    assert!(files > clients as u64 + 200, "{files} open files are allowed: raise `ulimit -Hn`");
    let most = (clients + 100).to_string();
    let (server, address) = Program::serve(&["--admin", "off", "--max-connections", &most]).await;
    let mut raw = Raw::connect(address).await;
    let mut before = String::new();
    for number in 0..=MISSED {
        let body = format!("{number:<BYTES$}");
        raw.send(post(&body)).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 202);
        if number == 0 {
            before = answer.header("openline-position").unwrap().to_owned();
        }
    }
    let url: Arc<str> = format!("ws://{address}/c/storm?after={before}").into();
    let (slots, everybody) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Barrier::new(clients + 1)));
    let memory = resident_bytes(&server);
    let began = Instant::now();
    let mut storm = JoinSet::new();
    for _ in 0..clients {
        let (url, slots, everybody) = (url.clone(), slots.clone(), everybody.clone());
        storm.spawn(async move {
            let slot = slots.acquire_owned().await.unwrap();
            let client = Client::new().timeout(Duration::from_secs(300)).deflate(None);
            let (mut socket, _) = client.connect(&url).await.unwrap();
            drop(slot);
            for expected in 1..=MISSED {
                let message = socket.recv().await.unwrap().expect("what was missed");
                let Message::Text(text) = &message else { panic!("{message:?}") };
                assert_eq!(text.trim().parse(), Ok(expected));
            }
            // Who does not read answers no ping; and nothing comes until all of them are there.
            tokio::select! {
                biased;
                _ = everybody.wait() => {}
                early = socket.recv() => panic!("{early:?}"),
            }
            let message = socket.recv().await.unwrap().expect("what is new");
            assert_eq!(message.as_text(), Some("new"));
        });
    }
    // Generous: ten minutes would mean that somebody waits for ever.
    let deadline = Instant::now() + Duration::from_secs(600);
    tokio::select! {
        there = timeout_at(deadline, everybody.wait()) => drop(there.expect("everybody is served")),
        Some(ended) = storm.join_next() => panic!("one of them ended: {ended:?}"),
    }
    let (took, grown) = (began.elapsed(), resident_bytes(&server).saturating_sub(memory));
    println!(
        "{clients} clients recovered {MISSED} messages each in {took:?}; the server's memory grew by {} KiB each",
        (grown >> 10) / clients
    );
    assert!(grown < (16 << 20) + clients * MAX_BYTES_EACH, "{grown} bytes");
    let mut raw = Raw::connect(address).await;
    raw.send(post("new")).await;
    assert_eq!(raw.answer().await.status, 202);
    while let Some(heard) = timeout_at(deadline, storm.join_next()).await.expect("everybody hears what is new") {
        heard.unwrap();
    }
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /c/storm HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn resident_bytes(server: &Program) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() << 10
}
