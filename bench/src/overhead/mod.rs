//! What a message costs on its way to a browser, by WebSocket, by event stream and by long polling: bytes on the wire, and time.
//!
//! All three listen to one channel of `openline serve` at the same time, several clients each; one publishes by HTTP. Every client must
//! get every message, in order and once.

pub(crate) mod http;
mod listener;
pub(crate) mod publisher;

use std::{
    sync::{Arc, Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use self::listener::{Heard, listen};
use crate::{
    chart::{Bar, Panel},
    child::Running,
    machine::Machine,
    progress::Progress,
    servers,
    table::{markdown, thousands},
};

#[derive(Args)]
pub(crate) struct Options {
    /// Messages per second
    #[arg(long, default_value = "1,10,100", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1000))]
    rates: Vec<u32>,
    /// For how long, at each rate
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Clients of each kind
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    clients: u32,
    /// Bytes of each message
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(publisher::MIN_BYTES as i64..=60_000))]
    bytes: u32,
    /// The profile to build with; figures are worth something with `release` alone
    #[arg(long, default_value = "release")]
    profile: String,
    /// Write the figures to bench/results/, and docs/overhead.md
    #[arg(long)]
    pub(crate) write: bool,
}

/// How a client listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Door {
    WebSocket,
    EventStream,
    LongPoll,
}

impl Door {
    const ALL: [Self; 3] = [Self::WebSocket, Self::EventStream, Self::LongPoll];

    fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "WebSocket",
            Self::EventStream => "event stream",
            Self::LongPoll => "long polling",
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    clients: u32,
    seconds: u32,
    bytes: u32,
    rows: Vec<Row>,
}

/// All clients of one door at one rate.
#[derive(Serialize, Deserialize)]
struct Row {
    rate: u32,
    door: Door,
    messages: u64,
    /// Before the first message, of each client.
    opening_bytes: f64,
    down_bytes_per_message: f64,
    up_bytes_per_message: f64,
    requests_per_message: f64,
    p50_ms: f64,
    p99_ms: f64,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let server = servers::serve_alone(&options.profile)?;
    let machine = Machine::this(thread::available_parallelism().map_or(1, usize::from));
    let mut progress = Progress::new(options.rates.len());
    let mut rows = Vec::new();
    for &rate in &options.rates {
        progress.step(&format!("{rate} messages per second for {} s", options.seconds));
        let (_running, address) = Running::server(&server.command)?;
        let messages = rate * options.seconds;
        let start = Instant::now();
        let clients = Door::ALL.len() * options.clients as usize;
        let ready = Arc::new(Barrier::new(clients + 1));
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| -> Result<()> {
            for door in Door::ALL.into_iter().cycle().take(clients) {
                let (ready, tell) = (ready.clone(), tell.clone());
                scope.spawn(move || {
                    let heard = listen(door, address, messages, options.bytes as usize, start, &ready);
                    tell.send((door, heard)).ok();
                });
            }
            ready.wait();
            let gap = Duration::from_secs(1) / rate;
            publisher::publish(address, messages, gap, options.bytes as usize, start)
        })?;
        drop(tell);
        let mut all: Vec<(Door, Heard)> = Vec::new();
        for (door, heard) in told {
            all.push((door, heard.with_context(|| door.name())?));
        }
        for door in Door::ALL {
            rows.push(Row::of(rate, door, all.iter().filter(|(of, _)| *of == door).map(|(_, heard)| heard))?);
        }
    }
    Ok(Report { machine, clients: options.clients, seconds: options.seconds, bytes: options.bytes, rows })
}

