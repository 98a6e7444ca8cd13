//! What a proxy costs: the same load on `openline serve`'s own `/test`, and through proxies to an echo behind them; and the memory of an
//! idle line that is passed on.

mod front;

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};

use self::front::Front;
use crate::{
    cell::Cell,
    child::Running,
    comparison::{Comparison, Run},
    cores::Cores,
    echo, idle,
    machine::Machine,
    open_files,
    progress::Progress,
    servers,
    spread::Spread,
    table::{markdown, thousands},
};

#[derive(Args)]
pub(crate) struct Options {
    /// How often every proxy meets every cell
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// How long each run is measured, after half a second of warming up
    #[arg(long, default_value_t = 2.0, value_parser = echo::seconds)]
    pub(crate) seconds: f64,
    /// What to measure: CONNECTIONSxBYTESxDEPTH,...
    #[arg(long, value_delimiter = ',', default_value = "100x20x1,100x20x16,100x1024x1,100x1024x16", value_parser = echo::cells)]
    pub(crate) cells: Vec<Vec<Cell>>,
    /// How many lines are opened through each proxy, and wait
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) connections: u32,
    /// Only the proxy with this name, as the tables show it; may be repeated. `openline serve` itself is always there
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Vec<String>,
    /// The profile to build with; figures are worth something with `release` alone
    #[arg(long, default_value = "release")]
    pub(crate) profile: String,
    #[command(flatten)]
    pub(crate) cores: Cores,
    /// Write the figures to bench/results/ and docs/performance.md
    #[arg(long)]
    pub(crate) write: bool,
}

/// What proxies cost, and what they hold.
#[derive(Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) comparison: Comparison,
    connections: u32,
    /// Of each proxy, resident bytes for each idle line.
    idle: Vec<(String, f64)>,
}

pub(crate) fn measure(options: &Options) -> Result<Report> {
    let cargo = servers::Options { profile: options.profile.clone(), ..servers::Options::default() }.cargo();
    let (product, echo) = (cargo.product()?, cargo.example("echo_server")?);
    let is_wanted = |front: &Front| {
        *front == Front::Itself || options.only.is_empty() || options.only.iter().any(|name| name == front.name())
    };
    let fronts: Vec<Front> = Front::ALL.into_iter().filter(is_wanted).collect();
    let cells = options.cells.concat();
    let machine = Machine::this(options.cores.allowed()?.len());
    let most = cells.iter().map(|cell| cell.connections).max().unwrap_or(0).max(options.connections as usize);
    open_files::allow(3 * most)?;
    // On the proxies' core: the load never sleeps, and would take turns with it. What counts is the time of the proxy alone.
    options.cores.pin_server(1)?;
    let (_behind, behind) = Running::server(&[echo.into(), "127.0.0.1:0".into(), "--threads".into(), "1".into()])?;
    let mut progress = Progress::new(options.rounds as usize * cells.len() * fronts.len() + fronts.len());
    let (mut runs, mut failures, mut idle) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for &cell in &cells {
            for turn in 0..fronts.len() {
                let front = fronts[(round as usize + turn) % fronts.len()];
                progress.step(&format!("round {}, {cell}, {}", round + 1, front.name()));
                options.cores.pin_server(1)?;
                let run = front.start(&product, behind).and_then(|started| {
                    let server = front.server();
                    options.cores.pin_load()?;
                    echo::under_load(started.running, started.address, &server, round, cell, options.seconds)
                });
                match run {
                    Ok(run) => runs.push(run),
                    Err(error) => failures.push(format!("{} at {cell}: {error:#}", front.name())),
                }
            }
        }
    }
    for front in fronts {
        progress.step(&format!("{} lines through {}", options.connections, front.name()));
        options.cores.pin_server(1)?;
        let held = front
            .start(&product, behind)
            .and_then(|started| idle::resident(started.running, started.address, &front.server(), options.connections));
        match held {
            Ok(bytes) => idle.push((front.name().to_owned(), bytes)),
            Err(error) => failures.push(format!("{}, idle: {error:#}", front.name())),
        }
    }
    let servers: Vec<String> = Front::ALL.into_iter().filter(is_wanted).map(|front| front.name().to_owned()).collect();
    let (rounds, seconds) = (options.rounds, options.seconds);
    let comparison = Comparison { machine, rounds, seconds, cells, servers, runs, failures };
    Ok(Report { comparison, connections: options.connections, idle })
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let Comparison { machine, rounds, seconds, cells, servers, failures, .. } = &self.comparison;
        let heads = ["cell", "proxy", "µs of CPU per message", "of /test", "IQR", "msgs/s", "p50 µs", "p99 µs", "busy"];
        let mut rows = Vec::new();
        for &cell in cells {
            for server in servers {
                let runs: Vec<&Run> = self.comparison.runs_of(cell, server).collect();
                let median = |figure: &dyn Fn(&Run) -> f64| {
                    Spread::of(runs.iter().map(|run| figure(run))).map(|spread| spread.median)
                };
                let (Some(cost), Some(ratio)) = (median(&|run| 1e6 / run.per_cpu_second()), self.cost(cell, server))
                else {
                    continue;
                };
                let text = |figure: &dyn Fn(&Run) -> f64| median(figure).map_or_else(String::new, thousands);
                rows.push([
                    cell.to_string(),
                    server.clone(),
                    format!("{cost:.2}"),
                    format!("{:.2}", ratio.median),
                    format!("{:.2}-{:.2}", ratio.lower, ratio.upper),
                    text(&|run| run.messages as f64 / run.wall_seconds),
                    text(&|run| run.p50_us as f64),
                    text(&|run| run.p99_us as f64),
                    format!("{:.2}", median(&Run::server_busy).unwrap_or_default()),
                ]);
            }
        }
        let idle: Vec<_> = self.idle.iter().map(|(name, bytes)| [name.clone(), thousands(*bytes)]).collect();
        let verdicts = self.verdicts().into_iter().chain(failures.iter().map(|failure| format!("Failed: {failure}")));
        format!(
            "## Proxies\n\n{}\n\nThe same load on `openline serve`'s own `/test`, and through each proxy to an echo on the library: as many bytes \
             cross it twice. {rounds} interleaved rounds of {seconds} s, one thread each. CPU time is that of the proxy's process alone, `of /test` \
             what it is to the time of `/test` for a message in the same round; median and interquartile range. The echo behind shares the proxy's \
             core, so a proxy is never busy all the time. `openline serve --proxy` passes messages, with limits, pings and compression of each \
             side; the tunnel and the others pass bytes.\n\n{}\n{} lines through each that wait; resident memory of the proxy for each, after a \
             message of 1 KiB each way:\n\n{}{}",
            machine.line(),
            markdown(2, heads, &rows),
            thousands(f64::from(self.connections)),
            markdown(1, ["proxy", "bytes per line"], &idle),
            verdicts.map(|verdict| format!("\n{verdict}\n")).collect::<String>(),
        )
    }

    /// CPU time of a message, to that of `/test` in the same round.
    fn cost(&self, cell: Cell, server: &str) -> Option<Spread> {
        let ratio = |run: &Run| {
            let own = self.comparison.runs_of(cell, Front::Itself.name()).find(|own| own.round == run.round)?;
            Some(own.per_cpu_second() / run.per_cpu_second())
        };
        Spread::of(self.comparison.runs_of(cell, server).filter_map(ratio))
    }

    fn verdicts(&self) -> Vec<String> {
        let word = |is_met: bool| if is_met { "met" } else { "missed" };
        let costs = self.comparison.cells.iter().filter_map(|&cell| self.cost(cell, Front::Messages.name()));
        let most = costs.map(|cost| cost.median).max_by(f64::total_cmp);
        let held = self.idle.iter().find(|(name, _)| name == Front::Messages.name()).map(|(_, bytes)| *bytes);
        let mut verdicts = Vec::new();
        if let Some(most) = most {
            verdicts.push(format!(
                "Target: at most {MOST_COST} times the CPU per message of `/test`: {} ({most:.2}).",
                word(most <= MOST_COST)
            ));
        }
        if let Some(held) = held {
            verdicts.push(format!(
                "Target: at most {} bytes for an idle line that is passed on: {} ({}).",
                thousands(MOST_BYTES),
                word(held <= MOST_BYTES),
                thousands(held)
            ));
        }
        verdicts
    }
}

