//! Numbers as people read them.

use std::time::Duration;

/// `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `181,204`, `12.5`, `0.25`: a second, three digits at least.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        100.0.. => count(rate.round() as u64),
        10.0.. => format!("{rate:.1}"),
        _ => format!("{rate:.2}"),
    }
}

/// `512 µs`, `1.53 ms`, `12.0 s`: three digits.
pub(super) fn time(time: Duration) -> String {
    let micros = time.as_nanos() as f64 / 1e3;
    let (number, unit) = match micros {
        ..999.5 => (micros, "µs"),
        ..999_500.0 => (micros / 1e3, "ms"),
        _ => (micros / 1e6, "s"),
    };
    let decimals = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.decimals$} {unit}")
}

/// `64 B`, `1.5 KiB`, `12.0 MiB`.
pub(super) fn bytes(bytes: f64) -> String {
    let (number, unit) = match bytes {
        ..1024.0 => return format!("{bytes:.0} B"),
        ..1_048_576.0 => (bytes / 1024.0, "KiB"),
        ..1_073_741_824.0 => (bytes / 1_048_576.0, "MiB"),
        _ => (bytes / 1_073_741_824.0, "GiB"),
    };
    if number.fract() == 0.0 { format!("{number:.0} {unit}") } else { format!("{number:.1} {unit}") }
}

/// What a peer said, without what would move the cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (nanos, text) in [
            (0, "0.00 µs"),
            (1_500, "1.50 µs"),
            (51_234, "51.2 µs"),
            (512_000, "512 µs"),
            (999_900, "1.00 ms"),
            (1_530_000, "1.53 ms"),
            (12_000_000_000, "12.0 s"),
        ] {
            assert_eq!(time(Duration::from_nanos(nanos)), text);
        }
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [(0.25, "0.25"), (12.54, "12.5"), (181_203.6, "181,204")] {
            assert_eq!(rate(number), text);
        }
        for (number, text) in [(64.0, "64 B"), (1024.0, "1 KiB"), (1536.0, "1.5 KiB"), (12_582_912.0, "12 MiB")] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(printable("a\u{1b}[2Jä"), "a\\u{1b}[2Jä");
    }
}
