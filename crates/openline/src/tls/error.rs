//! What can be wrong with TLS, in words that say which side is to do something about it.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Why there is no TLS.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no cryptography: this crate was built without the features `ring` and `aws-lc-rs`, and the application
    /// installed none of its own.
    NoProvider,
    /// A certificate, key or authority of ours that cannot be used, and why.
    Unusable(String),
    /// The peer's certificate is not accepted: expired, for another name, of an unknown issuer.
    Certificate(CertificateError),
    /// The peer does not accept our certificate; this is what it says about it.
    Refused(AlertDescription),
    /// A client certificate is demanded, and there was none.
    CertificateRequired,
    /// The two sides have no version of TLS in common: here it is 1.2 and 1.3.
    NoSharedVersion,
    /// The two sides have no cipher, key exchange or kind of signature in common.
    NoSharedAlgorithm,
    /// The peer does not speak TLS.
    NotTls,
    /// The peer ended the connection in the middle of the handshake.
    Closed,
    /// The handshake took longer than this.
    TimedOut(Duration),
    /// The peer gave up; this is all it says.
    Alert(AlertDescription),
    /// Anything else about the protocol.
    Protocol(Error),
    /// The stream below failed.
    Io(io::Error),
}

impl TlsError {
    /// What rustls said, where an error of a stream is about TLS at all.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Error>().cloned().map(Self::from)
    }

    pub(super) fn in_file(self, path: &Path) -> Self {
        match self {
            Self::Unusable(why) => Self::Unusable(format!("{}: {why}", path.display())),
            other => other,
        }
    }
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::Certificate(error),
            Error::NoCertificatesPresented => Self::CertificateRequired,
            // What another protocol begins with is a record of no kind, or of no version, or of a length that is none.
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Self::NotTls,
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SignatureAlgorithmsExtensionRequired // which is as old as 1.2
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => Self::NoSharedVersion,
            Error::PeerIncompatible(
                PeerIncompatible::NoCipherSuitesInCommon
                | PeerIncompatible::NoKxGroupsInCommon
                | PeerIncompatible::NoSignatureSchemesInCommon
                | PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            ) => Self::NoSharedAlgorithm,
            Error::AlertReceived(alert) => match alert {
                AlertDescription::ProtocolVersion => Self::NoSharedVersion,
                AlertDescription::InsufficientSecurity => Self::NoSharedAlgorithm,
                AlertDescription::CertificateRequired | AlertDescription::NoCertificate => Self::CertificateRequired,
                AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied => Self::Refused(alert),
                alert => Self::Alert(alert),
            },
            error => Self::Protocol(error),
        }
    }
}

impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        match (Self::of(&error), error.kind()) {
            (Some(error), _) => error,
            // To a peer that does not speak TLS, the first of it is rubbish, and some reset at once.
            (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => Self::Closed,
            (None, _) => Self::Io(error),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProvider => f.write_str(
                "TLS needs cryptography: build openline with its feature `ring` or `aws-lc-rs`, or give it a \
                 CryptoProvider of rustls",
            ),
            Self::Unusable(why) => f.write_str(why),
            Self::Certificate(error) => write_certificate_error(error, f),
            Self::Refused(alert) => write!(f, "the peer does not accept our certificate: {}", words(*alert)),
            Self::CertificateRequired => {
                f.write_str("the server demands a client certificate, and there was none that it could use")
            }
            Self::NoSharedVersion => {
                f.write_str("the two sides have no version of TLS in common: this one speaks 1.2 and 1.3")
            }
            Self::NoSharedAlgorithm => {
                f.write_str("the two sides have no cipher, key exchange or kind of signature in common")
            }
            Self::NotTls => f.write_str("the peer does not speak TLS on this port"),
            Self::Closed => f.write_str(
                "the peer ended the connection in the middle of the TLS handshake: does it speak TLS on this port?",
            ),
            Self::TimedOut(limit) => write!(f, "the TLS handshake was not done after {limit:?}"),
            Self::Alert(AlertDescription::HandshakeFailure) => f.write_str(
                "the peer found nothing to agree on: no cipher, no key exchange, or no client certificate (handshake \
                 failure)",
            ),
            Self::Alert(AlertDescription::UnrecognisedName) => f.write_str("the server does not serve this name"),
            Self::Alert(AlertDescription::NoApplicationProtocol) => {
                f.write_str("the server does not speak HTTP/1.1 over TLS on this port (ALPN)")
            }
            Self::Alert(alert) => write!(f, "the peer gave up the TLS handshake: {}", words(*alert)),
            Self::Protocol(error) => write!(f, "TLS failed: {error}"),
            Self::Io(error) => write!(f, "the line failed: {error}"),
        }
    }
}

