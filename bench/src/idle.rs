//! The memory of an idle connection: what a server's heap and resident set grow by when thousands of clients connect and wait.

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use crate::{
    cargo,
    child::Running,
    frame::{self, BINARY, CLOSE, PING, PONG, client_frame},
    machine::Machine,
    open_files, opening,
    progress::Progress,
    table::{markdown, thousands},
};

#[derive(Args)]
pub(crate) struct Options {
    /// How many clients connect and wait
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// A WebSocket echo server whose resident memory to measure, run as `PATH ADDR --threads 1`; may be repeated
    /// [default: the library's echo example, and its heap as well]
    #[arg(long, value_name = "PATH")]
    server: Vec<PathBuf>,
    /// Write the figures to bench/results/
    #[arg(long)]
    pub(crate) write: bool,
}

/// What some servers hold for connections that wait.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    connections: u32,
    growths: Vec<Growth>,
}

/// Bytes more than before the first connection, for all of them together.
#[derive(Serialize, Deserialize)]
struct Growth {
    server: String,
    measure: Measure,
    after_handshake: i64,
    after_message: i64,
    after_closing: i64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Measure {
    /// Allocated and not freed, as asked for: without what the allocator adds.
    LiveHeap,
    /// RssAnon of /proc/PID/status: what the kernel gave, in pages, including what the allocator keeps.
    ResidentMemory,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let mut servers = Vec::new();
    for path in &options.server {
        servers.push((path.clone(), Measure::ResidentMemory));
    }
    if servers.is_empty() {
        // Counting costs nothing that RSS would show, but what users run is the example: each is measured in its own process.
        let counting = cargo::build(&["-p", "openline-bench", "--bin", "idle_server"])?;
        let example = cargo::build(&["-p", "openline", "--example", "echo_server"])?;
        servers = vec![(counting, Measure::LiveHeap), (example, Measure::ResidentMemory)];
    }
    let machine = Machine::this(thread::available_parallelism()?.get());
    open_files::allow(options.connections as usize)?;
    let mut progress = Progress::new(servers.len());
    let mut growths = Vec::new();
    for (path, measure) in servers {
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        progress.step(&format!("{} connections to {name}", options.connections));
        growths.push(growth(&path, measure, options.connections).with_context(|| name.clone())?);
    }
    Ok(Report { machine, connections: options.connections, growths })
}

fn growth(path: &std::path::Path, measure: Measure, connections: u32) -> Result<Growth> {
    let (mut server, address) = Running::server(path)?;
    // What is there once, such as a thread's read buffer, comes with the first connection and is not counted.
    let mut first = Client::connect(address, 0)?;
    first.exchange()?;
    first.close()?;
    let before = settled(&mut server, measure)?;

    let mut clients = (0..connections)
        .map(|id| Client::connect(address, id).with_context(|| format!("connection {id}")))
        .collect::<Result<Vec<_>>>()?;
    let after_handshake = settled(&mut server, measure)? - before;
    for client in &mut clients {
        client.exchange()?;
    }
    let after_message = settled(&mut server, measure)? - before;
    for client in clients {
        client.close()?;
    }
    let after_closing = settled(&mut server, measure)? - before;
    let server = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Growth { server, measure, after_handshake, after_message, after_closing })
}

/// A server may still be tidying up after the last thing that a client saw of it, so it is asked until its answer stays the same.
fn settled(server: &mut Running, measure: Measure) -> Result<i64> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let (mut last, mut same) = (None, 0);
    while same < SETTLED_READINGS {
        ensure!(Instant::now() < deadline, "the server's memory still changes after {SETTLE_TIMEOUT:?}");
        let bytes = read(server, measure)?;
        same = if last == Some(bytes) { same + 1 } else { 0 };
        last = Some(bytes);
        thread::sleep(SETTLE_PAUSE);
    }
    last.context("at least one reading")
}

fn read(server: &mut Running, measure: Measure) -> Result<i64> {
    match measure {
        Measure::LiveHeap => {
            let answer = server.ask("live")?;
            answer
                .strip_prefix("live ")
                .and_then(|bytes| bytes.parse().ok())
                .with_context(|| format!("not a count: {answer:?}"))
        }
        Measure::ResidentMemory => {
            let status = fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("RssAnon:"))
                .context("no RssAnon: has the server ended?")?;
            let kilobytes: i64 = line.trim().trim_end_matches(" kB").parse()?;
            Ok(kilobytes * 1024)
        }
    }
}

/// One WebSocket, driven with blocking calls: at any moment only one of them has something to say.
struct Client(TcpStream);

