//! What every connection of a server shares, and the order in which a request is judged.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Request, Response};
use openline::tls::Acceptor;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::counts::Counts;
use crate::demo::Demo;
use crate::doors::{Channels, sse};
use crate::edge::visitor::Visitor;
use crate::edge::{answer, path};
use crate::hosting::{Found, Table};
use crate::hosts::{HostPlace, Hosts};
use crate::knock::{Knock, Reach, Refusal, proxy_header};
use crate::lines::Lines;
use crate::rates::Allowance;
use crate::routes::{Endpoint, Routes};
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
    pub(crate) counts: Counts,
    /// What anybody may do in a time, where no host and no route says otherwise.
    pub(crate) allowance: Allowance,
    /// What is otherwise at some hosts.
    hosts: Hosts,
    pub(crate) started: SystemTime,
    pub(crate) demo: Demo,
    pub(crate) routes: Routes,
    /// Whom to answer where no route says otherwise: also for the routes' hosts.
    knock: Knock,
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
    pub(crate) fn new(config: Config, table: Table, tls: Option<Acceptor>) -> Result<Arc<Self>, String> {
        let (sessions, tokens, hooks) = (config.sessions.clone(), config.tokens.clone(), config.hooks.clone());
        let realm = Realm::new(sessions, tokens, hooks, &config.line)?;
        let mut knock = config.knock.clone();
        knock.hosts.extend(config.routes.iter().filter_map(|route| route.host.clone()));
        knock.hosts.extend(config.hosts.iter().map(|host| host.name.clone()));
        let counts = Counts::default();
        Ok(Arc::new(Self {
            lines: realm.lines.clone(),
            realm,
            demo: Demo::new(config.line.max_output_bytes),
            routes: Routes::new(table, config.demo),
            hosts: Hosts::open(&config, &knock),
            knock,
            allowance: Allowance::new(&config.rates, counts.rate_limited.clone()),
            counts,
            started: SystemTime::now(),
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
    pub(crate) fn admit<B>(&self, request: &Request<B>, visitor: &Visitor) -> Result<Admitted, Box<Response<Bytes>>> {
        if self.closing.is_cancelled() {
            let wants_events = sse::is_wanted(request.headers());
            return Err(Box::new(if wants_events { sse::come_back() } else { answer::closing() }));
        }
        let path = path::normalise(request.uri().path());
        let found = self.routes.find(request, &path);
        let host = self.hosts.of(request);
        self.judge(request, visitor, found.as_ref(), host.as_deref())
            .map_err(|refusal| Box::new(answer::refused(&refusal)))?;
        let endpoint = self.routes.at(found.as_ref(), &path, request.uri());
        let endpoint = endpoint.ok_or_else(|| Box::new(answer::not_found(&path, self.routes.overview())))?;
        let route = found.as_ref().and_then(|found| found.place.rates.clone());
        let allowance = self.allowance.at(host.as_ref().and_then(|host| host.rates.clone()), route);
        Ok(Admitted { endpoint: endpoint?, found, host, allowance })
    }

    /// May they knock there?
    fn judge<B>(
        &self,
        request: &Request<B>,
        visitor: &Visitor,
        found: Option<&Found>,
        host: Option<&HostPlace>,
    ) -> Result<(), Refusal> {
        let own = found.filter(|found| found.place.has_own_origins || host.is_none()).map(|found| found.place.knock());
        let knock = own.or(host.map(|host| &host.knock)).unwrap_or(&self.knock);
        let is_passed_on = proxy_header(request.headers()).is_some() && self.config.proxies.trust(visitor.peer.ip());
        let is_public = found.is_some_and(|found| found.place.is_public()) && !request.headers().contains_key(UPGRADE);
        match (is_passed_on, is_public) {
            (true, true) => knock.admit_host(request, Reach::Public),
            (true, false) => knock.admit_through_proxy(request),
            (false, true) if proxy_header(request.headers()).is_none() => knock.admit_host(request, visitor.reach),
            (false, _) => knock.admit(request, visitor.reach),
        }
    }
}

/// What answers a request, and what holds for it.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) endpoint: Endpoint,
    /// The route that led there, if it was one.
    pub(crate) found: Option<Found>,
    /// What is otherwise at its host, if anything is.
    pub(crate) host: Option<Arc<HostPlace>>,
    /// What whoever asks may do in a time.
    pub(crate) allowance: Allowance,
}
