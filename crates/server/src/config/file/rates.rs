//! `[rates]`: how much anybody may do in a time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{BytesRateOrOff, RateOrOff};
use crate::rates::{Rate, Rates};

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
