//! Why no WebSocket was opened.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use openline_proto::handshake::{ReservedHeader, ResponseError, UriError};

use super::proxy::ProxyError;
use super::stage::Stage;
use crate::http1::HeadError;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

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

/// A setting that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// Not a token (§4.1): a subprotocol has no spaces, commas or quotes.
    Subprotocol(String),
    /// Not a header field.
    Header(String),
    /// In the environment, where the name of a proxy should be, and in this variable.
    Proxy(String),
}

/// Why no WebSocket was opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a WebSocket (§3).
    Url(UriError),
    /// `wss://` needs TLS, which this build does not have: it lacks the features `ring` and `aws-lc-rs`.
    TlsMissing,
    /// There is no TLS between us and the server, and why.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The server speaks TLS where we were told to speak without.
    PeerSpeaksTls,
    /// A subprotocol, a header or a proxy that is none.
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
    /// The Unix socket cannot be connected to.
    UnixSocket {
        /// Its path.
        path: std::path::PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
    /// The proxy does not bring us to the server.
    Proxy {
        /// The proxy's host and port.
        proxy: String,
        /// Why.
        error: ProxyError,
    },
    /// It took too long.
    Timeout {
        /// [`Client::timeout`](crate::Client::timeout).
        after: Duration,
        /// What was waited for when the time was over.
        stage: Stage,
    },
    /// The server ended the connection without an answer.
    Closed,
    /// The server's answer is not HTTP/1.1.
    Head(HeadError),
    /// The server answered, and not with a WebSocket.
    Refused(Box<Refused>),
    /// The server redirects to where we do not go, and why.
    Redirect {
        /// What the `Location` header says.
        location: String,
        /// Why we do not go there.
        reason: RedirectReason,
    },
    /// The server's 101 breaks the handshake (§4.1).
    Response(ResponseError),
    /// The socket failed.
    Io(io::Error),
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedirectReason {
    /// From `wss` to `ws`: what was to be secret would not be.
    Downgrade,
    /// The `Location` is missing, or is no URL of a WebSocket.
    Unreadable,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::TlsMissing => f.write_str(
                "wss:// needs TLS, which this build does not have: build openline with its feature `ring` or `aws-lc-rs`",
            ),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            Self::PeerSpeaksTls => f.write_str("the server speaks TLS on this port: use wss://"),
            Self::Setting(Setting::Subprotocol(name)) => {
                write!(f, "{name:?} is no subprotocol: use letters, digits and !#$%&'*+-.^_`|~ only")
            }
            Self::Setting(Setting::Header(name)) => {
                write!(f, "the header {name:?} cannot be sent: its name or value has characters that are not allowed")
            }
            Self::Setting(Setting::Proxy(variable)) => {
                write!(f, "the environment variable {variable} holds no URL of a proxy, such as http://proxy:3128")
            }
            Self::Reserved(error) => error.fmt(f),
            Self::Dns { host, error } => write!(f, "cannot find the host {host:?}: {error}"),
            Self::Connect { address, error } => write!(f, "cannot connect to {address}: {error}"),
            Self::UnixSocket { path, error } => write!(f, "cannot connect to {}: {error}", path.display()),
            Self::Proxy { proxy, error } => write!(f, "the proxy {proxy}: {error}"),
            Self::Timeout { after, stage } => write!(f, "no WebSocket after {after:?}: {stage}"),
            Self::Closed => f.write_str("the server closed the connection without an answer"),
            Self::Head(error) => write!(f, "the server does not answer in HTTP/1.1: {error}"),
            Self::Refused(refused) => {
                write!(f, "the server answered {} instead of opening a WebSocket", refused.status)
            }
            Self::Redirect { location, reason: RedirectReason::Downgrade } => {
                write!(f, "the server redirects from wss to {location:?}, which is not encrypted")
            }
            Self::Redirect { location, reason: RedirectReason::Unreadable } => {
                write!(f, "the server redirects to {location:?}, which is no URL of a WebSocket")
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
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Reserved(error) => Some(error),
            Self::Dns { error, .. }
            | Self::Connect { error, .. }
            | Self::UnixSocket { error, .. }
            | Self::Io(error) => Some(error),
            Self::Proxy { error, .. } => Some(error),
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

#[cfg(feature = "tls")]
impl From<TlsError> for ConnectError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

/// TLS may fail after its handshake: in TLS 1.3 a server that misses a client certificate says so only then.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        if let Some(error) = TlsError::of(&error) {
            return Self::Tls(error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}
