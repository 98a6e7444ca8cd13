//! Subprotocol names (RFC 6455 §1.9, §11.5).

use std::{borrow::Borrow, error, fmt, ops::Deref, str::FromStr};

use bytestring::ByteString;

use super::tokens;

/// The name of a subprotocol: a token, never empty (§4.1). Cheap to clone.
///
/// Names are compared exactly. The registry refuses names that differ in case alone (RFC 7936), so `Chat` is not
/// `chat`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subprotocol(ByteString);

impl Subprotocol {
    /// Checks a name. §4.1: "characters in the range U+0021 to U+007E not including separator characters".
    ///
    /// ```
    /// use openline_proto::handshake::Subprotocol;
    ///
    /// assert_eq!(Subprotocol::new("v12.stomp")?.as_str(), "v12.stomp");
    /// assert!(Subprotocol::new("").is_err());
    /// assert!(Subprotocol::new("chat, superchat").is_err());
    /// # Ok::<(), openline_proto::handshake::InvalidSubprotocol>(())
    /// ```
    ///
    /// # Errors
    /// The name is empty, or has a byte that is not of a token.
    pub fn new(name: &str) -> Result<Self, InvalidSubprotocol> {
        Self::from_bytes(name.as_bytes())
    }

    pub(super) fn from_bytes(name: &[u8]) -> Result<Self, InvalidSubprotocol> {
        if !tokens::is_token(name) {
            return Err(InvalidSubprotocol);
        }
        let name = str::from_utf8(name).map_err(|_| InvalidSubprotocol)?;
        Ok(Self(ByteString::from(name)))
    }

    /// The name as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Subprotocol {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Subprotocol {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Subprotocol {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Subprotocol {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl FromStr for Subprotocol {
    type Err = InvalidSubprotocol;

    fn from_str(name: &str) -> Result<Self, InvalidSubprotocol> {
        Self::new(name)
    }
}

impl TryFrom<&str> for Subprotocol {
    type Error = InvalidSubprotocol;

    fn try_from(name: &str) -> Result<Self, InvalidSubprotocol> {
        Self::new(name)
    }
}

impl fmt::Debug for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Subprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// A name that cannot be a subprotocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSubprotocol;

impl fmt::Display for InvalidSubprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a subprotocol is a non-empty token: letters, digits and !#$%&'*+-.^_`|~ only")
    }
}

impl error::Error for InvalidSubprotocol {}
