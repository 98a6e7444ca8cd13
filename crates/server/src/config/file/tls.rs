//! `[tls]`: certificates, and whose clients are let in.

use std::path::PathBuf;
use std::time::Duration;

use openline::proto::handshake::Host;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{OneOrMany, Time};
use crate::tls::{self, Certificates};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// Speak TLS with this certificate and its chain, in PEM; of several, the name that a client asks for chooses, and the first is
    /// for everybody else. Read again when a file changes. A path is relative to the directory that the server starts in.
    cert: OneOrMany<PathBuf>,
    /// The certificates' private keys in PEM, in the same order; may be left out where they are in the certificates' files.
    key: OneOrMany<PathBuf>,
    /// Let in only clients with a certificate of an authority in this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ca: Option<PathBuf>,
    /// Speak TLS with a certificate of its own making, for development; its fingerprint is printed.
    self_signed: bool,
    /// A TLS handshake must be done within this time: as much as a request's head has.
    timeout: Time,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            cert: OneOrMany::default(),
            key: OneOrMany::default(),
            client_ca: None,
            self_signed: false,
            timeout: Time(Duration::from_secs(10)),
        }
    }
}

impl Tls {
    /// What the keys say together.
    pub(super) fn read(&self, hosts: &[Host], wrong: &mut impl FnMut(&str, String)) -> Option<tls::Tls> {
        let (cert, key) = (self.cert.to_vec(), self.key.to_vec());
        let certificates = match (cert.len(), key.len(), self.self_signed) {
            (1.., _, true) => {
                wrong("tls.self_signed", "there is a certificate already, in tls.cert: one of the two".to_owned());
                return None;
            }
            (0, 1.., _) => {
                wrong("tls.key", "there is no certificate for it: say tls.cert".to_owned());
                return None;
            }
            (0, _, false) => {
                if self.client_ca.is_some() {
                    wrong("tls.client_ca", "it needs TLS: say tls.cert and tls.key, or tls.self_signed".to_owned());
                }
                return None;
            }
            (0, _, true) => Certificates::SelfSigned(hosts.iter().map(|host| host.name().to_owned()).collect()),
            (_, 0, _) => Certificates::Files(cert.into_iter().map(|path| (path.clone(), path)).collect()),
            (certificates, keys, _) if certificates == keys => Certificates::Files(cert.into_iter().zip(key).collect()),
            (certificates, keys, _) => {
                let why = format!(
                    "each certificate needs its key, in the same order: {certificates} of tls.cert, {keys} here"
                );
                wrong("tls.key", why);
                return None;
            }
        };
        let client_ca = self.client_ca.clone();
        Some(tls::Tls { client_ca, timeout: self.timeout.0, ..tls::Tls::new(certificates) })
    }
}
