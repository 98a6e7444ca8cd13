//! Which certificate is presented: that for the name in the client's hello (SNI, RFC 6066 §3).

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Certificates in the order in which they were given.
#[derive(Debug)]
pub(super) struct Certificates(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    /// In lower case; one that begins with `*.` stands for one label.
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl Certificates {
    pub(super) fn new(keys: impl IntoIterator<Item = CertifiedKey>) -> Self {
        let entries = keys.into_iter().map(|key| Entry { names: names_of(&key.cert[0]), key: Arc::new(key) });
        Self(entries.collect())
    }

    /// The first that has the name and that the client can check, exact names before wildcards. For a name that none has,
    /// and without one, the first that the client can check: it is the wrong one, and the client's user reads which names
    /// it has instead of "the server hung up".
    fn find(&self, name: Option<&str>, can_use: impl Fn(&CertifiedKey) -> bool) -> Option<&Entry> {
        let usable = || self.0.iter().filter(|entry| can_use(&entry.key));
        let name = name.map(str::to_ascii_lowercase);
        let by_name = name.as_deref().and_then(|name| {
            let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
            let has = |wanted: &str| usable().find(|entry| entry.names.iter().any(|own| own == wanted));
            has(name).or_else(|| has(&wildcard?))
        });
        by_name.or_else(|| usable().next())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = self.find(hello.server_name(), |key| key.key.choose_scheme(hello.signature_schemes()).is_some());
        // A client that can check none of them is told so by rustls, with the first one's key.
        found.or(self.0.first()).map(|entry| entry.key.clone())
    }
}

/// The DNS names that the certificate is for (RFC 5280 §4.2.1.6). One that cannot be read has none, and is the clients' to
/// refuse.
fn names_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    match webpki::EndEntityCert::try_from(certificate) {
        Ok(certificate) => certificate.valid_dns_names().map(str::to_ascii_lowercase).collect(),
        Err(_) => Vec::new(),
    }
}
