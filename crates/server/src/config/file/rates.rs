//! `[rates]`: how much anybody may do in a time; and what is otherwise at a host, a route, a namespace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{BytesRateOrOff, RateOrOff};
use crate::rates::{Rate, RateOverrides, Rates};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Messages that one WebSocket may publish; over it 4029. A person types one a second, a pointer moves 60 times.
    messages_per_connection: RateOrOff,
    /// Messages that one address may publish, by WebSocket (over it 4029) or POST (429). Behind one address there may be a whole
    /// office.
    messages_per_address: RateOrOff,
    /// Bytes that one WebSocket may publish; over it 4029. Off: `max_publication_bytes` and the messages bound them already.
    bytes_per_connection: BytesRateOrOff,
    /// Bytes that one address may publish; over it 4029 or 429.
    bytes_per_address: BytesRateOrOff,
    /// Channels that one address may begin to listen to; over it 429, and event streams are told when to come back. As many
    /// as an office needs that comes back after a restart.
    subscriptions_per_address: RateOrOff,
    /// Connections that one address may make; over it 429. Behind a trusted proxy it is WebSockets, by their clients' addresses.
    connects_per_address: RateOrOff,
}

impl Default for Limits {
    fn default() -> Self {
        let generous = Rates::generous();
        Self {
            messages_per_connection: RateOrOff(generous.messages_per_connection),
            messages_per_address: RateOrOff(generous.messages_per_address),
            bytes_per_connection: BytesRateOrOff(generous.bytes_per_connection),
            bytes_per_address: BytesRateOrOff(generous.bytes_per_address),
            subscriptions_per_address: RateOrOff(generous.subscriptions_per_address),
            connects_per_address: RateOrOff(generous.connects_per_address),
        }
    }
}

impl Limits {
    pub(super) fn read(&self) -> Rates {
        let Self { messages_per_connection, messages_per_address, .. } = self;
        let of = |rate: &RateOrOff| -> Option<Rate> { rate.0 };
        Rates {
            messages_per_connection: of(messages_per_connection),
            messages_per_address: of(messages_per_address),
            bytes_per_connection: self.bytes_per_connection.0,
            bytes_per_address: self.bytes_per_address.0,
            subscriptions_per_address: of(&self.subscriptions_per_address),
            connects_per_address: of(&self.connects_per_address),
        }
    }
}

/// How much anybody may do in a time, where it is otherwise than above.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Overrides {
    /// Messages that one WebSocket may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_per_connection: Option<RateOrOff>,
    /// Messages that one address may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_per_address: Option<RateOrOff>,
    /// Bytes that one WebSocket may send. With more it is closed; a tunnel waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_connection: Option<BytesRateOrOff>,
    /// Bytes that one address may send, the bodies of requests that a `proxy` passes on among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_address: Option<BytesRateOrOff>,
    /// Channels that one address may begin to listen to.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscriptions_per_address: Option<RateOrOff>,
    /// WebSockets that one address may open at a host or a route. Not for namespaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    connects_per_address: Option<RateOrOff>,
}

impl Overrides {
    /// What a channel has none of.
    pub(super) fn says_connects(&self) -> bool {
        self.connects_per_address.is_some()
    }

    pub(super) fn read(&self) -> RateOverrides {
        let rate = |rate: &Option<RateOrOff>| rate.as_ref().map(|rate| rate.0);
        let bytes = |rate: &Option<BytesRateOrOff>| rate.as_ref().map(|rate| rate.0);
        RateOverrides {
            messages_per_connection: rate(&self.messages_per_connection),
            messages_per_address: rate(&self.messages_per_address),
            bytes_per_connection: bytes(&self.bytes_per_connection),
            bytes_per_address: bytes(&self.bytes_per_address),
            subscriptions_per_address: rate(&self.subscriptions_per_address),
            connects_per_address: rate(&self.connects_per_address),
        }
    }
}