fn write_certificate_error(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        CertificateError::Expired => f.write_str("the peer's certificate has expired"),
        CertificateError::ExpiredContext { time, not_after } => {
            let seconds = time.as_secs().saturating_sub(not_after.as_secs());
            write!(f, "the peer's certificate expired {} ago", Span(seconds))
        }
        CertificateError::NotValidYet => f.write_str("the peer's certificate is not valid yet"),
        CertificateError::NotValidYetContext { time, not_before } => {
            let seconds = not_before.as_secs().saturating_sub(time.as_secs());
            write!(f, "the peer's certificate becomes valid only in {}: is the clock right?", Span(seconds))
        }
        CertificateError::NotValidForName => f.write_str("the server's certificate is for another name"),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = if presented.is_empty() { "no name at all".into() } else { presented.join(", ") };
            write!(f, "the server's certificate is not for {}, but for {presented}", expected.to_str())
        }
        CertificateError::UnknownIssuer => {
            f.write_str("nobody whom we trust has issued the peer's certificate (unknown CA)")
        }
        CertificateError::BadSignature => {
            f.write_str("the authority that the peer's certificate names has not signed it: has it another key by now?")
        }
        CertificateError::Revoked => f.write_str("the peer's certificate was revoked"),
        CertificateError::BadEncoding => f.write_str("the peer's certificate cannot be read"),
        CertificateError::ApplicationVerificationFailure => {
            f.write_str("the server's certificate is not the one with the fingerprint that is trusted")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            f.write_str("the peer's certificate was issued for another purpose")
        }
        error => write!(f, "the peer's certificate is not accepted: {error}"),
    }
}

/// "certificate expired", from `CertificateExpired`.
fn words(alert: AlertDescription) -> String {
    let mut words = String::new();
    let name = format!("{alert:?}");
    let mut before = ' ';
    let mut letters = name.chars().peekable();
    while let Some(c) = letters.next() {
        if c.is_ascii_uppercase() && before.is_ascii_lowercase() {
            words.push(' ');
        }
        let is_of_an_abbreviation = before.is_ascii_uppercase() || letters.peek().is_some_and(char::is_ascii_uppercase);
        words.push(if is_of_an_abbreviation { c } else { c.to_ascii_lowercase() });
        before = c;
    }
    words
}

/// A length of time that nobody counts in seconds.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            seconds @ ..120 => (seconds, "second"),
            seconds @ ..7200 => (seconds / 60, "minute"),
            seconds @ ..172_800 => (seconds / 3600, "hour"),
            seconds => (seconds / 86_400, "day"),
        };
        write!(f, "{number} {unit}{}", if number == 1 { "" } else { "s" })
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_alerts_are_words() {
        for (alert, said) in [
            (AlertDescription::CertificateExpired, "certificate expired"),
            (AlertDescription::UnknownCA, "unknown CA"),
            (AlertDescription::DecodeError, "decode error"),
        ] {
            assert_eq!(words(alert), said);
        }
    }

    #[test]
    fn spans() {
        for (seconds, said) in
            [(1, "1 second"), (119, "119 seconds"), (7199, "119 minutes"), (90_000, "25 hours"), (172_800, "2 days")]
        {
            assert_eq!(Span(seconds).to_string(), said);
        }
    }
}
