//! `[auth]`: tokens, and who is believed to have made them.

use std::fs;
use std::path::PathBuf;

use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::Secret;
use crate::identity::{TokenAlgorithm, TokenKey, TokenSettings};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Auth {
    /// Believe tokens (JWT) that are signed with this secret, by HS256. At least 32 characters; better in
    /// `OPENLINE_AUTH_SECRET` than in a file that others read. A token must have an end (`exp`), and names its user in `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Secret>,
    /// Believe tokens that are signed by RS256 with the key to this public one, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    rs256_key: Option<PathBuf>,
    /// Believe tokens that are signed by ES256 with the key to this public one, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    es256_key: Option<PathBuf>,
    /// Believe tokens that are signed by EdDSA (Ed25519) with the key to this public one, in PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    eddsa_key: Option<PathBuf>,
    /// Believe tokens that are signed with the keys of the set that is there (JWKS, RFC 7517): `https`, or `http` on this machine.
    /// Fetched again every 5 minutes, and for a key that is not known, every 30 s at most. What a token itself names (`jku`, `x5u`)
    /// is never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<String>,
    /// Believe only tokens for this audience (`aud`).
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    /// Believe only tokens of this issuer (`iss`).
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// A cookie that may hold a token. It counts only with an Origin that is let in, or where the browser says that a page asks its own
    /// server (Sec-Fetch-Site): without either the request is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
}

impl Auth {
    /// What the keys say together.
    pub(super) fn read(self, wrong: &mut impl FnMut(&str, String)) -> TokenSettings {
        let mut keys = Vec::new();
        if let Some(secret) = &self.secret {
            match TokenKey::secret(secret.expose().as_bytes()) {
                Ok(key) => keys.push(key),
                Err(error) => wrong("auth.secret", error.to_string()),
            }
        }
        for (path, algorithm, file) in [
            ("auth.rs256_key", TokenAlgorithm::Rs256, &self.rs256_key),
            ("auth.es256_key", TokenAlgorithm::Es256, &self.es256_key),
            ("auth.eddsa_key", TokenAlgorithm::EdDsa, &self.eddsa_key),
        ] {
            let Some(file) = file else { continue };
            let pem = fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()));
            match pem.and_then(|pem| TokenKey::pem(algorithm, &pem).map_err(|error| error.to_string())) {
                Ok(key) => keys.push(key),
                Err(error) => wrong(path, error),
            }
        }
        let jwks = self.jwks.and_then(|text| match url(&text, true) {
            Ok(uri) => Some(uri),
            Err(why) => {
                wrong("auth.jwks", why);
                None
            }
        });
        TokenSettings { keys, jwks, audience: self.audience, issuer: self.issuer, cookie: self.cookie }
    }
}

/// A URL of HTTP; `secure`: of another machine only by TLS.
pub(super) fn url(text: &str, secure: bool) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_| "a URL is like https://backend.example/path".to_owned())?;
    let host = uri.host().unwrap_or_default();
    let is_local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => Ok(uri),
        Some("http") if !host.is_empty() && (!secure || is_local) => Ok(uri),
        Some("http") => Err("what is on another machine is fetched by https".to_owned()),
        _ => Err("a URL is like https://backend.example/path".to_owned()),
    }
}
