//! Several servers that do the same: which of them gets the next request.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use openline::deflate::Deflate;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body::Upload;
use super::connector::Connector;
use super::{Health, HostHeader, Proxy, Upstream, relayed};
use crate::hosting::dial::Tls;

/// Who could not be reached gets nothing for this long, if there are others: as nginx has it.
const PAUSE: Duration = Duration::from_secs(10);

/// A connection without a request is kept this long: less than the 5 s after which Node, the most impatient of its kind,
/// closes one, so that no request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// Of these so many. More are made for a crowd, and not kept for the next.
const MAX_IDLE: usize = 64;

/// A proxy's servers.
#[derive(Debug)]
pub(in crate::hosting) struct Pool {
    members: Vec<Arc<Member>>,
    pub(super) host: HostHeader,
    pub(in crate::hosting) user_header: HeaderName,
    pub(super) response_timeout: Duration,
    pub(super) max_body_bytes: u64,
    pub(super) compression: Option<Deflate>,
    pub(in crate::hosting) is_tunnel: bool,
    /// Of lines to them.
    pub(super) line: Arc<openline::Config>,
    /// Lines on their way out.
    pub(super) endings: TaskTracker,
    health: Option<Health>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) upstream: Arc<Upstream>,
    pub(super) connector: Connector,
    pub(super) client: Client<Connector, Upload>,
    /// What it has to do: requests that are not answered, and lines.
    busy: AtomicUsize,
    is_ill: AtomicBool,
    paused_until: Mutex<Option<Instant>>,
}

impl Pool {
    pub(in crate::hosting) fn open(
        proxy: &Proxy,
        line: &openline::Config,
        endings: TaskTracker,
    ) -> Result<Self, String> {
        if proxy.upstreams.is_empty() {
            return Err("there is no server to pass requests to: name one".to_owned());
        }
        let needs_tls = proxy.upstreams.iter().any(|upstream| upstream.is_tls);
        let tls = needs_tls.then(|| Tls::open(&proxy.tls)).transpose()?;
        let member = |upstream: &Upstream| {
            let upstream = Arc::new(upstream.clone());
            let connector = Connector { upstream: upstream.clone(), tls: tls.clone(), timeout: proxy.connect_timeout };
            let client = Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(MAX_IDLE)
                .set_host(false)
                .build(connector.clone());
            Arc::new(Member {
                upstream,
                connector,
                client,
                busy: AtomicUsize::new(0),
                is_ill: AtomicBool::new(false),
                paused_until: Mutex::default(),
            })
        };
        Ok(Self {
            members: proxy.upstreams.iter().map(member).collect(),
            host: proxy.host.clone(),
            user_header: proxy.user_header.clone(),
            response_timeout: proxy.response_timeout,
            max_body_bytes: proxy.max_body_bytes,
            compression: proxy.compression.clone(),
            is_tunnel: proxy.tunnel,
            line: Arc::new(relayed(line)),
            endings,
            health: proxy.health.clone(),
        })
    }

    /// The one that has the least to do, of those that are well; of all, if none is. Not one of those that were tried.
    pub(super) fn take(&self, tried: &[Arc<Member>]) -> Option<Taken> {
        let untried = || self.members.iter().filter(|member| !tried.iter().any(|tried| Arc::ptr_eq(tried, member)));
        let least = |members: &mut dyn Iterator<Item = &Arc<Member>>| {
            members.min_by_key(|member| member.busy.load(Ordering::Relaxed)).cloned()
        };
        let member = least(&mut untried().filter(|member| member.is_well())).or_else(|| least(&mut untried()))?;
        member.busy.fetch_add(1, Ordering::Relaxed);
        Some(Taken(member))
    }

    /// Asks them how they are, for ever.
    pub(in crate::hosting) async fn watch(self: Arc<Self>, until: CancellationToken) {
        let Some(health) = &self.health else { return };
        let mut clock = interval(health.interval);
        while until.run_until_cancelled(clock.tick()).await.is_some() {
            for member in &self.members {
                let is_well = timeout(health.interval, member.ask(health.path.as_deref())).await.unwrap_or(false);
                if member.is_ill.swap(!is_well, Ordering::Relaxed) == is_well {
                    let how = if is_well { "is well again" } else { "is not well: it gets nothing" };
                    tracing::warn!(upstream = %member.upstream, "the server behind {how}");
                }
            }
        }
    }
}

impl Member {
    fn is_well(&self) -> bool {
        let paused = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_ill.load(Ordering::Relaxed) && paused.is_none_or(|until| until <= Instant::now())
    }

    /// It could not be reached.
    pub(super) fn pause(&self) {
        *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }

    async fn ask(&self, path: Option<&str>) -> bool {
        let Some(path) = path else { return self.connector.connect().await.is_ok() };
        let authority = self.upstream.authority();
        let request = Request::get(format!("http://{authority}{path}")).header("host", &authority);
        let Ok(request) = request.body(Empty::<Bytes>::new()) else { return false };
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(self.connector.clone());
        match client.request(request).await {
            Ok(response) => {
                let is_well = response.status().as_u16() < 400;
                drop(response.into_body().collect().await);
                is_well
            }
            Err(_) => false,
        }
    }
}

/// A server that has one thing more to do, until this is dropped.
#[derive(Debug)]
pub(super) struct Taken(pub(super) Arc<Member>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(upstreams: &[&str]) -> Pool {
        let upstreams = upstreams.iter().map(|upstream| upstream.parse().unwrap()).collect();
        Pool::open(&Proxy::to_any(upstreams), &openline::Config::default(), TaskTracker::new()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_the_least_to_do_is_next() {
        let pool = pool(&["http://a:1", "http://b:1"]);
        let name = |taken: &Taken| taken.0.upstream.to_string();
        let first = pool.take(&[]).unwrap();
        let second = pool.take(&[]).unwrap();
        assert_ne!(name(&first), name(&second));
        let freed = name(&second);
        drop(second);
        assert_eq!(name(&pool.take(&[]).unwrap()), freed);
        // Who was tried is not tried again, and who cannot be reached gets nothing for a while, if there are others.
        assert_eq!(name(&pool.take(std::slice::from_ref(&first.0)).unwrap()), freed);
        let other = pool.take(std::slice::from_ref(&first.0)).unwrap();
        assert!(pool.take(&[first.0.clone(), other.0.clone()]).is_none());
        let (slow, _) = (other.0.clone(), drop(other));
        slow.pause();
        let busy = pool.take(&[]).unwrap();
        assert_eq!(name(&busy), name(&first));
        tokio::time::advance(PAUSE).await;
        assert_eq!(name(&pool.take(&[]).unwrap()), freed);
        first.0.pause();
        slow.pause();
        assert!(pool.take(&[]).is_some());
    }
}
