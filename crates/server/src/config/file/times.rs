//! `[times]`: how long everything may take, and what happens after that.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{Span, Time, TimeOrOff};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Times {
    /// A request's head must be here within this time; over it 408.
    pub(super) head_timeout: Time,
    /// A quiet line is pinged this often; or `"off"`. Proxies commonly give up after 60 s of silence, some after 30 s.
    pub(super) ping_interval: TimeOrOff,
    /// A line that stays quiet this long after a ping is given up.
    pub(super) pong_timeout: Time,
    /// A begun message must get its next byte within this time; over it the line is closed with 1008.
    pub(super) message_timeout: Time,
    /// A peer that takes nothing of what waits for it this long is given up.
    pub(super) write_timeout: Time,
    /// A closing handshake is waited for this long.
    pub(super) close_timeout: Time,
    /// At the end, all closing handshakes are waited for this long: twice what a live peer is given for one.
    pub(super) shutdown_timeout: Span,
    /// A drain (SIGTERM) spreads its closes over this time, so that not all come back at once; `"0s"` is everybody at once.
    pub(super) drain_window: Span,
}

impl Default for Times {
    fn default() -> Self {
        let (line, head) = (openline::Config::default(), openline::http1::HeadLimits::default());
        Self {
            head_timeout: Time(head.timeout),
            ping_interval: TimeOrOff(line.ping_interval),
            pong_timeout: Time(line.pong_timeout),
            message_timeout: Time(line.message_timeout),
            write_timeout: Time(line.write_timeout),
            close_timeout: Time(line.close_timeout),
            shutdown_timeout: Span(Duration::from_secs(10)),
            drain_window: Span(Duration::ZERO),
        }
    }
}
