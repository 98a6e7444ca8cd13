//! What channels of a namespace may hold, and what becomes of those who are slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::name::{ChannelName, is_namespace};

/// The settings of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much of the past a channel keeps; whatever limit is met first counts.
    pub history: HistoryLimits,
    /// A channel without subscribers to which nothing was published for so long is forgotten. Default 5 minutes, so that
    /// channels that are named after people and sessions do not add up.
    pub idle: Duration,
    /// What becomes of a subscriber that does not keep up. Default: it is disconnected.
    pub overflow: Overflow,
    /// The longest payload. Default 64 KiB: what goes to thousands is not a file.
    pub max_publication_bytes: usize,
    /// The most subscribers of one channel. Default 1,000,000.
    pub max_subscribers: usize,
    /// Whether subscribers can be seen, and hear of each other's coming and going. Default: no.
    pub presence: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            history: HistoryLimits::default(),
            idle: Duration::from_secs(300),
            overflow: Overflow::Disconnect,
            max_publication_bytes: 64 << 10,
            max_subscribers: 1_000_000,
            presence: false,
        }
    }
}

/// How much of the past a channel keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Publications. Default 100; 0 keeps nothing.
    pub count: usize,
    /// Bytes, of payloads and of what surrounds them. Default 1 MiB.
    pub bytes: usize,
    /// Since it was published. Default 5 minutes: longer than a reload, a tunnel or a lift.
    pub age: Duration,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { count: 100, bytes: 1 << 20, age: Duration::from_secs(300) }
    }
}

/// What becomes of a subscriber for whom too much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Overflow {
    /// All its subscriptions end, and it is told to come back for what it missed.
    #[default]
    Disconnect,
    /// The oldest publications that wait for it are dropped, and the next one says how many.
    DropOldest,
    /// Of publications with the same key only the newest waits, at all times. Should that not suffice, as `Disconnect`.
    LatestPerKey,
}

/// Every namespace that has settings of its own, and the settings of all others.
#[derive(Clone, Debug, Default)]
pub struct Namespaces {
    default: Arc<Settings>,
    named: HashMap<Box<str>, Arc<Settings>>,
    /// Whether a namespace that is not named here exists.
    closed: bool,
}

impl Namespaces {
    /// Channels without a namespace have these settings, and those of namespaces that are not [`named`](Self::with).
    pub fn new(default: Settings) -> Self {
        Self { default: Arc::new(default), named: HashMap::new(), closed: false }
    }

    /// A namespace with settings of its own.
    ///
    /// # Panics
    /// When that cannot be the name of a namespace.
    pub fn with(mut self, namespace: &str, settings: Settings) -> Self {
        assert!(is_namespace(namespace), "{namespace:?} is not a namespace");
        self.named.insert(namespace.into(), Arc::new(settings));
        self
    }

    /// No other namespaces than the named ones and the default one: their channels cannot be subscribed or published to.
    pub fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// Every namespace that has settings of its own, by name, behind the default one, whose name is empty.
    pub fn all(&self) -> Vec<(&str, &Settings)> {
        let mut all: Vec<_> = self.named.iter().map(|(name, settings)| (&**name, &**settings)).collect();
        all.push(("", &*self.default));
        all.sort_by_key(|(name, _)| *name);
        all
    }

    /// The settings of a channel, if its namespace exists.
    pub fn of(&self, channel: &ChannelName) -> Option<&Arc<Settings>> {
        match channel.namespace() {
            "" => Some(&self.default),
            namespace => self.named.get(namespace).or((!self.closed).then_some(&self.default)),
        }
    }
}
