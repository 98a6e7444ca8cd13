//! What a server is told before it starts, with the defaults and their reasons.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use openline::deflate::Deflate;
use openline::http1::HeadLimits;

use crate::knock::Knock;
use crate::tls::Tls;

/// Everything that `openline serve` can be told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Default: port 8080 of this machine alone.
    pub listen: Vec<Listen>,
    /// Whom to answer.
    pub knock: Knock,
    /// With TLS, `http` and `ws` are `https` and `wss`, on every address. Default: without.
    pub tls: Option<Tls>,
    /// Connections at once, over which newcomers get 503. Default 10,000: each holds a file descriptor, of which systems
    /// commonly grant some 20,000 to a million, and may hold some 3 MiB at worst.
    pub max_connections: usize,
    /// How long and how slow a request's head may be.
    pub head: HeadLimits,
    /// Limits and deadlines of each line.
    pub line: openline::Config,
    /// Compression for whoever offers it. Default: without context takeover, so that a quiet line holds no memory for it.
    pub deflate: Option<Deflate>,
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
            tls: None,
            max_connections: 10_000,
            head: HeadLimits::default(),
            line: openline::Config::default(),
            deflate: Some(Deflate::default()),
            shutdown_timeout: Duration::from_secs(10),
            drain_window: Duration::ZERO,
        }
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

/// Whether a server starts without an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Must,
    IfThereIsIpv6,
}
