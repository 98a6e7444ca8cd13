//! Every example, as its reader runs it, against clients that are bytes. `cargo test` builds them.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "support/peer.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod peer;
#[path = "support/wire.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod wire;

use std::process::Stdio;
use std::time::Duration;

use openline::handshake::{Origins, ServerHandshake};
use openline::{Listener, Message};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use peer::Peer;
use wire::{masked, unmasked};

/// An example that runs; it ends with this.
struct Example {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Example {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let tests = std::env::current_exe().unwrap();
        let program = tests.ancestors().nth(2).unwrap().join("examples").join(name);
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{}: {error}; build it with `cargo build --all-features --examples`", program.display())
        });
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdin, stdout }
    }

    /// Starts a server on any port, and says which.
    async fn serve(name: &str, arguments: &[&str]) -> (Self, String) {
        let mut example = Self::start(name, arguments);
        let line = example.line().await;
        let address = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        (example, address)
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        patiently(self.stdout.read_line(&mut line)).await.unwrap();
        line.trim_end().to_owned()
    }

    async fn types(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// It ends by itself, and well.
    async fn ends(mut self) -> String {
        drop(self.stdin.take());
        let mut rest = String::new();
        patiently(self.stdout.read_to_string(&mut rest)).await.unwrap();
        assert!(patiently(self.child.wait()).await.unwrap().success());
        rest
    }
}

/// Not for ever: a test that hangs tells nothing.
async fn patiently<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("it hangs")
}

/// The opening handshake of RFC 6455 §1.3; the response's head.
async fn open(address: &str, path: &str, extra: &str) -> (Peer<TcpStream>, String) {
    let mut peer = Peer::new(patiently(TcpStream::connect(address)).await.unwrap());
    peer.sends(format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    ))
    .await;
    let head = patiently(peer.takes_until("\r\n\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    (peer, head)
}

/// Two messages in one packet, a ping and a closing handshake.
async fn check_echo(mut peer: Peer<TcpStream>) {
    peer.sends([masked(0x81, b"one"), masked(0x82, &[7; 300]), masked(0x89, b"?")].concat()).await;
    patiently(peer.expects([unmasked(0x8a, b"?"), unmasked(0x81, b"one"), unmasked(0x82, &[7; 300])].concat())).await;
    check_close(peer).await;
}

async fn check_close(mut peer: Peer<TcpStream>) {
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    patiently(peer.expects(b"\x88\x02\x03\xe8")).await;
    patiently(peer.expects_end()).await;
}

#[tokio::test]
async fn echo_server() {
    for threads in ["1", "2"] {
        let (_example, address) = Example::serve("echo_server", &["127.0.0.1:0", "--threads", threads]).await;
        let (peer, head) = open(&address, "/", "Sec-WebSocket-Protocol: first, second\r\n").await;
        assert!(head.contains("Sec-WebSocket-Protocol: first\r\n"), "{head}");
        check_echo(peer).await;
    }
}

#[tokio::test]
async fn chat() {
    let (_example, address) = Example::serve("chat", &["127.0.0.1:0"]).await;
    let (mut anna, _) = open(&address, "/", "").await;
    anna.sends(masked(0x81, b"anyone?")).await;
    patiently(anna.expects(b"\x81\x07anyone?")).await;
    let (mut ben, _) = open(&address, "/", "Origin: http://anywhere.example\r\n").await;
    ben.sends(masked(0x81, b"yes")).await;
    for peer in [&mut anna, &mut ben] {
        patiently(peer.expects(b"\x81\x03yes")).await;
    }
    check_close(ben).await;
    anna.sends(masked(0x82, b"\x07")).await;
    patiently(anna.expects(b"\x82\x01\x07")).await;
}

#[tokio::test]
async fn broadcast() {
    let (mut example, address) = Example::serve("broadcast", &["127.0.0.1:0"]).await;
    let (mut anna, _) = open(&address, "/", "").await;
    let (mut ben, _) = open(&address, "/", "").await;
    ben.sends(masked(0x81, b"may I?")).await;
    example.types("news").await;
    example.types("more").await;
    for peer in [&mut anna, &mut ben] {
        patiently(peer.expects(b"\x81\x04news\x81\x04more")).await;
    }
    check_close(ben).await;
    drop(example.stdin.take());
    patiently(anna.expects(b"\x88\x0e\x03\xe9that was all")).await;
    anna.sends(masked(0x88, b"\x03\xe9")).await;
    patiently(anna.expects_end()).await;
    drop(anna);
    example.ends().await;
}

#[tokio::test]
async fn client() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let mut example = Example::start("client", &[&format!("ws://{}/", listener.local_addr().unwrap())]);
    let opening = patiently(listener.accept()).await.unwrap().request().await.unwrap();
    let mut socket = opening.accept(&ServerHandshake::default()).await.unwrap();
    example.types("hello").await;
    assert_eq!(patiently(socket.recv()).await.unwrap(), Some(Message::from("hello")));
    socket.send("to you").await.unwrap();
    assert_eq!(example.line().await, "to you");
    example.types("bye").await;
    drop(example.stdin.take());
    assert_eq!(patiently(socket.recv()).await.unwrap(), Some(Message::from("bye")));
    socket.feed(vec![7; 10]).await.unwrap();
    assert_eq!(patiently(socket.recv()).await.unwrap(), None);
    drop(socket);
    assert_eq!(example.ends().await, "(10 bytes)\n");
}

