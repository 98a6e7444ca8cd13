//! Echo servers on other libraries: built and installed in bench/peers, a workspace of their own.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::{cargo, child::Running};

/// What the tables call them, and what their programs are called: first as their documentation says, then with one write per read.
const RUST: [(&str, &str); 10] = [
    ("tokio-tungstenite", "tungstenite"),
    ("tokio-tungstenite corked", "tungstenite_corked"),
    ("fastwebsockets", "fastwebsockets"),
    ("fastwebsockets corked", "fastwebsockets_corked"),
    ("tokio-websockets", "tokio_websockets"),
    ("tokio-websockets corked", "tokio_websockets_corked"),
    ("yawc", "yawc"),
    ("yawc corked", "yawc_corked"),
    ("sockudo-ws", "sockudo_ws"),
    ("sockudo-ws corked", "sockudo_ws_corked"),
];

/// All of them that are in Rust.
pub(crate) fn build(profile: &str) -> Result<Vec<(&'static str, PathBuf)>> {
    // Beside what cargo keeps for this workspace: other locked versions of the same crates would be built over and over.
    let target = cargo::target_directory()?.join("peers");
    cargo::run(&directory(), &["build", "--quiet", "--locked", "--bins", "--profile", profile], Some(&target))?;
    let built = target.join(if profile == "dev" { "debug" } else { profile });
    Ok(RUST.map(|(name, program)| (name, built.join(program))).into())
}

/// How to start the one on Node.
pub(crate) fn node() -> Result<Vec<OsString>> {
    let home = directory().join("ws");
    if !home.join("node_modules/ws").is_dir() {
        eprintln!("installing ws");
        let (_, status) =
            Running::start(Command::new("npm").current_dir(&home).args(["ci", "--no-audit", "--no-fund"]))?.finish()?;
        ensure!(status.success(), "npm ci failed in {}", home.display());
    }
    Ok(vec!["node".into(), home.join("echo.mjs").into(), "127.0.0.1:0".into()])
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}
