//! The memory of an idle connection: what a server's heap and resident set grow by when thousands of clients connect and wait.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use openline::{deflate::Deflate, proto::CloseCode, tls::ClientTls};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::{
    cell::Over,
    child::Running,
    connect,
    cores::Cores,
    frame::{self, BINARY, CLOSE, PING, PONG, TEXT, client_frame},
    machine::Machine,
    open_files,
    progress::Progress,
    servers::{self, SESSION, SESSION_PATH, Server},
    table::{markdown, thousands},
};

#[derive(Args)]
pub(crate) struct Options {
    /// How many clients connect and wait
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    #[command(flatten)]
    pub(crate) servers: servers::Options,
    /// Write the figures to bench/results/ and docs/performance.md
    #[arg(long)]
    pub(crate) write: bool,
}

/// What some servers hold for connections that wait.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    connections: u32,
    growths: Vec<Growth>,
    failures: Vec<String>,
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

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Measure {
    /// Allocated and not freed, as asked for: without what the allocator adds.
    LiveHeap,
    /// RssAnon of /proc/PID/status: what the kernel gave, in pages, including what the allocator keeps.
    ResidentMemory,
    /// Slab of /proc/meminfo: what the kernel holds for both ends of each connection, which are on this machine.
    Kernel,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let servers = options.servers.websocket_servers()?;
    let mut measured: Vec<(Server, Vec<Measure>)> = Vec::new();
    if let Some(example) = servers.iter().find(|server| server.name == EXAMPLE) {
        // Counting costs nothing that RSS would show, but what users run is the example: each is measured in its own process.
        let program = options.servers.cargo().own("idle_server")?;
        let mut counting = example.clone();
        counting.command[0] = program.into();
        measured.push((counting, vec![Measure::LiveHeap]));
    }
    let over = options.servers.serve_over()?;
    measured
        .extend(servers.into_iter().chain(over).map(|server| (server, vec![Measure::ResidentMemory, Measure::Kernel])));
    let machine = Machine::this(Cores::default().allowed()?.len());
    open_files::allow(options.connections as usize)?;
    let mut progress = Progress::new(measured.len());
    let (mut growths, mut failures) = (Vec::new(), Vec::new());
    for (server, measures) in measured {
        progress.step(&format!("{} connections to {}", options.connections, server.name));
        match growth(&server, &measures, options.connections) {
            Ok(growth) => growths.extend(growth),
            Err(error) => failures.push(format!("{}: {error:#}", server.name)),
        }
    }
    Ok(Report { machine, connections: options.connections, growths, failures })
}

fn growth(server: &Server, measures: &[Measure], connections: u32) -> Result<Vec<Growth>> {
    let (running, address) = Running::server(&server.command)?;
    grown(running, address, server, measures, connections)
}

/// The larger of before and after a message, for each of so many connections to a server that listens: resident bytes.
pub(crate) fn resident(running: Running, address: SocketAddr, server: &Server, connections: u32) -> Result<f64> {
    let growths = grown(running, address, server, &[Measure::ResidentMemory], connections)?;
    let most = growths.iter().map(|growth| growth.after_handshake.max(growth.after_message)).max().unwrap_or(0);
    Ok(most as f64 / f64::from(connections))
}

fn grown(
    mut running: Running,
    address: SocketAddr,
    server: &Server,
    measures: &[Measure],
    connections: u32,
) -> Result<Vec<Growth>> {
    // What is there once, such as a thread's read buffer, comes with the first connection and is not counted.
    let all = Clients::of(server, address)?;
    let mut first = all.connect(0)?;
    all.exchange(&mut first)?;
    all.close(first)?;
    let mut since = settled(&mut running, measures)?;
    let before = since.clone();
    let mut grown = |running: &mut Running| -> Result<Vec<i64>> {
        since = settled(running, measures)?;
        Ok(since.iter().zip(&before).map(|(now, before)| now - before).collect())
    };

    let mut clients = (0..connections)
        .map(|id| all.connect(id).with_context(|| format!("connection {id}")))
        .collect::<Result<Vec<_>>>()?;
    let after_handshake = grown(&mut running)?;
    for client in &mut clients {
        all.exchange(client)?;
    }
    let after_message = grown(&mut running)?;
    for client in clients {
        all.close(client)?;
    }
    let after_closing = grown(&mut running)?;
    let each = measures.iter().enumerate().map(|(n, &measure)| Growth {
        server: server.name.clone(),
        measure,
        after_handshake: after_handshake[n],
        after_message: after_message[n],
        after_closing: after_closing[n],
    });
    Ok(each.collect())
}

