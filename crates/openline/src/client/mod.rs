//! The client's way to an open WebSocket (§4.1): URL, address, proxy, TLS, request, answer; within one deadline.

mod address;
mod answer;
mod credentials;
mod error;
mod proxy;
mod queue;
mod route;
mod socks;
mod stage;
mod stream;
mod target;
mod tunnel;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Response, header};
use openline_proto::deflate::Deflate;
use openline_proto::handshake::{ClientHandshake, ResponseError, Subprotocol};
use openline_proto::{Config, Role};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use self::address::Override;
use self::answer::NoAnswer;
pub use self::error::{ConnectError, RedirectReason, Refused, Setting};
use self::proxy::Choice;
pub use self::proxy::{InvalidProxy, Proxy, ProxyError};
pub use self::queue::Queue;
use self::route::{Detour, Route};
use self::stage::Progress;
pub use self::stage::Stage;
pub use self::stream::ClientStream;
use self::target::Target;
use crate::http1::{self, HeadLimits};
use crate::seed;
#[cfg(feature = "tls")]
use crate::tls::Connector;
use crate::websocket::WebSocket;

/// Opens a WebSocket with the defaults of [`Client`].
///
/// # Errors
/// What went wrong, and where: see [`ConnectError`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = openline::connect("wss://example.com/chat").await?;
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<WebSocket<ClientStream>, ConnectError> {
    Client::new().connect(url).await.map(|(socket, _)| socket)
}

/// Opens WebSockets: what to offer, what to send along, which way to take, how long to wait.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = openline::Client::new().subprotocol("chat").bearer("…");
/// let (mut socket, response) = client.connect("wss://example.com/chat").await?;
/// assert_eq!(socket.subprotocol(), Some("chat"));
/// println!("{:?}", response.headers());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    subprotocols: Vec<Subprotocol>,
    headers: Vec<(HeaderName, HeaderValue)>,
    config: Arc<Config>,
    deflate: Option<Deflate>,
    timeout: Duration,
    redirects: usize,
    /// Boxed: it is long, and a client may be part of something.
    route: Box<Route>,
    limits: HeadLimits,
    /// The first thing that was set wrongly; told by `connect`, so that a chain of settings needs no `?`.
    wrong: Option<Setting>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            subprotocols: Vec::new(),
            headers: Vec::new(),
            config: Arc::default(),
            deflate: Some(Deflate::default()),
            // As long as a user waits; a dead address takes TCP two minutes to give up on.
            timeout: Duration::from_secs(10),
            redirects: 0,
            route: Box::default(),
            limits: HeadLimits::default(),
            wrong: None,
        }
    }
}

/// What is sent.
impl Client {
    /// No subprotocol, no further headers, compression, the environment's proxy, the platform's roots, no redirects, ten seconds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a subprotocol; the first one offered is preferred. A server may choose one or none.
    pub fn subprotocol(mut self, name: &str) -> Self {
        match Subprotocol::new(name) {
            Ok(name) => self.subprotocols.push(name),
            Err(_) => self.wrong = self.wrong.or(Some(Setting::Subprotocol(name.into()))),
        }
        self
    }

    /// Adds a header field to the request: cookies, credentials. Those of the handshake itself are refused.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match (name.parse(), value.parse::<HeaderValue>()) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(credentials::belongs_to_origin(&name));
                self.headers.push((name, value));
            }
            _ => self.wrong = self.wrong.or(Some(Setting::Header(name.into()))),
        }
        self
    }

    /// Says which page connects, as browsers do (§4.1 item 8).
    pub fn origin(self, origin: &str) -> Self {
        self.header("Origin", origin)
    }

    /// Logs in with a user name and a password (RFC 7617). Those of a URL, `wss://user:password@example.com`, are sent
    /// where nothing else is said.
    pub fn basic_auth(self, user: &str, password: &str) -> Self {
        self.authorization(credentials::basic(user.as_bytes(), password.as_bytes()))
    }

    /// Logs in with a token (RFC 6750); in the place of the one before.
    pub fn bearer(mut self, token: &str) -> Self {
        match credentials::bearer(token) {
            Some(value) => self.authorization(value),
            None => {
                self.wrong = self.wrong.or(Some(Setting::Header("Authorization".into())));
                self
            }
        }
    }

    fn authorization(mut self, value: HeaderValue) -> Self {
        self.headers.retain(|(name, _)| *name != header::AUTHORIZATION);
        self.headers.push((header::AUTHORIZATION, value));
        self
    }

    /// Offers compression in this way, or with `None` not at all. Default: without context takeover, so that an idle
    /// connection holds no memory for it.
    pub fn deflate(mut self, deflate: impl Into<Option<Deflate>>) -> Self {
        self.deflate = deflate.into();
        self
    }

    /// Limits and deadlines of the WebSocket.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }
}