/// What the product promises for a message, and for a line that waits.
const MOST_COST: f64 = 2.5;
const MOST_BYTES: f64 = 4096.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{Kind, Over};

    const CELL: Cell = Cell {
        connections: 100,
        payload_bytes: 20,
        in_flight: 1,
        kind: Kind::Binary,
        over: Over { tls: false, deflate: false },
    };

    #[test]
    fn costs_are_ratios_within_a_round_and_judged() {
        let run = |round, front: Front, messages| Run {
            round,
            cell: CELL,
            server: front.name().into(),
            messages,
            reply_bytes: 0,
            wall_seconds: 1.0,
            server_cpu_seconds: 1.0,
            load_cpu_seconds: 1.0,
            p50_us: 1,
            p99_us: 2,
            p999_us: 3,
        };
        let runs = vec![
            run(0, Front::Itself, 1000),
            run(0, Front::Messages, 500),
            run(1, Front::Itself, 500),
            run(1, Front::Messages, 200),
            run(2, Front::Itself, 1000),
            run(2, Front::Messages, 500),
        ];
        let servers = [Front::Itself, Front::Messages].map(|front| front.name().to_owned()).into();
        let comparison = Comparison {
            machine: Machine::this(2),
            rounds: 3,
            seconds: 1.0,
            cells: vec![CELL],
            servers,
            runs,
            failures: Vec::new(),
        };
        let report = Report { comparison, connections: 10, idle: vec![(Front::Messages.name().into(), 4097.0)] };
        assert_eq!(report.cost(CELL, Front::Messages.name()).unwrap().median, 2.0);
        let text = report.markdown();
        assert!(text.contains("CPU per message of `/test`: met (2.00)"), "{text}");
        assert!(text.contains("an idle line that is passed on: missed (4,097)"), "{text}");
    }
}
