//! What every connection of a server shares, and the order in which a request is judged.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use openline::tls::Acceptor;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::demo::Demo;
use crate::doors::{Channels, sse};
use crate::edge::visitor::Visitor;
use crate::edge::{answer, path};
use crate::knock::proxy_header;
use crate::lines::Lines;
use crate::routes::Endpoint;
use crate::session::Realm;

/// Newcomers over the cap that are told so at the same time. More than these are dropped without a word: a refusal holds
/// a file descriptor, too.
const REFUSALS: usize = 64;

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) config: Config,
    /// The limits of each line, shared by all.
    pub(crate) line: Arc<openline::Config>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) demo: Demo,
    /// With TLS, what accepts it.
    pub(crate) tls: Option<Acceptor>,
    pub(crate) channels: Channels,
    /// What sessions share.
    pub(crate) realm: Arc<Realm>,
    /// One permit per connection.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) refusals: Arc<Semaphore>,
    /// The server ends: who waits for a request waits no longer, and newcomers are too late.
    pub(crate) closing: CancellationToken,
}

impl Site {
    /// # Errors
    /// The system has no trust store.
    pub(crate) fn new(config: Config, tls: Option<Acceptor>) -> Result<Arc<Self>, String> {
        let (sessions, tokens, hooks) = (config.sessions.clone(), config.tokens.clone(), config.hooks.clone());
        let realm = Realm::new(sessions, tokens, hooks, &config.line)?;
        Ok(Arc::new(Self {
            realm,
            lines: Lines::new(),
            demo: Demo::new(config.line.max_output_bytes),
            tls,
            channels: Channels::new(&config),
            slots: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            closing: CancellationToken::new(),
            line: Arc::new(config.line.clone()),
            config,
        }))
    }

    /// What answers a request: is the server staying, may they knock, and is there anything at that path?
    pub(crate) fn admit<B>(&self, request: &Request<B>, visitor: &Visitor) -> Result<Endpoint, Box<Response<Bytes>>> {
        if self.closing.is_cancelled() {
            let wants_events = sse::is_wanted(request.headers());
            return Err(Box::new(if wants_events { sse::come_back() } else { answer::closing() }));
        }
        let knock = &self.config.knock;
        let is_passed_on = proxy_header(request.headers()).is_some() && self.config.proxies.trust(visitor.peer.ip());
        let admitted =
            if is_passed_on { knock.admit_through_proxy(request) } else { knock.admit(request, visitor.reach) };
        admitted.map_err(|refusal| Box::new(answer::refused(&refusal)))?;
        let path = path::normalise(request.uri().path());
        let demo = self.config.demo;
        let endpoint = Endpoint::at(&path, request.uri(), demo);
        let endpoint = endpoint.ok_or_else(|| Box::new(answer::not_found(&path, demo)))?;
        Ok(endpoint?)
    }
}
