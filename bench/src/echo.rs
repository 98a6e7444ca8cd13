//! The echo comparison: servers take turns under the same load, and what counts is messages per second of their CPU time.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    cell::{self, Cell},
    child::Running,
    comparison::{Comparison, Run},
    cores::Cores,
    load,
    machine::Machine,
    open_files,
    progress::Progress,
    servers::{self, Server},
};

#[derive(Args)]
pub(crate) struct Options {
    /// How often every server meets every cell
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long each run is measured, after half a second of warming up and 0.3 ms for each connection
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// What to measure: CONNECTIONSxBYTESxDEPTH,...; with -ascii or -mixed, text, with -deflate compressed JSON, with -wss over TLS. "all" is the whole matrix
    #[arg(long, value_delimiter = ',', default_value = "100x20x1,100x20x16,100x1024x1,100x1024x16", value_parser = cells)]
    pub(crate) cells: Vec<Vec<Cell>>,
    #[command(flatten)]
    pub(crate) servers: servers::Options,
    #[command(flatten)]
    pub(crate) cores: Cores,
    /// Write the figures to bench/results/ and docs/performance.md
    #[arg(long)]
    pub(crate) write: bool,
}

/// A server pings a silent client after 20 s by default; the load does not answer pings, so it must be done before.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|seconds| (0.05..=15.0).contains(seconds)).ok_or_else(|| "from 0.05 to 15".into())
}

/// One cell, or all of them.
pub(crate) fn cells(text: &str) -> Result<Vec<Cell>, String> {
    if text == "all" { Ok(cell::matrix()) } else { text.parse().map(|cell| vec![cell]) }
}

pub(crate) fn measure(options: &Options) -> Result<Comparison> {
    let servers = options.servers.echo_servers()?;
    let cells = options.cells.concat();
    let machine = Machine::this(options.cores.allowed()?.len());
    open_files::allow(cells.iter().map(|cell| cell.connections).max().unwrap_or(0))?;
    let able = cells.iter().map(|cell| servers.iter().filter(|server| server.over(cell.over).is_some()).count());
    let mut progress = Progress::new(options.rounds as usize * able.sum::<usize>());
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for &cell in &cells {
            for turn in 0..servers.len() {
                // Who comes first changes from round to round.
                let server = &servers[(round as usize + turn) % servers.len()];
                let Some(server) = server.over(cell.over) else { continue };
                progress.step(&format!("round {}, {cell}, {}", round + 1, server.name));
                match run(&server, round, cell, options.seconds, &options.cores) {
                    Ok(run) => runs.push(run),
                    // A peer that cannot do something is worth a line, and not the hours before it.
                    Err(error) => failures.push(format!("{} at {cell}: {error:#}", server.name)),
                }
            }
        }
    }
    Ok(Comparison {
        machine,
        rounds: options.rounds,
        seconds: options.seconds,
        cells,
        servers: servers.into_iter().map(|server| server.name).collect(),
        runs,
        failures,
    })
}

/// Starts the server anew, so that where its code and heap happened to land is part of what varies between rounds.
fn run(server: &Server, round: u32, cell: Cell, seconds: f64, cores: &Cores) -> Result<Run> {
    cores.pin_server(server.threads)?;
    let (running, address) = Running::server(&server.command)?;
    cores.pin_load()?;
    under_load(running, address, server, round, cell, seconds)
}

/// Loads a server that listens, and ends it.
pub(crate) fn under_load(
    running: Running,
    address: SocketAddr,
    server: &Server,
    round: u32,
    cell: Cell,
    seconds: f64,
) -> Result<Run> {
    let times = [warm_up(cell.connections), Duration::from_secs_f64(seconds)];
    let measured = load::run(running, address, server, cell, times).context("under load")?;
    let latency = |share| measured.latency_us.value_at_quantile(share);
    Ok(Run {
        round,
        cell,
        server: server.name.clone(),
        messages: measured.messages,
        reply_bytes: measured.reply_bytes,
        wall_seconds: measured.wall.as_secs_f64(),
        server_cpu_seconds: measured.server_cpu.as_secs_f64(),
        load_cpu_seconds: measured.load_cpu.as_secs_f64(),
        p50_us: latency(0.5),
        p99_us: latency(0.99),
        p999_us: latency(0.999),
    })
}

/// Long enough for buffers to grow to their size and for the clock speed to settle; and where thousands begin at the same moment, for
/// that to be over: until then a server holds a piece of a message from each of them.
fn warm_up(connections: usize) -> Duration {
    Duration::from_micros(500_000 + 300 * connections as u64)
}
