//! What a set of echo runs says: each server's cost per message, and its ratio to the raw echo.

use serde::{Deserialize, Serialize};

use crate::{
    cell::Cell,
    machine::Machine,
    spread::Spread,
    table::{markdown, thousands},
};

/// Every run of one comparison.
#[derive(Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) machine: Machine,
    pub(crate) rounds: u32,
    pub(crate) seconds: f64,
    pub(crate) cells: Vec<Cell>,
    /// The raw echo first.
    pub(crate) servers: Vec<String>,
    pub(crate) runs: Vec<Run>,
    /// Who could not do what.
    pub(crate) failures: Vec<String>,
}

/// One server under one load, once.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) round: u32,
    pub(crate) cell: Cell,
    pub(crate) server: String,
    pub(crate) messages: u64,
    /// Of WebSocket and all it carries, before TLS.
    pub(crate) reply_bytes: u64,
    pub(crate) wall_seconds: f64,
    pub(crate) server_cpu_seconds: f64,
    pub(crate) load_cpu_seconds: f64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
}

impl Comparison {
    pub(crate) fn markdown(&self) -> String {
        let heads = [
            "cell",
            "server",
            "msgs/CPU-s",
            "IQR",
            "of raw",
            "IQR",
            "msgs/s",
            "B/reply",
            "p50 µs",
            "p99 µs",
            "p99.9 µs",
            "server busy",
            "load busy",
        ];
        let mut rows = Vec::new();
        let mut idle = false;
        for &cell in &self.cells {
            for server in &self.servers {
                let runs: Vec<&Run> = self.runs_of(cell, server).collect();
                let figures = |figure: fn(&Run) -> f64| Spread::of(runs.iter().map(|run| figure(run)));
                let ratios = Spread::of(runs.iter().filter_map(|run| self.of_raw(run)));
                let Some(Spread { median: busy, .. }) = figures(Run::server_busy) else { continue };
                let mark = if busy < BUSY { " *" } else { "" };
                idle |= busy < BUSY;
                rows.push([
                    cell.to_string(),
                    server.clone(),
                    median(figures(Run::per_cpu_second), thousands),
                    range(figures(Run::per_cpu_second), thousands),
                    median(ratios, hundredths),
                    range(ratios, hundredths),
                    median(figures(|run| run.messages as f64 / run.wall_seconds), thousands),
                    median(figures(|run| run.reply_bytes as f64 / run.messages as f64), thousands),
                    median(figures(|run| run.p50_us as f64), thousands),
                    median(figures(|run| run.p99_us as f64), thousands),
                    median(figures(|run| run.p999_us as f64), thousands),
                    format!("{busy:.2}{mark}"),
                    median(figures(|run| run.load_cpu_seconds / run.wall_seconds), hundredths),
                ]);
            }
        }
        let note = if idle { IDLE_NOTE } else { "" };
        let failures: String = self.failures.iter().map(|failure| format!("\nFailed: {failure}\n")).collect();
        format!(
            "## Echo\n\n{}\n\n{} interleaved rounds of {} s; a cell is connections x payload bytes x messages in flight; \
             median and interquartile range.\n\n{}{note}{failures}",
            self.machine.line(),
            self.rounds,
            self.seconds,
            markdown(2, heads, &rows),
        )
    }

    pub(crate) fn runs_of(&self, cell: Cell, server: &str) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.cell == cell && run.server == server)
    }

    /// A server's ratio to the raw echo in one cell.
    pub(crate) fn ratio(&self, cell: Cell, server: &str) -> Option<Spread> {
        Spread::of(self.runs_of(cell, server).filter_map(|run| self.of_raw(run)))
    }

    /// Against the raw echo of the same round, so that what slows the machine for a while slows both.
    fn of_raw(&self, run: &Run) -> Option<f64> {
        let raw = self.runs_of(run.cell, self.servers.first()?).find(|raw| raw.round == run.round)?;
        Some(run.per_cpu_second() / raw.per_cpu_second())
    }
}

impl Run {
    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.messages as f64 / self.server_cpu_seconds
    }

    pub(crate) fn server_busy(&self) -> f64 {
        self.server_cpu_seconds / self.wall_seconds
    }
}

fn median(spread: Option<Spread>, text: fn(f64) -> String) -> String {
    spread.map_or_else(String::new, |spread| text(spread.median))
}

fn range(spread: Option<Spread>, text: fn(f64) -> String) -> String {
    spread.map_or_else(String::new, |spread| format!("{}-{}", text(spread.lower), text(spread.upper)))
}

fn hundredths(number: f64) -> String {
    format!("{number:.2}")
}

/// Below this a server waits for the load often enough to read and write smaller batches than it could.
const BUSY: f64 = 0.85;

const IDLE_NOTE: &str = "\n\\* busy for less than 0.85 of the time: the load, not the server, set the pace. A server that waits \
                         finds fewer messages at each read, so do not compare its cost with that of one that was busy.\n";

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

    fn run(round: u32, server: &str, messages: u64, server_cpu_seconds: f64) -> Run {
        Run {
            round,
            cell: CELL,
            server: server.into(),
            messages,
            reply_bytes: messages * 22,
            wall_seconds: 2.0,
            server_cpu_seconds,
            load_cpu_seconds: 1.0,
            p50_us: 500,
            p99_us: 900,
            p999_us: 990,
        }
    }

    fn comparison(runs: Vec<Run>) -> Comparison {
        let machine = Machine::this(2);
        Comparison {
            machine,
            rounds: 3,
            seconds: 2.0,
            cells: vec![CELL],
            servers: vec!["raw".into(), "ours".into()],
            runs,
            failures: Vec::new(),
        }
    }

    #[test]
    fn a_ratio_is_taken_within_its_round() {
        // The machine is half as fast in the second round; ours costs a quarter more in every one.
        let comparison = comparison(vec![
            run(0, "raw", 400_000, 2.0),
            run(0, "ours", 320_000, 2.0),
            run(1, "ours", 160_000, 2.0),
            run(1, "raw", 200_000, 2.0),
            run(2, "raw", 400_000, 2.0),
            run(2, "ours", 320_000, 2.0),
        ]);
        let ratios: Vec<_> = comparison.runs_of(CELL, "ours").filter_map(|run| comparison.of_raw(run)).collect();
        assert_eq!(ratios, [0.8, 0.8, 0.8]);
        let text = comparison.markdown();
        assert!(text.contains("| 100x20x1 | ours   |    160,000 | 120,000-160,000 |   0.80 | 0.80-0.80 |"), "{text}");
        assert!(!text.contains('*'), "{text}");
    }

    #[test]
    fn a_server_that_waited_is_marked() {
        let text = comparison(vec![run(0, "raw", 400_000, 1.0), run(0, "ours", 320_000, 1.9)]).markdown();
        assert!(text.contains("0.50 * |"), "{text}");
        assert!(text.contains("0.95 |"), "{text}");
        assert!(text.contains(IDLE_NOTE), "{text}");
    }
}
