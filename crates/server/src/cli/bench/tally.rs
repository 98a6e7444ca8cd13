//! What was counted: by one thread since it last told, or by all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::troubles::Troubles;

#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) lines: Lines,
    pub(super) messages: Messages,
}

/// What became of the lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) opened: u64,
    /// Those of them whose server compresses.
    pub(super) compressed: u64,
    /// From the first packet to the answer, of those that opened.
    pub(super) opening: Latency,
    /// Those that did not open.
    pub(super) failed: Troubles,
    /// Those of them that a server answered, and not with a WebSocket.
    pub(super) refused: u64,
    /// Those that ended before they were told to.
    pub(super) lost: Troubles,
    /// How those ended: 1006 is what RFC 6455 calls a line without a closing handshake.
    pub(super) close_codes: BTreeMap<u16, u64>,
    /// Closed by us at the end, and the server answered.
    pub(super) closed: u64,
    /// Closed by us at the end, and it did not.
    pub(super) unclosed: Troubles,
}

/// What became of the messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages {
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    /// Replies, or deliveries, before the end of the time.
    pub(super) received: u64,
    pub(super) received_bytes: u64,
    /// Those that came after it. (Their latencies count, their rate does not.)
    pub(super) late: u64,
    /// From when it left, or with a rate from when it was due, to the reply or the delivery.
    pub(super) latency: Latency,
    /// With a rate: from when it was due until it left. Part of the latency.
    pub(super) lateness: Latency,
    /// Fan-out: until the last line had it.
    pub(super) completion: Latency,
    /// Replies that are not what was sent.
    pub(super) wrong: Troubles,
    /// Messages without a reply within the time for it, or whose line ended before.
    pub(super) unanswered: u64,
    /// Those that were on their way when Ctrl-C ended the run.
    pub(super) abandoned: u64,
    /// With a rate: those that were due, and never left.
    pub(super) unsent: u64,
    /// Messages that nobody asked for.
    pub(super) unasked: u64,
    /// Fan-out: deliveries that never came.
    pub(super) undelivered: u64,
    /// Fan-out: deliveries that came twice, or behind a later one.
    pub(super) repeated: u64,
}

impl Tally {
    pub(super) fn merge(&mut self, other: Self) {
        self.lines.merge(other.lines);
        self.messages.merge(other.messages);
    }

    /// Everything that went wrong.
    pub(super) fn errors(&self) -> u64 {
        let Messages { wrong, unanswered, undelivered, repeated, .. } = &self.messages;
        self.lines.failed.count() + self.lines.lost.count() + wrong.count() + unanswered + undelivered + repeated
    }
}

impl Lines {
    fn merge(&mut self, other: Self) {
        self.opened += other.opened;
        self.compressed += other.compressed;
        self.opening.merge(&other.opening);
        self.failed.merge(other.failed);
        self.refused += other.refused;
        self.lost.merge(other.lost);
        for (code, count) in other.close_codes {
            *self.close_codes.entry(code).or_default() += count;
        }
        self.closed += other.closed;
        self.unclosed.merge(other.unclosed);
    }
}

impl Messages {
    fn merge(&mut self, other: Self) {
        self.sent += other.sent;
        self.sent_bytes += other.sent_bytes;
        self.received += other.received;
        self.received_bytes += other.received_bytes;
        self.late += other.late;
        self.latency.merge(&other.latency);
        self.lateness.merge(&other.lateness);
        self.completion.merge(&other.completion);
        self.wrong.merge(other.wrong);
        self.unanswered += other.unanswered;
        self.abandoned += other.abandoned;
        self.unsent += other.unsent;
        self.unasked += other.unasked;
        self.undelivered += other.undelivered;
        self.repeated += other.repeated;
    }
}

/// Durations, to three digits. Holds no memory until the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Latency(Option<Histogram<u64>>);

impl Latency {
    pub(super) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0.get_or_insert_with(empty).saturating_record(nanos);
    }

    fn merge(&mut self, other: &Self) {
        if let Some(other) = &other.0 {
            self.0.get_or_insert_with(empty).add(other).expect("all have the same bounds");
        }
    }

    /// The histogram, if there is anything in it.
    pub(super) fn histogram(&self) -> Option<&Histogram<u64>> {
        self.0.as_ref().filter(|histogram| !histogram.is_empty())
    }

    /// Within this time was this share of them, of 1.
    pub(super) fn at(&self, share: f64) -> Option<Duration> {
        self.histogram().map(|histogram| Duration::from_nanos(histogram.value_at_quantile(share)))
    }

    pub(super) fn max(&self) -> Option<Duration> {
        self.histogram().map(|histogram| Duration::from_nanos(histogram.max()))
    }
}

/// Half a microsecond apart at the low end, which is less than reading the clock twice; an hour is longer than any timeout.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 3_600_000_000_000, 3).expect("bounds that make sense")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_from_a_microsecond_to_an_hour() {
        for micros in [1, 75, 1_330, 75_498, 4_999_000, 3_000_000_000] {
            let mut one = Latency::default();
            one.record(Duration::from_micros(micros));
            let mut all = Latency::default();
            all.merge(&one);
            let found = all.at(0.5).unwrap().as_micros() as u64;
            assert!(found.abs_diff(micros) <= 1 + micros / 1000, "{micros} {found}");
        }
        assert_eq!(Latency::default().at(0.5), None);
        let mut long = Latency::default();
        long.record(Duration::MAX);
        assert!(long.max().unwrap() >= Duration::from_secs(3600));
    }

    #[test]
    fn errors_are_all_that_went_wrong() {
        let mut tally = Tally::default();
        tally.messages.unanswered = 1;
        tally.messages.wrong.add("other bytes", String::new);
        tally.lines.failed.add("refused", String::new);
        tally.lines.lost.add("1001", String::new);
        tally.messages.unasked = 5;
        let mut all = Tally::default();
        all.merge(tally);
        assert_eq!(all.errors(), 4);
    }
}