impl Client {
    fn connect(address: SocketAddr, id: u32) -> Result<Client> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if address.ip() == Ipv4Addr::LOCALHOST {
            // One address has 28,000 ports to connect from; 127.0.0.0/8 has addresses to spare.
            let source = Ipv4Addr::LOCALHOST.to_bits() + id / CONNECTIONS_PER_ADDRESS;
            socket.bind(&SocketAddr::from((Ipv4Addr::from_bits(source), 0)).into())?;
        }
        socket.connect(&address.into())?;
        let mut stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        opening::open(&mut stream)?;
        Ok(Client(stream))
    }

    /// One message there and back.
    fn exchange(&mut self) -> Result<()> {
        let message = [0x5a; MESSAGE_BYTES];
        self.0.write_all(&client_frame(BINARY, &message))?;
        let (opcode, payload) = self.next_frame()?;
        ensure!(opcode == BINARY && payload == message, "the reply differs from the message");
        Ok(())
    }

    /// §7.1.1: the server closes the TCP connection first, so it, not we, keeps the port in TIME-WAIT.
    fn close(mut self) -> Result<()> {
        self.0.write_all(&client_frame(CLOSE, &1000_u16.to_be_bytes()))?;
        let (opcode, _) = self.next_frame()?;
        ensure!(opcode == CLOSE, "a Close frame was answered with opcode {opcode:#x}");
        let end = frame::read_server_frame(&mut self.0);
        match end {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error).context("after both Close frames, the server should end the TCP connection"),
            Ok(_) => bail!("a frame after a Close frame"),
        }
    }

    /// Answers the pings that came while the others were busy (§5.5.2).
    fn next_frame(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            match frame::read_server_frame(&mut self.0).context("no reply")? {
                (PING, payload) => self.0.write_all(&client_frame(PONG, &payload))?,
                frame => return Ok(frame),
            }
        }
    }
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let heads =
            ["bytes per connection", "server", "after the handshake", "after one 1 KiB message", "after closing"];
        let rows: Vec<_> = self
            .growths
            .iter()
            .map(|growth| {
                let each = |bytes: i64| thousands(bytes as f64 / f64::from(self.connections));
                let measure = match growth.measure {
                    Measure::LiveHeap => "live heap",
                    Measure::ResidentMemory => "resident memory",
                };
                let Growth { server, after_handshake, after_message, after_closing, .. } = growth;
                [measure.into(), server.clone(), each(*after_handshake), each(*after_message), each(*after_closing)]
            })
            .collect();
        let verdicts = self.growths.iter().filter_map(|growth| growth.verdict(self.connections));
        format!(
            "## Idle connections\n\n{}\n\n{} connections that wait, on one server thread.\n\n{}{}",
            self.machine.line(),
            thousands(f64::from(self.connections)),
            markdown(2, heads, &rows),
            verdicts.map(|verdict| format!("\n{verdict}\n")).collect::<String>(),
        )
    }
}

impl Growth {
    fn verdict(&self, connections: u32) -> Option<String> {
        let Measure::LiveHeap = self.measure else { return None };
        let most = self.after_handshake.max(self.after_message) as f64 / f64::from(connections);
        let word = if most <= TARGET_BYTES { "met" } else { "missed" };
        Some(format!(
            "Target: at most {} bytes of live heap per idle connection: {word} ({}).",
            thousands(TARGET_BYTES),
            thousands(most)
        ))
    }
}

/// What the library promises for its echo example.
const TARGET_BYTES: f64 = 1024.0;

/// A message of the size that makes many servers keep a buffer.
const MESSAGE_BYTES: usize = 1024;

/// Well below the ephemeral ports of one address, some of which others use.
const CONNECTIONS_PER_ADDRESS: u32 = 10_000;

/// Half a second without a change.
const SETTLED_READINGS: u32 = 10;
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
/// Below the 20 s after which an idle connection is pinged, which would stir the figures up.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A reply takes a fraction of a millisecond.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn report(after_message: i64) -> String {
        let growth = |measure| Growth {
            server: "s".into(),
            measure,
            after_handshake: 8_000_000,
            after_message,
            after_closing: 0,
        };
        let growths = vec![growth(Measure::LiveHeap), growth(Measure::ResidentMemory)];
        Report { machine: Machine::this(2), connections: 10_000, growths }.markdown()
    }

    #[test]
    fn growth_is_told_per_connection_and_judged_by_the_larger_figure() {
        let met = report(10_240_000);
        assert!(
            met.contains(
                "| live heap            | s      |                 800 |                   1,024 |             0 |"
            ),
            "{met}"
        );
        assert!(met.contains("live heap per idle connection: met (1,024)"), "{met}");
        assert_eq!(met.matches("Target").count(), 1, "{met}");
        assert!(report(10_250_000).contains("missed (1,025)"));
    }
}
