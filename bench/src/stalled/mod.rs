//! Readers that stop reading, beside thousands that go on: how late the others hear, and what the server holds.
//!
//! All of them listen to one channel of `openline serve` by WebSocket; one publishes by HTTP, at a steady rate. First everybody reads;
//! then some stop. Whoever reads must get every message, in order and once.

mod crowd;

use std::{
    ffi::OsString,
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use self::crowd::Crowd;
use crate::{
    child::Running,
    cores::Cores,
    machine::Machine,
    open_files,
    overhead::{
        http::Wire,
        publisher::{self, MIN_BYTES},
    },
    progress::Progress,
    servers,
    table::{markdown, thousands},
};

#[derive(Args)]
pub(crate) struct Options {
    /// Readers that go on reading
    #[arg(long, default_value_t = 9_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    readers: u32,
    /// Readers that stop
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    stalled: u32,
    /// Messages per second
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// For how long, before they stop and after
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Bytes of each message
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(MIN_BYTES as i64..=60_000))]
    bytes: u32,
    /// The profile to build with; figures are worth something with `release` alone
    #[arg(long, default_value = "release")]
    profile: String,
    #[command(flatten)]
    cores: Cores,
    /// Write the figures to bench/results/, and docs/stalled.md
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    readers: u32,
    stalled: u32,
    rate: u32,
    seconds: u32,
    bytes: u32,
    /// `limits.max_queued_bytes`, as the server says.
    limit_bytes: u64,
    phases: Vec<Phase>,
}

#[derive(Serialize, Deserialize)]
struct Phase {
    name: String,
    messages: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// The most of it in the phase.
    queued_bytes: u64,
    resident_bytes: u64,
    /// In the phase, readers that were given up.
    given_up: u64,
}

/// What `/metrics` says.
#[derive(Clone, Copy, Default)]
struct Sample {
    queued_bytes: u64,
    limit_bytes: u64,
    resident_bytes: u64,
    given_up: u64,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let mut command = servers::serve_alone(&options.profile)?.command;
    let admin = free_address()?;
    command.extend([OsString::from("--max-connections=1000000"), format!("--admin={admin}").into()]);
    let machine = Machine::this(options.cores.allowed()?.len());
    let everybody = options.readers + options.stalled;
    open_files::allow(everybody as usize)?;
    let mut progress = Progress::new(3);
    options.cores.pin_server(1)?;
    let (_running, address) = Running::server(&command)?;
    options.cores.pin_load()?;
    progress.step(&format!("{everybody} readers come"));
    let mut crowd = Crowd::open(address, options.readers, options.stalled, options.bytes as usize)?;
    let start = Instant::now();
    let mut phases = Vec::new();
    let mut limit_bytes = 0;
    for (number, name) in ["everybody reads", "some have stopped"].into_iter().enumerate() {
        progress.step(&format!("{name}, for {} s", options.seconds));
        if number == 1 {
            crowd.stall(address)?;
        }
        let first = number as u32 * options.rate * options.seconds;
        let (delays, sample) = run(&mut crowd, address, admin, first, start, options)?;
        limit_bytes = sample.limit_bytes;
        phases.push(Phase::of(name, &delays, sample));
    }
    let [before, after] = &phases[..] else { return Err(anyhow!("there are two phases")) };
    let report = format!("{:.1} ms before, {:.1} ms after", before.p99_ms, after.p99_ms);
    ensure!(after.p99_ms < 2.0 * before.p99_ms, "the others' p99 doubled: {report}");
    ensure!(after.queued_bytes <= limit_bytes, "{} bytes waited, and {limit_bytes} may", after.queued_bytes);
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    ensure!(grown <= limit_bytes, "the server grew by {grown} bytes, and {limit_bytes} may wait");
    let Options { readers, stalled, rate, seconds, bytes, .. } = *options;
    Ok(Report { machine, readers, stalled, rate, seconds, bytes, limit_bytes, phases })
}

/// Publishes and listens for one phase. What the server holds is looked at once a second; the most of it counts.
fn run(
    crowd: &mut Crowd,
    address: SocketAddr,
    admin: SocketAddr,
    first: u32,
    start: Instant,
    options: &Options,
) -> Result<(Histogram<u64>, Sample)> {
    let messages = options.rate * options.seconds;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let publishing = scope.spawn(|| {
            let gap = Duration::from_secs(1) / options.rate;
            let published = publish(address, first, messages, gap, options.bytes as usize, start);
            if published.is_err() {
                ended.store(true, Ordering::Relaxed);
            }
            published
        });
        let watching = scope.spawn(|| watch(admin, &ended));
        let heard = crowd.listen(first + messages, start, &ended);
        ended.store(true, Ordering::Relaxed);
        let ended = |_| anyhow!("a thread of the load panicked");
        publishing.join().map_err(ended)??;
        let sample = watching.join().map_err(ended)??;
        Ok((heard?, sample))
    })
}

/// As a backend does, each at its time.
fn publish(address: SocketAddr, first: u32, messages: u32, gap: Duration, bytes: usize, start: Instant) -> Result<()> {
    let mut wire = Wire::connect(address)?;
    let begin = Instant::now();
    for number in 0..messages {
        thread::sleep((begin + gap * number).saturating_duration_since(Instant::now()));
        let body = publisher::message(first + number, start.elapsed(), bytes);
        let request = format!(
            "POST {CHANNEL} HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {bytes}\r\n\r\n{body}"
        );
        wire.write(request.as_bytes())?;
        let head = wire.head()?;
        ensure!(head.status == 202, "a publication was answered with {}", head.status);
        wire.body(&head)?;
    }
    Ok(())
}

