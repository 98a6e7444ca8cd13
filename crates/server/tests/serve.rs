//! `openline serve`, the real program: what it prints, how it fails, how it ends.
#![cfg(unix)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGINT, SIGTERM};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::support::{PATIENCE, Program, Raw, close, masked, openline, piped, upgrade};

async fn open(address: SocketAddr) -> Raw {
    let mut raw = Raw::connect(address).await;
    raw.send(upgrade("/test")).await;
    assert_eq!(raw.answer().await.status, 101);
    raw
}

/// Starts something that does not get far: its exit code, stdout and stderr.
async fn run(args: &[&str]) -> (i32, String, String) {
    Program::start(openline(args)).end().await
}

#[tokio::test]
async fn it_says_where_it_listens_and_what_to_try() {
    let (program, address) = Program::serve(&[]).await;
    assert!(address.ip().is_loopback() && address.port() != 0);
    program.signal(SIGINT);
    let (code, out, err) = program.end().await;
    assert_eq!(code, 0);
    for try_this in
        [&format!("http://localhost:{}", address.port()), "/test", "/chat", "/increment", "openline connect"]
    {
        assert!(out.contains(try_this), "{try_this} is not in {out}");
    }
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "a pipe gets no colours");
}

#[tokio::test]
async fn each_address_gets_a_line_and_a_free_port() {
    let mut program = Program::start(openline(&["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]));
    let mut addresses = Vec::new();
    for expected in ["127.0.0.1", "127.0.0.2"] {
        let line = program.line().await;
        let address: SocketAddr = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
        assert_eq!(address.ip().to_string(), expected);
        addresses.push(address);
    }
    for address in addresses {
        open(address).await;
    }
}

#[tokio::test]
async fn a_colon_and_a_port_are_all_of_this_machine() {
    let mut program = Program::start(openline(&["serve", "--listen", ":0"]));
    assert!(program.line().await.starts_with("listening on http://127.0.0.1:"));
    // Where there is IPv6; elsewhere a warning says that there is none.
    let second = program.line().await;
    if !second.starts_with("listening on http://[::1]:") {
        program.says("not listening on [::1]").await;
    }
}

#[tokio::test]
async fn a_busy_port_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, out, err) = run(&["serve", "--listen", &address]).await;
    assert_eq!((code, out.as_str()), (3, ""));
    let expected = format!(
        "error: cannot listen on {address}: the port is in use; stop what listens there, or choose another port \
         (--listen 127.0.0.1:0 takes any free one)\n"
    );
    assert_eq!(err, expected);
}

#[tokio::test]
async fn an_address_of_another_machine_is_one_clear_line() {
    let (code, _, err) = run(&["serve", "--listen", "192.0.2.1:0", "--host", "x"]).await;
    assert_eq!((code, err.lines().count()), (3, 1), "{err}");
    assert!(
        err.starts_with("error: cannot listen on 192.0.2.1:0: 192.0.2.1 is not an address of this machine"),
        "{err}"
    );
}

#[tokio::test]
async fn a_wrong_flag_is_told_what_would_be_right() {
    for (args, said) in [
        (&["serve", "--prot", "80"][..], "--prot"),
        (&["serve", "--listen", "8080"], "127.0.0.1:8080"),
        (&["serve", "--ping-interval", "20"], "20"),
        (&["serve", "--ping-interval", "20"], "500ms, 10s, 2m"),
        (&["serve", "--max-message-bytes", "1MB"], "1MiB"),
        (&["serve", "--max-connections", "0"], "at least 1"),
        (&["serve", "--host", "chat.lan:8080"], "only the name"),
        (&["serve", "--allow-origin", "https://example.com/"], "scheme://host"),
        (&["serve", "--log-level", "loud=very"], "loud"),
        (&["sevre"], "serve"),
        (&["connect"], "URL"),
    ] {
        let (code, out, err) = run(args).await;
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(said), "{args:?}: {err}");
    }
}

#[tokio::test]
async fn a_public_address_has_to_be_opened() {
    let (code, out, err) = run(&["serve", "--listen", "0.0.0.0:0"]).await;
    assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 1), "{err}");
    for said in ["0.0.0.0:0", "--host", "--allow-origin", "127.0.0.1"] {
        assert!(err.contains(said), "{err}");
    }

    let mut program = Program::start(openline(&["serve", "--listen", "0.0.0.0:0", "--host", "chat.lan"]));
    let line = program.line().await;
    let port: u16 = line.strip_prefix("listening on http://0.0.0.0:").unwrap().parse().unwrap();
    for (host, status) in [("chat.lan", 200), ("localhost", 421), ("127.0.0.1", 421)] {
        let mut raw = Raw::connect(([127, 0, 0, 1], port).into()).await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")).await;
        assert_eq!(raw.answer().await.status, status, "{host}");
    }
}

