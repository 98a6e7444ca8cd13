//! The way to a server: directly, through a proxy or over a Unix socket; and with TLS where the URL says so.

use std::iter;
use std::path::PathBuf;

use super::address::{self, Override};
use super::error::{ConnectError, Setting};
use super::proxy::{self, Choice, Kind, Proxy, ProxyError, authority};
use super::queue::{Place, Queue, Turn};
use super::stage::{Progress, Stage};
use super::stream::ClientStream;
use super::target::Target;
use super::{socks, tunnel};
use crate::http1::HeadLimits;
#[cfg(feature = "tls")]
use crate::tls::{ClientTls, Connector};

/// What a client was told about ways.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    pub(super) overrides: Vec<Override>,
    pub(super) detours: Vec<Detour>,
    pub(super) proxy: Choice,
    pub(super) unix_socket: Option<PathBuf>,
    pub(super) queue: Option<Queue>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Connector>,
    /// For HTTP proxies.
    pub(super) limits: HeadLimits,
}

/// Another host and port to connect to than the URL's; everything but the connection stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Detour {
    pub(super) from: (Option<String>, Option<u16>),
    pub(super) to: (Option<String>, Option<u16>),
}

impl Route {
    /// The stream on which the opening handshake begins, and whose turn it is until that is over.
    pub(super) async fn take(
        &self,
        target: &Target,
        progress: &Progress,
    ) -> Result<(ClientStream, Turn), ConnectError> {
        if target.is_secure() && !cfg!(feature = "tls") {
            return Err(ConnectError::TlsMissing);
        }
        let (host, port) = self.destination(target);
        let (stream, turn) = if let Some(path) = &self.unix_socket {
            (unix(path, progress).await?, Turn::default())
        } else if let Some(proxy) = self.proxy(target)? {
            self.through(&proxy, host, port, progress).await?
        } else {
            let addresses = address::look_up(host, port, &self.overrides, progress).await?;
            let turn = self.turn(addresses.iter().copied().map(Place::Address), progress).await;
            (address::connect(host, addresses, progress).await?.into(), turn)
        };
        if !target.is_secure() {
            return Ok((stream, turn));
        }
        progress.reach(Stage::Tls);
        #[cfg(feature = "tls")]
        let stream = self.connector().await?.connect(target.host(), stream).await?.into();
        Ok((stream, turn))
    }

    async fn turn(&self, places: impl Iterator<Item = Place>, progress: &Progress) -> Turn {
        let Some(queue) = &self.queue else { return Turn::default() };
        progress.reach(Stage::Turn);
        queue.turn(places.collect()).await
    }

    fn destination<'a>(&'a self, target: &'a Target) -> (&'a str, u16) {
        let (host, port) = (target.host(), target.port());
        let detour = self.detours.iter().find(|detour| {
            let (from_host, from_port) = &detour.from;
            from_host.as_ref().is_none_or(|from| from.eq_ignore_ascii_case(host))
                && from_port.is_none_or(|from| from == port)
        });
        match detour {
            Some(Detour { to: (to_host, to_port), .. }) => {
                (to_host.as_deref().unwrap_or(host), to_port.unwrap_or(port))
            }
            None => (host, port),
        }
    }

    fn proxy(&self, target: &Target) -> Result<Option<Proxy>, ConnectError> {
        match &self.proxy {
            Choice::Never => Ok(None),
            Choice::This(proxy) => Ok(Some(proxy.clone())),
            Choice::Environment => proxy::of_environment(target, |name| std::env::var(name).ok())
                .map_err(|name| ConnectError::Setting(Setting::Proxy(name.into()))),
        }
    }

    async fn through(
        &self,
        proxy: &Proxy,
        host: &str,
        port: u16,
        progress: &Progress,
    ) -> Result<(ClientStream, Turn), ConnectError> {
        let wrong = |error| ConnectError::Proxy { proxy: authority(&proxy.host, proxy.port), error };
        let unreachable = |error| wrong(ProxyError::Unreachable(Box::new(error)));
        // Looked up here, or by the proxy (§4.1 item 2: then "each different host name" is a place of its own).
        let address = match proxy.kind {
            Kind::Socks5 => address::look_up(host, port, &self.overrides, progress).await?.first().copied(),
            Kind::Http | Kind::Https | Kind::Socks5h => None,
        };
        let place = address.map_or_else(|| Place::Name(host.to_ascii_lowercase(), port), Place::Address);
        let turn = self.turn(iter::once(place), progress).await;
        let reached = async {
            let addresses = address::look_up(&proxy.host, proxy.port, &self.overrides, progress).await?;
            address::connect(&proxy.host, addresses, progress).await
        };
        let reached = reached.await;
        let mut stream: ClientStream = reached.map_err(unreachable)?.into();
        progress.reach(Stage::Proxy);
        match proxy.kind {
            Kind::Http => {}
            #[cfg(feature = "tls")]
            Kind::Https => {
                let connected = self.connector().await?.connect(&proxy.host, stream).await;
                stream = connected.map_err(|error| wrong(ProxyError::Tls(error)))?.into();
            }
            #[cfg(not(feature = "tls"))]
            Kind::Https => return Err(ConnectError::TlsMissing),
            Kind::Socks5 | Kind::Socks5h => {
                let address = address.map(|address| address.ip().to_string());
                let host = address.as_deref().unwrap_or(host);
                socks::open(&mut stream, proxy, host, port).await.map_err(wrong)?;
                return Ok((stream, turn));
            }
        }
        tunnel::open(&mut stream, proxy, host, port, &self.limits).await.map_err(wrong)?;
        Ok((stream, turn))
    }

    /// The one that was given, or one for everybody who gave none: reading the platform's roots takes milliseconds, and
    /// sessions are resumed only by whoever began them.
    #[cfg(feature = "tls")]
    async fn connector(&self) -> Result<Connector, ConnectError> {
        use std::sync::OnceLock;
        static DEFAULT: OnceLock<Connector> = OnceLock::new();
        if let Some(connector) = self.tls.as_ref().or_else(|| DEFAULT.get()) {
            return Ok(connector.clone());
        }
        let built = tokio::task::spawn_blocking(|| ClientTls::new().build()).await;
        let built = built.map_err(|error| ConnectError::Io(error.into()))??;
        Ok(DEFAULT.get_or_init(|| built).clone())
    }
}

#[cfg(unix)]
async fn unix(path: &std::path::Path, progress: &Progress) -> Result<ClientStream, ConnectError> {
    progress.reach(Stage::Connection);
    match tokio::net::UnixStream::connect(path).await {
        Ok(stream) => Ok(stream.into()),
        Err(error) => Err(ConnectError::UnixSocket { path: path.into(), error }),
    }
}

#[cfg(not(unix))]
async fn unix(path: &std::path::Path, _: &Progress) -> Result<ClientStream, ConnectError> {
    Err(ConnectError::UnixSocket { path: path.into(), error: std::io::ErrorKind::Unsupported.into() })
}
