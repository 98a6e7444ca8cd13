//! One command for the whole of docs/performance.md.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser};

use crate::{calls, connect, cores::Cores, echo, fan_out, idle, proxies, servers};

#[derive(Args)]
pub(crate) struct Options {
    /// An echo server on uWebSockets, built from bench/peers/uwebsockets/echo.cpp
    #[arg(long, value_name = "PATH")]
    uws: Option<PathBuf>,
    /// A chat on uWebSockets, built from bench/peers/uwebsockets/chat.cpp
    #[arg(long, value_name = "PATH")]
    uws_chat: Option<PathBuf>,
    /// How often every server meets every cell
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each run is measured, after half a second of warming up
    #[arg(long, default_value_t = 2.0, value_parser = echo::seconds)]
    seconds: f64,
    /// Show that it works: one short round of few cells and few connections. Its figures are worth nothing
    #[arg(long)]
    trial: bool,
    /// The profile to build with
    #[arg(long, default_value = "release")]
    profile: String,
    #[command(flatten)]
    cores: Cores,
}

/// So that the defaults of each measurement are those of its own command.
#[derive(Parser)]
struct Defaults<T: Args> {
    #[command(flatten)]
    options: T,
}

fn defaults<T: Args>() -> T {
    Defaults::parse_from(["all"]).options
}

pub(crate) fn measure(all: &Options) -> Result<()> {
    let servers = servers::Options {
        peers: true,
        uws: all.uws.clone(),
        server: Vec::new(),
        raw: None,
        only: Vec::new(),
        profile: all.profile.clone(),
    };
    let rounds = if all.trial { 1 } else { all.rounds };
    let seconds = if all.trial { 0.1 } else { all.seconds };
    let connections = if all.trial { 200 } else { 10_000 };

    let (cores, write) = (all.cores.clone(), true);
    let mut echo: echo::Options = defaults();
    let cells = if all.trial { TRIAL } else { &["all"][..] };
    echo.cells = cells.iter().map(|cell| echo::cells(cell)).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    crate::echo(&echo::Options { rounds, seconds, servers: servers.clone(), cores, write, ..echo })?;

    let mut fan_out: fan_out::Options = defaults();
    fan_out.receivers = if all.trial { 100 } else { fan_out.receivers };
    fan_out.chat.extend(all.uws_chat.clone());
    let (cores, profile) = (all.cores.clone(), all.profile.clone());
    crate::fan_out(&fan_out::Options { rounds, seconds, cores, profile, write, ..fan_out })?;

    let cores = all.cores.clone();
    crate::connect(&connect::Options { rounds, connections, servers: servers.clone(), cores, write })?;
    crate::idle(&idle::Options { connections, servers: servers.clone(), write })?;

    let mut through: proxies::Options = defaults();
    if all.trial {
        through.cells.truncate(1);
        through.connections = 100;
    }
    let (cores, profile) = (all.cores.clone(), all.profile.clone());
    crate::proxies(&proxies::Options { rounds, seconds, cores, profile, write, ..through })?;

    let mut calls: calls::Options = defaults();
    if all.trial {
        calls.cells.truncate(1);
    }
    crate::calls(&calls::Options { seconds: seconds.min(1.0), servers, cores: all.cores.clone(), write, ..calls })
}

const TRIAL: &[&str] = &["1x1048576x1", "20x20x16", "5x16384x4", "5x1024x4-mixed"];
