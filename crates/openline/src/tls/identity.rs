//! Who somebody is: a certificate, those that vouch for it, and the private key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Fingerprint, TlsError};

/// A certificate with its chain, and its private key. `Debug` shows the fingerprint and not the key.
#[derive(Clone)]
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Identity {
    /// From PEM: the certificate first, then those between it and the root; the key as PKCS#8, PKCS#1 or SEC1. Both may be
    /// in one file, which is then given twice.
    ///
    /// # Errors
    /// [`TlsError::Unusable`]: no certificate, or no key, is in there.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = read_certificates(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|error| TlsError::Unusable(format!("there is no private key in the PEM ({error})")))?;
        Ok(Self { chain, key: Arc::new(key) })
    }

    /// From files, in which there is PEM. Blocks while it reads.
    ///
    /// # Errors
    /// As [`from_pem`](Self::from_pem), and where a file cannot be read; either names the file.
    pub fn from_pem_files(certificates: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|error| TlsError::Unusable(format!("cannot read {}: {error}", path.display())))
        };
        let (certificates, key) = (certificates.as_ref(), key.as_ref());
        let chain = read_certificates(&read(certificates)?).map_err(|error| error.in_file(certificates))?;
        let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| {
            TlsError::Unusable(format!("there is no private key in the PEM ({error})")).in_file(key)
        })?;
        Ok(Self { chain, key: Arc::new(key) })
    }

    /// From DER.
    ///
    /// # Errors
    /// [`TlsError::Unusable`]: there is no certificate.
    pub fn from_der(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        if chain.is_empty() {
            return Err(TlsError::Unusable("an identity needs a certificate".into()));
        }
        Ok(Self { chain, key: Arc::new(key) })
    }

    /// The certificate, and those that vouch for it.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The certificate's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.chain[0]) // a constructor that leaves it empty is none
    }

    /// The key, ready to sign, if it belongs to the certificate.
    pub(super) fn certified_key(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Unusable("the private key is not that of the certificate".into())
            }
            error => TlsError::Unusable(format!("the certificate or its key cannot be used: {error}")),
        })
    }

    /// Whole, and free of the `Arc`, as rustls wants it for clients.
    pub(super) fn into_der(self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain, self.key.clone_key())
    }
}

/// At least one certificate.
pub(super) fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(TlsError::Unusable("there is no certificate in the PEM".into())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(TlsError::Unusable(format!("the PEM cannot be read: {error}"))),
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}
