//! The client's way to an open WebSocket (§4.1): URL, name, TCP, request, response.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use openline_proto::handshake::{ClientHandshake, ReservedHeader, ResponseError, Subprotocol, UriError, parse_uri};
use openline_proto::{Config, Role};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::http1::{self, HeadError, HeadLimits, ResponseReader};
use crate::seed;
use crate::websocket::WebSocket;

/// Opens a WebSocket with the defaults of [`Client`].
///
/// # Errors
/// What went wrong, and where: see [`ConnectError`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = openline::connect("ws://localhost:8080/test").await?;
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<WebSocket, ConnectError> {
    Client::new().connect(url).await.map(|(socket, _)| socket)
}

/// Opens WebSockets: what to offer, what to send along, how long to wait.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = openline::Client::new().subprotocol("chat").header("Authorization", "Bearer …");
/// let (mut socket, response) = client.connect("ws://localhost:8080/chat").await?;
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
    timeout: Duration,
    limits: HeadLimits,
    /// The first thing that was set wrongly; told by `connect`, so that a chain of settings needs no `?`.
    wrong: Option<Setting>,
}

/// A setting that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Not a token (§4.1): a subprotocol has no spaces, commas or quotes.
    Subprotocol(String),
    /// Not a header field.
    Header(String),
}

impl Default for Client {
    fn default() -> Self {
        Self {
            subprotocols: Vec::new(),
            headers: Vec::new(),
            config: Arc::default(),
            // As long as a user waits; a dead address takes TCP two minutes to give up on.
            timeout: Duration::from_secs(10),
            limits: HeadLimits::default(),
            wrong: None,
        }
    }
}

impl Client {
    /// No subprotocol, no further headers, ten seconds.
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
        match (name.parse(), value.parse()) {
            (Ok(name), Ok(value)) => self.headers.push((name, value)),
            _ => self.wrong = self.wrong.or(Some(Setting::Header(name.into()))),
        }
        self
    }

    /// Says which page connects, as browsers do (§4.1 item 8).
    pub fn origin(self, origin: &str) -> Self {
        self.header("Origin", origin)
    }

    /// Limits and deadlines of the WebSocket.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// How long the whole opening may take: name, TCP, request and response. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens a WebSocket. The response comes along for its headers.
    ///
    /// # Errors
    /// What went wrong, and where. Dropping the future gives up.
    pub async fn connect(&self, url: &str) -> Result<(WebSocket, Response<()>), ConnectError> {
        let uri = parse_uri(url)?;
        if matches!(uri.scheme_str(), Some("wss" | "https")) {
            return Err(ConnectError::TlsMissing);
        }
        let handshake = self.handshake(&uri)?;
        self.within_timeout(async {
            let stream = dial(&uri).await?;
            stream.set_nodelay(true)?;
            self.open(stream, &handshake).await
        })
        .await
    }

    /// Opens a WebSocket on a stream that is there already: a Unix socket, a tunnel, TLS of your own. The URL gives the
    /// path and the `Host`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        url: &str,
    ) -> Result<(WebSocket<S>, Response<()>), ConnectError> {
        let handshake = self.handshake(&parse_uri(url)?)?;
        self.within_timeout(self.open(stream, &handshake)).await
    }

    async fn within_timeout<T>(
        &self,
        opening: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        timeout(self.timeout, opening).await.unwrap_or(Err(ConnectError::Timeout(self.timeout)))
    }

    /// What to ask for; where a setting is wrong, nothing is opened at all.
    fn handshake(&self, uri: &Uri) -> Result<ClientHandshake, ConnectError> {
        if let Some(wrong) = &self.wrong {
            return Err(ConnectError::Setting(wrong.clone()));
        }
        let mut handshake = ClientHandshake::new(uri, seed::fresh())?.subprotocols(self.subprotocols.iter().cloned());
        for (name, value) in &self.headers {
            handshake = handshake.header(name.clone(), value.clone())?;
        }
        Ok(handshake)
    }

    async fn open<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        handshake: &ClientHandshake,
    ) -> Result<(WebSocket<S>, Response<()>), ConnectError> {
        stream.write_all(&http1::encode_request(&handshake.request())).await?;
        stream.flush().await?;

        let mut reader = ResponseReader::new(&self.limits);
        let mut bytes = BytesMut::new();
        let (response, head_bytes) = loop {
            bytes.reserve(1 << 10);
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(ConnectError::Closed);
            }
            if let Some(read) = reader.read(&bytes)? {
                break read;
            }
        };
        // What follows the head is the first of the WebSocket, or the body of a refusal.
        let rest = bytes.split_off(head_bytes);
        match handshake.finish(&response) {
            Ok(negotiated) => {
                let socket = WebSocket::from_parts(stream, &rest, Role::Client, &negotiated, self.config.clone());
                Ok((socket, response))
            }
            Err(ResponseError::Status(status)) => {
                let body = read_body(&mut stream, rest, response.headers()).await;
                Err(ConnectError::Refused(Box::new(Refused { status, headers: response.into_parts().0.headers, body })))
            }
            Err(error) => Err(ConnectError::Response(error)),
        }
    }
}