/// Which way is taken.
impl Client {
    /// How long the whole opening may take: name, addresses, proxy, TLS, redirects, request and answer. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Follows so many redirects. Default none: what answers 3xx is told as [`ConnectError::Refused`].
    ///
    /// Never from `wss` to `ws`, and to another origin without `Authorization` and `Cookie`.
    pub fn follow_redirects(mut self, most: usize) -> Self {
        self.redirects = most;
        self
    }

    /// Goes through this proxy, whatever the environment says.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.route.proxy = Choice::This(proxy);
        self
    }

    /// Goes through no proxy, whatever the environment says.
    ///
    /// By default the environment's is used as curl does: for `wss` that in `wss_proxy`, `https_proxy` or `all_proxy`, for
    /// `ws` that in `ws_proxy`, `http_proxy` or `all_proxy`, unless `no_proxy` lists the host; and never to this machine
    /// itself.
    pub fn no_proxy(mut self) -> Self {
        self.route.proxy = Choice::Never;
        self
    }

    /// Connects to these addresses for this host and port instead of looking the name up; the first is preferred.
    pub fn resolve(mut self, host: &str, port: u16, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses = addresses.into_iter().collect();
        self.route.overrides.push(Override { host: host.into(), port, addresses });
        self
    }

    /// Connects to another host and port than the URL's, which is what `Host`, SNI and the certificate are still about. `None`
    /// is any, and in `to` the URL's own.
    pub fn connect_to(mut self, from: (Option<&str>, Option<u16>), to: (Option<&str>, Option<u16>)) -> Self {
        let owned = |(host, port): (Option<&str>, Option<u16>)| (host.map(Into::into), port);
        self.route.detours.push(Detour { from: owned(from), to: owned(to) });
        self
    }

    /// Takes turns with whoever else has this queue, as §4.1 item 2 asks of browsers. Default: none, and every connection is
    /// opened at once. Not over a Unix socket, nor by [`connect_with`](Self::connect_with).
    pub fn queue(mut self, queue: &Queue) -> Self {
        self.route.queue = Some(queue.clone());
        self
    }

    /// Connects to this Unix socket, whatever the URL's host; no proxy is used.
    pub fn unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.route.unix_socket = Some(path.into());
        self
    }

    /// Trusts, and shows itself, as this says; without it, the roots of the platform, and nobody.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, connector: Connector) -> Self {
        self.route.tls = Some(connector);
        self
    }
}

impl Client {
    /// Opens a WebSocket. The response comes along for its headers.
    ///
    /// # Errors
    /// What went wrong, and where. Dropping the future gives up.
    pub async fn connect(&self, url: &str) -> Result<(WebSocket<ClientStream>, Response<()>), ConnectError> {
        let target = Target::parse(url)?;
        let progress = Progress::default();
        self.within_timeout(&progress, self.follow(target, &progress)).await
    }

