//! TLS of the server: where its certificates come from, and what becomes of them while it runs.

mod files;
mod reload;
mod self_signed;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use openline::tls::rustls::crypto::{CryptoProvider, ring};
use openline::tls::rustls::pki_types::CertificateDer;
use openline::tls::{Acceptor, Fingerprint, TlsError, TlsStream};

pub(crate) use self::reload::follow;

/// What a server needs to speak TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Who the server is.
    pub certificates: Certificates,
    /// Only clients with a certificate that an authority in this file issued are let in.
    pub client_ca: Option<PathBuf>,
    /// A handshake must be done within this time. Default 10 s, as a request's head.
    pub timeout: Duration,
}

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// Files of PEM, a certificate with its chain and its key each, which may be one file. They are read again when they
    /// change. The name that a client asks for chooses among them; the first is for everybody else.
    Files(Vec<(PathBuf, PathBuf)>),
    /// One of its own making for localhost, its addresses and these names, new with each start. For development.
    SelfSigned(Vec<String>),
}

impl Tls {
    /// Certificates of files, any client, ten seconds.
    pub fn new(certificates: Certificates) -> Self {
        Self { certificates, client_ca: None, timeout: Duration::from_secs(10) }
    }
}

/// TLS, ready for clients.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) acceptor: Acceptor,
    /// Of a certificate that nobody vouches for.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// Reads or makes the certificates. Blocks while it does.
pub(crate) fn start(tls: &Tls) -> Result<Ready, TlsError> {
    match &tls.certificates {
        Certificates::Files(_) => {
            let acceptor = Acceptor::new(&files::Read::now(tls)?.judge(tls)?)?;
            Ok(Ready { acceptor, fingerprint: None })
        }
        Certificates::SelfSigned(names) => {
            let identity = self_signed::identity(names)?;
            let fingerprint = identity.fingerprint();
            let client_ca = tls.client_ca.as_deref().map(files::read).transpose()?;
            let acceptor = Acceptor::new(&files::settings(tls, vec![identity], client_ca.as_deref())?)?;
            Ok(Ready { acceptor, fingerprint: Some(fingerprint) })
        }
    }
}

/// The binary's cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificate that a client showed: it was issued by an authority of [`Tls::client_ca`]. Handlers find it among the
/// extensions of the request.
#[derive(Clone)]
pub struct ClientCertificate(CertificateDer<'static>);

impl ClientCertificate {
    pub(crate) fn of<S>(stream: &TlsStream<S>) -> Option<Self> {
        stream.peer_certificates()?.first().cloned().map(Self)
    }

    /// The certificate, in DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.0
    }

    /// Its SHA-256.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", self.fingerprint())
    }
}
