//! `openline-bench`: what a WebSocket message costs a server, and what an idle connection holds.

mod cargo;
mod cell;
mod child;
mod comparison;
mod cpu;
mod echo;
mod frame;
mod idle;
mod load;
mod machine;
mod opening;
mod progress;
mod results;
mod spread;
mod table;
mod wire;

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[derive(Parser)]
#[command(about, version, max_term_width = 100)]
enum Command {
    /// Messages per second of server CPU time, as a ratio to a raw TCP echo
    Echo(echo::Options),
    /// Memory per idle connection
    Idle(idle::Options),
}

fn main() -> Result<()> {
    let command = Command::parse();
    child::end_all_when_interrupted()?;
    allow_many_connections()?;
    match command {
        Command::Echo(options) => {
            let comparison = echo::measure(&options)?;
            show(&comparison.machine, &comparison.markdown());
            if options.write {
                results::write_echo(&comparison)?;
            }
        }
        Command::Idle(options) => {
            let report = idle::measure(&options)?;
            show(&report.machine, &report.markdown());
            if options.write {
                results::write_idle(&report)?;
            }
        }
    }
    Ok(())
}

fn show(machine: &machine::Machine, report: &str) {
    print!("{report}");
    if let Some(warning) = machine.warning() {
        eprintln!("\nwarning: {warning}");
    }
}

/// Raises the number of open files to what the system allows; servers inherit it.
fn allow_many_connections() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise the number of open files")
}
