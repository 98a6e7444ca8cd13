//! Who a server is, and whom it lets in.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::identity::read_certificates;
use super::names::Certificates;
use super::provider::provider;
use super::{Identity, TlsError, TlsStream};
use crate::answer::answer;

/// Who a server is, and whom it lets in.
#[derive(Clone, Debug)]
pub struct ServerTls {
    identities: Vec<Identity>,
    client_authorities: Vec<CertificateDer<'static>>,
    protocols: Vec<Vec<u8>>,
    timeout: Duration,
    provider: Option<Arc<CryptoProvider>>,
}

impl ServerTls {
    /// A server with this certificate; any client, HTTP/1.1, ten seconds for the handshake.
    pub fn new(identity: Identity) -> Self {
        Self {
            identities: vec![identity],
            client_authorities: Vec::new(),
            protocols: vec![b"http/1.1".to_vec()],
            // As for a request's head: two round trips take that long on no network that is of use.
            timeout: Duration::from_secs(10),
            provider: None,
        }
    }

    /// Has a further certificate, for other names: the client's SNI chooses. A name that none of them is for, and a client
    /// that says none, gets the first.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identities.push(identity);
        self
    }

    /// Lets in only clients whose certificate was issued by an authority in this PEM. Which client it is says
    /// [`TlsStream::peer_certificates`].
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub fn client_ca_pem(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.client_authorities.extend(read_certificates(pem)?);
        Ok(self)
    }

    /// What can be spoken here (ALPN, RFC 7301), in the order of preference. Default `http/1.1`: add `h2` only where
    /// something reads [`TlsStream::alpn`]. A client that offers none of them is refused, one that offers nothing is not.
    pub fn protocols<'a>(mut self, protocols: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// How long a handshake may take. Default 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Uses this cryptography rather than what [the module](super) says.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    fn build(&self) -> Result<Ready, TlsError> {
        let provider = provider(self.provider.as_ref())?;
        let unusable = |what: &str, error: &dyn fmt::Display| TlsError::Unusable(format!("{what}: {error}"));
        let keys: Result<Vec<_>, _> =
            self.identities.iter().map(|identity| identity.certified_key(&provider)).collect();
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("the cryptography cannot be used", &error))?;
        let config = if self.client_authorities.is_empty() {
            config.with_no_client_auth()
        } else {
            let mut roots = RootCertStore::empty();
            for authority in &self.client_authorities {
                roots.add(authority.clone()).map_err(|error| unusable("a client CA cannot be used", &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            config.with_client_cert_verifier(verifier.map_err(|error| unusable("a client CA cannot be used", &error))?)
        };
        let mut config = config.with_cert_resolver(Arc::new(Certificates::new(keys?)));
        config.alpn_protocols.clone_from(&self.protocols);
        Ok(Ready { config: Arc::new(config), timeout: self.timeout })
    }
}

/// Accepts TLS connections as a [`ServerTls`] says. Clones are one and the same: what one of them is told with
/// [`replace`](Self::replace), all do.
#[derive(Clone, Debug)]
pub struct Acceptor(Arc<RwLock<Ready>>);

#[derive(Clone)]
struct Ready {
    config: Arc<ServerConfig>,
    timeout: Duration,
}

impl Acceptor {
    /// Judges certificates, keys and authorities.
    ///
    /// # Errors
    /// [`TlsError::NoProvider`], [`TlsError::Unusable`].
    pub fn new(tls: &ServerTls) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(tls.build()?))))
    }

    /// From now on, newcomers are met with this. Nobody who is in notices; who comes back shakes hands anew instead of
    /// resuming with what was.
    ///
    /// # Errors
    /// As [`new`](Self::new), and everything stays as it was.
    pub fn replace(&self, tls: &ServerTls) -> Result<(), TlsError> {
        let ready = tls.build()?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ready;
        Ok(())
    }

    /// The TLS handshake of a server.
    ///
    /// # Errors
    /// Why there is no TLS; the peer was told, as far as it can be.
    pub async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Ready { config, timeout: limit } = self.ready();
        // What a handshake takes is freed when it is over.
        let accepting = Box::pin(TlsAcceptor::from(config).accept(stream));
        let accepted = timeout(limit, accepting).await.map_err(|_| TlsError::TimedOut(limit))?;
        Ok(TlsStream::new(accepted?.into()))
    }

    /// [`accept`](Self::accept), and a client that speaks plain HTTP is told, in plain HTTP, that this is TLS: 400.
    ///
    /// # Errors
    /// As [`accept`](Self::accept).
    pub async fn accept_tcp(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, TlsError> {
        let limit = self.ready().timeout;
        // One deadline for the first byte and for all that follow.
        let accepted = timeout(limit, Box::pin(self.look_and_accept(stream))).await;
        accepted.unwrap_or(Err(TlsError::TimedOut(limit)))
    }

    async fn look_and_accept(&self, mut stream: TcpStream) -> Result<TlsStream<TcpStream>, TlsError> {
        let mut first = [0];
        match stream.peek(&mut first).await? {
            0 => return Err(TlsError::Closed),
            // RFC 8446 §5.1: a handshake record; or the alert of a client that thinks better of it. A request begins
            // with a letter.
            _ if !first[0].is_ascii_graphic() => {}
            _ => {
                answer(&mut stream, &this_is_tls()).await?;
                return Err(TlsError::NotTls);
            }
        }
        self.accept(stream).await
    }

    fn ready(&self) -> Ready {
        // Nothing in there panics half-way.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// For whoever speaks HTTP where TLS is spoken.
fn this_is_tls() -> Response<&'static str> {
    let body = "This port speaks TLS: use wss:// or https://.\n";
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
