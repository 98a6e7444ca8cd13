//! The report for programs: docs/bench-json.md says what each field is, docs/bench.schema.json says it to a validator.

use std::collections::BTreeMap;
use std::time::Duration;

use openline::Kind;
use serde::Serialize;

use super::args::Compression;
use super::bars;
use super::figures::Figures;
use super::limits::{Amount, Verdict};
use super::plan::{End, Mode, Plan};
use super::tally::Latency;
use super::troubles::Troubles;

/// Goes up when a field goes or means something else, not when one is added.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'a> {
    version: u32,
    url: &'a str,
    mode: &'static str,
    interrupted: bool,
    /// All limits were kept.
    met: bool,
    errors: u64,
    measured_s: f64,
    asked: Asked<'a>,
    lines: Lines<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Messages<'a>>,
    latency: Option<Distribution>,
    lateness: Option<Distribution>,
    completion: Option<Distribution>,
    busy: &'a [f64],
    limits: Vec<Limit>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Asked<'a> {
    connections: usize,
    threads: usize,
    connect_rate: Option<f64>,
    in_flight: Option<usize>,
    rate: Option<f64>,
    payload_bytes: Option<usize>,
    kind: Option<&'static str>,
    compression: &'static str,
    publish_url: Option<&'a str>,
    warm_up_s: Option<f64>,
    duration_s: Option<f64>,
    messages: Option<u64>,
}

#[derive(Serialize)]
struct Lines<'a> {
    opened: u64,
    compressed: u64,
    opening_s: f64,
    open_rate: f64,
    handshake: Option<Distribution>,
    failed: Vec<Reason<'a>>,
    not_tried: u64,
    lost: Vec<Reason<'a>>,
    close_codes: &'a BTreeMap<u16, u64>,
    closed: u64,
    not_closed: Vec<Reason<'a>>,
}

#[derive(Serialize)]
struct Messages<'a> {
    sent: u64,
    sent_bytes: u64,
    received: u64,
    received_bytes: u64,
    received_late: u64,
    rate: f64,
    wrong: Vec<Reason<'a>>,
    unanswered: u64,
    undelivered: u64,
    repeated: u64,
    abandoned: u64,
    unsent: u64,
    unasked: u64,
}

#[derive(Serialize)]
struct Reason<'a> {
    reason: &'a str,
    count: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    example: &'a str,
}

#[derive(Serialize)]
struct Distribution {
    count: u64,
    mean_us: f64,
    stdev_us: f64,
    min_us: f64,
    p50_us: f64,
    p75_us: f64,
    p90_us: f64,
    p95_us: f64,
    p99_us: f64,
    p999_us: f64,
    p9999_us: f64,
    max_us: f64,
    histogram: Vec<Bucket>,
}

#[derive(Serialize)]
struct Bucket {
    up_to_us: f64,
    count: u64,
}

#[derive(Serialize)]
struct Limit {
    name: &'static str,
    unit: &'static str,
    limit: f64,
    measured: Option<f64>,
    met: bool,
}

/// One object, and a line feed.
pub(super) fn report(plan: &Plan, figures: &Figures, verdicts: &[Verdict]) -> String {
    let (messages, lines) = (&figures.tally.messages, &figures.tally.lines);
    let load = plan.load();
    let (duration_s, count) = match plan.end {
        End::After(time) => (Some(time.as_secs_f64()), None),
        End::Messages(messages) => (None, Some(messages)),
    };
    let report = Report {
        version: VERSION,
        url: &plan.url,
        mode: match plan.mode {
            Mode::Echo { .. } => "echo",
            Mode::Idle => "idle",
            Mode::FanOut { .. } => "fan_out",
        },
        interrupted: figures.interrupted,
        met: verdicts.iter().all(|verdict| verdict.met),
        errors: figures.tally.errors(),
        measured_s: figures.measured.as_secs_f64(),
        asked: Asked {
            connections: plan.connections,
            threads: plan.threads,
            connect_rate: plan.connect_rate,
            in_flight: load.map(|load| load.in_flight),
            rate: load.and_then(|load| load.rate),
            payload_bytes: load.map(|load| load.payload.len()),
            kind: load.map(|load| match load.payload.kind() {
                Kind::Text => "text",
                Kind::Binary => "binary",
            }),
            compression: match plan.compression {
                Compression::Off => "off",
                Compression::On => "on",
                Compression::Takeover => "takeover",
            },
            publish_url: match &plan.mode {
                Mode::FanOut { publish_url, .. } => Some(publish_url),
                _ => None,
            },
            warm_up_s: plan.warm_up.map(|time| time.as_secs_f64()),
            duration_s,
            messages: count,
        },
        lines: Lines {
            opened: lines.opened,
            compressed: lines.compressed,
            opening_s: figures.opening.as_secs_f64(),
            open_rate: figures.open_rate(),
            handshake: distribution(&lines.opening),
            failed: reasons(&lines.failed),
            not_tried: figures.untried(),
            lost: reasons(&lines.lost),
            close_codes: &lines.close_codes,
            closed: lines.closed,
            not_closed: reasons(&lines.unclosed),
        },
        messages: load.map(|_| Messages {
            sent: messages.sent,
            sent_bytes: messages.sent_bytes,
            received: messages.received,
            received_bytes: messages.received_bytes,
            received_late: messages.late,
            rate: figures.rate(),
            wrong: reasons(&messages.wrong),
            unanswered: messages.unanswered,
            undelivered: messages.undelivered,
            repeated: messages.repeated,
            abandoned: messages.abandoned,
            unsent: messages.unsent,
            unasked: messages.unasked,
        }),
        latency: distribution(&messages.latency),
        lateness: distribution(&messages.lateness),
        completion: distribution(&messages.completion),
        busy: &figures.busy,
        limits: verdicts.iter().map(limit).collect(),
        notes: figures.notes(),
    };
    serde_json::to_string_pretty(&report).expect("numbers and text") + "\n"
}

fn reasons(troubles: &Troubles) -> Vec<Reason<'_>> {
    let all = troubles.by_count().into_iter();
    all.map(|(reason, trouble)| Reason { reason, count: trouble.count, example: &trouble.example }).collect()
}

fn distribution(latency: &Latency) -> Option<Distribution> {
    let histogram = latency.histogram()?;
    let at = |share| histogram.value_at_quantile(share) as f64 / 1e3;
    let buckets = bars::buckets(latency).into_iter();
    Some(Distribution {
        count: histogram.len(),
        mean_us: histogram.mean() / 1e3,
        stdev_us: histogram.stdev() / 1e3,
        min_us: histogram.min() as f64 / 1e3,
        p50_us: at(0.5),
        p75_us: at(0.75),
        p90_us: at(0.9),
        p95_us: at(0.95),
        p99_us: at(0.99),
        p999_us: at(0.999),
        p9999_us: at(0.9999),
        max_us: histogram.max() as f64 / 1e3,
        histogram: buckets.map(|bucket| Bucket { up_to_us: micros(bucket.up_to), count: bucket.count }).collect(),
    })
}

fn limit(verdict: &Verdict) -> Limit {
    let number = |amount| match amount {
        Amount::Time(time) => micros(time),
        Amount::Rate(rate) => rate,
        Amount::Count(count) => count as f64,
    };
    let unit = match verdict.limit {
        Amount::Time(_) => "us",
        Amount::Rate(_) => "per_s",
        Amount::Count(_) => "count",
    };
    let Verdict { name, met, .. } = *verdict;
    Limit { name, unit, limit: number(verdict.limit), measured: verdict.measured.map(number), met }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e3
}
