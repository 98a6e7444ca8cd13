//! `[admin]`: the internal address.

use std::net::Ipv4Addr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::AddressOrOff;
use crate::config::{self, Listen};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Where to answer `/metrics`, `/live` and `/ready`, without TLS and without a login, so not where strangers are; or `"off"`. It
    /// answers for localhost, IP addresses and `server.hosts`. If nobody said where and the port is in use, the server starts without.
    listen: AddressOrOff,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: AddressOrOff(Some(Listen::At((Ipv4Addr::LOCALHOST, 8090).into()))) }
    }
}

impl Admin {
    /// `is_needed`: somebody said it.
    pub(super) fn read(&self, is_needed: bool) -> Option<config::Admin> {
        self.listen.0.map(|listen| config::Admin { listen, is_needed })
    }
}
