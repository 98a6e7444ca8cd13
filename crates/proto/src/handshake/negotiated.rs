//! What an opening handshake agreed on.

use super::Subprotocol;

/// What both sides agreed on in the opening handshake; a connection is made from it.
///
/// The default is what a handshake without subprotocols and extensions agrees on: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    pub(super) subprotocol: Option<Subprotocol>,
}

impl Negotiated {
    /// The subprotocol spoken from here on, if any (§1.9).
    pub fn subprotocol(&self) -> Option<&Subprotocol> {
        self.subprotocol.as_ref()
    }
}
