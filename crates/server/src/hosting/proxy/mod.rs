//! `proxy`: other servers behind this one, for plain HTTP and for WebSockets.
//!
//! ```text
//!   client ══ HTTP, WebSocket ══▶ here ══ HTTP, WebSocket ══▶ one of several servers
//! ```
//! A WebSocket is two: each side has its own keepalive, limits and compression, and what passes are messages. So a line that
//! is compressed towards the browser need not be towards the server, and pings are answered by whoever is next.
//!
//! | the other server | plain HTTP | WebSocket, before the upgrade | after |
//! |---|---|---|---|
//! | refuses the connection | the next one; then 502 | the next one; then 502 | |
//! | does not accept it in time | the next one; then 504 | the next one; then 504 | |
//! | does not answer in time | 504 | 504 | |
//! | speaks TLS, or no HTTP | 502 | 502 | |
//! | answers 200, or another 2xx | as it is | 502: that is no WebSocket | |
//! | answers 3xx, 4xx or 5xx | as it is | as it is, with 16 KiB of its body | |
//! | closes with a code | | | the same code and reason |
//! | vanishes, breaks the protocol | the answer breaks off | 502 | 1014 |

mod body;
mod connector;
mod fields;
mod line;
mod plain;
mod pool;
mod reach;
mod relay;
mod tunnel;
mod upstream;

use std::time::Duration;

use http::HeaderName;
use openline::deflate::Deflate;

pub(super) use self::line::connect;
pub(super) use self::plain::respond;
pub(super) use self::pool::Pool;
pub(super) use self::relay::Relay;
pub(crate) use self::tunnel::Tunnel;
pub(super) use self::tunnel::open as open_tunnel;
pub use self::upstream::{InvalidUpstream, Upstream};
use super::dial::BackendTls;

/// Other servers.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where they are. Several do the same: each request goes to the one that has the fewest.
    pub upstreams: Vec<Upstream>,
    /// What they are told that the client asked for. Default: what it did ask for.
    pub host: HostHeader,
    /// The field in which they are told who came, where the route asks for that ([`Route::allow`](super::Route::allow)). Names are
    /// percent-encoded but for visible ASCII. Default `X-Forwarded-User`.
    pub user_header: HeaderName,
    /// TLS to those with `https` and `wss`.
    pub tls: BackendTls,
    /// Whether they are well is asked this often; who is not gets nothing. Default: nobody asks, and who cannot be reached gets
    /// nothing for ten seconds.
    pub health: Option<Health>,
    /// A connection must be there within this time. Default 5 s: a server in the same building answers in milliseconds, and 5 s
    /// bridge two lost packets.
    pub connect_timeout: Duration,
    /// The head of an answer must be here within this time. Default 60 s, as nginx has it.
    pub response_timeout: Duration,
    /// A request's body has at most this many bytes; over it 413. Default 100 MiB: it passes through without being kept, so
    /// that this is for the server behind.
    pub max_body_bytes: u64,
    /// Whether WebSockets pass as bytes, once the other server has said 101: then keepalive, limits, compression and close codes
    /// are between the two ends, and only the opening is ours. Default: no.
    pub tunnel: bool,
    /// Compression towards the other server. Default none: it is near.
    pub compression: Option<Deflate>,
}

/// The `Host` that the other server sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HostHeader {
    /// The client's: the application makes its links, and checks origins, with it.
    #[default]
    Keep,
    /// The other server's own, as its address is written.
    Upstream,
}

/// Asking whether a server is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked for: 200 to 399 is well. Default: nothing; a connection is enough.
    pub path: Option<String>,
    /// How often.
    pub interval: Duration,
}

impl Proxy {
    /// To one server.
    pub fn to(upstream: Upstream) -> Self {
        Self::to_any(vec![upstream])
    }

    /// To several that do the same.
    pub fn to_any(upstreams: Vec<Upstream>) -> Self {
        Self {
            upstreams,
            host: HostHeader::default(),
            user_header: HeaderName::from_static("x-forwarded-user"),
            tls: BackendTls::default(),
            health: None,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            max_body_bytes: 100 << 20,
            tunnel: false,
            compression: None,
        }
    }
}

/// Queued for one side before it is written: what one system call takes well. Over it the other side waits.
const BATCH_BYTES: usize = 64 << 10;

/// The limits of a line that is passed on: a message always has room beside what is queued, as a relay does not take from one
/// side what the other has not been written.
pub(super) fn relayed(line: &openline::Config) -> openline::Config {
    let message = usize::try_from(line.max_message_bytes).unwrap_or(usize::MAX);
    let room = message.saturating_add(4 * BATCH_BYTES);
    openline::Config { max_output_bytes: line.max_output_bytes.max(room), ..line.clone() }
}
