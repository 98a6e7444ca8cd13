//! `/metrics`: what is counted, by the names that docs/operations.md promises.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::counts::{Counts, Kind};
use crate::site::Site;

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
    transport: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// All of it.
pub(super) fn exposition(site: &Site) -> String {
    let mut registry = Registry::default();
    let own = registry.sub_registry_with_prefix("openline");
    own.register("build", "The version that runs", Info::new(Build { version: env!("CARGO_PKG_VERSION") }));
    of_connections(site, own);
    of_channels(site, own);
    of_process(site, &mut registry);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

fn number(registry: &mut Registry, name: &str, help: &str, value: usize) {
    registry.register(name, help, ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)));
}

fn of_connections(site: &Site, registry: &mut Registry) {
    let most = site.config.max_connections.min(tokio::sync::Semaphore::MAX_PERMITS);
    number(registry, "connections", "Connections now, lines among them", most - site.slots.available_permits());
    number(registry, "connections_limit", "Connections that there may be (limits.max_connections)", most);
    number(registry, "draining", "1 while the server ends", usize::from(site.closing.is_cancelled()));

    let (open, opened) = (Family::<Route, Gauge>::default(), Family::<Route, Counter>::default());
    for (kind, (now, ever)) in Kind::ALL.into_iter().zip(site.lines.counts()) {
        let (route, transport) = kind.labels();
        let route = Route { route, transport };
        open.get_or_create(&route).set(i64::try_from(now).unwrap_or(i64::MAX));
        opened.get_or_create(&route).inc_by(ever);
    }
    registry.register("lines", "Open lines: WebSockets, event streams, polls that wait", open);
    registry.register("lines_opened", "Lines that were opened", opened);

    let Counts { refusals, rate_limited, accepted, received, sent } = &site.counts;
    registry.register("handshakes_accepted", "Opening handshakes of WebSockets that were accepted", accepted.clone());
    registry.register("refusals", "Requests that were refused", refusals.clone());
    registry.register("rate_limited", "What was too much for a rate limit", rate_limited.clone());

    let (messages, bytes) = (Family::<Direction, Counter>::default(), Family::<Direction, Counter>::default());
    for (direction, traffic) in [("in", received), ("out", sent)] {
        let (count, size) = traffic.total();
        messages.get_or_create(&Direction { direction }).inc_by(count);
        bytes.get_or_create(&Direction { direction }).inc_by(size);
    }
    registry.register("messages", "Messages of channels, from clients and to them, by any door", messages);
    registry.register("message_bytes", "Bytes of their payloads, as clients see them", bytes);
}

fn of_channels(site: &Site, registry: &mut Registry) {
    let stats = site.channels.stats();
    number(registry, "channels", "Channels now", stats.channels);
    number(registry, "subscriptions", "Subscriptions now", stats.subscriptions);
    number(registry, "outbox_bytes", "Bytes that wait for readers now", stats.queued_bytes);
    let limit = site.config.channels.max_queued_bytes;
    number(registry, "outbox_limit_bytes", "Bytes that may wait for all readers (limits.max_queued_bytes)", limit);
    for (name, help, value) in [
        ("publications", "Publications", stats.published),
        (
            "publications_repeated",
            "Publications that had been published before, by their idempotency key",
            stats.repeated,
        ),
        ("deliveries", "Publications put into readers' outboxes, each counted for each", stats.delivered),
    ] {
        registry.register(name, help, ConstCounter::new(value));
    }
    let recoveries = Family::<Outcome, Counter>::default();
    for (outcome, value) in [("complete", stats.recovered), ("gap", stats.gaps)] {
        recoveries.get_or_create(&Outcome { outcome }).inc_by(value);
    }
    registry.register("recoveries", "Readers who came back with a position", recoveries);
    let overflow = Family::<Outcome, Counter>::default();
    for (outcome, value) in
        [("conflated", stats.conflated), ("dropped", stats.dropped), ("disconnected", stats.too_slow)]
    {
        overflow.get_or_create(&Outcome { outcome }).inc_by(value);
    }
    let help =
        "Publications replaced by newer ones, and dropped; readers disconnected: as their namespaces' overflow says";
    registry.register("overflow", help, overflow);
}

/// By the names that every process has them under.
fn of_process(site: &Site, registry: &mut Registry) {
    let start: Gauge<f64, AtomicU64> = Gauge::default();
    start.set(site.started.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));
    registry.register("process_start_time_seconds", "When the server began, in seconds since 1970", start);
    if let Some(bytes) = resident_bytes() {
        number(
            registry,
            "process_resident_memory_bytes",
            "Memory of the process, without what the system has for its sockets",
            bytes,
        );
    }
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        number(registry, "process_open_fds", "Open files, sockets among them", files.count());
    }
}

/// VmRSS, where there is such a thing.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()? << 10)
}
