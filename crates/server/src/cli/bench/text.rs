//! The report for people.

use std::fmt::Write as _;

use super::args::Compression;
use super::figures::Figures;
use super::limits::Verdict;
use super::line::code_name;
use super::plan::{End, Load, Mode, Plan};
use super::tally::{Latency, Lines, Messages};
use super::troubles::Troubles;
use super::{bars, numbers};

pub(super) fn report(plan: &Plan, figures: &Figures, verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    line(&mut out, format_args!("{}", headline(plan)));
    lines(&mut out, plan, figures);
    if let Some(load) = plan.load() {
        messages(&mut out, plan, load, figures);
        latencies(&mut out, plan, &figures.tally.messages);
    }
    let notes = figures.notes();
    if !notes.is_empty() {
        line(&mut out, format_args!("\nNotes"));
        notes.iter().for_each(|note| line(&mut out, format_args!("  {note}")));
    }
    if !verdicts.is_empty() {
        line(&mut out, format_args!("\nLimits"));
        verdicts.iter().for_each(|verdict| line(&mut out, format_args!("  {}", verdict.line())));
    }
    out
}

/// `ws://localhost:8080/test: 100 lines, 16 messages of 64 B on their way on each, for 10s`.
pub(super) fn headline(plan: &Plan) -> String {
    let lines = plural(plan.connections as u64, "line");
    let end = match plan.end {
        End::After(time) => format!("for {}", humantime::format_duration(time)),
        End::Messages(messages) => format!("{} messages", numbers::count(messages)),
    };
    let size = |load: &Load| numbers::bytes(load.payload.len() as f64);
    match &plan.mode {
        Mode::Idle => format!("{}: {lines}, idle, {end}", plan.url),
        Mode::Echo { load, .. } => match load.rate {
            Some(rate) => format!("{}: {lines}, {}/s of {}, {end}", plan.url, numbers::rate(rate), size(load)),
            None => {
                let on_their_way = plural(load.in_flight as u64, "message");
                format!("{}: {lines}, {on_their_way} of {} on the way on each, {end}", plan.url, size(load))
            }
        },
        Mode::FanOut { load, publish_url, .. } => {
            let pace = match load.rate {
                Some(rate) => format!("{}/s", numbers::rate(rate)),
                None => format!("{} at a time", load.in_flight),
            };
            let from = if *publish_url == plan.url { String::new() } else { format!(" by {publish_url}") };
            format!("{}: {lines} receive {} published{from}, {pace}, {end}", plan.url, size(load))
        }
    }
}

fn lines(out: &mut String, plan: &Plan, figures: &Figures) {
    let lines = &figures.tally.lines;
    line(out, format_args!("\nLines"));
    row(
        out,
        "opened",
        format_args!(
            "{} of {} in {}, {}/s",
            numbers::count(lines.opened),
            numbers::count(figures.asked),
            numbers::time(figures.opening),
            numbers::rate(figures.open_rate())
        ),
    );
    if let (Some(half), Some(most), Some(max)) = (lines.opening.at(0.5), lines.opening.at(0.99), lines.opening.max()) {
        let [half, most, max] = [half, most, max].map(numbers::time);
        row(out, "handshake", format_args!("p50 {half}, p99 {most}, max {max}"));
    }
    if plan.compression != Compression::Off {
        row(out, "compressed", format_args!("{}", numbers::count(lines.compressed)));
    }
    if figures.untried() > 0 {
        row(out, "not tried", format_args!("{}: Ctrl-C came first", numbers::count(figures.untried())));
    }
    troubles(out, "failed", &lines.failed);
    troubles(out, "lost", &lines.lost);
    if let Mode::Idle = plan.mode {
        let lost = lines.lost.count();
        let time = humantime::format_duration(round_ms(figures.measured));
        row(out, "stayed", format_args!("{} for {time}", numbers::count(lines.opened.saturating_sub(lost))));
    }
    if !lines.close_codes.is_empty() {
        let codes =
            lines.close_codes.iter().map(|(&code, &count)| format!("{} ×{}", code_name(code), numbers::count(count)));
        row(out, "close codes", format_args!("{}", codes.collect::<Vec<_>>().join(", ")));
    }
    troubles(out, "not closed", &lines.unclosed);
}