fn watch(admin: SocketAddr, ended: &AtomicBool) -> Result<Sample> {
    let before = Sample::of(admin)?;
    let mut most = Sample::default();
    loop {
        let sample = Sample::of(admin)?;
        most.limit_bytes = sample.limit_bytes;
        most.queued_bytes = most.queued_bytes.max(sample.queued_bytes);
        most.resident_bytes = most.resident_bytes.max(sample.resident_bytes);
        most.given_up = sample.given_up - before.given_up;
        if ended.load(Ordering::Relaxed) {
            return Ok(most);
        }
        thread::sleep(SAMPLE_EVERY);
    }
}

impl Sample {
    fn of(admin: SocketAddr) -> Result<Self> {
        let mut wire = Wire::connect(admin)?;
        wire.write(format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes())?;
        let head = wire.head()?;
        ensure!(head.status == 200, "/metrics was answered with {}", head.status);
        let text = String::from_utf8(wire.body(&head)?)?;
        let value = |name: &str| -> Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            Ok(line.with_context(|| format!("/metrics does not say {name}"))?.parse::<f64>()? as u64)
        };
        Ok(Self {
            queued_bytes: value("openline_outbox_bytes")?,
            limit_bytes: value("openline_outbox_limit_bytes")?,
            resident_bytes: value("process_resident_memory_bytes")?,
            given_up: value("openline_overflow_total{outcome=\"disconnected\"}")?,
        })
    }
}

/// One that is free now: nobody else takes ports of this machine in between, or the server says that it is taken.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

impl Phase {
    fn of(name: &str, delays: &Histogram<u64>, sample: Sample) -> Self {
        let milliseconds = |micros: u64| micros as f64 / 1000.0;
        let Sample { queued_bytes, resident_bytes, given_up, .. } = sample;
        Self {
            name: name.to_owned(),
            messages: delays.len(),
            p50_ms: milliseconds(delays.value_at_quantile(0.5)),
            p99_ms: milliseconds(delays.value_at_quantile(0.99)),
            max_ms: milliseconds(delays.max()),
            queued_bytes,
            resident_bytes,
            given_up,
        }
    }
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let mebibytes = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
        let heads = [
            "phase",
            "heard",
            "p50, ms",
            "p99, ms",
            "longest, ms",
            "waiting, MiB",
            "resident, MiB",
            "readers given up",
        ];
        let rows: Vec<_> = self
            .phases
            .iter()
            .map(|phase| {
                [
                    phase.name.clone(),
                    thousands(phase.messages as f64),
                    format!("{:.1}", phase.p50_ms),
                    format!("{:.1}", phase.p99_ms),
                    format!("{:.1}", phase.max_ms),
                    mebibytes(phase.queued_bytes),
                    mebibytes(phase.resident_bytes),
                    thousands(phase.given_up as f64),
                ]
            })
            .collect();
        format!(
            "{}\n\n{} readers go on and {} stop; {} messages of {} bytes per second, {} s in each phase. Latency is that of those who go on. At most {} \
             MiB may wait (`limits.max_queued_bytes`); what waits counts for each reader, though the publications are shared.\n\n{}",
            self.machine.line(),
            thousands(f64::from(self.readers)),
            thousands(f64::from(self.stalled)),
            self.rate,
            thousands(f64::from(self.bytes)),
            self.seconds,
            mebibytes(self.limit_bytes),
            markdown(1, heads, &rows)
        )
    }

    pub(crate) fn page(&self) -> String {
        format!("{HEAD}\n{}", self.markdown())
    }
}

const HEAD: &str = "\
# Readers that stop reading

A laptop is closed, a phone goes into a tunnel: some readers of a channel always stop reading without saying so. What that costs the
others:

```sh
cargo run --release -p openline-bench -- stalled --write
```

writes this page, and fails if the p99 of those who go on doubles, or if more waits than may. One thread serves everybody; the publisher
sends a POST for each message, and latency is from just before it until the message has been read. The readers that stop come
with the smallest socket buffers that there may be, so that what waits for them waits in the server, and not in the systems of both
ends, which would take megabytes for each.
";

pub(crate) const CHANNEL: &str = "/c/stalled";

const SAMPLE_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_is_a_row() {
        let mut delays = Histogram::new(3).unwrap();
        (1..=100).for_each(|micros| delays.record(micros * 1000).unwrap());
        let sample = Sample { queued_bytes: 1 << 20, limit_bytes: 1 << 28, resident_bytes: 3 << 20, given_up: 7 };
        let phases = vec![Phase::of("everybody reads", &delays, sample)];
        let report = Report {
            machine: Machine::this(2),
            readers: 9,
            stalled: 1,
            rate: 5,
            seconds: 2,
            bytes: 100,
            limit_bytes: 1 << 28,
            phases,
        };
        let row = report.page().lines().last().unwrap().replace(' ', "");
        assert_eq!(row, "|everybodyreads|100|50.0|99.0|100.0|1.0|3.0|7|");
    }
}
