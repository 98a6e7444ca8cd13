//! Rate limits: how much one connection, or one address, may do in a time.
//!
//! They are said for the server, and for a host, a route or a namespace where it is otherwise there: see [`Allowance`].

mod addresses;
mod allowance;
mod meter;

use std::fmt;
use std::time::Duration;

pub(crate) use self::allowance::{Allowance, Level, Spending};

/// So much in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much; at least 1.
    pub amount: u64,
    /// In this time; more than nothing.
    pub per: Duration,
}

impl Rate {
    const fn per_second(amount: u64) -> Self {
        Self { amount, per: Duration::from_secs(1) }
    }

    const fn per_minute(amount: u64) -> Self {
        Self { amount, per: Duration::from_secs(60) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount, self.unit())
    }
}

impl Rate {
    pub(crate) fn unit(&self) -> &'static str {
        match self.per.as_secs() {
            60 => "m",
            3600 => "h",
            _ => "s",
        }
    }
}

/// What anybody may do in a time, at all of a server. `None`: as much as they like. Default: so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Messages that one WebSocket publishes.
    pub messages_per_connection: Option<Rate>,
    /// Messages that one address publishes.
    pub messages_per_address: Option<Rate>,
    /// Bytes that one WebSocket publishes.
    pub bytes_per_connection: Option<Rate>,
    /// Bytes that one address publishes.
    pub bytes_per_address: Option<Rate>,
    /// Channels that one address begins to listen to.
    pub subscriptions_per_address: Option<Rate>,
    /// Connections that one address makes.
    pub connects_per_address: Option<Rate>,
}

impl Rates {
    /// What nobody meets by accident: the defaults of a configuration file.
    pub fn generous() -> Self {
        Self {
            // A game sends 60 a second.
            messages_per_connection: Some(Rate::per_second(500)),
            messages_per_address: Some(Rate::per_second(10_000)),
            bytes_per_connection: None,
            bytes_per_address: None,
            // An office of 10,000 that comes back after a restart, each with a few channels.
            subscriptions_per_address: Some(Rate::per_minute(60_000)),
            connects_per_address: Some(Rate::per_minute(12_000)),
        }
    }
}

/// What is otherwise at a host, a route or a namespace: of each rate, whether it is said there (`None`: it is as above), and if so
/// how much (`Some(None)`: as much as they like).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateOverrides {
    /// See [`Rates::messages_per_connection`].
    pub messages_per_connection: Option<Option<Rate>>,
    /// See [`Rates::messages_per_address`].
    pub messages_per_address: Option<Option<Rate>>,
    /// See [`Rates::bytes_per_connection`].
    pub bytes_per_connection: Option<Option<Rate>>,
    /// See [`Rates::bytes_per_address`].
    pub bytes_per_address: Option<Option<Rate>>,
    /// See [`Rates::subscriptions_per_address`].
    pub subscriptions_per_address: Option<Option<Rate>>,
    /// See [`Rates::connects_per_address`]. A connection has no host yet: here it is WebSockets that are counted. A namespace
    /// has no use for it.
    pub connects_per_address: Option<Option<Rate>>,
}

impl RateOverrides {
    /// What is said of something, if anything is.
    fn said(&self, what: What, by: By) -> Option<Option<Rate>> {
        match (what, by) {
            (What::Messages, By::Connection) => self.messages_per_connection,
            (What::Messages, By::Address) => self.messages_per_address,
            (What::Bytes, By::Connection) => self.bytes_per_connection,
            (What::Bytes, By::Address) => self.bytes_per_address,
            (What::Subscriptions, By::Address) => self.subscriptions_per_address,
            (What::Connects, By::Address) => self.connects_per_address,
            (What::Subscriptions | What::Connects, By::Connection) => None,
        }
    }
}

/// The server says all of them.
impl From<&Rates> for RateOverrides {
    fn from(rates: &Rates) -> Self {
        Self {
            messages_per_connection: Some(rates.messages_per_connection),
            messages_per_address: Some(rates.messages_per_address),
            bytes_per_connection: Some(rates.bytes_per_connection),
            bytes_per_address: Some(rates.bytes_per_address),
            subscriptions_per_address: Some(rates.subscriptions_per_address),
            connects_per_address: Some(rates.connects_per_address),
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Messages,
    Bytes,
    Subscriptions,
    Connects,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::Subscriptions => "subscriptions",
            Self::Connects => "connects",
        }
    }
}

/// Whom it is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Connection,
    Address,
}

impl By {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Address => "address",
        }
    }
}

/// It is too much. `Display` says of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch {
    pub(crate) what: What,
    pub(crate) by: By,
    pub(crate) rate: Rate,
    /// When it would not be.
    pub(crate) wait: Duration,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, by, rate, .. } = self;
        write!(f, "too many {}: {rate} for one {}; wait {} s", what.name(), by.name(), self.wait_seconds())
    }
}

impl TooMuch {
    /// Whole seconds, and at least one.
    pub(crate) fn wait_seconds(&self) -> u64 {
        (self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)).max(1)
    }
}
