//! One publishes, thousands receive: deliveries per second of server CPU time.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use serde::{Deserialize, Serialize};

use crate::{
    cell::{Cell, Kind, Over},
    child::Running,
    connect,
    cores::Cores,
    cpu::CpuClock,
    load::Protocol,
    machine::Machine,
    open_files,
    progress::Progress,
    servers::{self, Server},
    spread::Spread,
    table::{markdown, thousands},
    wire::{self, Wire},
};

#[derive(Args)]
pub(crate) struct Options {
    /// How often every server is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long each run is measured, after half a second of warming up
    #[arg(long, default_value_t = 3.0, value_parser = crate::echo::seconds)]
    pub(crate) seconds: f64,
    /// How many receive
    #[arg(long, default_value_t = 5_000)]
    pub(crate) receivers: usize,
    /// Bytes of each message
    #[arg(long, default_value_t = 100)]
    pub(crate) bytes: usize,
    /// Messages that are on their way to everyone at the same time
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    pub(crate) in_flight: Vec<usize>,
    /// A server on which everyone hears everyone else, run as `PATH ADDR --threads 1`; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) chat: Vec<PathBuf>,
    /// Only servers with these names, as the table shows them
    #[arg(long, value_name = "NAME", value_delimiter = ';')]
    pub(crate) only: Vec<String>,
    /// The profile to build with
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
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
    seconds: f64,
    receivers: usize,
    bytes: usize,
    pub(crate) in_flight: Vec<usize>,
    pub(crate) servers: Vec<String>,
    runs: Vec<Run>,
    failures: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Run {
    server: String,
    in_flight: usize,
    deliveries: u64,
    wall_seconds: f64,
    server_cpu_seconds: f64,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let building = servers::Options {
        peers: false,
        uws: None,
        server: options.chat.clone(),
        raw: None,
        only: Vec::new(),
        profile: options.profile.clone(),
    };
    let mut servers = vec![
        Server::raw("raw", &building.cargo().own("raw_fan_out")?),
        building.serve("openline /chat", "/chat")?,
        building.serve("openline channel", CHANNEL)?,
        building.serve(POSTED, CHANNEL)?,
    ];
    if !options.chat.is_empty() {
        servers.extend(building.websocket_servers()?);
    }
    if !options.only.is_empty() {
        servers.retain(|server| options.only.contains(&server.name));
    }
    let machine = Machine::this(options.cores.allowed()?.len());
    open_files::allow(options.receivers + 1)?;
    let mut progress = Progress::new(options.rounds as usize * options.in_flight.len() * servers.len());
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for &in_flight in &options.in_flight {
            for turn in 0..servers.len() {
                let server = &servers[(round as usize + turn) % servers.len()];
                progress.step(&format!("round {}, fan-out, {in_flight} at a time, {}", round + 1, server.name));
                match run(server, in_flight, options) {
                    Ok(run) => runs.push(run),
                    Err(error) => failures.push(format!("{}, {in_flight} at a time: {error:#}", server.name)),
                }
            }
        }
    }
    Ok(Report {
        machine,
        rounds: options.rounds,
        seconds: options.seconds,
        receivers: options.receivers,
        bytes: options.bytes,
        in_flight: options.in_flight.clone(),
        servers: servers.into_iter().map(|server| server.name).collect(),
        runs,
        failures,
    })
}

fn run(server: &Server, in_flight: usize, options: &Options) -> Result<Run> {
    options.cores.pin_server(1)?;
    let (running, address) = Running::server(&server.command)?;
    options.cores.pin_load()?;
    let clock = CpuClock::of(running.pid())?;
    let mut room = Room::new(address, server, in_flight, options)?;
    room.run_for(WARM_UP)?;
    let before = room.deliveries;
    let (started, cpu_before) = (Instant::now(), clock.read()?);
    room.run_for(Duration::from_secs_f64(options.seconds))?;
    let (wall, cpu) = (started.elapsed(), clock.read()? - cpu_before);
    ensure!(room.deliveries > before, "nothing was delivered");
    drop(running);
    Ok(Run {
        server: server.name.clone(),
        in_flight,
        deliveries: room.deliveries - before,
        wall_seconds: wall.as_secs_f64(),
        server_cpu_seconds: cpu.as_secs_f64(),
    })
}

