//! `openline-bench`: what openline costs a server, beside the floor of raw TCP and beside other libraries.

mod calls;
mod cargo;
mod cell;
mod certificate;
mod chart;
mod child;
mod comparison;
mod compressed;
mod connect;
mod cores;
mod cpu;
mod echo;
mod everything;
mod fan_out;
mod frame;
mod idle;
mod line;
mod load;
mod machine;
mod open_files;
mod opening;
mod overhead;
mod page;
mod peers;
mod progress;
mod proxies;
mod results;
mod servers;
mod spread;
mod stalled;
mod table;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use serde::Serialize;

use crate::machine::Machine;

#[derive(Parser)]
#[command(about, version, max_term_width = 100)]
enum Command {
    /// Messages per second of server CPU time, as a ratio to a raw TCP echo
    Echo(Box<echo::Options>),
    /// Connections opened per second of server CPU time
    Connect(connect::Options),
    /// Memory per idle connection
    Idle(idle::Options),
    /// Deliveries per second of server CPU time: one publishes, thousands receive
    FanOut(fan_out::Options),
    /// System calls and allocations per message
    Calls(calls::Options),
    /// Bytes and time of a message by WebSocket, event stream and long polling; docs/overhead.md
    Overhead(overhead::Options),
    /// What readers that stop reading cost the others; docs/stalled.md
    Stalled(stalled::Options),
    /// CPU time of a message, and memory of an idle line, through `openline serve`, nginx, haproxy and caddy
    Proxies(proxies::Options),
    /// Everything, with every peer, and docs/performance.md
    All(everything::Options),
    /// docs/performance.md anew, from what was measured last
    Page,
}

fn main() -> ExitCode {
    let command = Command::parse();
    match run(&command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    child::end_all_when_interrupted()?;
    match command {
        Command::Echo(options) => echo(options),
        Command::Connect(options) => connect(options),
        Command::Idle(options) => idle(options),
        Command::FanOut(options) => fan_out(options),
        Command::Calls(options) => calls(options),
        Command::Overhead(options) => overhead(options),
        Command::Stalled(options) => stalled(options),
        Command::Proxies(options) => proxies(options),
        Command::All(options) => everything::measure(options),
        Command::Page => results::write_page(),
    }
}

fn echo(options: &echo::Options) -> Result<()> {
    let report = echo::measure(options)?;
    done(&report.machine, &report.markdown(), &report, options.write.then_some(results::ECHO))
}

fn connect(options: &connect::Options) -> Result<()> {
    let report = connect::measure(options)?;
    done(&report.machine, &report.markdown(), &report, options.write.then_some(results::CONNECT))
}

fn idle(options: &idle::Options) -> Result<()> {
    let report = idle::measure(options)?;
    done(&report.machine, &report.markdown(), &report, options.write.then_some(results::IDLE))
}

fn fan_out(options: &fan_out::Options) -> Result<()> {
    let report = fan_out::measure(options)?;
    done(&report.machine, &report.markdown(), &report, options.write.then_some(results::FAN_OUT))
}

fn calls(options: &calls::Options) -> Result<()> {
    let report = calls::measure(options)?;
    done(&report.machine, &report.markdown(), &report, options.write.then_some(results::CALLS))
}

fn proxies(options: &proxies::Options) -> Result<()> {
    let report = proxies::measure(options)?;
    done(&report.comparison.machine, &report.markdown(), &report, options.write.then_some(results::PROXIES))
}

fn overhead(options: &overhead::Options) -> Result<()> {
    let report = overhead::measure(options)?;
    done(&report.machine, &report.markdown(), &report, None)?;
    if options.write { results::write_overhead(&report) } else { Ok(()) }
}

fn stalled(options: &stalled::Options) -> Result<()> {
    let report = stalled::measure(options)?;
    done(&report.machine, &report.markdown(), &report, None)?;
    if options.write { results::write_stalled(&report) } else { Ok(()) }
}

/// Shows a report, and keeps it if it has a name.
fn done(machine: &Machine, markdown: &str, report: &impl Serialize, name: Option<&str>) -> Result<()> {
    print!("{markdown}");
    if let Some(warning) = machine.warning() {
        eprintln!("\nwarning: {warning}");
    }
    name.map_or(Ok(()), |name| results::write(name, report))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_makes_sense() {
        super::Command::command().debug_assert();
    }
}
