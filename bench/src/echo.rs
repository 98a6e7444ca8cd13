//! The echo comparison: servers take turns under the same load, and what counts is messages per second of their CPU time.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{
    cargo,
    cell::Cell,
    child::Running,
    comparison::{Comparison, Run},
    cpu,
    load::{self, Protocol},
    machine::Machine,
    open_files,
    progress::Progress,
};

#[derive(Args)]
pub(crate) struct Options {
    /// How often every server meets every cell
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each run is measured, after half a second of warming up
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// What to measure: CONNECTIONSxBYTESxDEPTH,...
    #[arg(long, value_delimiter = ',', default_value = "100x20x1,100x20x16,100x1024x1,100x1024x16")]
    cells: Vec<Cell>,
    /// A WebSocket echo server, run as `PATH ADDR --threads 1`; may be repeated [default: the library's echo example]
    #[arg(long, value_name = "PATH")]
    server: Vec<PathBuf>,
    /// The raw TCP echo server that the others are compared with [default: this package's]
    #[arg(long, value_name = "PATH")]
    raw: Option<PathBuf>,
    /// The core of the servers and the core of the load [default: the first two]
    #[arg(long, num_args = 2, value_names = ["SERVER", "LOAD"])]
    cores: Vec<usize>,
    /// Write the figures to bench/results/
    #[arg(long)]
    pub(crate) write: bool,
}

/// A server pings a silent client after 20 s by default; the load does not answer pings, so it must be done before.
fn seconds(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|seconds| (0.05..=15.0).contains(seconds)).ok_or_else(|| "from 0.05 to 15".into())
}

pub(crate) fn measure(options: &Options) -> Result<Comparison> {
    let raw = options.raw.clone().map_or_else(|| cargo::build(&["-p", "openline-bench", "--bin", "raw_echo"]), Ok)?;
    let mut paths = options.server.clone();
    if paths.is_empty() {
        paths.push(cargo::build(&["-p", "openline", "--example", "echo_server"])?);
    }
    let mut servers = vec![Server { name: "raw".into(), path: raw, protocol: Protocol::Raw }];
    for path in paths {
        let name = name(&path, servers.iter().map(|server| server.name.as_str()));
        servers.push(Server { name, path, protocol: Protocol::WebSocket });
    }

    let allowed = cpu::cores()?;
    let machine = Machine::this(allowed.len());
    let [server_core, load_core] = if options.cores.is_empty() { &allowed } else { &options.cores }
        .get(..2)
        .and_then(|cores| <[usize; 2]>::try_from(cores).ok())
        .context("the server and the load need a core each")?;
    ensure!(server_core != load_core, "the server and the load need a core each");

    open_files::allow(options.cells.iter().map(|cell| cell.connections).max().unwrap_or(0))?;
    let mut progress = Progress::new(options.rounds as usize * options.cells.len() * servers.len());
    let mut runs = Vec::new();
    for round in 0..options.rounds {
        for &cell in &options.cells {
            for turn in 0..servers.len() {
                // Who comes first changes from round to round.
                let server = &servers[(round as usize + turn) % servers.len()];
                progress.step(&format!("round {}, {cell}, {}", round + 1, server.name));
                let run = server
                    .run(round, cell, options.seconds, [server_core, load_core])
                    .with_context(|| format!("{} at {cell}", server.name))?;
                runs.push(run);
            }
        }
    }
    Ok(Comparison {
        machine,
        rounds: options.rounds,
        seconds: options.seconds,
        cells: options.cells.clone(),
        servers: servers.into_iter().map(|server| server.name).collect(),
        runs,
    })
}

struct Server {
    name: String,
    path: PathBuf,
    protocol: Protocol,
}

impl Server {
    /// Starts the server anew, so that where its code and heap happened to land is part of what varies between rounds.
    fn run(&self, round: u32, cell: Cell, seconds: f64, [server_core, load_core]: [usize; 2]) -> Result<Run> {
        cpu::pin(server_core)?;
        let (server, address) = Running::server(&self.path)?;
        cpu::pin(load_core)?;
        let times = [WARM_UP, Duration::from_secs_f64(seconds)];
        let measured = load::run(server, address, self.protocol, cell, times)?;
        Ok(Run {
            round,
            cell,
            server: self.name.clone(),
            messages: measured.messages,
            wall_seconds: measured.wall.as_secs_f64(),
            server_cpu_seconds: measured.server_cpu.as_secs_f64(),
            load_cpu_seconds: measured.load_cpu.as_secs_f64(),
            p50_us: measured.latency_us.value_at_quantile(0.5),
            p99_us: measured.latency_us.value_at_quantile(0.99),
        })
    }
}

/// The name of the file, numbered if another server has it: two builds of one program are often compared.
fn name<'a>(path: &Path, taken: impl Iterator<Item = &'a str>) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    match taken.filter(|name| name.split('#').next() == Some(&stem)).count() {
        0 => stem,
        others => format!("{stem}#{}", others + 1),
    }
}

/// Long enough for buffers to grow to their size and for the clock speed to settle.
const WARM_UP: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_of_one_server_are_told_apart() {
        let mut names = vec!["raw".to_owned()];
        for path in ["old/echo_server", "new/echo_server", "newer/echo_server", "echo"] {
            names.push(name(Path::new(path), names.iter().map(String::as_str)));
        }
        assert_eq!(names, ["raw", "echo_server", "echo_server#2", "echo_server#3", "echo"]);
    }
}
