//! A server from its first listening address to its last line.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::{error, fmt};

use openline::tls::{Fingerprint, TlsError};
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admin;
use crate::config::Config;
use crate::connections::Alive;
use crate::hosting::{Groups, Route, RouteError, Table};
use crate::knock::Reach;
use crate::lines::Lines;
use crate::listen::{self, BindError};
use crate::session::Clients;
use crate::shutdown::{self, Farewell, Order};
use crate::site::Site;
use crate::tls::{self, Certificates};

/// A server that listens, and does not answer yet.
///
/// ```
/// use openline_server::{Config, Listen, Order, Server};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let config = Config { listen: vec![Listen::At("127.0.0.1:0".parse().unwrap())], ..Config::default() };
/// let server = Server::bind(config).await?;
/// println!("listening on {:?}", server.local_addrs());
/// let farewell = server.serve(async { Order::Close }).await; // for ever, with an order that never comes
/// assert_eq!(farewell.dropped, 0);
/// # Ok::<(), openline_server::StartError>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Server {
    listeners: Vec<(TcpListener, SocketAddr)>,
    site: Arc<Site>,
    /// Of a certificate of our own making.
    fingerprint: Option<Fingerprint>,
    /// The internal address, or why it is not there.
    admin: Option<Result<(TcpListener, SocketAddr), BindError>>,
}

impl Server {
    /// Listens on every address of the configuration.
    ///
    /// # Errors
    /// An address that cannot be listened on, or one that is not loopback while [`Config::knock`] names nobody; certificates
    /// that cannot be used.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        Self::may_start(&config)?;
        let tls = match &config.tls {
            Some(tls) => {
                let tls = tls.clone();
                let started = spawn_blocking(move || tls::start(&tls)).await;
                Some(started.map_err(|error| StartError::Io(error.into()))?.map_err(StartError::Tls)?)
            }
            None => None,
        };
        let (acceptor, fingerprint) = tls.map_or((None, None), |ready| (Some(ready.acceptor), ready.fingerprint));
        // It looks at files, and not in a thread for that, which would stay: a process of one thread has cheaper system calls.
        let table = Table::open(&config).map_err(StartError::Route)?;
        let mut listeners = Vec::new();
        for listener in listen::bind(&config.listen)? {
            let address = listener.local_addr().map_err(StartError::Io)?;
            listeners.push((listener, address));
        }
        let admin = config.admin.as_ref().map(admin::bind).transpose().map_err(StartError::Admin)?;
        let site = Site::new(config, table, acceptor).map_err(|error| StartError::Io(io::Error::other(error)))?;
        Ok(Self { listeners, site, fingerprint, admin })
    }

    /// Whether somebody may come to every address that it listens on, and nobody to what is not for strangers.
    pub(crate) fn may_start(config: &Config) -> Result<(), StartError> {
        let mut addresses = config.listen.iter().flat_map(|listen| listen.addresses()).map(|(address, _)| address);
        let public = addresses.find(|address| Reach::of(address.ip()) == Reach::Public);
        let opens_anything = config.knock.opens_anything() || config.routes.iter().any(|route| route.host.is_some());
        if let (false, Some(address)) = (opens_anything, public) {
            return Err(StartError::Public(address));
        }
        unprotected(config, public.is_some()).map_or(Ok(()), |route| Err(StartError::Unprotected(route)))
    }

    /// Where it listens, with the port that was picked where port 0 was asked for.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(|(_, address)| *address).collect()
    }

    /// The fingerprint of a certificate of our own making ([`Certificates::SelfSigned`](crate::Certificates::SelfSigned)), by
    /// which clients can know it.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.fingerprint
    }

    /// Where metrics and health are answered.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        let bound = self.admin.as_ref()?.as_ref().ok()?;
        Some(bound.1)
    }

    /// Its open lines, for whoever wants to know how many there are.
    pub fn lines(&self) -> Arc<Lines> {
        self.site.lines.clone()
    }

    /// The clients of its sessions, for whoever has something to say to them.
    pub fn clients(&self) -> Clients {
        Clients::new(self.site.realm.clone())
    }

    /// The programs that its routes run, for whoever ends in a hurry.
    pub(crate) fn programs(&self) -> Arc<Groups> {
        self.site.routes.table().programs().clone()
    }

    /// Its routes, for people to read: the path, what is there.
    pub(crate) fn routes(&self) -> Vec<(String, String)> {
        let routes = self.site.config.routes.iter();
        let host = |route: &Route| route.host.as_ref().map_or_else(String::new, |host| host.name().to_owned());
        routes.map(|route| (format!("{}{}", host(route), route.path), route.what.to_string())).collect()
    }

    /// Answers until it is told to end, and how; then ends, within the drain window (if it drains) and the shutdown
    /// timeout. What is open after that is dropped.
    pub async fn serve(self, order: impl Future<Output = Order>) -> Farewell {
        let Self { listeners, site, admin, .. } = self;
        // Whatever happens to this future, nothing of the server outlives it.
        let alive = Alive::default();
        let connections = &alive.0;
        let programs = Programs(site.routes.table().programs().clone());
        let sweeping = CancellationToken::new();
        let _stop_sweeping = sweeping.clone().drop_guard();
        let listening = CancellationToken::new();
        for (listener, address) in listeners {
            let accept = listen::accept(listener, Reach::of(address.ip()), site.clone(), connections.clone());
            tokio::spawn(listening.clone().run_until_cancelled_owned(accept));
        }
        if let (Some(tls), Some(acceptor)) = (&site.config.tls, &site.tls)
            && let Certificates::Files(_) = tls.certificates
        {
            let follow = tls::follow(tls.clone(), acceptor.clone());
            tokio::spawn(listening.clone().run_until_cancelled_owned(follow));
        }
        let swept = site.clone();
        tokio::spawn(sweeping.clone().run_until_cancelled_owned(async move { swept.channels.sweep().await }));
        let following = site.clone();
        tokio::spawn(sweeping.run_until_cancelled_owned(async move { following.realm.tokens.follow().await }));
        site.routes.table().watch(&listening);
        let _stop_listening = listening.clone().drop_guard();

        // Until the very end: whoever asks is to hear that it comes.
        let _stop_admin = serve_admin(admin, &site);

        let order = order.await;
        if order == Order::Close {
            listening.cancel();
        }
        site.closing.cancel();
        let window = if order == Order::Drain { site.config.drain_window } else { Default::default() };
        let farewell = shutdown::close(&site.lines, order.goodbye(), window, site.config.shutdown_timeout).await;
        listening.cancel();
        // The lines are gone; what is left are answers to newcomers, each bounded by a second.
        if farewell.dropped == 0 {
            let _ = timeout(site.config.shutdown_timeout, connections.none()).await;
        }
        let _ = timeout(site.config.shutdown_timeout, programs.0.ended()).await;
        farewell
    }
}

