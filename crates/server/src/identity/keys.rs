//! The keys that tokens are checked with, each for one algorithm.

use std::{error, fmt};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// How tokens are signed. `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenAlgorithm {
    /// HMAC with SHA-256: one secret signs and checks.
    Hs256,
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl TokenAlgorithm {
    pub(super) fn algorithm(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Rs256 => Algorithm::RS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// A key, for one algorithm: a token that says another one is not checked with it, whatever it says.
#[derive(Clone)]
pub struct TokenKey {
    pub(super) algorithm: TokenAlgorithm,
    /// The `kid` of the tokens that it is for; without one, it is for all.
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
}

/// The shortest secret: RFC 7518 §3.2, "a key of the same size as the hash output or larger MUST be used".
pub(super) const MIN_SECRET_BYTES: usize = 32;

impl TokenKey {
    /// A secret for [`TokenAlgorithm::Hs256`].
    ///
    /// # Errors
    /// It is shorter than 32 bytes.
    pub fn secret(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(KeyError::ShortSecret(secret.len()));
        }
        Ok(Self { algorithm: TokenAlgorithm::Hs256, id: None, key: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM.
    ///
    /// # Errors
    /// It is not one for this algorithm.
    pub fn pem(algorithm: TokenAlgorithm, pem: &[u8]) -> Result<Self, KeyError> {
        let key = match algorithm {
            TokenAlgorithm::Hs256 => return Err(KeyError::SecretInPem),
            TokenAlgorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
            TokenAlgorithm::Es256 => DecodingKey::from_ec_pem(pem),
            TokenAlgorithm::EdDsa => DecodingKey::from_ed_pem(pem),
        };
        Ok(Self { algorithm, id: None, key: key.map_err(|error| KeyError::Pem(error.to_string()))? })
    }

    /// Only for tokens whose header has this `kid`.
    pub fn with_id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }
}

impl fmt::Debug for TokenKey {
    /// The key is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("algorithm", &self.algorithm).field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why something is not a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A secret of so many bytes.
    ShortSecret(usize),
    /// A secret is not a PEM file.
    SecretInPem,
    /// What is wrong with it.
    Pem(String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret(bytes) => write!(
                f,
                "a secret for HS256 has {MIN_SECRET_BYTES} bytes at least, this one has {bytes}: make one with openssl rand -hex 32"
            ),
            Self::SecretInPem => f.write_str("HS256 has a secret, and no key in PEM"),
            Self::Pem(why) => write!(f, "this is no public key in PEM for that algorithm: {why}"),
        }
    }
}

impl error::Error for KeyError {}

/// Which tokens are believed.
#[derive(Clone, Debug, Default)]
pub struct TokenSettings {
    /// Keys that are known from the beginning.
    pub keys: Vec<TokenKey>,
    /// Where more keys are (RFC 7517): `https`, or `http` on this machine. Never what a token names (`jku`, `x5u`).
    pub jwks: Option<http::Uri>,
    /// A token must be for this audience (`aud`), if one is named.
    pub audience: Option<String>,
    /// A token must be of this issuer (`iss`), if one is named.
    pub issuer: Option<String>,
    /// A cookie that may hold a token, for pages of origins that are let in. Default: none.
    pub cookie: Option<String>,
}

/// The keys of a set that can be of use: public ones, with an id, for an algorithm of ours.
pub(super) fn of_set(set: &JwkSet) -> Vec<TokenKey> {
    set.keys.iter().filter_map(of_jwk).collect()
}

fn of_jwk(jwk: &Jwk) -> Option<TokenKey> {
    let common = &jwk.common;
    if matches!(common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => TokenAlgorithm::Rs256,
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => TokenAlgorithm::Es256,
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => TokenAlgorithm::EdDsa,
        // A secret that is published is none.
        _ => return None,
    };
    let named = match common.key_algorithm {
        None => algorithm,
        Some(KeyAlgorithm::RS256) => TokenAlgorithm::Rs256,
        Some(KeyAlgorithm::ES256) => TokenAlgorithm::Es256,
        Some(KeyAlgorithm::EdDSA) => TokenAlgorithm::EdDsa,
        Some(_) => return None,
    };
    let key = DecodingKey::from_jwk(jwk).ok()?;
    (named == algorithm).then(|| TokenKey { algorithm, id: common.key_id.clone(), key })
}
