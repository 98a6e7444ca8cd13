//! What was measured, all threads together: what the live view and the reports show.

use std::time::Duration;

use super::tally::Tally;

#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) tally: Tally,
    /// How many lines were asked for.
    pub(super) asked: u64,
    /// From the first attempt until each line was open or failed.
    pub(super) opening: Duration,
    /// How long it was measured.
    pub(super) measured: Duration,
    /// Of each thread, while it was measured.
    pub(super) busy: Vec<f64>,
    /// Ctrl-C ended it.
    pub(super) interrupted: bool,
    /// The server is on this machine, and so what it does is taken from the load.
    pub(super) is_local: bool,
    /// The limit on open files, if it is too low for the lines.
    pub(super) file_limit: Option<u64>,
}

impl Figures {
    /// Replies, or deliveries, a second.
    pub(super) fn rate(&self) -> f64 {
        per_second(self.tally.messages.received, self.measured)
    }

    pub(super) fn open_rate(&self) -> f64 {
        per_second(self.tally.lines.opened, self.opening)
    }

    /// Lines that nobody tried to open, as Ctrl-C came first.
    pub(super) fn untried(&self) -> u64 {
        self.asked.saturating_sub(self.tally.lines.opened + self.tally.lines.failed.count())
    }

    /// What makes the figures less than they seem.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let busiest = self.busy.iter().copied().fold(0.0, f64::max);
        if busiest >= BUSY {
            notes.push(format!(
                "the load itself was the bottleneck: a thread of it was busy {:.0} % of the time. The server can do more, \
                 and latencies include the load's own queue: use --threads, more machines, or a --rate",
                busiest * 100.0
            ));
        }
        let messages = &self.tally.messages;
        if messages.unsent > 0 {
            notes.push(format!(
                "{} messages were due and never left: the rate that was asked for was not reached",
                super::numbers::count(messages.unsent)
            ));
        }
        if let (Some(late), Some(latency)) = (messages.lateness.at(0.5), messages.latency.at(0.5))
            && late > LATE
            && late > latency / 2
        {
            notes.push(format!(
                "half of the messages left {} late or more, which is most of their latency: look for what stalls, here \
                 or at the server",
                super::numbers::time(late)
            ));
        }
        if self.is_local {
            notes.push("the server is on this machine, and shares its cores with the load".to_owned());
        }
        if let Some(limit) = self.file_limit {
            notes.push(format!("the system allows {limit} open files: raise `ulimit -Hn` for more lines"));
        }
        if self.interrupted {
            notes.push("Ctrl-C ended it early".to_owned());
        }
        notes
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// A thread that runs nine tenths of the time finds work waiting most times it looks.
const BUSY: f64 = 0.9;

/// What timers and schedulers cost anyway is no stall.
const LATE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_measured_time() {
        let mut figures = Figures { measured: Duration::from_secs(2), ..Figures::default() };
        figures.tally.messages.received = 3_000;
        figures.tally.messages.late = 500;
        assert_eq!(figures.rate(), 1_500.0);
        assert_eq!(Figures::default().rate(), 0.0);
    }

    #[test]
    fn the_load_says_when_it_is_the_bottleneck() {
        let busy = |busy| Figures { busy, ..Figures::default() }.notes();
        assert!(
            busy(vec![0.2, 0.97])[0].starts_with("the load itself was the bottleneck: a thread of it was busy 97 %")
        );
        assert!(busy(vec![0.5, 0.5]).is_empty());
    }
}
