//! Certificates, keys and authorities in files.

use std::fs;
use std::path::Path;

use openline::tls::{Identity, ServerTls, TlsError};

use super::{Certificates, Tls, provider};

/// What is spoken over TLS (ALPN). HTTP/2 first, as browsers have it: event streams need no connection each.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What the files held when they were read.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    identities: Vec<(Vec<u8>, Vec<u8>)>,
    client_ca: Option<Vec<u8>>,
}

impl Read {
    pub(super) fn now(tls: &Tls) -> Result<Self, TlsError> {
        let Certificates::Files(files) = &tls.certificates else {
            return Ok(Self { identities: Vec::new(), client_ca: None });
        };
        let identities: Result<_, TlsError> =
            files.iter().map(|(certificate, key)| Ok((read(certificate)?, read(key)?))).collect();
        Ok(Self { identities: identities?, client_ca: tls.client_ca.as_deref().map(read).transpose()? })
    }

    pub(super) fn judge(&self, tls: &Tls) -> Result<ServerTls, TlsError> {
        let Certificates::Files(files) = &tls.certificates else { return settings(tls, Vec::new(), None) };
        let mut identities = Vec::with_capacity(files.len());
        for ((certificate, key), (path, _)) in self.identities.iter().zip(files) {
            identities.push(Identity::from_pem(certificate, key).map_err(|error| in_file(path, &error))?);
        }
        settings(tls, identities, self.client_ca.as_deref())
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError::Unusable(format!("cannot read {}: {error}", path.display())))
}

pub(super) fn settings(tls: &Tls, identities: Vec<Identity>, client_ca: Option<&[u8]>) -> Result<ServerTls, TlsError> {
    let mut identities = identities.into_iter();
    let Some(first) = identities.next() else {
        return Err(TlsError::Unusable("TLS needs a certificate".to_owned()));
    };
    let settings =
        identities.fold(ServerTls::new(first), ServerTls::identity).timeout(tls.timeout).provider(provider());
    let settings = settings.protocols(PROTOCOLS);
    match (client_ca, &tls.client_ca) {
        (Some(pem), Some(path)) => settings.client_ca_pem(pem).map_err(|error| in_file(path, &error)),
        _ => Ok(settings),
    }
}

fn in_file(path: &Path, error: &TlsError) -> TlsError {
    TlsError::Unusable(format!("{}: {error}", path.display()))
}
