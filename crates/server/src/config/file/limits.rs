//! `[limits]`: how much of everything there may be, and what happens over it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{Count, Memory, Size};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limits {
    /// Connections at once; newcomers over it get 503. Each holds a file descriptor, of which systems commonly grant some 20,000
    /// to a million, and may hold some 3 MiB at worst.
    pub(super) max_connections: Count,
    /// Longest message taken; over it the line is closed with 1009. For compressed messages it is the inflated size.
    pub(super) max_message_bytes: Size,
    /// Longest frame taken; over it the line is closed with 1009.
    pub(super) max_frame_bytes: Size,
    /// What may wait to be written to one peer that reads slowly; over it `/chat` closes its line with 1013, and others wait for it.
    pub(super) max_output_bytes: Memory,
    /// Longest head of a request; over it 431. Browsers with many cookies send up to some 8 KiB.
    pub(super) max_head_bytes: Memory,
    /// Most header fields of a request; over it 431.
    pub(super) max_headers: Count,
    /// Channels; over it 503 until unused ones are forgotten. A million empty ones take some 200 MB.
    pub(super) max_channels: Count,
    /// What may wait for one reader of channels before its namespace's `overflow` applies: some seconds of a busy channel.
    pub(super) max_outbox_bytes: Memory,
    /// What may wait for all readers together; as it fills up, the longest queues meet the shrinking rest first.
    pub(super) max_queued_bytes: Memory,
}

impl Default for Limits {
    fn default() -> Self {
        let (line, head) = (openline::Config::default(), openline::http1::HeadLimits::default());
        let hub = openline_hub::Limits::default();
        Self {
            max_connections: Count(10_000),
            max_message_bytes: Size(line.max_message_bytes),
            max_frame_bytes: Size(line.max_frame_bytes),
            max_output_bytes: Memory(line.max_output_bytes),
            max_head_bytes: Memory(head.max_bytes),
            max_headers: Count(head.max_headers),
            max_channels: Count(hub.max_channels),
            max_outbox_bytes: Memory(hub.max_outbox_bytes),
            max_queued_bytes: Memory(hub.max_queued_bytes),
        }
    }
}
