//! The way to a backend: a host and port or a Unix socket, with TLS or without, within a deadline.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use openline::ClientStream;
use openline::proto::handshake::Host;
use openline::tls::{ClientTls, Connector, TlsError};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::edge::answer::text;

/// Where a backend is: `127.0.0.1:5900`, `[::1]:5900`, `db.internal:5432`, or `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host, a name or an address, and a port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

/// No address of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAddress;

impl fmt::Display for InvalidAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a backend is a host and a port, 127.0.0.1:5900, or a Unix socket, unix:/run/app.sock")
    }
}

impl std::error::Error for InvalidAddress {}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(InvalidAddress) } else { Ok(Self::Unix(path.into())) };
        }
        let host = Host::parse(text).map_err(|_| InvalidAddress)?;
        match host.port() {
            None | Some(0) => Err(InvalidAddress),
            Some(port) => Ok(Self::Tcp(host.name().trim_matches(['[', ']']).to_owned(), port)),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// TLS to a backend. Default: the roots of the platform, and the backend's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendTls {
    /// Authorities to trust, in PEM, in place of the platform's.
    pub ca: Option<PathBuf>,
    /// The name in the backend's certificate, where it is not the host's: needed at a Unix socket.
    pub name: Option<String>,
    /// Whether any certificate will do. Whoever sits on the way can then read and change everything.
    pub accept_any_certificate: bool,
}

/// TLS, ready for use.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    connector: Connector,
    name: Option<String>,
}

impl Tls {
    pub(super) fn open(settings: &BackendTls) -> Result<Self, String> {
        if let Some(name) = &settings.name
            && ServerName::try_from(name.as_str()).is_err()
        {
            return Err(format!("backend_name: {name:?} is no name that a certificate could have"));
        }
        let mut tls = ClientTls::new();
        if let Some(path) = &settings.ca {
            let pem = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            tls = tls.only_ca_pem(&pem).map_err(|error| error.to_string())?;
        }
        if settings.accept_any_certificate {
            tls = tls.dangerously_accept_any_certificate();
        }
        Ok(Self { connector: tls.build().map_err(|error| error.to_string())?, name: settings.name.clone() })
    }
}

/// Why a backend is not reached.
#[derive(Debug)]
pub(super) enum DialError {
    Io(io::Error),
    Tls(TlsError),
    TimedOut(Duration),
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
            Self::TimedOut(after) => write!(f, "no connection after {after:?}"),
        }
    }
}

impl std::error::Error for DialError {}

impl DialError {
    /// What a client is told, who need not know what is behind us: RFC 9110 §15.6.3 and §15.6.5.
    pub(super) fn response(&self) -> Response<Bytes> {
        match self {
            Self::TimedOut(_) => text(StatusCode::GATEWAY_TIMEOUT, "What is behind this address does not answer."),
            _ => text(StatusCode::BAD_GATEWAY, "What is behind this address cannot be reached."),
        }
    }
}

/// Connects.
pub(super) async fn dial(address: &Address, tls: Option<&Tls>, limit: Duration) -> Result<ClientStream, DialError> {
    let connecting = async {
        let stream = connect(address).await.map_err(DialError::Io)?;
        let Some(tls) = tls else { return Ok(stream) };
        let name = match (&tls.name, address) {
            (Some(name), _) => name,
            (None, Address::Tcp(host, _)) => host,
            (None, Address::Unix(_)) => "localhost",
        };
        let secured = tls.connector.connect(name, stream).await.map_err(DialError::Tls)?;
        Ok(secured.into())
    };
    // In a box: what connecting takes is freed when it is done.
    timeout(limit, Box::pin(connecting)).await.unwrap_or(Err(DialError::TimedOut(limit)))
}

async fn connect(address: &Address) -> io::Result<ClientStream> {
    match address {
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            // A message must not wait for the acknowledgement of the one before (Nagle).
            stream.set_nodelay(true)?;
            Ok(stream.into())
        }
        #[cfg(unix)]
        Address::Unix(path) => Ok(tokio::net::UnixStream::connect(path).await?.into()),
        #[cfg(not(unix))]
        Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_they_are_written() {
        for (text, shown) in [
            ("127.0.0.1:5900", Some("127.0.0.1:5900")),
            ("[::1]:5900", Some("[::1]:5900")),
            ("localhost:22", Some("localhost:22")),
            ("db.internal:5432", Some("db.internal:5432")),
            ("unix:/run/a b.sock", Some("unix:/run/a b.sock")),
            ("unix:", None),
            ("localhost", None),
            (":22", None),
            ("localhost:0", None),
            ("localhost:65536", None),
            ("tcp://localhost:22", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Address>().ok().map(|address| address.to_string()).as_deref(), shown, "{text:?}");
        }
    }
}
