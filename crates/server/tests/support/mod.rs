//! A server in this process, a raw connection to it, and the binary.

#![allow(dead_code, unreachable_pub)] // each test takes what it needs
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use openline_server::{Config, Farewell, Lines, Listen, Order, Server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Nothing that is waited for takes this long, unless it never comes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An opening handshake of a client that is no browser; the accept key is `s3pPLMBiTxaQ9kYGzzhZRbK+xOo=` (§1.3).
pub fn upgrade(path: &str) -> String {
    upgrade_with(path, "")
}

pub fn upgrade_with(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
}

/// A server on a free port of 127.0.0.1. It ends with this.
pub struct Running {
    pub address: SocketAddr,
    /// Where its metrics are, if it has any.
    pub admin: Option<SocketAddr>,
    pub lines: Arc<Lines>,
    order: Option<oneshot::Sender<Order>>,
    served: JoinHandle<Farewell>,
}

pub async fn start(config: Config) -> Running {
    let config = Config { listen: vec![Listen::At(([127, 0, 0, 1], 0).into())], ..config };
    let server = Server::bind(config).await.unwrap();
    let (address, admin, lines) = (server.local_addrs()[0], server.admin_addr(), server.lines());
    let (order, ordered) = oneshot::channel();
    let served = tokio::spawn(server.serve(async { ordered.await.unwrap_or(Order::Close) }));
    Running { address, admin, lines, order: Some(order), served }
}

impl Running {
    pub async fn connect(&self) -> Raw {
        Raw::connect(self.address).await
    }

    /// A line that is open: the answer to the opening handshake is read.
    pub async fn open(&self, path: &str) -> Raw {
        let mut raw = self.connect().await;
        raw.send(upgrade(path)).await;
        assert_eq!(raw.answer().await.status, 101);
        raw
    }

    pub fn order(&mut self, order: Order) {
        self.order.take().expect("ordered once").send(order).unwrap();
    }

    pub async fn farewell(self) -> Farewell {
        timeout(PATIENCE, self.served).await.expect("ends in time").unwrap()
    }
}

/// A connection, byte by byte.
pub struct Raw(pub BufReader<TcpStream>);

/// An HTTP response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The head to the letter, names in lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next bytes are exactly these.
    pub async fn expects(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut bytes = vec![0; expected.len()];
        self.within(|raw| Box::pin(async { raw.0.read_exact(&mut bytes).await.map(drop) })).await;
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    /// The peer ends the connection, and says nothing more.
    pub async fn expects_eof(&mut self) {
        let mut rest = Vec::new();
        self.within(|raw| Box::pin(async { raw.0.read_to_end(&mut rest).await.map(drop) })).await;
        assert_eq!(rest.escape_ascii().to_string(), "");
    }

    /// The next HTTP response.
    pub async fn answer(&mut self) -> Answer {
        timeout(PATIENCE, self.read_answer()).await.expect("something comes").unwrap()
    }

    /// The status of an answer of which only the head comes.
    pub async fn head(&mut self) -> u16 {
        let mut head = String::new();
        timeout(PATIENCE, self.0.read_to_string(&mut head)).await.expect("it ends").unwrap();
        head[9..12].parse().unwrap()
    }

    /// A text message from a server, of up to 64 KiB.
    pub async fn text(&mut self) -> String {
        let message = async {
            assert_eq!(self.0.read_u8().await.unwrap(), 0x81);
            let length = match self.0.read_u8().await.unwrap() {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                length => usize::from(length),
            };
            let mut text = vec![0; length];
            self.0.read_exact(&mut text).await.unwrap();
            String::from_utf8(text).unwrap()
        };
        timeout(PATIENCE, message).await.expect("a message comes")
    }

    /// Reads until this has come.
    pub async fn until(&mut self, what: &str) {
        let mut seen = Vec::new();
        let read = async {
            while !seen.ends_with(what.as_bytes()) {
                seen.push(self.0.read_u8().await.unwrap());
            }
        };
        timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{}", seen.escape_ascii()));
    }

    async fn read_answer(&mut self) -> std::io::Result<Answer> {
        let mut answer = Answer { status: 0, head: String::new(), body: String::new() };
        while !answer.head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut answer.head).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let lines = answer.head.lines().map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}\r\n", name.to_ascii_lowercase()),
            None => format!("{line}\r\n"),
        });
        answer.head = lines.collect();
        answer.status = answer.head[9..12].parse().unwrap();
        let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        answer.body = String::from_utf8(body).unwrap();
        Ok(answer)
    }

    /// As [`connect`](Self::connect), where connections may break.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok();
        Some(Self(BufReader::new(stream)))
    }

    /// As [`send`](Self::send), where connections may break.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> Option<()> {
        self.0.write_all(bytes.as_ref()).await.ok()
    }

    /// As [`answer`](Self::answer), where connections may break.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        timeout(PATIENCE, self.read_answer()).await.ok()?.ok()
    }

    async fn within<'a>(
        &'a mut self,
        wait: impl FnOnce(&'a mut Self) -> std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send + 'a>>,
    ) {
        timeout(PATIENCE, wait(self)).await.expect("something comes").unwrap();
    }
}

/// A small frame from a client, masked with zeros (§5.3 asks for more of a real one).
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    assert!(payload.len() <= 125);
    frame.extend(payload);
    frame
}

/// A Close frame as a server sends it.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, 2 + u8::try_from(reason.len()).unwrap()];
    frame.extend(code.to_be_bytes());
    frame.extend(reason.bytes());
    frame
}

/// The binary, running.
pub struct Program {
    pub child: Child,
    pub stdout: BufReader<ChildStdout>,
    pub stderr: BufReader<ChildStderr>,
}

pub fn openline(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openline"));
    command.args(args);
    piped(command)
}

pub fn piped(mut command: Command) -> Command {
    // What configures the server that a developer has running is not for this one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OPENLINE_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

impl Program {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// `openline serve` on a free port, once it listens.
    pub async fn serve(args: &[&str]) -> (Self, SocketAddr) {
        let mut program = Self::start(openline(&[&["serve", "--listen", "127.0.0.1:0"], args].concat()));
        let line = program.line().await;
        let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}"));
        let address = address.parse().unwrap();
        (program, address)
    }

    /// The next line of stdout.
    pub async fn line(&mut self) -> String {
        next_line(&mut self.stdout).await
    }

    /// Lines of stderr, up to one that contains `what`.
    pub async fn says(&mut self, what: &str) -> String {
        loop {
            let line = next_line(&mut self.stderr).await;
            if line.contains(what) {
                return line;
            }
        }
    }

    #[cfg(unix)]
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = i32::try_from(self.child.id().expect("still running")).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).unwrap();
    }

    /// The exit code, and what stdout and stderr still say.
    pub async fn end(mut self) -> (i32, String, String) {
        drop(self.child.stdin.take());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let all = async {
            let (status, _, _) =
                tokio::join!(self.child.wait(), self.stdout.read_to_end(&mut out), self.stderr.read_to_end(&mut err));
            status.unwrap().code().expect("no signal killed it")
        };
        let code = timeout(PATIENCE, all).await.expect("ends in time");
        let [out, err] = [out, err].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (code, out, err)
    }
}

async fn next_line(from: &mut (impl AsyncBufReadExt + Unpin)) -> String {
    let mut line = String::new();
    let bytes = timeout(PATIENCE, from.read_line(&mut line)).await.expect("a line comes").unwrap();
    assert!(bytes > 0, "no more lines");
    line.trim_end().to_owned()
}
