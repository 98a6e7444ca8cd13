//! What the measurement is held against: limits that set the exit code.

use std::time::Duration;

use super::args::Args;
use super::figures::Figures;
use super::numbers;

/// What was asked for; nothing by default.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    latencies: Vec<(&'static str, f64, Duration)>,
    min_rate: Option<f64>,
    max_errors: Option<u64>,
}

/// One limit, and whether it was kept.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    /// As its flag says it: `max_p99`.
    pub(super) name: &'static str,
    pub(super) limit: Amount,
    /// `None`: there was nothing to measure, and so it was missed.
    pub(super) measured: Option<Amount>,
    pub(super) met: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    Time(Duration),
    Rate(f64),
    Count(u64),
}

impl Limits {
    pub(super) fn new(args: &Args) -> Self {
        let latencies = [
            ("max_p50", 0.5, args.max_p50),
            ("max_p90", 0.9, args.max_p90),
            ("max_p99", 0.99, args.max_p99),
            ("max_p999", 0.999, args.max_p999),
            ("max_latency", 1.0, args.max_latency),
        ];
        let latencies = latencies.into_iter().filter_map(|(name, share, limit)| Some((name, share, limit?)));
        Self { latencies: latencies.collect(), min_rate: args.min_rate, max_errors: args.max_errors }
    }

    pub(super) fn judge(&self, figures: &Figures) -> Vec<Verdict> {
        let latency = &figures.tally.messages.latency;
        let mut verdicts: Vec<Verdict> = self
            .latencies
            .iter()
            .map(|&(name, share, limit)| {
                let measured = if share < 1.0 { latency.at(share) } else { latency.max() };
                let met = measured.is_some_and(|measured| measured <= limit);
                Verdict { name, limit: Amount::Time(limit), measured: measured.map(Amount::Time), met }
            })
            .collect();
        if let Some(limit) = self.min_rate {
            let rate = figures.rate();
            let measured = Some(Amount::Rate(rate));
            verdicts.push(Verdict { name: "min_rate", limit: Amount::Rate(limit), measured, met: rate >= limit });
        }
        if let Some(limit) = self.max_errors {
            let errors = figures.tally.errors();
            let measured = Some(Amount::Count(errors));
            verdicts.push(Verdict { name: "max_errors", limit: Amount::Count(limit), measured, met: errors <= limit });
        }
        verdicts
    }
}

impl Verdict {
    /// `max-p99 5ms: missed, 7.25 ms`.
    pub(super) fn line(&self) -> String {
        let flag = self.name.replace('_', "-");
        let word = if self.met { "met" } else { "missed" };
        let measured = self.measured.map_or_else(|| "nothing was measured".to_owned(), Amount::text);
        format!("--{flag} {}: {word}, {measured}", self.limit.text())
    }
}

impl Amount {
    fn text(self) -> String {
        match self {
            Self::Time(time) => numbers::time(time),
            Self::Rate(rate) => format!("{}/s", numbers::rate(rate)),
            Self::Count(count) => numbers::count(count),
        }
    }
}
