//! Who is at the other end of a connection, as far as the layers below HTTP know.

use std::net::SocketAddr;
use std::sync::Arc;

use http::Request;

use crate::knock::Reach;
use crate::tls::ClientCertificate;

/// Where a client is, where it came in, and who it has proved to be.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) peer: SocketAddr,
    pub(crate) reach: Reach,
    /// Shared, as every request of the connection is told.
    pub(crate) certificate: Option<Arc<ClientCertificate>>,
}

impl Visitor {
    pub(crate) fn new(peer: SocketAddr, reach: Reach) -> Self {
        Self { peer, reach, certificate: None }
    }
}

/// Tells a request's handler who asks.
pub(super) fn introduce<B>(request: &mut Request<B>, visitor: &Visitor) {
    if let Some(certificate) = &visitor.certificate {
        request.extensions_mut().insert(certificate.clone());
    }
}
