//! What a client trusts, and who it says it is.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::identity::read_certificates;
use super::provider::provider;
use super::verifier::ByFingerprint;
use super::{Fingerprint, Identity, TlsError, TlsStream};

/// What a client trusts, and who it says it is. Without more: the roots of the platform, and nobody.
///
/// On Linux the platform's roots are those of the system, or of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
#[derive(Clone, Debug, Default)]
pub struct ClientTls {
    trust: Trust,
    /// Beside the platform's roots, or in their place.
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    provider: Option<Arc<CryptoProvider>>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Trust {
    #[default]
    Platform,
    Authorities,
    Only(Fingerprint),
    Anybody,
}

impl ClientTls {
    /// The roots of the platform, and no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the authorities in this PEM as well as the platform's: a company's own CA.
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub fn add_ca_pem(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.authorities.extend(read_certificates(pem)?);
        Ok(self)
    }

    /// Trusts the authorities in this PEM and no others.
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub fn only_ca_pem(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.authorities = read_certificates(pem)?;
        self.trust = Trust::Authorities;
        Ok(self)
    }

    /// Trusts the server that has this certificate and no other, whoever issued it, and whatever its name and age are: for
    /// certificates of one's own making.
    pub fn only_certificate(mut self, fingerprint: Fingerprint) -> Self {
        self.trust = Trust::Only(fingerprint);
        self
    }

    /// Trusts **any** server. What is sent is hidden from whoever only listens, and from nobody else.
    pub fn dangerously_accept_any_certificate(mut self) -> Self {
        self.trust = Trust::Anybody;
        self
    }

    /// Shows this certificate to servers that ask for one.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Uses this cryptography rather than what [the module](super) says.
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Reads the roots, and judges the rest. Blocks for some milliseconds while it reads the platform's.
    ///
    /// # Errors
    /// [`TlsError::NoProvider`], [`TlsError::Unusable`].
    pub fn build(&self) -> Result<Connector, TlsError> {
        let provider = provider(self.provider.as_ref())?;
        let unusable = |what: &str, error: &dyn fmt::Display| TlsError::Unusable(format!("{what}: {error}"));
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("the cryptography cannot be used", &error))?
            .dangerous() // what is, is said above
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.identity.clone().map(Identity::into_der) {
            None => config.with_no_client_auth(),
            Some((chain, key)) => config
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable("the client certificate or its key cannot be used", &error))?,
        };
        // RFC 7301: a server that also speaks HTTP/2 must not choose it.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let provider = provider.clone();
        let unusable = |error: &dyn fmt::Display| TlsError::Unusable(format!("there is nobody to trust: {error}"));
        Ok(match self.trust {
            Trust::Platform => {
                let verifier = Verifier::new_with_extra_roots(self.authorities.iter().cloned(), provider);
                Arc::new(verifier.map_err(|error| unusable(&error))?)
            }
            Trust::Authorities => {
                let mut roots = RootCertStore::empty();
                for authority in &self.authorities {
                    roots.add(authority.clone()).map_err(|error| unusable(&error))?;
                }
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
                verifier.build().map_err(|error| unusable(&error))?
            }
            Trust::Only(fingerprint) => Arc::new(ByFingerprint { only: Some(fingerprint), provider }),
            Trust::Anybody => Arc::new(ByFingerprint { only: None, provider }),
        })
    }
}

/// Opens TLS connections: a [`ClientTls`] made ready, or a `rustls::ClientConfig` of your own. Cheap to clone; one for all
/// connections, which then can be resumed.
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

impl Connector {
    /// The TLS handshake of a client (RFC 6455 §4.1). `name` is what the certificate must be for, and what SNI says; an
    /// address is not sent, but must be in the certificate.
    ///
    /// Set a deadline: a server may say nothing for ever.
    ///
    /// # Errors
    /// The reason, as far as either side says one.
    pub async fn connect<S>(&self, name: &str, stream: S) -> Result<TlsStream<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = name.trim_start_matches('[').trim_end_matches(']');
        // RFC 6066 §3: the host name "without a trailing dot".
        let name = ServerName::try_from(name.strip_suffix('.').unwrap_or(name))
            .map_err(|_| TlsError::Unusable(format!("{name:?} is no name that a certificate could be for")))?;
        let connecting = TlsConnector::from(self.0.clone()).connect(name.to_owned(), stream);
        Ok(TlsStream::new(Box::pin(connecting).await?.into()))
    }
}

impl From<Arc<ClientConfig>> for Connector {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}
