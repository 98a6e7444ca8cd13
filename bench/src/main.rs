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
mod open_files;
mod opening;
mod progress;
mod results;
mod spread;
mod table;
mod wire;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(about, version, max_term_width = 100)]
enum Command {
    /// Messages per second of server CPU time, as a ratio to a raw TCP echo
    Echo(echo::Options),
    /// Memory per idle connection
    Idle(idle::Options),
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
        Command::Echo(options) => {
            let comparison = echo::measure(options)?;
            show(&comparison.machine, &comparison.markdown());
            if options.write {
                results::write_echo(&comparison)?;
            }
        }
        Command::Idle(options) => {
            let report = idle::measure(options)?;
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