/// A server may still be tidying up after the last thing that a client saw of it, so it is asked until its answer stays the same.
/// The kernel's memory never stays the same, as other programs use it too: it is read at the end.
fn settled(server: &mut Running, measures: &[Measure]) -> Result<Vec<i64>> {
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    let (mut last, mut same) = (None, 0);
    while same < SETTLED_READINGS {
        ensure!(Instant::now() < deadline, "the server's memory still changes after {SETTLE_TIMEOUT:?}");
        let bytes = read(server, measures[0])?;
        same = if last == Some(bytes) { same + 1 } else { 0 };
        last = Some(bytes);
        thread::sleep(SETTLE_PAUSE);
    }
    measures.iter().map(|&measure| read(server, measure)).collect()
}

fn read(server: &mut Running, measure: Measure) -> Result<i64> {
    match measure {
        Measure::LiveHeap => {
            let answer = server.ask("live")?;
            answer
                .strip_prefix("live ")
                .and_then(|rest| rest.split(' ').next()?.parse().ok())
                .with_context(|| format!("not a count: {answer:?}"))
        }
        Measure::ResidentMemory => kilobytes(&format!("/proc/{}/status", server.pid()), "RssAnon:"),
        Measure::Kernel => kilobytes("/proc/meminfo", "Slab:"),
    }
}

fn kilobytes(path: &str, name: &str) -> Result<i64> {
    let status = fs::read_to_string(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("no {name} in {path}: has the server ended?"))?;
    let kilobytes: i64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// Who is connected to one server.
struct Clients {
    address: SocketAddr,
    server: Server,
    /// Drives those that speak more than WebSocket over TCP.
    runtime: Runtime,
    library: openline::Client,
}

impl Clients {
    fn of(server: &Server, address: SocketAddr) -> Result<Clients> {
        let Over { tls, deflate } = server.over;
        let mut library = openline::Client::new().no_proxy().deflate(deflate.then(Deflate::default));
        if tls {
            library = library.tls(ClientTls::new().dangerously_accept_any_certificate().build()?);
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Clients { address, server: server.clone(), runtime, library })
    }

    fn connect(&self, id: u32) -> Result<Client> {
        if self.server.over == Over::default() {
            let stream = connect::open(self.address, &self.server, id)?;
            stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
            return Ok(Client::Plain(stream));
        }
        let scheme = if self.server.over.tls { "wss" } else { "ws" };
        let url = format!("{scheme}://{}{}", self.address, self.server.path);
        let (socket, response) = self.runtime.block_on(self.library.connect(&url))?;
        ensure!(
            response.headers().contains_key("sec-websocket-extensions") == self.server.over.deflate,
            "compression was not agreed on as it was asked for"
        );
        Ok(Client::Library(Box::new(socket)))
    }

    /// One message there and back; of a session, its connecting and its one subscription.
    fn exchange(&self, client: &mut Client) -> Result<()> {
        if let (Client::Plain(stream), SESSION_PATH) = (&mut *client, self.server.path) {
            stream.write_all(&client_frame(TEXT, COMMANDS))?;
            while !contains(&next_frame(stream)?.1, b"\"subscribe\":{") {}
            return Ok(());
        }
        let message = [0x5a; MESSAGE_BYTES];
        let is_reply = match client {
            Client::Plain(stream) => {
                stream.write_all(&client_frame(BINARY, &message))?;
                next_frame(stream)? == (BINARY, message.to_vec())
            }
            Client::Library(socket) => self.runtime.block_on(async {
                socket.send(&message[..]).await?;
                let reply = timeout(REPLY_TIMEOUT, socket.recv()).await??;
                anyhow::Ok(reply.is_some_and(|reply| reply.as_text().is_none() && reply.as_bytes() == message))
            })?,
        };
        ensure!(is_reply, "the reply differs from the message");
        Ok(())
    }

    /// §7.1.1: the server closes the TCP connection first, so it, not we, keeps the port in TIME-WAIT.
    fn close(&self, client: Client) -> Result<()> {
        let mut stream = match client {
            Client::Plain(stream) => stream,
            Client::Library(mut socket) => {
                let closed = self.runtime.block_on(socket.close(CloseCode::NORMAL, ""))?;
                ensure!(closed.is_clean(), "not closed cleanly");
                return Ok(());
            }
        };
        stream.write_all(&client_frame(CLOSE, &1000_u16.to_be_bytes()))?;
        let (opcode, _) = next_frame(&mut stream)?;
        ensure!(opcode == CLOSE, "a Close frame was answered with opcode {opcode:#x}");
        match frame::read_server_frame(&mut stream) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error).context("after both Close frames, the server should end the TCP connection"),
            Ok(_) => bail!("a frame after a Close frame"),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// One WebSocket: at any moment only one of them has something to say.
enum Client {
    /// With blocking calls, and next to no memory.
    Plain(TcpStream),
    Library(Box<openline::WebSocket<openline::ClientStream>>),
}

/// Answers the pings that came while the others were busy (§5.5.2).
fn next_frame(stream: &mut TcpStream) -> Result<(u8, Vec<u8>)> {
    loop {
        match frame::read_server_frame(stream).context("no reply")? {
            (PING, payload) => stream.write_all(&client_frame(PONG, &payload))?,
            frame => return Ok(frame),
        }
    }
}

impl Report {
    /// Bytes for each connection of each server, the larger of before and after its first message.
    pub(crate) fn per_connection(&self, measure: Measure) -> Vec<(String, f64)> {
        let growths = self.growths.iter().filter(|growth| growth.measure == measure);
        let most = |growth: &Growth| growth.after_handshake.max(growth.after_message);
        growths.map(|growth| (growth.server.clone(), most(growth) as f64 / f64::from(self.connections))).collect()
    }

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
                    Measure::Kernel => "kernel, both ends",
                };
                let Growth { server, after_handshake, after_message, after_closing, .. } = growth;
                [measure.into(), server.clone(), each(*after_handshake), each(*after_message), each(*after_closing)]
            })
            .collect();
        let failures = self.failures.iter().map(|failure| format!("\nFailed: {failure}\n"));
        let verdicts = self.growths.iter().filter_map(|growth| growth.verdict(self.connections));
        format!(
            "## Idle connections\n\n{}\n\n{} connections that wait, on one server thread.\n\n{}{}",
            self.machine.line(),
            thousands(f64::from(self.connections)),
            markdown(2, heads, &rows),
            verdicts.map(|verdict| format!("\n{verdict}\n")).chain(failures).collect::<String>(),
        )
    }
}

