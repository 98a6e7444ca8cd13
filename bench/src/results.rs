//! `bench/results/`: every figure as JSON, and docs/performance.md, made from whatever JSON is there.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    calls, chart,
    comparison::Comparison,
    connect, fan_out, idle, overhead,
    page::{self, Figures},
    proxies, stalled,
};

/// Keeps a report under its name, and writes the page anew.
pub(crate) fn write(name: &str, report: &impl Serialize) -> Result<()> {
    keep(name, report)?;
    write_page()
}

/// Keeps what the doors cost, and writes their page and its chart.
pub(crate) fn write_overhead(report: &overhead::Report) -> Result<()> {
    keep(OVERHEAD, report)?;
    let docs = home().join("../docs");
    fs::create_dir_all(docs.join("images"))?;
    fs::write(docs.join("images").join(overhead::CHART), chart::svg(overhead::CHART_SHOWS, &report.panels()))?;
    let path = docs.join("overhead.md");
    fs::write(&path, report.page()).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Keeps what readers that stop reading cost, and writes their page.
pub(crate) fn write_stalled(report: &stalled::Report) -> Result<()> {
    keep(STALLED, report)?;
    let path = home().join("../docs/stalled.md");
    fs::write(&path, report.page()).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

fn keep(name: &str, report: &impl Serialize) -> Result<()> {
    let directory = home().join("results");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), serde_json::to_string_pretty(report)? + "\n")?;
    Ok(())
}

/// The page, from what was measured last.
pub(crate) fn write_page() -> Result<()> {
    let results = home().join("results");
    let figures = Figures {
        echo: read::<Comparison>(&results.join(ECHO))?,
        connect: read::<connect::Report>(&results.join(CONNECT))?,
        idle: read::<idle::Report>(&results.join(IDLE))?,
        fan_out: read::<fan_out::Report>(&results.join(FAN_OUT))?,
        calls: read::<calls::Report>(&results.join(CALLS))?,
        proxies: read::<proxies::Report>(&results.join(PROXIES))?,
    };
    let docs = home().join("../docs");
    let charts = page::charts(&figures);
    for (name, what, panels) in &charts {
        fs::create_dir_all(docs.join("images"))?;
        fs::write(docs.join("images").join(name), chart::svg(what, panels))?;
    }
    let path = docs.join("performance.md");
    fs::write(&path, page::markdown(&figures, &charts)).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
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

fn home() -> PathBuf {
    // So that a trial need not write over what is kept.
    std::env::var_os("OPENLINE_BENCH_HOME").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

pub(crate) const ECHO: &str = "echo.json";
pub(crate) const CONNECT: &str = "connect.json";
pub(crate) const IDLE: &str = "idle.json";
pub(crate) const FAN_OUT: &str = "fan_out.json";
pub(crate) const PROXIES: &str = "proxies.json";
pub(crate) const CALLS: &str = "calls.json";
const OVERHEAD: &str = "overhead.json";
const STALLED: &str = "stalled.json";
