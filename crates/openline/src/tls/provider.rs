//! Whose cryptography: the application's, or that of a feature of this crate.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use super::TlsError;

/// The provider that was asked for, the one that the application installed for its process, or the feature's. Nothing is
/// installed here: a process has one place for a provider, and it is the application's.
pub(super) fn provider(asked_for: Option<&Arc<CryptoProvider>>) -> Result<Arc<CryptoProvider>, TlsError> {
    let own = asked_for.cloned().or_else(|| CryptoProvider::get_default().cloned());
    own.or_else(of_feature).ok_or(TlsError::NoProvider)
}

#[cfg(feature = "aws-lc-rs")]
#[allow(clippy::unnecessary_wraps, reason = "without a feature there is none")]
fn of_feature() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
#[allow(clippy::unnecessary_wraps, reason = "without a feature there is none")]
fn of_feature() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn of_feature() -> Option<Arc<CryptoProvider>> {
    None
}

#[cfg(all(test, not(any(feature = "ring", feature = "aws-lc-rs"))))]
mod tests {
    use crate::tls::{ClientTls, TlsError};

    #[test]
    fn without_a_feature_the_error_says_which_to_add() {
        let error = ClientTls::new().build().unwrap_err();
        assert!(matches!(error, TlsError::NoProvider));
        assert!(error.to_string().contains("`ring` or `aws-lc-rs`"), "{error}");
    }
}