/// The publisher, and those who receive.
struct Room {
    poll: Poll,
    events: Events,
    publisher: TcpStream,
    receivers: Vec<Receiver>,
    wire: Wire,
    batch: Vec<u8>,
    unsent: Vec<u8>,
    input: Vec<u8>,
    /// Of the next message.
    next: u64,
    in_flight: usize,
    /// For each message on its way, from the oldest: how many do not have it.
    owed: std::collections::VecDeque<usize>,
    deliveries: u64,
}

struct Receiver {
    stream: TcpStream,
    next: u64,
    progress: wire::Progress,
}

impl Room {
    fn new(address: SocketAddr, server: &Server, in_flight: usize, options: &Options) -> Result<Room> {
        let cell =
            Cell { connections: 1, payload_bytes: options.bytes, in_flight, kind: Kind::Binary, over: Over::default() };
        let is_posted = server.name == POSTED;
        let wire = match server.protocol {
            Protocol::Raw => Wire::raw(cell),
            Protocol::WebSocket if is_posted => Wire::posted(cell, &post_head(address, options.bytes)),
            Protocol::WebSocket => Wire::websocket(cell),
        };
        let poll = Poll::new()?;
        let connect = |id: usize, is_posted: bool| -> Result<TcpStream> {
            let stream = match is_posted || server.protocol == Protocol::Raw {
                true => std::net::TcpStream::connect(address)?,
                false => connect::open(address, server, id as u32)?,
            };
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)?;
            Ok(stream)
        };
        let receivers = (0..options.receivers)
            .map(|id| Ok(Receiver { stream: connect(id, false)?, next: 0, progress: wire::Progress::default() }))
            .collect::<Result<Vec<_>>>()?;
        let publisher = connect(options.receivers, is_posted)?;
        Ok(Room {
            events: Events::with_capacity(1024),
            publisher,
            receivers,
            batch: wire.batch(in_flight),
            wire,
            unsent: Vec::new(),
            input: vec![0; 64 << 10],
            next: 0,
            in_flight,
            owed: Default::default(),
            deliveries: 0,
            poll,
        })
    }

    fn run_for(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut last = Instant::now();
        loop {
            self.publish()?;
            let now = Instant::now();
            if now >= end {
                return Ok(());
            }
            ensure!(now - last < STALL_TIMEOUT, "no delivery for {STALL_TIMEOUT:?}");
            // As the load of the echo, it never sleeps: whoever sends would pay for waking it, the more the slower it is.
            match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                done => done?,
            }
            let before = self.deliveries;
            for event in &self.events {
                let id = event.token().0;
                match self.receivers.get_mut(id) {
                    Some(receiver) => {
                        let heard = receiver.hear(&mut self.input, &mut self.wire, self.next)?;
                        self.deliveries += heard.clone().count() as u64;
                        let oldest = self.next - self.owed.len() as u64;
                        for seq in heard {
                            self.owed[(seq - oldest) as usize] -= 1;
                        }
                    }
                    None => drop_all(&mut self.publisher, &mut self.input)?,
                }
            }
            if self.deliveries > before {
                last = now;
            }
        }
    }

    /// As many as there is room for, in one write.
    fn publish(&mut self) -> Result<()> {
        while self.owed.front() == Some(&0) {
            self.owed.pop_front();
        }
        let count = self.in_flight - self.owed.len();
        if count > 0 {
            self.unsent.extend_from_slice(self.wire.number(&mut self.batch, self.next, count));
            self.next += count as u64;
            self.owed.extend(std::iter::repeat_n(self.receivers.len(), count));
        }
        while !self.unsent.is_empty() {
            match self.publisher.write(&self.unsent) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("the publisher"),
            }
        }
        Ok(())
    }
}

