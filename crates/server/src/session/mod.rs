//! Sessions: one connection, many channels, known identities. The Centrifuge client protocol, as its libraries speak it.
//!
//! ```text
//!   /connection/websocket ──▶ websocket ─┐
//!   /connection/http_stream, /sse ──▶ stream ─┼─▶ Seat ─▶ Session (no I/O) ─▶ hub
//!   /emulation ──▶ beside ──▶ Mailbox ───┘    │
//!                                               └─▶ hooks, keys of tokens: what must be waited for
//! ```
//!
//! What a client sees is in `docs/centrifuge.md`.

pub(crate) mod beside;
mod clients;
pub(crate) mod codes;
mod push;
mod seat;
#[allow(clippy::module_inception, reason = "the type of this name")]
pub(crate) mod session;
pub(crate) mod sessions;
mod settings;
pub(crate) mod stream;
mod subscriptions;
#[cfg(test)]
mod tests;
pub(crate) mod websocket;
pub(crate) mod wire;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::{Body as _, Incoming};
use tokio_util::sync::CancellationToken;

pub use self::clients::Clients;
pub(crate) use self::push::{Pushes, client_info, format_of, written};
pub(crate) use self::session::{Context, Transport};
use self::sessions::Sessions;
pub use self::settings::SessionSettings;
use crate::doors::cors::{self, Cross};
use crate::doors::{Body, Channels, full};
use crate::hooks::{HookSettings, Hooks};
use crate::identity::{Tickets, TokenSettings, Tokens};
use crate::lines::Lines;
use crate::outbound::Outbound;
use crate::site::Site;

/// Answers a request for a stream, or for what goes beside one (`None`).
pub(crate) async fn respond(
    request: Request<Incoming>,
    transport: Option<Transport>,
    site: &Arc<Site>,
    gone: CancellationToken,
) -> Response<Body> {
    let cross = Cross::of(request.headers());
    let has_body = !request.body().is_end_stream();
    if request.method() == Method::OPTIONS {
        return cross.allow(cors::preflight());
    }
    let answered = match transport {
        Some(transport) => stream::respond(request, transport, site, gone).await,
        None => beside::respond(request, site).await.map(full),
    };
    cross.allow(answered.unwrap_or_else(|mut refusal| {
        if has_body {
            // RFC 9112 §9.3: a body that is not read to its end leaves no place for another request.
            refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        full(*refusal)
    }))
}

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Realm {
    pub(crate) settings: SessionSettings,
    pub(crate) sessions: Sessions,
    /// Every line of the server, those of sessions among them.
    pub(crate) lines: Arc<Lines>,
    pub(crate) tokens: Tokens,
    pub(crate) tickets: Tickets,
    pub(crate) hooks: Hooks,
    pub(crate) began: Instant,
    /// A session pings by itself, and its lines do not.
    pub(crate) line: Arc<openline::Config>,
}

impl Realm {
    /// # Errors
    /// The system has no trust store for requests of our own.
    pub(crate) fn new(
        settings: SessionSettings,
        tokens: TokenSettings,
        hooks: HookSettings,
        line: &openline::Config,
    ) -> Result<Arc<Self>, String> {
        let outbound = Outbound::new()?;
        Ok(Arc::new(Self {
            settings,
            sessions: Sessions::new(),
            lines: Lines::new(),
            tickets: Tickets::default(),
            began: tokio::time::Instant::now().into_std(),
            tokens: Tokens::new(tokens, outbound.clone()),
            hooks: Hooks::new(hooks, outbound),
            line: Arc::new(self::line(line)),
        }))
    }

    /// With the present, as the runtime's timers see it, so that tests can turn it.
    pub(crate) fn context<'a>(&'a self, channels: &'a Channels) -> Context<'a> {
        let unix_ms = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
        Context { realm: self, channels, now: tokio::time::Instant::now().into_std(), unix_ms }
    }
}

/// Limits and deadlines of a session's line, which has pings of its own.
pub(crate) fn line(line: &openline::Config) -> openline::Config {
    openline::Config { ping_interval: None, ..line.clone() }
}