/// Answers at the internal address for as long as what is returned lives.
fn serve_admin(admin: Option<Result<(TcpListener, SocketAddr), BindError>>, site: &Arc<Site>) -> DropGuard {
    let stop = CancellationToken::new();
    match admin {
        Some(Ok((listener, _))) => {
            tokio::spawn(stop.clone().run_until_cancelled_owned(admin::serve(listener, site.clone())));
        }
        Some(Err(BindError { address, error })) => tracing::warn!(
            "no metrics and no health: cannot listen on {address} ({error}); say where with --admin, or --admin off"
        ),
        None => {}
    }
    stop.drop_guard()
}

/// No program outlives the server, whatever happens to the future that serves.
struct Programs(Arc<Groups>);

impl Drop for Programs {
    fn drop(&mut self) {
        self.0.kill_all();
    }
}

/// A route to what was not made for strangers, where strangers can reach it and nobody asks who they are: neither the route
/// (`allow`), nor TLS for all of them.
fn unprotected(config: &Config, is_public: bool) -> Option<String> {
    let asks_who = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    // Whoever is behind a proxy is not on this machine.
    let is_reachable = is_public || !config.proxies.trusted.is_empty();
    if !is_reachable || asks_who || config.allow_public_backends {
        return None;
    }
    let route = config.routes.iter().find(|route| route.is_open_backend())?;
    Some(format!("{} ({})", route.path, route.what.name()))
}

/// Why a server does not start. `Display` says what to do about it.
#[derive(Debug)]
pub enum StartError {
    /// The address can be reached from elsewhere, and nobody is named who may come from there.
    Public(SocketAddr),
    /// This route leads to a program, a service or another server, and can be reached from elsewhere by whoever likes.
    Unprotected(String),
    /// A route that cannot be.
    Route(RouteError),
    /// An address that cannot be listened on.
    Bind(BindError),
    /// The internal address, if it is needed, cannot be listened on.
    Admin(BindError),
    /// Certificates, or their keys, that cannot be used.
    Tls(TlsError),
    /// Anything else that the system refused.
    Io(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(address) => write!(
                f,
                "{address} can be reached from other machines, and nobody is asked who they are: say who it is for, with --host NAME (all who \
                 reach it by that name) or --allow-origin ORIGIN (pages of that origin), in a file server.hosts and \
                 server.allowed_origins, or listen on 127.0.0.1:{}",
                address.port()
            ),
            Self::Unprotected(route) => write!(
                f,
                "the route {route} can be reached from other machines, and nobody there is asked who they are: say in a file who may come \
                 in (allow = \"known\", with tokens of [auth]), listen on 127.0.0.1, ask for client certificates (--tls-client-ca FILE), \
                 or say that it is meant so, with --allow-public-backends (in a file server.allow_public_backends)"
            ),
            Self::Route(error) => error.fmt(f),
            Self::Bind(error) => error.fmt(f),
            Self::Admin(BindError { address, error }) => write!(
                f,
                "cannot listen on {address} for metrics and health: {error}; say another address with --admin, or --admin off"
            ),
            Self::Tls(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for StartError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Public(_) | Self::Unprotected(_) => None,
            Self::Route(error) => Some(error),
            Self::Bind(error) | Self::Admin(error) => Some(error),
            Self::Tls(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}
