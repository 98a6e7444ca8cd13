//! What an opening handshake agreed on.

use super::Subprotocol;
use crate::deflate::{Agreed, DeflateParams};

/// What both sides agreed on in the opening handshake; a connection is made from it.
///
/// The default is what a handshake without subprotocols and extensions agrees on: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    pub(super) subprotocol: Option<Subprotocol>,
    pub(crate) deflate: Option<Agreed>,
}

impl Negotiated {
    /// The subprotocol spoken from here on, if any (§1.9).
    pub fn subprotocol(&self) -> Option<&Subprotocol> {
        self.subprotocol.as_ref()
    }

    /// The parameters of permessage-deflate (RFC 7692 §7.1), if messages may be compressed.
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.deflate.as_ref().map(|agreed| agreed.params)
    }
}