impl Receiver {
    /// The numbers of the messages that have come; those are published that are below `published`.
    fn hear(&mut self, input: &mut [u8], wire: &mut Wire, published: u64) -> Result<std::ops::Range<u64>> {
        let first = self.next;
        loop {
            let length = match self.stream.read(input) {
                Ok(0) => bail!("the server closed a receiver"),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("a receiver"),
            };
            let mut bytes = &input[..length];
            while !bytes.is_empty() {
                ensure!(self.next < published, "a delivery of what was not published");
                let taken = wire.check(bytes, self.next, &mut self.progress)?;
                bytes = &bytes[taken..];
                if self.progress.is_between() {
                    self.next += 1;
                }
            }
            if length < input.len() {
                break;
            }
        }
        Ok(first..self.next)
    }
}

/// What comes to the publisher.
fn drop_all(stream: &mut TcpStream, input: &mut [u8]) -> Result<()> {
    loop {
        match stream.read(input) {
            Ok(0) => bail!("the server closed the publisher"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("the publisher"),
        }
    }
}

impl Report {
    pub(crate) fn per_cpu_second(&self, server: &str, in_flight: usize) -> Option<Spread> {
        let runs = self.runs.iter().filter(|run| run.server == server && run.in_flight == in_flight);
        Spread::of(runs.map(|run| run.deliveries as f64 / run.server_cpu_seconds))
    }

    pub(crate) fn markdown(&self) -> String {
        let mut rows = Vec::new();
        for &in_flight in &self.in_flight {
            for server in &self.servers {
                let runs = || self.runs.iter().filter(|run| run.server == *server && run.in_flight == in_flight);
                let cpu = self.per_cpu_second(server, in_flight);
                let wall = Spread::of(runs().map(|run| run.deliveries as f64 / run.wall_seconds));
                let busy = Spread::of(runs().map(|run| run.server_cpu_seconds / run.wall_seconds));
                let range = |spread: Spread| format!("{}-{}", thousands(spread.lower), thousands(spread.upper));
                rows.push([
                    in_flight.to_string(),
                    server.clone(),
                    cpu.map_or_else(String::new, |cpu| thousands(cpu.median)),
                    cpu.map_or_else(String::new, range),
                    wall.map_or_else(String::new, |wall| thousands(wall.median)),
                    busy.map_or_else(String::new, |busy| format!("{:.2}", busy.median)),
                ]);
            }
        }
        let heads = ["at a time", "server", "deliveries/CPU-s", "IQR", "deliveries/s", "server busy"];
        let failures: String = self.failures.iter().map(|failure| format!("\nFailed: {failure}\n")).collect();
        format!(
            "## Fan-out\n\n{}\n\n{} interleaved rounds of {} s; one publishes {} bytes, {} receive; median and interquartile \
             range.\n\n{}{failures}",
            self.machine.line(),
            self.rounds,
            self.seconds,
            self.bytes,
            thousands(self.receivers as f64),
            markdown(2, heads, &rows),
        )
    }
}

/// What a backend sends: one request for each message, the next ones before the answers to those before them, as far as so many
/// are on their way.
fn post_head(address: SocketAddr, bytes: usize) -> String {
    format!(
        "POST {CHANNEL} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n"
    )
}

const CHANNEL: &str = "/c/fan-out";

/// The whole server: published by HTTP, heard by WebSocket.
const POSTED: &str = "openline channel, POST";

/// As the echo.
const WARM_UP: Duration = Duration::from_millis(500);

/// Five thousand deliveries take tens of milliseconds.
const STALL_TIMEOUT: Duration = Duration::from_secs(5);
