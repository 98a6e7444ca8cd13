//! The cryptography of tokens, by ring: the provider that `jsonwebtoken` asks for, so that a server has one and not two.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// Makes it the process's. It checks whatever `jsonwebtoken` has a name for, and signs with secrets. An application that signs with
/// private keys, or makes JWKs, installs its own before it makes a server, and that one is used here, too.
pub(crate) fn install() {
    // An error says that there is one.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// How an algorithm checks.
enum Checks {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters),
    Other(&'static dyn VerificationAlgorithm, AlgorithmFamily),
}

impl Checks {
    /// # Errors
    /// It is a newer one.
    fn of(algorithm: Algorithm) -> Result<Self> {
        Ok(match algorithm {
            Algorithm::HS256 => Self::Hmac(hmac::HMAC_SHA256),
            Algorithm::HS384 => Self::Hmac(hmac::HMAC_SHA384),
            Algorithm::HS512 => Self::Hmac(hmac::HMAC_SHA512),
            Algorithm::RS256 => Self::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Self::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Self::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Self::Rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Self::Rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Self::Rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => Self::Other(&ECDSA_P256_SHA256_FIXED, AlgorithmFamily::Ec),
            Algorithm::ES384 => Self::Other(&ECDSA_P384_SHA384_FIXED, AlgorithmFamily::Ec),
            Algorithm::EdDSA => Self::Other(&ED25519, AlgorithmFamily::Ed),
            _ => return Err(new_error(ErrorKind::InvalidAlgorithm)),
        })
    }

    fn family(&self) -> AlgorithmFamily {
        match self {
            Self::Hmac(_) => AlgorithmFamily::Hmac,
            Self::Rsa(_) => AlgorithmFamily::Rsa,
            Self::Other(_, family) => *family,
        }
    }
}

struct Check {
    algorithm: Algorithm,
    checks: Checks,
    key: DecodingKey,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let checks = Checks::of(*algorithm)?;
    match checks.family() == key.family() {
        true => Ok(Box::new(Check { algorithm: *algorithm, checks, key: key.clone() })),
        false => Err(new_error(ErrorKind::InvalidKeyFormat)),
    }
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let is_good = match (&self.checks, self.key.kind()) {
            (Checks::Hmac(algorithm), DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(*algorithm, secret), message, signature).is_ok()
            }
            (Checks::Rsa(parameters), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(*parameters, der).verify(message, signature).is_ok()
            }
            (Checks::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }
            (Checks::Other(algorithm, _), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(*algorithm, key).verify(message, signature).is_ok()
            }
            _ => false,
        };
        if is_good { Ok(()) } else { Err(Error::new()) }
    }
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

struct Sign {
    algorithm: Algorithm,
    key: hmac::Key,
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    match (Checks::of(*algorithm)?, key.family()) {
        (Checks::Hmac(with), AlgorithmFamily::Hmac) => {
            Ok(Box::new(Sign { algorithm: *algorithm, key: hmac::Key::new(with, key.as_bytes()) }))
        }
        _ => Err(new_error(ErrorKind::InvalidAlgorithm)),
    }
}

impl Signer<Vec<u8>> for Sign {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, Error> {
        Ok(hmac::sign(&self.key, message).as_ref().to_vec())
    }
}

impl JwtSigner for Sign {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
