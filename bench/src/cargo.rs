//! Builds what is measured, the way a user builds it.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::child::Running;

/// `cargo build --release` with these arguments; returns the path of the one program they name.
pub(crate) fn build(arguments: &[&str]) -> Result<PathBuf> {
    eprintln!("building {}", arguments.join(" "));
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let (messages, status) = Running::start(
        Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--release", "--quiet", "--message-format=json-render-diagnostics"])
            .args(arguments),
    )?
    .finish()?;
    ensure!(status.success(), "cargo build {} failed", arguments.join(" "));
    messages.iter().find_map(|message| executable(message)).context("cargo built no program")
}

fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    Some(message["executable"].as_str()?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages() {
        assert_eq!(
            executable(r#"{"reason":"compiler-artifact","executable":"/t/release/raw_echo"}"#),
            Some("/t/release/raw_echo".into())
        );
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("a line of a build script"), None);
    }
}
