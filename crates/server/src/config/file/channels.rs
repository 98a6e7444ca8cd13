//! `[channels]` and `[namespaces.NAME]`: what channels keep, what becomes of slow readers, and who may do what.

use openline_hub::{HistoryLimits, Overflow, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rates;
use crate::config::values::{Count, Memory, Span, Whom};
use crate::rights::{Policy, Rights};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Channels {
    /// Who may do what: `"nobody"`, `"anyone"` (whoever is let in at all), `"known"` (whoever has a name), or a list of names. Closed
    /// until opened; backends with a key (`api.keys`) may always publish.
    allow: Allow,
    /// How much of the past a channel keeps; whatever limit is met first counts.
    history: History,
    /// A channel without subscribers to which nothing was published for so long is forgotten, so that channels that are named
    /// after people and sessions do not add up.
    idle: Span,
    /// What becomes of a reader that does not keep up, once `limits.max_outbox_bytes` wait for it.
    overflow: OverflowRule,
    /// The longest payload; a longer one is 413, or closes with 1009. What goes to thousands is not a file.
    max_publication_bytes: Memory,
    /// The most subscribers of one channel; the next one gets 503.
    max_subscribers: Count,
    /// Whether those who listen can be seen, and hear of each other's coming and going. Off: it costs as many messages as people
    /// come and go, times those who hear of it.
    presence: bool,
    /// As in `[rates]`, for these channels: what is said here is counted here, for each namespace that says it on its own, and goes
    /// before what the server, a host or a route says.
    rates: rates::Overrides,
    /// Whether a WebSocket that publishes hears its own messages as well. On, so that everybody sees the same sequence.
    hears_itself: bool,
    /// Whether clients of the Centrifuge protocol that may see presence are told who comes and goes although they did not ask for it,
    /// also where it was not they who subscribed. Off: who wants that says `joinLeave: true`.
    push_join_leave: bool,
}

/// Who may do what.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Allow {
    /// Who may listen, and catch up on what it missed.
    subscribe: Whom,
    /// Who may publish: by POST, by a WebSocket's messages.
    publish: Whom,
    /// Who may read the recent past, and the newest position (GET, HEAD).
    history: Whom,
    /// Who may see who is there, where there is presence.
    presence: Whom,
    /// Who may drop the recent past (DELETE). Backends with a key always may.
    delete: Whom,
}

/// How much of the past.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct History {
    /// Publications; 0 keeps nothing.
    count: u32,
    /// Bytes, of payloads and of what surrounds them (128 each).
    bytes: Memory,
    /// Since it was published. Five minutes are longer than a reload, a tunnel or a lift.
    age: Span,
}

/// What becomes of a reader that does not keep up.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OverflowRule {
    /// It is disconnected (a WebSocket with 4008), and comes back for what it missed.
    Disconnect,
    /// The oldest messages are dropped, and it is told how many (a WebSocket is closed with 4010: it has no other way to be told).
    DropOldest,
    /// Of publications with the same key (`Openline-Key`) only the newest waits; should that not suffice, as `disconnect`.
    LatestPerKey,
}

impl Default for Channels {
    fn default() -> Self {
        let defaults = Settings::default();
        Self {
            allow: Allow::default(),
            history: History::default(),
            idle: Span(defaults.idle),
            overflow: OverflowRule::Disconnect,
            max_publication_bytes: Memory(defaults.max_publication_bytes),
            max_subscribers: Count(defaults.max_subscribers),
            presence: defaults.presence,
            rates: rates::Overrides::default(),
            hears_itself: true,
            push_join_leave: false,
        }
    }
}

impl Default for History {
    fn default() -> Self {
        let HistoryLimits { count, bytes, age } = HistoryLimits::default();
        Self { count: count as u32, bytes: Memory(bytes), age: Span(age) }
    }
}

impl Channels {
    pub(super) fn settings(&self) -> Settings {
        Settings {
            history: HistoryLimits {
                count: self.history.count as usize,
                bytes: self.history.bytes.0,
                age: self.history.age.0,
            },
            idle: self.idle.0,
            overflow: match self.overflow {
                OverflowRule::Disconnect => Overflow::Disconnect,
                OverflowRule::DropOldest => Overflow::DropOldest,
                OverflowRule::LatestPerKey => Overflow::LatestPerKey,
            },
            max_publication_bytes: self.max_publication_bytes.0,
            max_subscribers: self.max_subscribers.0,
            presence: self.presence,
        }
    }

    /// What cannot be limited here, if it is.
    pub(super) fn misplaced(&self) -> Option<(&'static str, String)> {
        let why = "a channel has no connections: say it in [rates], for a host or for a route";
        self.rates.says_connects().then(|| ("rates.connects_per_address", why.to_owned()))
    }

    pub(super) fn policy(&self) -> Policy {
        let Allow { subscribe, publish, history, presence, delete } = &self.allow;
        let rights = Rights {
            subscribe: subscribe.0.clone(),
            publish: publish.0.clone(),
            history: history.0.clone(),
            presence: presence.0.clone(),
            delete: delete.0.clone(),
        };
        let Self { hears_itself, push_join_leave: pushes_join_leave, .. } = *self;
        Policy { rights, hears_itself, pushes_join_leave, rates: self.rates.read() }
    }
}
