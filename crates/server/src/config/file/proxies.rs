//! `[proxies]`: who stands in front of the server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::AddressOrNetwork;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Proxies {
    /// Believe these proxies (addresses, or networks such as `"10.0.0.0/8"`) where their clients are, by X-Forwarded-For or
    /// Forwarded, and let those in as on a public address. Who else sends such headers is refused: to the server, a proxy on the
    /// same machine makes the whole internet look like this machine.
    pub(super) trusted: Vec<AddressOrNetwork>,
    /// Trusted proxies, and nobody else, connect, and begin with a header of the PROXY protocol, of either version.
    pub(super) protocol: bool,
}
