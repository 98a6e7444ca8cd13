//! `[server]`: where it listens, and for whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Listen;
use crate::config::values::{Address, Count, HostName, PageOrigin};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Where to listen: `":8080"` is a port of this machine alone (127.0.0.1 and [::1]), `"0.0.0.0:8080"` one for all who reach
    /// it; port 0 picks a free one. By default nobody else reaches the server.
    pub(super) listen: Vec<Address>,
    /// Host names to answer for, without ports; on loopback, localhost and IP addresses are answered anyway. Other names get 421:
    /// otherwise a page of any site could point its own name at this server and read it (DNS rebinding).
    pub(super) hosts: Vec<HostName>,
    /// Origins whose pages may use this server, too, besides its own pages: `"https://app.example"`. Others get 403: browsers let
    /// any page open a WebSocket anywhere.
    pub(super) allowed_origins: Vec<PageOrigin>,
    /// The start page at `/`, and the WebSockets `/test`, `/chat` and `/increment`. They have no login: with a file they are off
    /// unless asked for.
    pub(super) demo: bool,
    /// Namespaces without a section of their own exist, too, with the settings of `[channels]`. Off, so that a typing mistake in a
    /// channel's name is a 404 and not a channel that nobody hears.
    pub(super) any_namespace: bool,
    /// Routes to programs, services and other servers (`exec`, `tcp`, `proxy`) may be reached from other machines by whoever knows the
    /// address. Off: then a server with such routes starts on this machine alone and without trusted proxies, or where client
    /// certificates are asked for.
    pub(super) allow_public_backends: bool,
    /// Worker threads; by default one per core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) threads: Option<Count>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: vec![Address(Listen::Loopback(8080))],
            hosts: Vec::new(),
            allowed_origins: Vec::new(),
            demo: false,
            any_namespace: false,
            allow_public_backends: false,
            threads: None,
        }
    }
}
