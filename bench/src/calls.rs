//! What a message costs beside time: system calls (counted by strace) and allocations (counted by the allocator).

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

use crate::{
    cell::Cell,
    child::Running,
    cores::Cores,
    load::Load,
    machine::Machine,
    open_files,
    progress::Progress,
    servers::{self, ON_ANY_PORT, Server},
    table::markdown,
};

#[derive(Args)]
pub(crate) struct Options {
    /// How long each run is counted, after half a second of warming up
    #[arg(long, default_value_t = 1.0, value_parser = crate::echo::seconds)]
    pub(crate) seconds: f64,
    /// Under which load: CONNECTIONSxBYTESxDEPTH,...
    #[arg(long, value_delimiter = ',', default_value = "100x20x1,100x20x16,100x1024x16")]
    pub(crate) cells: Vec<Cell>,
    #[command(flatten)]
    pub(crate) servers: servers::Options,
    #[command(flatten)]
    pub(crate) cores: Cores,
    /// Write the figures to bench/results/ and docs/performance.md
    #[arg(long)]
    pub(crate) write: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    counts: Vec<Count>,
    failures: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Count {
    cell: Cell,
    server: String,
    messages: u64,
    /// By name; empty where there was no strace.
    system_calls: BTreeMap<String, u64>,
    /// `None` for servers whose allocator does not count.
    allocations: Option<u64>,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let servers = options.servers.echo_servers()?;
    let counting = Server::new("openline", &options.servers.cargo().own("idle_server")?, ON_ANY_PORT);
    let machine = Machine::this(options.cores.allowed()?.len());
    open_files::allow(options.cells.iter().map(|cell| cell.connections).max().unwrap_or(0))?;
    let mut progress = Progress::new(options.cells.len() * (servers.len() + 1));
    let (mut counts, mut failures) = (Vec::new(), Vec::new());
    for &cell in &options.cells {
        for server in servers.iter().filter_map(|server| server.over(cell.over)) {
            progress.step(&format!("system calls, {cell}, {}", server.name));
            match system_calls(&server, cell, options) {
                Ok(count) => counts.push(count),
                Err(error) => failures.push(format!("{} at {cell}: {error:#}", server.name)),
            }
        }
        progress.step(&format!("allocations, {cell}, {}", counting.name));
        let (messages, allocations) = allocations(&counting, cell, options)?;
        let server = "openline, counting".into();
        let count = Count { cell, server, messages, system_calls: BTreeMap::new(), allocations: Some(allocations) };
        counts.push(count);
    }
    Ok(Report { machine, counts, failures })
}

fn system_calls(server: &Server, cell: Cell, options: &Options) -> Result<Count> {
    options.cores.pin_server(1)?;
    let (running, address) = Running::server(&server.command)?;
    options.cores.pin_load()?;
    let mut load = Load::new(address, server, cell)?;
    load.run_for(WARM_UP)?;
    load.drain()?;
    let before = load.messages;
    let strace = Strace::attach(running.pid())?;
    load.resume()?;
    load.run_for(Duration::from_secs_f64(options.seconds))?;
    load.drain()?;
    let system_calls = strace.detach()?;
    let messages = load.messages - before;
    ensure!(messages > 0, "no reply under strace");
    drop(running);
    Ok(Count { cell, server: server.name.clone(), messages, system_calls, allocations: None })
}

fn allocations(server: &Server, cell: Cell, options: &Options) -> Result<(u64, u64)> {
    options.cores.pin_server(1)?;
    let (mut running, address) = Running::server(&server.command)?;
    options.cores.pin_load()?;
    let mut load = Load::new(address, server, cell)?;
    load.run_for(WARM_UP)?;
    load.drain()?;
    let before = load.messages;
    let allocated = asked(&mut running)?;
    load.resume()?;
    load.run_for(Duration::from_secs_f64(options.seconds))?;
    load.drain()?;
    let allocated = asked(&mut running)? - allocated;
    drop(running);
    Ok((load.messages - before, allocated))
}

fn asked(running: &mut Running) -> Result<u64> {
    let answer = running.ask("allocations")?;
    let count = answer.split(' ').skip_while(|word| *word != "allocations").nth(1);
    count.and_then(|count| count.parse().ok()).with_context(|| format!("not a count: {answer:?}"))
}

/// `strace -c` on a process that runs.
struct Strace {
    child: std::process::Child,
    summary: PathBuf,
}

impl Strace {
    fn attach(process: Pid) -> Result<Strace> {
        let summary = std::env::temp_dir().join(format!("openline-bench-strace-{process}"));
        let mut child = Command::new("strace")
            .args(["-f", "-c", "-U", "name,calls", "-p", &process.to_string(), "-o"])
            .arg(&summary)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("no strace")?;
        let stderr = child.stderr.take().context("piped")?;
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if line.contains(" attached") {
                // It says so before it has stopped the server, which must not do anything uncounted meanwhile: no load runs.
                thread::sleep(ATTACH_TIME);
                return Ok(Strace { child, summary });
            }
            if line.contains("Operation not permitted") || line.contains("attach:") {
                break;
            }
        }
        child.kill().ok();
        child.wait().ok();
        bail!("strace may not attach to the server")
    }

