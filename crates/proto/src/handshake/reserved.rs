//! The header fields that belong to the opening handshake itself, which no caller may set.

use std::{error, fmt};

use http::{HeaderName, header};

/// A header field that only the opening handshake may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedHeader(pub HeaderName);

impl fmt::Display for ReservedHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the header {} belongs to the opening handshake and cannot be set by hand", self.0)
    }
}

impl error::Error for ReservedHeader {}

/// §4.1, §4.2.2: the fields that make a handshake, and those that would give a body to a message that has none
/// (RFC 9110 §8.6, RFC 9112 §6.1).
pub(super) fn is_reserved(name: &HeaderName) -> bool {
    [header::UPGRADE, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name)
        || name.as_str().starts_with("sec-websocket-")
}
