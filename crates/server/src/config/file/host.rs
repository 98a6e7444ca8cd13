//! `[hosts.NAME]`: what is otherwise at a host than on the rest of the server.

use openline::deflate::Deflate;
use openline::proto::handshake::Host as Name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rates;
use super::route::{Compression, or};
use crate::config::values::{Memory, PageOrigin, Size, Time, TimeOrOff};
use crate::hosting;
use crate::hosts::HostSettings;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Host {
    /// Origins whose pages may use what is at this host, beside its own. By default those of `server.allowed_origins`.
    allowed_origins: Option<Vec<PageOrigin>>,
    /// Whether messages are compressed here. By default as on the rest of the server.
    compression: Option<Compression>,
    /// As in `[limits]`, for this host.
    max_message_bytes: Option<Size>,
    /// As in `[limits]`, for this host.
    max_frame_bytes: Option<Size>,
    /// As in `[limits]`, for this host.
    max_output_bytes: Option<Memory>,
    /// As in `[times]`, for this host.
    ping_interval: Option<TimeOrOff>,
    /// As in `[times]`, for this host.
    pong_timeout: Option<Time>,
    /// As in `[times]`, for this host.
    message_timeout: Option<Time>,
    /// As in `[times]`, for this host.
    write_timeout: Option<Time>,
    /// As in `[times]`, for this host.
    close_timeout: Option<Time>,
    /// As in `[rates]`, for this host: what is said here is counted here, and not for the server. What a route or a namespace
    /// says goes before it.
    rates: rates::Overrides,
}

impl Host {
    /// What it becomes; `line` is the server's.
    pub(super) fn read(&self, name: Name, line: &openline::Config) -> HostSettings {
        let own = self.line(line);
        HostSettings {
            origins: self.allowed_origins.as_ref().map(|these| these.iter().map(|origin| origin.0.clone()).collect()),
            line: (own != *line).then_some(own),
            compression: match self.compression {
                None => hosting::Compression::AsServer,
                Some(Compression::Off) => hosting::Compression::Off,
                Some(Compression::On) => hosting::Compression::On(Deflate::default()),
            },
            rates: self.rates.read(),
            ..HostSettings::new(name)
        }
    }

    fn line(&self, line: &openline::Config) -> openline::Config {
        openline::Config {
            max_message_bytes: self.max_message_bytes.as_ref().map_or(line.max_message_bytes, |bytes| bytes.0),
            max_frame_bytes: self.max_frame_bytes.as_ref().map_or(line.max_frame_bytes, |bytes| bytes.0),
            max_output_bytes: self.max_output_bytes.as_ref().map_or(line.max_output_bytes, |bytes| bytes.0),
            ping_interval: self.ping_interval.as_ref().map_or(line.ping_interval, |time| time.0),
            pong_timeout: or(&self.pong_timeout, line.pong_timeout),
            message_timeout: or(&self.message_timeout, line.message_timeout),
            write_timeout: or(&self.write_timeout, line.write_timeout),
            close_timeout: or(&self.close_timeout, line.close_timeout),
            ..line.clone()
        }
    }
}