impl Growth {
    fn verdict(&self, connections: u32) -> Option<String> {
        let (target, what) = match (self.measure, self.server.as_str()) {
            (Measure::LiveHeap, _) => (TARGET_BYTES, "live heap per idle connection"),
            (Measure::ResidentMemory, "openline serve") => (SERVE_BYTES, "resident memory per idle line of `serve`"),
            (Measure::ResidentMemory, "openline serve, wss") => {
                (SERVE_TLS_BYTES, "resident memory per idle wss line of `serve`")
            }
            (Measure::ResidentMemory, SESSION) => {
                (SESSION_BYTES, "resident memory per idle session with one subscription")
            }
            _ => return None,
        };
        let most = self.after_handshake.max(self.after_message) as f64 / f64::from(connections);
        let word = if most <= target { "met" } else { "missed" };
        Some(format!("Target: at most {} bytes of {what}: {word} ({}).", thousands(target), thousands(most)))
    }
}

/// What the tables call it.
const EXAMPLE: &str = "openline";

/// What the library promises for its echo example.
const TARGET_BYTES: f64 = 1024.0;

/// What the product promises for a line that waits, and for one over TLS.
const SERVE_BYTES: f64 = 1536.0;
const SERVE_TLS_BYTES: f64 = 12.0 * 1024.0;

/// And for a session with one subscription, to a channel with presence.
const SESSION_BYTES: f64 = 3.0 * 1024.0;

/// What such a session says.
const COMMANDS: &[u8] = b"{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}";

/// A message of the size that makes many servers keep a buffer.
const MESSAGE_BYTES: usize = 1024;

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
        Report { machine: Machine::this(2), connections: 10_000, growths, failures: Vec::new() }.markdown()
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