impl Row {
    fn of<'a>(rate: u32, door: Door, heard: impl Iterator<Item = &'a Heard>) -> Result<Self> {
        let (mut clients, mut opening, mut down, mut up, mut requests) = (0_u32, 0, 0, 0, 0);
        let mut delays = Histogram::<u64>::new(3)?;
        for heard in heard {
            clients += 1;
            opening += heard.opening_bytes;
            down += heard.down_bytes;
            up += heard.up_bytes;
            requests += heard.requests;
            for delay in &heard.delays {
                delays.record(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX))?;
            }
        }
        let messages = delays.len();
        ensure!(clients > 0 && messages > 0, "nobody heard anything");
        let each = |sum: u64| sum as f64 / messages as f64;
        let milliseconds = |quantile| delays.value_at_quantile(quantile) as f64 / 1000.0;
        Ok(Self {
            rate,
            door,
            messages,
            opening_bytes: opening as f64 / f64::from(clients),
            down_bytes_per_message: each(down),
            up_bytes_per_message: each(up),
            requests_per_message: each(requests),
            p50_ms: milliseconds(0.5),
            p99_ms: milliseconds(0.99),
        })
    }
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let heads =
            ["messages per second", "by", "bytes down", "bytes up", "requests", "p50, ms", "p99, ms", "opening, bytes"];
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                [
                    row.rate.to_string(),
                    row.door.name().to_owned(),
                    thousands(row.down_bytes_per_message),
                    thousands(row.up_bytes_per_message),
                    format!("{:.2}", row.requests_per_message),
                    format!("{:.2}", row.p50_ms),
                    format!("{:.2}", row.p99_ms),
                    thousands(row.opening_bytes),
                ]
            })
            .collect();
        format!(
            "{}\n\nEach message has {} bytes; {} clients of each kind listen for {} s, all at the same time. Bytes, and requests, are for one \
             message to one client.\n\n{}",
            self.machine.line(),
            self.bytes,
            self.clients,
            self.seconds,
            markdown(2, heads, &rows)
        )
    }

    /// The page and its chart.
    pub(crate) fn page(&self) -> String {
        format!("{HEAD}\n![{CHART_SHOWS}](images/{CHART})\n\n{}", self.markdown())
    }

    pub(crate) fn panels(&self) -> Vec<Panel> {
        let mut rates: Vec<u32> = self.rows.iter().map(|row| row.rate).collect();
        rates.dedup();
        let panel = |title: String, rate: u32, value: fn(&Row) -> f64, text: fn(f64) -> String| Panel {
            title,
            bars: self
                .rows
                .iter()
                .filter(|row| row.rate == rate)
                .map(|row| Bar { name: row.door.name().into(), value: value(row), range: None })
                .collect(),
            mark: None,
            text,
        };
        let mut panels = Vec::new();
        for rate in rates {
            let bytes: fn(&Row) -> f64 = |row| row.down_bytes_per_message + row.up_bytes_per_message;
            panels.push(panel(format!("Bytes on the wire per message, {rate} per second"), rate, bytes, thousands));
            let title = format!("Milliseconds until half are there, {rate} per second");
            panels.push(panel(title, rate, |row| row.p50_ms, |value| format!("{value:.2}")));
        }
        panels
    }
}

pub(crate) const CHART: &str = "overhead.svg";
pub(crate) const CHART_SHOWS: &str =
    "Bytes on the wire and delivery latency of a message, by WebSocket, event stream and long polling";

const HEAD: &str = "\
# What HTTP adds to a message

Long polling carries the overhead of HTTP with every message, says the case for WebSockets. How much is that? All three doors of one
channel, at the same time, on one machine:

```sh
cargo run --release -p openline-bench -- overhead --write
```

writes this page. Bytes are those of HTTP and WebSocket, in both directions, as they would be with a browser: a request of long polling has the
header fields that Chromium sends with `fetch`. What TCP and TLS add is the same for each packet and not counted. Latency is from just
before the backend's POST is written until the message has been read, over loopback: what a network adds is added once for WebSocket and
event stream; with long polling a message that just misses an answer waits for another round trip.
";

fn ended(door: Door) -> anyhow::Error {
    anyhow!("the server ended the {}", door.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_for_one_message_to_one_client() {
        let heard = |down_bytes| Heard {
            opening_bytes: 300,
            down_bytes,
            up_bytes: 0,
            requests: 0,
            delays: vec![Duration::from_millis(1), Duration::from_millis(3)],
        };
        let row = Row::of(10, Door::WebSocket, [heard(204), heard(220)].iter()).unwrap();
        assert_eq!((row.messages, row.down_bytes_per_message, row.opening_bytes), (4, 106.0, 300.0));
        assert!((0.99..1.01).contains(&row.p50_ms) && (2.99..3.01).contains(&row.p99_ms));
        let report = Report { machine: Machine::this(2), clients: 2, seconds: 1, bytes: 100, rows: vec![row] };
        assert!(report.page().contains("| 10                  | WebSocket |        106 |"), "{}", report.page());
        assert_eq!(report.panels().len(), 2);
    }
}
