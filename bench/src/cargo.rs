//! Builds what is measured, the way a user builds it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::child::Running;

/// A way to build.
#[derive(Clone, Debug)]
pub(crate) struct Cargo {
    pub(crate) profile: String,
}

impl Cargo {
    /// A program of this package.
    pub(crate) fn own(&self, name: &str) -> Result<PathBuf> {
        self.program(&["-p", "openline-bench", "--bin", name])
    }

    /// An example of the library.
    pub(crate) fn example(&self, name: &str) -> Result<PathBuf> {
        self.program(&["-p", "openline", "--example", name])
    }

    /// `openline`.
    pub(crate) fn product(&self) -> Result<PathBuf> {
        self.program(&["-p", "openline-server", "--bin", "openline"])
    }

    /// The path of the one program that these arguments of `cargo build` name.
    fn program(&self, arguments: &[&str]) -> Result<PathBuf> {
        let build = ["build", "--quiet", "--message-format=json-render-diagnostics", "--profile", &self.profile];
        let messages = run(Path::new(env!("CARGO_MANIFEST_DIR")), &[&build, arguments].concat(), None)?;
        messages.iter().find_map(|message| executable(message)).context("cargo built no program")
    }
}

/// Runs cargo in a folder; what it printed.
pub(crate) fn run(folder: &Path, arguments: &[&str], target: Option<&Path>) -> Result<Vec<String>> {
    eprintln!("cargo {} in {}", arguments.join(" "), folder.display());
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder).args(arguments);
    if let Some(target) = target {
        command.env("CARGO_TARGET_DIR", target);
    }
    let (printed, status) = Running::start(&mut command)?.finish()?;
    ensure!(status.success(), "cargo {} failed in {}", arguments.join(" "), folder.display());
    Ok(printed)
}

/// Where cargo puts what it builds for this workspace.
pub(crate) fn target_directory() -> Result<PathBuf> {
    if let Some(target) = env::var_os("CARGO_TARGET_DIR") {
        return Ok(std::path::absolute(target)?);
    }
    let metadata = run(Path::new(env!("CARGO_MANIFEST_DIR")), &["metadata", "--no-deps", "--format-version=1"], None)?;
    let metadata: Value = serde_json::from_str(&metadata.concat())?;
    Ok(metadata["target_directory"].as_str().context("cargo did not say where it builds")?.into())
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
