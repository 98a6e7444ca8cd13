//! A certificate's SHA-256 fingerprint: short enough to be compared by people.

use std::error;
use std::fmt;
use std::str::FromStr;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};

/// The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` and browsers show it.
///
/// ```
/// use openline::tls::Fingerprint;
///
/// let shown = "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F";
/// let fingerprint: Fingerprint = shown.parse()?;
/// assert_eq!(fingerprint.to_string(), shown);
/// assert_eq!("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f".parse(), Ok(fingerprint));
/// # Ok::<(), openline::tls::InvalidFingerprint>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of this certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if at > 0 { ":" } else { "" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 64 hexadecimal digits, with or without colons.
impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let mut digits = text.chars().filter(|c| *c != ':').map(|c| c.to_digit(16).ok_or(InvalidFingerprint));
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let (high, low) = (digits.next().ok_or(InvalidFingerprint)??, digits.next().ok_or(InvalidFingerprint)??);
            *byte = (high << 4 | low) as u8; // two digits of four bits
        }
        if digits.next().is_some() { Err(InvalidFingerprint) } else { Ok(Self(bytes)) }
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidFingerprint;

impl fmt::Display for InvalidFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a certificate's SHA-256 fingerprint has 64 hexadecimal digits, and may have colons between them")
    }
}

impl error::Error for InvalidFingerprint {}