    /// Opens a WebSocket on a stream that is there already: a tunnel, TLS of your own. The URL gives the path, the `Host` and
    /// credentials, and no redirect is followed.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        url: &str,
    ) -> Result<(WebSocket<S>, Response<()>), ConnectError> {
        let target = Target::parse(url)?;
        let handshake = self.handshake(&target, true)?;
        let progress = Progress::default();
        self.within_timeout(&progress, self.open(stream, &handshake, &progress)).await
    }

    async fn within_timeout<T>(
        &self,
        progress: &Progress,
        opening: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        // In a box: what an opening takes is freed when it is over.
        let opened = timeout(self.timeout, Box::pin(opening)).await;
        opened.unwrap_or_else(|_| Err(ConnectError::Timeout { after: self.timeout, stage: progress.stage() }))
    }

    async fn follow(
        &self,
        first: Target,
        progress: &Progress,
    ) -> Result<(WebSocket<ClientStream>, Response<()>), ConnectError> {
        let mut target = first.clone();
        let mut left = self.redirects;
        loop {
            let handshake = self.handshake(&target, target.is_same_origin(&first))?;
            let (stream, _turn) = self.route.take(&target, progress).await?;
            match self.open(stream, &handshake, progress).await {
                Err(ConnectError::Refused(refused)) if left > 0 && is_redirect(&refused) => {
                    left -= 1;
                    target = redirected(&target, &refused)?;
                    if target.is_same_origin(&first) {
                        target.credentials.clone_from(&first.credentials);
                    }
                }
                opened => return opened,
            }
        }
    }

    /// What to ask for; where a setting is wrong, nothing is opened at all.
    fn handshake(&self, target: &Target, is_own_origin: bool) -> Result<ClientHandshake, ConnectError> {
        if let Some(wrong) = &self.wrong {
            return Err(ConnectError::Setting(wrong.clone()));
        }
        let nonce = seed::fresh();
        let mut handshake = ClientHandshake::new(&target.uri, nonce)?
            .subprotocols(self.subprotocols.iter().cloned())
            .deflate(self.deflate.clone());
        for (name, value) in &self.headers {
            if is_own_origin || !credentials::belongs_to_origin(name) {
                handshake = handshake.header(name.clone(), value.clone())?;
            }
        }
        let says_who = self.headers.iter().any(|(name, _)| *name == header::AUTHORIZATION);
        if let (Some(credentials), false) = (&target.credentials, says_who) {
            handshake = handshake.header(header::AUTHORIZATION, credentials.clone())?;
        }
        Ok(handshake)
    }

    async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        handshake: &ClientHandshake,
        progress: &Progress,
    ) -> Result<(WebSocket<S>, Response<()>), ConnectError> {
        progress.reach(Stage::Answer);
        let request = http1::encode_request(&handshake.request());
        let asked = answer::ask(&mut stream, &request, &self.limits).await;
        let (response, rest) = asked.map_err(|error| match error {
            NoAnswer::Closed => ConnectError::Closed,
            NoAnswer::SpeaksTls => ConnectError::PeerSpeaksTls,
            NoAnswer::Head(error) => error.into(),
            NoAnswer::Io(error) => error.into(),
        })?;
        // What follows the head is the first of the WebSocket, or the body of a refusal.
        match handshake.finish(&response) {
            Ok(negotiated) => {
                let socket = WebSocket::from_parts(stream, &rest, Role::Client, &negotiated, self.config.clone());
                Ok((socket, response))
            }
            Err(ResponseError::Status(status)) => {
                let body = answer::read_body(&mut stream, rest, response.headers()).await;
                Err(ConnectError::Refused(Box::new(Refused { status, headers: response.into_parts().0.headers, body })))
            }
            Err(error) => Err(ConnectError::Response(error)),
        }
    }
}

/// RFC 9110 §15.4: those that say where to ask the same again.
fn is_redirect(refused: &Refused) -> bool {
    matches!(refused.status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn redirected(from: &Target, refused: &Refused) -> Result<Target, ConnectError> {
    let location = refused.headers.get(header::LOCATION).map(|location| String::from_utf8_lossy(location.as_bytes()));
    let location = location.unwrap_or_default();
    let told = |reason| ConnectError::Redirect { location: location.clone().into_owned(), reason };
    if refused.headers.get_all(header::LOCATION).iter().count() != 1 {
        return Err(told(RedirectReason::Unreadable));
    }
    let target = from.join(&location).map_err(|_| told(RedirectReason::Unreadable))?;
    if from.is_secure() && !target.is_secure() {
        return Err(told(RedirectReason::Downgrade));
    }
    Ok(target)
}
