//! What is counted while the server runs, so that counting costs nobody anything.
//!
//! What happens once for a connection is counted in one place. What happens with each message is counted by each thread for
//! itself, and added up when somebody asks: threads that write to one cache line wait for each other.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use http::{Response, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use crate::edge::answer::Reason;

/// What a line carries, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Test,
    Chat,
    Increment,
    /// A WebSocket on channels.
    Channel,
    /// An event stream.
    Events,
    /// A poll that waits.
    Poll,
    /// A session of the Centrifuge protocol, by WebSocket.
    Session,
    /// The same by an event stream, or by HTTP streaming.
    SessionStream,
    /// A WebSocket at a route: of a program, a service, another server.
    Hosted,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] = [
        Self::Test,
        Self::Chat,
        Self::Increment,
        Self::Channel,
        Self::Events,
        Self::Poll,
        Self::Session,
        Self::SessionStream,
        Self::Hosted,
    ];

    /// Its route and its transport.
    pub(crate) fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Test => ("test", "websocket"),
            Self::Chat => ("chat", "websocket"),
            Self::Increment => ("increment", "websocket"),
            Self::Channel => ("channel", "websocket"),
            Self::Events => ("channel", "events"),
            Self::Poll => ("channel", "poll"),
            Self::Session => ("session", "websocket"),
            Self::SessionStream => ("session", "stream"),
            Self::Hosted => ("route", "websocket"),
        }
    }
}

/// Everything that is counted by the server; the hub counts what happens in channels.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Requests that were refused, and why.
    pub(crate) refusals: Family<Refused, Counter>,
    /// What was too much for a rate limit.
    pub(crate) rate_limited: Family<Limited, Counter>,
    /// Opening handshakes of WebSockets that were accepted.
    pub(crate) accepted: Counter,
    /// Messages of channels, and their payloads' bytes.
    pub(crate) received: Traffic,
    pub(crate) sent: Traffic,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Limited {
    pub(crate) what: &'static str,
    pub(crate) by: &'static str,
}

impl Default for Counts {
    /// Nothing was counted yet; what people wait for is there from the beginning, as nothing.
    fn default() -> Self {
        let (refusals, rate_limited) = (Family::default(), Family::default());
        for (status, reason) in
            [(403, "origin"), (403, "cross-site"), (403, "proxied"), (421, "host"), (503, "no room")]
        {
            drop(refusals.get_or_create(&Refused { status, reason }));
        }
        for what in ["messages", "bytes", "subscriptions", "connects"] {
            drop(rate_limited.get_or_create(&Limited { what, by: "address" }));
        }
        for what in ["messages", "bytes"] {
            drop(rate_limited.get_or_create(&Limited { what, by: "connection" }));
        }
        Self {
            refusals,
            rate_limited,
            accepted: Counter::default(),
            received: Traffic::default(),
            sent: Traffic::default(),
        }
    }
}

impl Counts {
    /// An answer, if it is a refusal.
    pub(crate) fn answered<B>(&self, answer: &Response<B>) {
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() {
            let said = answer.extensions().get().map(|Reason(reason)| *reason);
            let reason = Refused { status: status.as_u16(), reason: said.unwrap_or_else(|| reason(status)) };
            self.refusals.get_or_create(&reason).inc();
        }
    }
}

/// What a status means here, where nobody says it better.
fn reason(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 => "malformed",
        401 => "unknown key",
        403 => "no right",
        404 => "not there",
        405 => "method",
        408 => "slow",
        413 => "too big",
        415 => "media type",
        421 => "host",
        422 => "key reused",
        426 => "no websocket",
        429 => "rate",
        431 => "head too big",
        503 => "no room",
        _ => "other",
    }
}

/// Messages and their bytes.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    stripes: [Stripe; STRIPES],
}

/// More than cores that most machines have: two threads on one stripe still count right, only not as fast.
const STRIPES: usize = 32;

/// On a cache line of its own: 64 bytes on most processors, and fetched in pairs on many.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Traffic {
    /// A message of so many bytes.
    pub(crate) fn count(&self, bytes: usize) {
        self.count_many(1, bytes);
    }

    /// Messages that have so many bytes together.
    pub(crate) fn count_many(&self, messages: usize, bytes: usize) {
        let stripe = &self.stripes[own_stripe()];
        stripe.messages.fetch_add(messages as u64, Ordering::Relaxed);
        stripe.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All messages, and all bytes.
    pub(crate) fn total(&self) -> (u64, u64) {
        let sum = |of: fn(&Stripe) -> &AtomicU64| self.stripes.iter().map(|one| of(one).load(Ordering::Relaxed)).sum();
        (sum(|stripe| &stripe.messages), sum(|stripe| &stripe.bytes))
    }
}

/// Threads take the stripes in turn.
fn own_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! { static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES) }
    OWN.with(Cell::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_are_added_up() {
        let traffic = Traffic::default();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..100).for_each(|_| traffic.count(3)));
            }
        });
        assert_eq!(traffic.total(), (4_000, 12_000));
    }
}
