//! Which servers `wss` trusts, and who we say we are: flags of every command that connects, named as curl names them.

use std::path::PathBuf;

use openline::tls::{ClientTls, Connector, Fingerprint, Identity, TlsError};

use crate::tls::provider;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Trust {
    /// Trust the authorities in this file, and no others
    #[arg(long, value_name = "FILE", help_heading = TRUST)]
    cacert: Option<PathBuf>,

    /// Trust the server whose certificate has this SHA-256, and no other: that of a certificate of its own making
    #[arg(long, value_name = "SHA-256", conflicts_with_all = ["cacert", "insecure"], help_heading = TRUST)]
    fingerprint: Option<Fingerprint>,

    /// Trust any server: what is sent is safe from listeners only
    #[arg(short = 'k', long, conflicts_with = "cacert", help_heading = TRUST)]
    insecure: bool,

    /// Show this certificate, in PEM, to a server that asks for one
    #[arg(long, value_name = "FILE", help_heading = TRUST)]
    cert: Option<PathBuf>,

    /// The certificate's private key in PEM; may be left out where it is in the certificate's file
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = TRUST)]
    key: Option<PathBuf>,
}

const TRUST: &str = "Trust (wss)";

impl Trust {
    /// Whether anything was said at all.
    pub(super) fn says_something(&self) -> bool {
        self.cacert.is_some() || self.cert.is_some() || self.fingerprint.is_some() || self.insecure
    }

    /// What the flags say together.
    ///
    /// # Errors
    /// What is wrong with a file.
    pub(super) fn connector(&self) -> Result<Connector, TlsError> {
        let mut tls = ClientTls::new().provider(provider());
        if let Some(path) = &self.cacert {
            let pem = std::fs::read(path)
                .map_err(|error| TlsError::Unusable(format!("cannot read {}: {error}", path.display())))?;
            tls = tls.only_ca_pem(&pem)?;
        }
        if let Some(fingerprint) = self.fingerprint {
            tls = tls.only_certificate(fingerprint);
        }
        if self.insecure {
            tls = tls.dangerously_accept_any_certificate();
        }
        if let Some(certificate) = &self.cert {
            tls = tls.identity(Identity::from_pem_files(certificate, self.key.as_ref().unwrap_or(certificate))?);
        }
        tls.build()
    }
}

/// Whether lines to this URL are over TLS: the platform's roots are read only for those that need them.
pub(super) fn is_needed(url: &str) -> bool {
    url.starts_with("wss:") || url.starts_with("https:")
}
