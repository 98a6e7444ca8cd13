//! A certificate for development: nobody vouches for it, so whoever connects is told its fingerprint.

use std::time::{Duration, SystemTime};

use openline::tls::{Identity, TlsError};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

/// This machine under all its names.
const ALWAYS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Apple's systems accept no certificate that is valid for longer than 825 days.
const VALID: Duration = Duration::from_secs(365 * 86_400);

/// A clock that is somewhat slow must not take it for one of tomorrow.
const SLACK: Duration = Duration::from_secs(86_400);

pub(super) fn identity(names: &[String]) -> Result<Identity, TlsError> {
    make(names).map_err(|error| TlsError::Unusable(format!("cannot make a certificate: {error}")))?
}

fn make(names: &[String]) -> Result<Result<Identity, TlsError>, rcgen::Error> {
    let names = ALWAYS.into_iter().map(ToOwned::to_owned).chain(names.iter().cloned());
    let mut params = CertificateParams::new(names.collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, "openline, self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = SystemTime::now();
    params.not_before = (now - SLACK).into();
    params.not_after = (now + VALID).into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Identity::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()))
}