fn messages(out: &mut String, plan: &Plan, load: &Load, figures: &Figures) {
    let Lines { opened, .. } = figures.tally.lines;
    if opened == 0 {
        return;
    }
    let messages = &figures.tally.messages;
    let received = if plan.is_fan_out() { "deliveries" } else { "replies" };
    line(out, format_args!("\nMessages"));
    row(out, if plan.is_fan_out() { "published" } else { "sent" }, format_args!("{}", numbers::count(messages.sent)));
    let late = match messages.late {
        0 => String::new(),
        late => format!(", and {} after the end", numbers::count(late)),
    };
    row(
        out,
        received,
        format_args!("{} in {}{late}", numbers::count(messages.received), numbers::time(figures.measured)),
    );
    let bytes_per_second = figures.rate() * (messages.received_bytes as f64 / messages.received.max(1) as f64);
    row(
        out,
        "rate",
        format_args!("{} {received}/s, {}/s received", numbers::rate(figures.rate()), numbers::bytes(bytes_per_second)),
    );
    troubles(out, "wrong", &messages.wrong);
    for (name, count, what) in [
        ("unanswered", messages.unanswered, "sent, and not answered in time or before their line ended"),
        ("undelivered", messages.undelivered, "deliveries that never came"),
        ("repeated", messages.repeated, "deliveries that came twice, or behind a later one"),
        ("abandoned", messages.abandoned, "on their way when it was interrupted"),
        ("unsent", messages.unsent, "due, and never left"),
        ("unasked", messages.unasked, "messages that are no reply to anything"),
    ] {
        if count > 0 {
            row(out, name, format_args!("{}: {what}", numbers::count(count)));
        }
    }
    if load.rate.is_some()
        && let (Some(half), Some(most)) = (messages.lateness.at(0.5), messages.lateness.at(0.99))
    {
        let [half, most] = [half, most].map(numbers::time);
        row(out, "left late", format_args!("p50 {half}, p99 {most}: part of the latency"));
    }
}

fn latencies(out: &mut String, plan: &Plan, messages: &Messages) {
    if messages.latency.histogram().is_none() {
        return;
    }
    let title = match (plan.is_fan_out(), plan.load().is_some_and(|load| load.rate.is_some())) {
        (true, _) => "Latency, from publishing to each delivery",
        (false, true) => "Latency, from when a message was due to its reply",
        (false, false) => "Latency, from sending to the reply",
    };
    line(out, format_args!("\n{title}"));
    row(out, "percentiles", format_args!("{}", percentiles(&messages.latency)));
    if messages.completion.histogram().is_some() {
        row(out, "everyone has it", format_args!("{}", percentiles(&messages.completion)));
    }
    bars::histogram(&messages.latency, BAR_WIDTH).iter().for_each(|bar| line(out, format_args!("  {bar}")));
}

/// `p50 512 µs   p90 …`
pub(super) fn percentiles(latency: &Latency) -> String {
    let mut parts: Vec<String> = PERCENTILES
        .iter()
        .filter_map(|(name, share)| Some(format!("{name} {}", numbers::time(latency.at(*share)?))))
        .collect();
    parts.extend(latency.max().map(|max| format!("max {}", numbers::time(max))));
    parts.join("   ")
}

fn troubles(out: &mut String, name: &str, troubles: &Troubles) {
    for (reason, trouble) in troubles.by_count() {
        let example = match trouble.example.as_str() {
            "" => String::new(),
            example => format!(" (the first: {})", numbers::printable(example)),
        };
        row(out, name, format_args!("{}: {}{example}", numbers::count(trouble.count), numbers::printable(reason)));
    }
}

fn row(out: &mut String, name: &str, what: std::fmt::Arguments<'_>) {
    line(out, format_args!("  {name:NAME_WIDTH$} {what}"));
}

fn line(out: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(out, "{what}").expect("a String takes everything");
}

pub(super) fn plural(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", numbers::count(count), if count == 1 { "" } else { "s" })
}

/// Nobody reads nanoseconds of a minute.
fn round_ms(time: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_millis(time.as_millis() as u64)
}

const PERCENTILES: [(&str, f64); 5] = [("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// The longest name, "everyone has it".
const NAME_WIDTH: usize = 15;

/// Leaves room for borders and counts on 80 columns.
const BAR_WIDTH: usize = 50;
