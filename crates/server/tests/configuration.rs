//! `openline serve --config` and `openline check`, the real program: what they say about files, and what is closed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::support::{Program, Raw, openline};

/// A directory of this test's own, with this openline.toml in it.
fn directory(name: &str, file: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("configuration-{name}"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("openline.toml"), file).unwrap();
    directory
}

fn in_directory(directory: &Path, args: &[&str]) -> Command {
    let mut command = openline(args);
    command.current_dir(directory);
    command
}

/// The exit code, stdout and stderr.
async fn check(directory: &Path, args: &[&str]) -> (i32, String, String) {
    Program::start(in_directory(directory, &[&["check"], args].concat())).end().await
}

async fn serve(command: Command) -> (Program, SocketAddr) {
    let mut program = Program::start(command);
    let line = program.line().await;
    let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line:?}"));
    let address = address.parse().unwrap();
    (program, address)
}

async fn get(address: SocketAddr, path: &str) -> u16 {
    let mut raw = Raw::connect(address).await;
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    raw.answer().await.status
}

#[tokio::test]
async fn check_says_what_would_be_served_and_no_secrets() {
    let file = "[server]\nlisten = [\":8080\"]\n[api]\nkeys = [\"a-very-secret-secret\"]\n[namespaces.chat]\nallow.subscribe = \"anyone\"\n";
    let directory = directory("fine", file);
    for args in [&[][..], &["openline.toml"]] {
        let (code, out, err) = check(&directory, args).await;
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.starts_with("openline.toml makes sense."), "{out}");
        for said in ["http://localhost:8080", "/c/chat:…", "subscribe anyone, publish nobody", "with a key"] {
            assert!(out.contains(said), "{said} is not in {out}");
        }
        assert!(!out.contains("secret"), "{out}");
    }
}

#[tokio::test]
async fn check_and_serve_say_all_that_is_wrong() {
    let directory = directory("wrong", "[limits]\nmax_conections = 5\n[times]\npong_timeout = 10\n");
    let expected = "error: openline.toml:2:1: there is no key \"max_conections\" in [limits]; did you mean \"max_connections\"?\n\
        openline.toml:4:16: times.pong_timeout: it is a whole number, and should be a text in quotes\n2 errors\n";
    for command in ["check", "serve"] {
        let (code, out, err) = Program::start(in_directory(&directory, &[command])).end().await;
        assert_eq!((code, out.as_str(), err.as_str()), (2, "", expected), "{command}");
    }
}

#[tokio::test]
async fn check_looks_at_what_serve_would_stumble_over() {
    for (name, file, said) in [
        ("tls", "[tls]\ncert = \"nowhere.pem\"", "nowhere.pem"),
        ("public", "[server]\nlisten = [\"0.0.0.0:0\"]", "server.hosts"),
    ] {
        let (code, _, err) = check(&directory(name, file), &[]).await;
        assert_eq!(code, 2, "{err}");
        assert!(err.starts_with("error: ") && err.contains(said), "{err}");
    }
    let nothing = Path::new(env!("CARGO_TARGET_TMPDIR")).join("configuration-nothing");
    fs::create_dir_all(&nothing).unwrap();
    let (code, _, err) = check(&nothing, &[]).await;
    assert!(code == 2 && err.contains("there is no openline.toml here"), "{err}");
    let (code, _, err) = check(&nothing, &["other.toml"]).await;
    assert_eq!((code, err.as_str()), (2, "error: cannot read other.toml: there is no such file\n"));
}

#[tokio::test]
async fn check_prints_the_schema_and_the_reference() {
    let (code, out, _) = check(Path::new("."), &["--schema"]).await;
    assert_eq!(code, 0);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(schema["properties"]["limits"]["properties"]["max_connections"].is_object());
    let (code, out, _) = check(Path::new("."), &["--reference"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("### `max_connections`"), "{out}");
}

#[tokio::test]
async fn with_a_file_everything_is_closed_until_it_is_opened() {
    let directory = directory("closed", "[server]\nlisten = [\"127.0.0.1:0\"]\n[namespaces.chat]\n");
    let (_program, address) = serve(in_directory(&directory, &["serve"])).await;
    for (path, status) in [("/", 404), ("/test", 404), ("/c/other:x", 404), ("/c/chat:x", 403), ("/c/news", 403)] {
        assert_eq!(get(address, path).await, status, "{path}");
    }
}

#[tokio::test]
async fn the_demo_and_channels_are_opened_by_name() {
    let file = "[server]\nlisten = [\"127.0.0.1:0\"]\ndemo = true\n[channels]\nallow.history = \"anyone\"\n";
    let directory = directory("opened", file);
    let (_program, address) = serve(in_directory(&directory, &["serve"])).await;
    for (path, status) in [("/", 200), ("/test", 426), ("/c/news", 200), ("/c/other:x", 404)] {
        assert_eq!(get(address, path).await, status, "{path}");
    }
}

#[tokio::test]
async fn flags_are_over_the_environment_and_that_over_the_file() {
    let directory = directory("layers", "[server]\nlisten = [\"127.0.0.3:0\"]\ndemo = false\n");
    let elsewhere = directory.join("other.toml");
    fs::write(&elsewhere, "[server]\nlisten = [\"127.0.0.4:0\"]\n").unwrap();
    let said = |args: &[&str]| in_directory(&directory, &[&["serve"], args].concat());
    let with = |mut command: Command, name: &str, value: &str| {
        command.env(name, value);
        command
    };
    let listen = "OPENLINE_SERVER_LISTEN";
    for (command, host) in [
        (said(&[]), "127.0.0.3"),
        (with(said(&[]), listen, "127.0.0.2:0"), "127.0.0.2"),
        (with(said(&["--listen", "127.0.0.1:0"]), listen, "127.0.0.2:0"), "127.0.0.1"),
        (with(said(&[]), "OPENLINE_CONFIG", "other.toml"), "127.0.0.4"),
        (said(&["--config", "other.toml"]), "127.0.0.4"),
    ] {
        let (_program, address) = serve(command).await;
        assert_eq!(address.ip().to_string(), host);
    }
    let (code, _, err) = Program::start(with(said(&[]), "OPENLINE_LIMITS_MAX_HEADERS", "many")).end().await;
    assert_eq!(code, 2);
    assert!(err.starts_with("error: environment variable OPENLINE_LIMITS_MAX_HEADERS: limits.max_headers: "), "{err}");
}
