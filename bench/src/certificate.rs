//! The certificate that every server shows in the cells over TLS: of one kind, so that they all do the same work.

use std::{fs, path::PathBuf, sync::OnceLock};

use anyhow::{Context as _, Result};

use crate::cargo;

/// Where its parts are, in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// ECDSA on P-256, for this machine alone; the same for the whole life of this program.
    pub(crate) fn made() -> Result<Certificate> {
        if let Some(certificate) = MADE.get() {
            return Ok(certificate.clone());
        }
        let folder = cargo::target_directory()?.join("bench-certificate");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let certificate = Certificate { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        fs::write(&certificate.chain, made.cert.pem())?;
        fs::write(&certificate.key, made.signing_key.serialize_pem())?;
        Ok(MADE.get_or_init(|| certificate).clone())
    }
}

static MADE: OnceLock<Certificate> = OnceLock::new();
