//! The command line: what can be asked, and how the program speaks to people.

mod bench;
mod check;
mod connect;
mod routes;
mod serve;
mod signals;
mod trust;
mod units;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::builder::Styles;
use clap::{Parser, Subcommand};
use tokio::runtime::{self, Runtime};
use tracing_subscriber::EnvFilter;

use crate::exit::{self, Exit};

/// Live lines in front of any backend, and what to connect, measure and debug WebSockets with
#[derive(Debug, Parser)]
#[command(name = "openline", version, styles = STYLES, max_term_width = 100)]
#[command(help_template = TEMPLATE, before_help = EXAMPLES, after_help = exit::HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// What is logged to stderr: error, warn, info, debug, trace, or as in RUST_LOG. Payloads never are
    #[arg(long, global = true, value_name = "LEVEL", value_parser = units::filter)]
    log_level: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Check(check::Args),
    Connect(Box<connect::Args>),
    Bench(Box<bench::Args>),
}

const EXAMPLES: &str = "\
Try this:
  openline serve                          a server, and a page to play with
  openline serve ./public                 a folder; --proxy, --exec and --tcp put more beside it
  openline connect :8080/chat             type, and read; twice, and you can talk
  echo hi | openline connect :8080/test   in a pipe: prints \"hi\" and is done
  openline bench :8080/test               how fast is it?
  openline check                          does openline.toml make sense?";

/// What it is, then examples: who reads on knows what they look for.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

const STYLES: Styles = Styles::styled()
    .header(Style::new().bold())
    .usage(Style::new().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Green.on_default());

/// Reads the command line and does what it says. What is wrong with it, clap says, and exits with 2.
pub fn run() -> Exit {
    let Cli { command, log_level } = Cli::parse();
    log_to_stderr(log_level);
    match command {
        Command::Serve(args) => match serve::prepare(*args) {
            Ok(loaded) => run_on(serve::threads(&loaded), serve::run(loaded)),
            Err(exit) => exit,
        },
        Command::Check(args) => check::run(&args),
        Command::Connect(args) => run_on(1, connect::run(*args)),
        Command::Bench(args) => run_on(1, bench::run(*args)), // it has threads of its own
    }
}

fn run_on(threads: usize, command: impl Future<Output = Exit>) -> Exit {
    match runtime(threads) {
        Ok(runtime) => {
            let exit = runtime.block_on(command);
            // Whatever still waits, for a key press or a peer, waits in vain.
            runtime.shutdown_background();
            exit
        }
        Err(error) => fail(Exit::Failure, format_args!("cannot start: {error}; is `ulimit -n` too low?")),
    }
}

/// With one thread, everything runs on this one.
fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = match threads {
        1 => runtime::Builder::new_current_thread(),
        threads => {
            let mut builder = runtime::Builder::new_multi_thread();
            builder.worker_threads(threads);
            builder
        }
    };
    builder.enable_all().build()
}

fn log_to_stderr(filter: Option<String>) {
    let filter = match filter {
        Some(filter) => EnvFilter::new(filter),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never)
        .init();
}

/// One line on stderr: what the program does.
fn say(what: std::fmt::Arguments<'_>) {
    // Nobody may be reading: that is no reason to stop.
    let _ = writeln!(anstream::stderr().lock(), "openline: {what}");
}

/// One line on stderr: what went wrong, and what to do about it; in the form that clap's own errors have.
fn fail(exit: Exit, why: std::fmt::Arguments<'_>) -> Exit {
    let red = AnsiColor::Red.on_default().bold();
    let _ = writeln!(anstream::stderr().lock(), "{red}error:{red:#} {why}");
    exit
}
