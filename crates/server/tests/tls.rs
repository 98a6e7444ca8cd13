//! `openline serve` with TLS, and `openline connect` to it: flags, fingerprints, client certificates, and certificates that
//! change under open lines.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]
#![cfg(unix)]

mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal::SIGINT;
use openline::tls::{ClientTls, Connector, Fingerprint, rustls};
use openline::{Client, ClientStream, CloseCode, Message, WebSocket};
use openline_server::{Certificates, Config, Order, Tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{PATIENCE, Program, Raw, openline, start, upgrade};

/// A folder of files that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("openline-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An authority, and PEM of what it issues.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key.
    fn issue(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn connector(&self) -> Connector {
        trusting().only_ca_pem(self.0.pem().as_bytes()).unwrap().build().unwrap()
    }
}

fn trusting() -> ClientTls {
    ClientTls::new().provider(Arc::new(rustls::crypto::ring::default_provider()))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `openline serve` with TLS, and its address.
async fn serve(args: &[&str]) -> (Program, SocketAddr) {
    let mut program = Program::start(openline(&[&["serve", "--listen", "127.0.0.1:0"], args].concat()));
    let line = program.line().await;
    let address = line.strip_prefix("listening on https://").unwrap_or_else(|| panic!("{line:?}")).parse().unwrap();
    (program, address)
}

/// `openline connect` with "hi" on stdin: exit code, stdout, stderr.
async fn connect(args: &[&str]) -> (i32, String, String) {
    let mut program = Program::start(openline(&[&["connect", "--wait", "300ms"], args].concat()));
    // One that gets no line ends, and may do so before it is spoken to: its exit code tells.
    let written = program.child.stdin.take().unwrap().write_all(b"hi\n").await;
    assert!(written.is_ok() || written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe));
    program.end().await
}

async fn open(connector: &Connector, address: SocketAddr) -> Result<WebSocket<ClientStream>, openline::ConnectError> {
    let client =
        Client::new().tls(connector.clone()).timeout(PATIENCE).resolve("localhost", address.port(), [address.ip()]);
    client.connect(&format!("wss://localhost:{}/test", address.port())).await.map(|(socket, _)| socket)
}

async fn echoes(socket: &mut WebSocket<ClientStream>, message: &str) {
    socket.send(message).await.unwrap();
    let echoed = timeout(PATIENCE, socket.recv()).await.expect("an echo comes").unwrap();
    assert_eq!(echoed, Some(Message::Text(message.into())));
}

fn shown(socket: &WebSocket<ClientStream>) -> Fingerprint {
    Fingerprint::of(&socket.get_ref().as_tls().unwrap().peer_certificates().unwrap()[0])
}

#[tokio::test]
async fn one_flag_makes_it_wss_and_a_fingerprint_makes_it_trusted() {
    let (mut server, address) = serve(&["--tls-self-signed"]).await;
    let line = server.line().await;
    let fingerprint = line.strip_prefix("certificate SHA-256 ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
    for url in [format!("wss://{address}/test"), format!("wss://localhost:{}/test", address.port())] {
        let (code, out, err) = connect(&[&url, "--fingerprint", &fingerprint]).await;
        assert_eq!((code, out.as_str()), (0, "hi\n"), "{err}");
        assert_eq!(err, "openline: open\nopenline: closed with 1000 Normal Closure\n");
        let (code, out, _) = connect(&[&url, "-k"]).await;
        assert_eq!((code, out.as_str()), (0, "hi\n"));
        let (code, _, err) = connect(&[&url]).await;
        assert_eq!(code, 4);
        assert!(err.contains("nobody whom we trust has issued the peer's certificate"), "{err}");
    }
    let other = fingerprint.replacen(&fingerprint[..2], if fingerprint.starts_with("00") { "01" } else { "00" }, 1);
    let (code, _, err) = connect(&[&format!("wss://{address}/test"), "--fingerprint", &other]).await;
    assert!(code == 4 && err.contains("is not the one with the fingerprint"), "{err}");

    // The other protocol, from either side, is told apart.
    let (code, _, err) = connect(&[&format!("ws://{address}/test")]).await;
    assert!(code == 5 && err.contains("This port speaks TLS: use wss:// or https://."), "{err}");
    server.signal(SIGINT);
    assert_eq!(server.end().await.0, 0);

    let (_plain, address) = Program::serve(&[]).await;
    let (code, _, err) = connect(&[&format!("wss://{address}/test"), "-k"]).await;
    assert!(code == 4 && err.contains("the peer does not speak TLS on this port"), "{err}");
}

#[tokio::test]
async fn the_name_chooses_the_certificate_and_the_client_shows_its_own() {
    let folder = Folder::new("names");
    let authority = Authority::new();
    let ca = folder.file("ca.pem", &authority.0.pem());
    let [one, two, me] = ["one.test", "two.test", "me.test"].map(|name| {
        let (certificate, key) = authority.issue(name);
        (
            folder.file(&format!("{name}.pem"), &certificate),
            folder.file(&format!("{name}.key"), &key),
            certificate + &key,
        )
    });
    let both = folder.file("me.both.pem", &me.2);
    let (_server, address) = serve(&[
        "--host",
        "one.test",
        "--host",
        "two.test",
        "--log-level",
        "debug",
        "--tls-cert",
        text(&one.0),
        "--tls-key",
        text(&one.1),
        "--tls-cert",
        text(&two.0),
        "--tls-key",
        text(&two.1),
        "--tls-client-ca",
        text(&ca),
    ])
    .await;
    for name in ["one.test", "two.test"] {
        let url = format!("wss://{name}:{}/test", address.port());
        let resolve = format!("{name}:{}:127.0.0.1", address.port());
        let flags = [url.as_str(), "--resolve", &resolve, "--cacert", text(&ca)];
        for with in [&["--cert", text(&me.0), "--key", text(&me.1)][..], &["--cert", text(&both)]] {
            let (code, out, err) = connect(&[&flags[..], with].concat()).await;
            assert_eq!((code, out.as_str()), (0, "hi\n"), "{err}");
        }
        let (code, _, err) = connect(&flags).await;
        assert!(code == 4 && err.contains("demands a client certificate"), "{err}");
    }
    let url = format!("wss://three.test:{}/test", address.port());
    let to = format!("three.test::127.0.0.1:{}", address.port());
    let (code, _, err) = connect(&[&url, "--connect-to", &to, "--cacert", text(&ca), "--cert", text(&both)]).await;
    assert!(code == 4 && err.contains("is not for three.test"), "{err}");
}

#[tokio::test]
async fn flags_that_make_no_sense_are_said_before_anything_listens() {
    let folder = Folder::new("flags");
    let (certificate, key) = Authority::new().issue("localhost");
    let (_, other_key) = Authority::new().issue("localhost");
    let [certificate, key, other] = [("cert.pem", certificate), ("key.pem", key), ("other.pem", other_key)]
        .map(|(name, pem)| folder.file(name, &pem));
    let (certificate, key, other) = (text(&certificate), text(&key), text(&other));
    for (flags, reason) in [
        (&["--tls-key", key][..], "--tls-cert"),
        (
            &["--tls-cert", certificate, "--tls-cert", certificate, "--tls-key", key],
            "each certificate needs its key, in the same order",
        ),
        (&["--tls-client-ca", certificate], "it needs TLS"),
        (&["--tls-self-signed", "--tls-cert", certificate], "cannot be used with"),
        (&["--tls-cert", certificate], "there is no private key in the PEM"),
        (&["--tls-cert", certificate, "--tls-key", other], "the private key is not that of the certificate"),
        (&["--tls-cert", "/nowhere.pem"], "cannot read /nowhere.pem"),
        (&["--tls-cert", key, "--tls-key", key], "there is no certificate in the PEM"),
    ] {
        let program = Program::start(openline(&[&["serve", "--listen", "127.0.0.1:0"], flags].concat()));
        let (code, _, err) = program.end().await;
        assert!(code == 2 && err.contains(reason), "{flags:?}: {code}: {err}");
    }
}

/// Opened before, 2,000 lines live on; whoever comes afterwards is shown the new certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_closes_none_of_2000_lines() {
    const LINES: usize = 2000;
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let folder = Folder::new("reload");
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost");
    let files = (folder.file("cert.pem", &certificate), folder.file("key.pem", &key));
    let tls = Some(Tls::new(Certificates::Files(vec![files])));
    let mut server = start(Config { tls, ..Config::default() }).await;
    let connector = authority.connector();
    let mut lines = Vec::with_capacity(LINES);
    while lines.len() < LINES {
        lines.push(open(&connector, server.address).await.unwrap());
    }
    let before = shown(&lines[0]);

    // First half of it, as it happens: the key is not the certificate's, and what was goes on to be used.
    let (certificate, key) = authority.issue("localhost");
    folder.file("cert.pem", &certificate);
    assert_eq!(shown(&open(&connector, server.address).await.unwrap()), before);
    folder.file("key.pem", &key);
    let renewed = timeout(PATIENCE, async {
        loop {
            let mut socket = open(&connector, server.address).await.unwrap();
            if shown(&socket) != before {
                return socket;
            }
            socket.close(CloseCode::NORMAL, "").await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let mut renewed = renewed.await.expect("the new certificate is seen");
    echoes(&mut renewed, "new").await;

    for (number, line) in lines.iter_mut().enumerate() {
        assert_eq!(shown(line), before);
        echoes(line, &number.to_string()).await;
    }
    assert_eq!(lines.iter().filter(|line| line.closed().is_some()).count(), 0);

    // At the end everybody is told, and both close_notify cross: a cut line would be an error.
    server.order(Order::Close);
    for line in &mut lines {
        assert_eq!(timeout(PATIENCE, line.recv()).await.expect("it ends").unwrap(), None);
        assert_eq!(line.closed().unwrap().code(), 1001);
    }
    renewed.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(server.farewell().await.dropped, 0);
}

#[tokio::test]
async fn pages_are_served_over_tls_and_refusals_said() {
    let mut config = Config { tls: Some(Tls::new(Certificates::SelfSigned(vec![]))), ..Config::default() };
    config.max_connections = 1;
    let server = start(config).await;
    let anybody = trusting().dangerously_accept_any_certificate().build().unwrap();
    let dial = || async {
        let stream = TcpStream::connect(server.address).await.unwrap();
        anybody.connect("localhost", stream).await.unwrap()
    };
    let mut one = dial().await;
    one.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut page = String::new();
    one.read_to_string(&mut page).await.unwrap(); // to its close_notify
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("</html>\n"), "{page}");
    drop(one);

    let mut line = open(&anybody, server.address).await.unwrap();
    let mut two = dial().await;
    two.write_all(upgrade("/test").as_bytes()).await.unwrap();
    let mut answer = String::new();
    two.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 5\r\n"), "{answer}");
    echoes(&mut line, "hi").await;
}

#[tokio::test]
async fn who_never_shakes_hands_is_given_up() {
    let mut tls = Tls::new(Certificates::SelfSigned(vec![]));
    tls.timeout = Duration::from_millis(50);
    let mut server = start(Config { tls: Some(tls), ..Config::default() }).await;
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut raw = Raw::connect(server.address).await;
        raw.send(said).await;
        raw.expects_eof().await;
    }
    // And nobody waits for it at the end.
    let mut tls = Tls::new(Certificates::SelfSigned(vec![]));
    tls.timeout = Duration::from_secs(3600);
    server.order(Order::Close);
    let mut server = start(Config { tls: Some(tls), ..Config::default() }).await;
    let mut raw = Raw::connect(server.address).await;
    raw.send(b"\x16").await;
    server.order(Order::Close);
    raw.expects_eof().await;
    assert_eq!(server.farewell().await.dropped, 0);
}

/// Noise, plain HTTP, a ClientHello that dribbles, and two hundred who only connect: each is given up, and a line beside
/// them does not notice.
#[tokio::test]
async fn who_speaks_something_else_is_given_up_alone() {
    let mut tls = Tls::new(Certificates::SelfSigned(vec![]));
    tls.timeout = Duration::from_secs(1);
    let server = start(Config { tls: Some(tls), ..Config::default() }).await;
    let anybody = trusting().dangerously_accept_any_certificate().build().unwrap();
    let mut line = open(&anybody, server.address).await.unwrap();

    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(Raw::connect(server.address).await);
    }
    for (said, told) in
        [(&[0xff; 4096][..], &b"\x15"[..]), (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"HTTP/1.1 400 ")]
    {
        let mut raw = Raw::connect(server.address).await;
        raw.send(said).await;
        let mut rest = Vec::new();
        // Perhaps with a reset before it was heard, as not all that came was read.
        let ended = timeout(PATIENCE, raw.0.read_to_end(&mut rest)).await.expect("it ends");
        assert!(rest.starts_with(told) || ended.is_err(), "{}", rest.escape_ascii());
    }
    // A record of 512 bytes, of which one comes every 100 ms: the whole handshake has one deadline.
    let mut dribbling = Raw::connect(server.address).await;
    let mut sent = 0;
    while sent < 512 && dribbling.0.write_all(if sent == 0 { b"\x16\x03\x01\x02\x00\x01" } else { b"\0" }).await.is_ok()
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
        sent += 1;
    }
    assert!(sent < 512, "it was let go on");
    for mut raw in silent {
        raw.expects_eof().await;
    }
    echoes(&mut line, "still here").await;
}

#[tokio::test]
async fn who_only_sends_is_dropped_over_tls_as_without() {
    let tls = Some(Tls::new(Certificates::SelfSigned(vec![])));
    let line = openline::Config {
        write_timeout: Duration::from_secs(1),
        max_output_bytes: 64 << 10,
        ..openline::Config::default()
    };
    let server = start(Config { tls, line, ..Config::default() }).await;
    let anybody = trusting().dangerously_accept_any_certificate().build().unwrap();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut stream = anybody.connect("localhost", stream).await.unwrap();
    stream.write_all(upgrade("/test").as_bytes()).await.unwrap();
    // Masked with zeros, 64 KiB each; what comes back is never read.
    let frame = [&b"\x82\xff\0\0\0\0\0\x01\0\0\0\0\0\0"[..], &[7; 65_536]].concat();
    let sending = async { while stream.write_all(&frame).await.is_ok() {} };
    timeout(PATIENCE, sending).await.expect("it is dropped");
}
