//! How many connections a server opens in a second of its CPU time: TCP and the opening handshake.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use clap::Args;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use crate::{
    child::Running,
    cores::Cores,
    cpu::CpuClock,
    machine::Machine,
    open_files, opening,
    progress::Progress,
    servers::{self, Server},
    spread::Spread,
    table::{markdown, thousands},
};

#[derive(Args)]
pub(crate) struct Options {
    /// How often every server is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Connections that are opened, and stay open, in each run
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    #[command(flatten)]
    pub(crate) servers: servers::Options,
    #[command(flatten)]
    pub(crate) cores: Cores,
    /// Write the figures to bench/results/ and docs/performance.md
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    rounds: u32,
    connections: u32,
    pub(crate) servers: Vec<String>,
    runs: Vec<Run>,
    failures: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Run {
    server: String,
    per_second: f64,
    per_cpu_second: f64,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let servers = options.servers.websocket_servers()?;
    let machine = Machine::this(options.cores.allowed()?.len());
    open_files::allow(options.connections as usize)?;
    let mut progress = Progress::new(options.rounds as usize * servers.len());
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for turn in 0..servers.len() {
            let server = &servers[(round as usize + turn) % servers.len()];
            progress.step(&format!("round {}, {} connections to {}", round + 1, options.connections, server.name));
            match run(server, options) {
                Ok(run) => runs.push(run),
                Err(error) => failures.push(format!("{}: {error:#}", server.name)),
            }
        }
    }
    let servers = servers.into_iter().map(|server| server.name).collect();
    Ok(Report { machine, rounds: options.rounds, connections: options.connections, servers, runs, failures })
}

fn run(server: &Server, options: &Options) -> Result<Run> {
    options.cores.pin_server(1)?;
    let (running, address) = Running::server(&server.command)?;
    options.cores.pin_load()?;
    // What is there once comes with the first.
    let first = open(address, server, 0)?;
    let clock = CpuClock::of(running.pid())?;
    let (started, before) = (Instant::now(), clock.read()?);
    let streams = open_all(address, server, options.connections)?;
    let (wall, cpu) = (started.elapsed(), clock.read()? - before);
    // Before the connections, or this side would keep their ports for a minute (TIME-WAIT).
    drop(running);
    drop((first, streams));
    let rate = |time: Duration| f64::from(options.connections) / time.as_secs_f64();
    Ok(Run { server: server.name.clone(), per_second: rate(wall), per_cpu_second: rate(cpu) })
}

/// As many at once as there are threads: each opens one after the other.
fn open_all(address: SocketAddr, server: &Server, connections: u32) -> Result<Vec<TcpStream>> {
    let next = AtomicU32::new(1);
    thread::scope(|scope| {
        let open_some = || {
            let mut streams = Vec::new();
            loop {
                let id = next.fetch_add(1, Ordering::Relaxed);
                if id > connections {
                    return Ok(streams);
                }
                streams.push(open(address, server, id)?);
            }
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(open_some)).collect();
        let mut streams = Vec::new();
        for thread in threads {
            let opened: Result<Vec<TcpStream>> = thread.join().map_err(|_| anyhow!("a thread of the load panicked"))?;
            streams.extend(opened?);
        }
        Ok(streams)
    })
}

/// One address has 28,000 ports to connect from; 127.0.0.0/8 has addresses to spare.
pub(crate) fn open(address: SocketAddr, server: &Server, id: u32) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.ip() == Ipv4Addr::LOCALHOST {
        let source = Ipv4Addr::LOCALHOST.to_bits() + id / CONNECTIONS_PER_ADDRESS;
        socket.bind(&SocketAddr::from((Ipv4Addr::from_bits(source), 0)).into())?;
    }
    socket.connect(&address.into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    opening::open(&mut stream, address, server.path, false).with_context(|| format!("connection {id}"))?;
    Ok(stream)
}

impl Report {
    pub(crate) fn per_cpu_second(&self, server: &str) -> Option<Spread> {
        Spread::of(self.runs.iter().filter(|run| run.server == server).map(|run| run.per_cpu_second))
    }

    pub(crate) fn markdown(&self) -> String {
        let rows: Vec<_> = self
            .servers
            .iter()
            .map(|server| {
                let runs = || self.runs.iter().filter(|run| run.server == *server);
                let cpu = self.per_cpu_second(server);
                let wall = Spread::of(runs().map(|run| run.per_second));
                let range = |spread: Spread| format!("{}-{}", thousands(spread.lower), thousands(spread.upper));
                [
                    server.clone(),
                    cpu.map_or_else(String::new, |cpu| thousands(cpu.median)),
                    cpu.map_or_else(String::new, range),
                    wall.map_or_else(String::new, |wall| thousands(wall.median)),
                ]
            })
            .collect();
        let failures: String = self.failures.iter().map(|failure| format!("\nFailed: {failure}\n")).collect();
        format!(
            "## Connections\n\n{}\n\n{} interleaved rounds of {} connections, {THREADS} at a time: TCP and the opening handshake; \
             median and interquartile range.\n\n{}{failures}",
            self.machine.line(),
            self.rounds,
            thousands(f64::from(self.connections)),
            markdown(1, ["server", "opened/CPU-s", "IQR", "opened/s"], &rows),
        )
    }
}

/// Enough that the server always has one to accept.
const THREADS: usize = 32;

/// Well below the ephemeral ports of one address, some of which others use.
const CONNECTIONS_PER_ADDRESS: u32 = 10_000;

/// An opening takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);