    fn detach(mut self) -> Result<BTreeMap<String, u64>> {
        // It writes its summary when it is told to end.
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGINT)?;
        self.child.wait()?;
        let summary = fs::read_to_string(&self.summary).context("strace wrote no summary")?;
        fs::remove_file(&self.summary).ok();
        parse(&summary)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Lines of a name and a number, between rules of dashes.
fn parse(summary: &str) -> Result<BTreeMap<String, u64>> {
    let rows =
        summary.lines().skip_while(|line| !line.starts_with('-')).skip(1).take_while(|line| !line.starts_with('-'));
    let calls = rows.map(|row| {
        let mut words = row.split_whitespace();
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    calls.collect::<Option<_>>().with_context(|| format!("not a summary of strace:\n{summary}"))
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let rows: Vec<_> = self
            .counts
            .iter()
            .map(|count| {
                let per_message = |calls: u64| format!("{:.3}", calls as f64 / count.messages.max(1) as f64);
                let mut calls: Vec<_> = count.system_calls.iter().collect();
                calls.sort_by_key(|(_, calls)| std::cmp::Reverse(**calls));
                let names = calls.iter().take(4).map(|(name, calls)| format!("{name} {}", per_message(**calls)));
                let all = count.system_calls.values().sum::<u64>();
                [
                    count.cell.to_string(),
                    count.server.clone(),
                    if count.system_calls.is_empty() { String::new() } else { per_message(all) },
                    names.collect::<Vec<_>>().join(", "),
                    count.allocations.map_or_else(String::new, per_message),
                ]
            })
            .collect();
        let heads = ["cell", "server", "system calls per message", "of them", "allocations per message"];
        let failures: String = self.failures.iter().map(|failure| format!("\nFailed: {failure}\n")).collect();
        format!(
            "## System calls and allocations\n\n{}\n\nCounted by strace, and by an allocator that counts, in runs of their own: \
             neither is in the other figures.\n\n{}{failures}",
            self.machine.line(),
            markdown(2, heads, &rows)
        )
    }
}

/// Many times what stopping a process that waits takes.
const ATTACH_TIME: Duration = Duration::from_millis(500);

/// Buffers have grown to their size, and pools are filled.
const WARM_UP: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_of_strace() {
        let summary = "syscall              calls\n---------------- ---------\nrecvfrom              1000\nsendto                 999\nepoll_wait              12\n---------------- ---------\ntotal                 2011\n";
        let calls = parse(summary).unwrap();
        assert_eq!(calls.values().sum::<u64>(), 2011);
        assert_eq!(calls["sendto"], 999);
        assert!(parse("----\nnonsense\n").is_err());
    }
}
