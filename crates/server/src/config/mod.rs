//! What a server is told before it starts, with the defaults and their reasons; and how a file, the environment and flags say it.
//!
//! ```text
//! openline.toml ─▶ tree ─▶ + environment ─▶ + flags ─▶ check ─▶ file::File ─▶ Config
//!                                                       ▲
//!                             schema (of file::File) ───┴─▶ reference, and a schema for editors
//! ```

mod check;
pub(crate) mod file;
pub(crate) mod flags;
pub(crate) mod load;
pub(crate) mod reference;
pub(crate) mod schema;
#[cfg(test)]
mod tests;
mod tree;
pub(crate) mod units;
pub(crate) mod values;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use openline::deflate::Deflate;
use openline::http1::HeadLimits;
use openline_hub::Namespaces;

use self::values::Secret;
use crate::hooks::HookSettings;
use crate::hosting::Route;
use crate::hosts::HostSettings;
use crate::identity::TokenSettings;
use crate::knock::Knock;
use crate::rates::Rates;
use crate::rights::{Policies, Policy};
use crate::session::SessionSettings;
use crate::tls::Tls;

/// Everything that `openline serve` can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Default: port 8080 of this machine alone.
    pub listen: Vec<Listen>,
    /// Whom to answer.
    pub knock: Knock,
    /// Where to answer metrics and health. Default: nowhere; `openline serve` has 127.0.0.1:8090.
    pub admin: Option<Admin>,
    /// Whether there is the demo: the start page, `/test`, `/chat` and `/increment`. Default: yes.
    pub demo: bool,
    /// With TLS, `http` and `ws` are `https` and `wss`, on every address. Default: without.
    pub tls: Option<Tls>,
    /// Proxies that are believed: where their clients are, and that those may come in. Default: none.
    pub proxies: Proxies,
    /// Connections at once, over which newcomers get 503. Default 10,000: each holds a file descriptor, of which systems
    /// commonly grant some 20,000 to a million, and may hold some 3 MiB at worst.
    pub max_connections: usize,
    /// How long and how slow a request's head may be.
    pub head: HeadLimits,
    /// Limits and deadlines of each line.
    pub line: openline::Config,
    /// Compression for whoever offers it. Default: without context takeover, so that a quiet line holds no memory for it.
    pub deflate: Option<Deflate>,
    /// What is where. With any there is no demo, and channels only where a file gives rights to them.
    pub routes: Vec<Route>,
    /// Whether programs, TCP services and other servers ([`What::Exec`](crate::hosting::What::Exec) and the like) may be
    /// reached from other machines by whoever knows the address. Default: no; then a server with such routes starts on
    /// loopback alone, or where client certificates are asked for.
    pub allow_public_backends: bool,
    /// What the channels of each namespace keep, and what becomes of slow readers.
    pub namespaces: Namespaces,
    /// Who may do what with the channels of each namespace. Default: everyone everything, as in the demo.
    pub policies: Policies,
    /// Whoever shows one of them may publish to every channel, and delete its past. Default: none.
    pub api_keys: Vec<Secret>,
    /// How much anybody may do in a time. Default: as much as they like.
    pub rates: Rates,
    /// What is otherwise at some hosts, which the server answers for.
    pub hosts: Vec<HostSettings>,
    /// How many channels there may be, and what may wait in them.
    pub channels: openline_hub::Limits,
    /// How sessions are served.
    pub sessions: SessionSettings,
    /// Which tokens are believed.
    pub tokens: TokenSettings,
    /// What a backend is asked about.
    pub hooks: HookSettings,
    /// At the end, closing handshakes are waited for this long. Default 10 s: twice what a live peer is given for one.
    pub shutdown_timeout: Duration,
    /// A drain spreads its closes over this time. Default none: everybody at once.
    pub drain_window: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Listen::Loopback(8080)],
            knock: Knock::default(),
            admin: None,
            demo: true,
            tls: None,
            proxies: Proxies::default(),
            max_connections: 10_000,
            head: HeadLimits::default(),
            line: openline::Config::default(),
            deflate: Some(Deflate::default()),
            routes: Vec::new(),
            allow_public_backends: false,
            namespaces: Namespaces::default(),
            policies: Policies::new(Policy::open()),
            api_keys: Vec::new(),
            rates: Rates::default(),
            hosts: Vec::new(),
            channels: openline_hub::Limits::default(),
            sessions: SessionSettings::default(),
            tokens: TokenSettings::default(),
            hooks: HookSettings::default(),
            shutdown_timeout: Duration::from_secs(10),
            drain_window: Duration::ZERO,
        }
    }
}

/// The internal address: metrics and health, for whoever runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it is; of a port of this machine, only of 127.0.0.1.
    pub listen: Listen,
    /// Whether the server starts only with it.
    pub is_needed: bool,
}

/// Proxies in front of the server.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Their addresses. Who else sends `X-Forwarded-For`, `Forwarded` or `Via` is refused.
    pub trusted: Vec<Network>,
    /// They, and nobody else, connect, and begin with a header of the PROXY protocol.
    pub protocol: bool,
}

impl Proxies {
    /// Whether this is one of them.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }
}

/// An address, or all that begin with the same bits: `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == all { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "an address is like 127.0.0.1, a network like 10.0.0.0/8".to_owned();
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > all { Err(wrong()) } else { Ok(Self { address, bits }) }
    }
}

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A port of `127.0.0.1`, and of `[::1]` where there is IPv6.
    Loopback(u16),
    /// Exactly there.
    At(SocketAddr),
}

impl Listen {
    /// The addresses, and whether the server may do without.
    pub(crate) fn addresses(self) -> impl Iterator<Item = (SocketAddr, Need)> {
        let addresses = match self {
            Self::Loopback(port) => [
                Some((SocketAddr::from((Ipv4Addr::LOCALHOST, port)), Need::Must)),
                Some((SocketAddr::from((Ipv6Addr::LOCALHOST, port)), Need::IfThereIsIpv6)),
            ],
            Self::At(address) => [Some((address, Need::Must)), None],
        };
        addresses.into_iter().flatten()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(port) => write!(f, ":{port}"),
            Self::At(address) => address.fmt(f),
        }
    }
}

/// Whether a server starts without an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Must,
    IfThereIsIpv6,
}
