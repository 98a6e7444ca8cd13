//! `bench/results/`: every figure as JSON, and one page to read, made from whatever JSON is there.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Serialize, de::DeserializeOwned};

use crate::{comparison::Comparison, idle};

pub(crate) fn write_echo(comparison: &Comparison) -> Result<()> {
    write("echo.json", comparison)
}

pub(crate) fn write_idle(report: &idle::Report) -> Result<()> {
    write("idle.json", report)
}

fn write(name: &str, figures: &impl Serialize) -> Result<()> {
    let directory = directory();
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), serde_json::to_string_pretty(figures)? + "\n")?;

    let echo = read::<Comparison>(&directory.join("echo.json"))?.map(|comparison| comparison.markdown());
    let idle = read::<idle::Report>(&directory.join("idle.json"))?.map(|report| report.markdown());
    let sections: Vec<String> = [Some(HEAD.into()), echo, idle].into_iter().flatten().collect();
    let page = directory.join("latest.md");
    fs::write(&page, sections.join("\n")).with_context(|| format!("cannot write {}", page.display()))?;
    eprintln!("wrote {}", page.display());
    Ok(())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is of another version", path.display()))
            .map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}

const HEAD: &str = "# Latest figures\n\nWritten by `openline-bench --write`; what they mean: [README](../README.md).\n";