#[tokio::test]
async fn the_help_documents_the_exit_codes() {
    let (code, out, _) = run(&["--help"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("Exit codes:") && out.contains("130") && out.contains("openline serve"), "{out}");
    for command in ["serve", "connect"] {
        let (code, out, _) = run(&[command, "--help"]).await;
        assert_eq!(code, 0);
        assert!(out.contains("Examples:"), "{out}");
    }
}

#[tokio::test]
async fn ctrl_c_closes_every_line_at_once() {
    let (mut program, address) = Program::serve(&["--drain-window", "60s"]).await;
    let mut lines = [open(address).await, open(address).await];
    // A browser keeps connections for later: nobody waits for them.
    let mut idle = Raw::connect(address).await;
    idle.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(idle.answer().await.status, 200);
    let _silent = TcpStream::connect(address).await.unwrap();

    program.signal(SIGINT);
    assert_eq!(program.says("closing").await, "openline: closing 2 lines with 1001; a second Ctrl-C exits at once");
    for line in &mut lines {
        line.expects(close(1001, "the server is stopping")).await;
        line.send(masked(0x88, &1001_u16.to_be_bytes())).await;
        line.expects_eof().await;
    }
    drop(lines);
    idle.expects_eof().await;
    drop(idle);
    let start = Instant::now();
    assert_eq!(program.end().await.0, 0);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[tokio::test]
async fn sigterm_drains() {
    let (mut program, address) = Program::serve(&["--drain-window", "2s"]).await;
    let mut lines = [open(address).await, open(address).await];
    let start = Instant::now();
    program.signal(SIGTERM);
    program.says("closing 2 lines with 1012").await;
    let [first, second] = &mut lines;
    first.expects(close(1012, "the server is restarting")).await;
    let mut newcomer = Raw::connect(address).await;
    newcomer.send(upgrade("/test")).await;
    let answer = newcomer.answer().await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    drop(newcomer);
    second.expects(close(1012, "the server is restarting")).await;
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    for line in &mut lines {
        line.send(masked(0x88, &1012_u16.to_be_bytes())).await;
        line.expects_eof().await;
    }
    drop(lines);
    assert_eq!(program.end().await.0, 0);
}

#[tokio::test]
async fn who_does_not_close_is_dropped_in_time() {
    let (mut program, address) = Program::serve(&["--close-timeout", "60s", "--shutdown-timeout", "300ms"]).await;
    let mut stubborn = open(address).await;
    program.signal(SIGINT);
    stubborn.expects(close(1001, "the server is stopping")).await;
    let said = program.says("dropped").await;
    assert_eq!(said, "openline: dropped 1 of 1 lines: their closing handshakes took too long");
    assert_eq!(program.end().await.0, 0);
}

#[tokio::test]
async fn a_second_signal_exits_at_once() {
    for threads in ["1", "2"] {
        let args = ["--close-timeout", "60s", "--shutdown-timeout", "60s", "--threads", threads];
        for (first, second) in [(SIGINT, SIGINT), (SIGTERM, SIGINT)] {
            let (mut program, address) = Program::serve(&args).await;
            let _stubborn = open(address).await;
            program.signal(first);
            program.says("closing 1 line with").await;
            program.signal(second);
            assert_eq!(program.end().await.0, 130);
        }
    }
}

/// Only a parent can lower the limit of a program: a shell.
fn serve_with_files(limit: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {limit}; exec \"$0\" serve --listen 127.0.0.1:0");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_openline")]);
    piped(command)
}

/// Out of file descriptors: it says so, once, and goes on when others leave.
#[tokio::test]
async fn too_many_files_are_survived() {
    let mut program = Program::start(serve_with_files(48));
    program.says("the system allows 48 open files").await;
    let line = program.line().await;
    let address: SocketAddr = line.strip_prefix("listening on http://").unwrap().parse().unwrap();

    let mut crowd = Vec::new();
    for _ in 0..64 {
        crowd.push(TcpStream::connect(address).await.unwrap());
    }
    program.says("cannot accept connections").await;
    drop(crowd);
    let answered = async {
        let mut raw = Raw::connect(address).await;
        raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(raw.answer().await.status, 200);
    };
    timeout(PATIENCE, answered).await.unwrap();
    program.signal(SIGINT);
    let (code, _, err) = program.end().await;
    assert_eq!(code, 0);
    assert!(!err.contains("cannot accept"), "said once: {err}");
}

/// A program that cannot even begin says so in one line.
#[tokio::test]
async fn hardly_any_files_are_one_clear_line() {
    let (code, out, err) = Program::start(serve_with_files(5)).end().await;
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("error: ") && err.contains("Too many open files"), "{err}");
}