#[tokio::test]
async fn a_client_and_a_server_of_the_examples() {
    let (_server, address) = Example::serve("echo_server", &["127.0.0.1:0"]).await;
    let mut client = Example::start("client", &[&format!("ws://{address}/")]);
    for line in ["Grüße", "", "last"] {
        client.types(line).await;
    }
    assert_eq!(client.ends().await, "Grüße\n\nlast\n");
}

#[tokio::test]
async fn stream_file() {
    let folder = std::env::temp_dir().join(format!("openline-stream-file-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, copy) = (folder.join("source"), folder.join("copy"));
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    std::fs::write(&source, &bytes).unwrap();
    let (_server, address) = Example::serve("stream_file", &["serve", "127.0.0.1:0", source.to_str().unwrap()]).await;

    let (mut peer, _) = open(&address, "/", "").await;
    let mut received = Vec::new();
    let mut frames = Vec::new();
    while frames.last().is_none_or(|first: &u8| first & 0x80 == 0) {
        let frame = patiently(peer.takes_frame()).await;
        received.extend_from_slice(&frame.payload);
        frames.push(frame.first);
    }
    assert!(received == bytes, "the file is another");
    assert!(frames[0] == 0x02 && frames[1..frames.len() - 1].iter().all(|first| *first == 0), "one message");
    patiently(peer.expects(b"\x88\x02\x03\xe8")).await;
    drop(peer);

    let url = format!("ws://{address}/");
    let fetching = Example::start("stream_file", &["fetch", &url, copy.to_str().unwrap()]);
    assert_eq!(fetching.ends().await, "3000000 bytes\n");
    assert!(std::fs::read(&copy).unwrap() == bytes, "the copy is another");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A suite of two cases, played by the test.
#[tokio::test]
async fn autobahn_client() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let example = Example::start("autobahn_client", &[&url, "openline"]);
    let mut paths = Vec::new();
    for _ in 0..4 {
        let opening = patiently(listener.accept()).await.unwrap().request().await.unwrap();
        paths.push(opening.request().uri().to_string());
        let mut socket =
            opening.accept(&ServerHandshake { origins: Origins::Any, ..Default::default() }).await.unwrap();
        match paths.len() {
            1 => socket.send("2").await.unwrap(),
            2 | 3 => {
                socket.send("echo me").await.unwrap();
                assert_eq!(patiently(socket.recv()).await.unwrap(), Some(Message::from("echo me")));
            }
            _ => {}
        }
        let _ = patiently(socket.close(openline::CloseCode::NORMAL, "")).await;
    }
    assert_eq!(
        paths,
        [
            "/getCaseCount",
            "/runCase?case=1&agent=openline",
            "/runCase?case=2&agent=openline",
            "/updateReports?agent=openline"
        ]
    );
    example.ends().await;
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn axum() {
    let (_example, address) = Example::serve("axum", &["127.0.0.1:0"]).await;
    check_over_http(&address).await;
}

#[cfg(feature = "hyper")]
#[tokio::test]
async fn hyper() {
    let (_example, address) = Example::serve("hyper", &["127.0.0.1:0"]).await;
    check_over_http(&address).await;
}

#[cfg(feature = "hyper")]
async fn check_over_http(address: &str) {
    let (peer, head) = open(address, "/echo", "Sec-WebSocket-Protocol: v1.echo, v2.echo\r\n").await;
    assert!(head.contains("v2.echo\r\n"), "the server's preference: {head}");
    check_echo(peer).await;
    for (path, extra, status) in [
        ("/echo", "", "426 Upgrade Required"),
        ("/other", "", "404 Not Found"),
        ("/echo", "Origin: http://evil.example\r\n", "426 Upgrade Required"),
    ] {
        let mut peer = Peer::new(TcpStream::connect(address).await.unwrap());
        peer.sends(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{extra}\r\n")).await;
        let head = patiently(peer.takes_until("\r\n\r\n")).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
    }
}
