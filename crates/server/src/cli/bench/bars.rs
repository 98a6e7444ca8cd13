//! Histograms and curves in characters.

use std::time::Duration;

use super::numbers;
use super::tally::Latency;

/// A bar of the histogram: those up to `up_to`, and over the bar before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    pub(super) up_to: Duration,
    pub(super) count: u64,
}

/// From the quickest to the slowest in steps of equal ratio, each a border that is easy to read.
pub(super) fn buckets(latency: &Latency) -> Vec<Bucket> {
    let Some(histogram) = latency.histogram() else { return Vec::new() };
    let borders = borders(histogram.min() as f64, histogram.max() as f64);
    let mut buckets = Vec::with_capacity(borders.len());
    let mut below = 0;
    for border in borders {
        // Counted from the start each time: a value that the histogram cannot tell from a border is below it, and never above.
        let up_to = histogram.count_between(0, border as u64);
        buckets.push(Bucket { up_to: Duration::from_nanos(border as u64), count: up_to - below });
        below = up_to;
        if below == histogram.len() {
            break;
        }
    }
    buckets
}

/// 1, 2 and 5 times the powers of ten (or all nine of them, if they are few), from the first at or over the least to the first at or
/// over the most.
fn borders(least: f64, most: f64) -> Vec<f64> {
    let steps: &[f64] =
        if most / least.max(1.0) < 30.0 { &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0] } else { &[1.0, 2.0, 5.0] };
    let mut borders = Vec::new();
    let first = least.max(1.0).log10().floor() as i32;
    for power in first.. {
        for step in steps {
            let border = step * 10f64.powi(power);
            if border < least {
                continue;
            }
            borders.push(border);
            if border >= most {
                return borders;
            }
        }
    }
    borders
}

/// `  500 µs ████████ 1,234`, one line for each bucket.
pub(super) fn histogram(latency: &Latency, width: usize) -> Vec<String> {
    let buckets = buckets(latency);
    let most = buckets.iter().map(|bucket| bucket.count).max().unwrap_or(0).max(1);
    let row = |bucket: &Bucket| {
        let eighths = (bucket.count as f64 / most as f64 * width as f64 * 8.0).round() as usize;
        // What there is at all shows.
        let eighths = if bucket.count > 0 { eighths.max(1) } else { 0 };
        let bar = bar(eighths);
        let padding = " ".repeat(width - bar.chars().count());
        format!("{:>8} {bar}{padding} {}", border_text(bucket.up_to), numbers::count(bucket.count))
    };
    buckets.iter().map(row).collect()
}

/// `500 µs`: borders are round.
fn border_text(border: Duration) -> String {
    let text = numbers::time(border);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

fn bar(eighths: usize) -> String {
    const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        bar.push(PARTS[part]);
    }
    bar
}

/// The last values as a curve, one character each.
pub(super) fn curve(values: &[f64]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    values.iter().map(|value| HEIGHTS[((value / most * 7.0).round() as usize).min(7)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(micros: &[u64]) -> Latency {
        let mut latency = Latency::default();
        micros.iter().for_each(|&micros| latency.record(Duration::from_micros(micros)));
        latency
    }

    #[test]
    fn every_message_is_in_one_bucket() {
        let all: Vec<u64> = (1..=3_000).map(|n| n * n % 77_777 + 12).collect();
        for micros in [&[500][..], &[20, 21, 22], &[1, 1_000_000], &all] {
            let buckets = buckets(&latency(micros));
            assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), micros.len() as u64, "{buckets:?}");
            assert!(buckets.len() <= 24, "{buckets:?}");
            assert!(buckets.is_sorted_by_key(|bucket| bucket.up_to));
        }
        assert!(buckets(&Latency::default()).is_empty());
    }

    #[test]
    fn bars_are_as_long_as_their_share() {
        let rows = histogram(&latency(&[100, 100, 100, 100, 5_000]), 8);
        assert_eq!(rows.first().unwrap(), "  100 µs ████████ 4");
        assert_eq!(rows.last().unwrap(), "    5 ms ██       1");
        assert_eq!(curve(&[0.0, 1.0, 2.0]), "▁▅█");
        assert_eq!(curve(&[]), "");
    }
}