/// Each address of the host in turn, in the resolver's order.
async fn dial(uri: &Uri) -> Result<TcpStream, ConnectError> {
    let host = uri.host().unwrap_or_default();
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(80);
    let dns = |error| ConnectError::Dns { host: name.into(), error };
    let mut last = None;
    for address in lookup_host((name, port)).await.map_err(dns)? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(ConnectError::Connect { address, error }),
        }
    }
    Err(last.unwrap_or_else(|| dns(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))))
}

/// A refusal's body, as far as it is of use: the first 16 KiB, and whatever has come when the line ends. A body without
/// a length, or in chunks, is taken as it comes until the server closes or has been quiet for a moment.
async fn read_body<S: AsyncRead + Unpin>(stream: &mut S, mut body: BytesMut, headers: &HeaderMap) -> Bytes {
    const MAX_BYTES: usize = 16 << 10;
    const QUIET: Duration = Duration::from_millis(500);
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let wanted = length.unwrap_or(MAX_BYTES).min(MAX_BYTES);
    while body.len() < wanted {
        body.reserve(1 << 10);
        match timeout(QUIET, stream.read_buf(&mut body)).await {
            Ok(Ok(1..)) => {}
            _ => break,
        }
    }
    body.truncate(wanted);
    body.freeze()
}

/// An answer in HTTP instead of a WebSocket: a refusal, a redirect, a request to log in.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The first 16 KiB of the body.
    pub body: Bytes,
}

/// Why no WebSocket was opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a WebSocket (§3).
    Url(UriError),
    /// `wss://` needs TLS, which this build does not have: bring a TLS stream to [`Client::connect_with`].
    TlsMissing,
    /// A subprotocol or header that cannot be sent.
    Setting(Setting),
    /// A header that belongs to the handshake.
    Reserved(ReservedHeader),
    /// The host's name has no address.
    Dns {
        /// The name.
        host: String,
        /// What the resolver says.
        error: io::Error,
    },
    /// None of the host's addresses answers; this is the last.
    Connect {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        error: io::Error,
    },
    /// It took longer than [`Client::timeout`], which this is.
    Timeout(Duration),
    /// The server ended the connection without an answer.
    Closed,
    /// The server's answer is not HTTP/1.1.
    Head(HeadError),
    /// The server answered, and not with a WebSocket.
    Refused(Box<Refused>),
    /// The server's 101 breaks the handshake (§4.1).
    Response(ResponseError),
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::TlsMissing => f.write_str("wss:// needs TLS, which this build does not have: use ws://"),
            Self::Setting(Setting::Subprotocol(name)) => {
                write!(f, "{name:?} is no subprotocol: use letters, digits and !#$%&'*+-.^_`|~ only")
            }
            Self::Setting(Setting::Header(name)) => {
                write!(f, "the header {name:?} cannot be sent: its name or value has characters that are not allowed")
            }
            Self::Reserved(error) => error.fmt(f),
            Self::Dns { host, error } => write!(f, "cannot find the host {host:?}: {error}"),
            Self::Connect { address, error } => write!(f, "cannot connect to {address}: {error}"),
            Self::Timeout(timeout) => write!(f, "no WebSocket after {timeout:?}"),
            Self::Closed => f.write_str("the server closed the connection without an answer"),
            Self::Head(error) => write!(f, "the server does not answer in HTTP/1.1: {error}"),
            Self::Refused(refused) => {
                write!(f, "the server answered {} instead of opening a WebSocket", refused.status)
            }
            Self::Response(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the line failed: {error}"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Reserved(error) => Some(error),
            Self::Dns { error, .. } | Self::Connect { error, .. } | Self::Io(error) => Some(error),
            Self::Head(error) => Some(error),
            Self::Response(error) => Some(error),
            _ => None,
        }
    }
}

impl From<UriError> for ConnectError {
    fn from(error: UriError) -> Self {
        Self::Url(error)
    }
}

impl From<ReservedHeader> for ConnectError {
    fn from(error: ReservedHeader) -> Self {
        Self::Reserved(error)
    }
}

impl From<HeadError> for ConnectError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
