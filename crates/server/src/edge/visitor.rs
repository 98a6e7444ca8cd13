//! Who is at the other end of a connection, as far as the layers below HTTP know.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::Request;

use super::proxied;
use crate::knock::Reach;
use crate::rights::Identity;
use crate::site::Site;
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

impl Visitor {
    /// Who it is by its certificate: the SHA-256 of that, `AB:CD:…`.
    pub(crate) fn certified(&self) -> Identity {
        let fingerprint = self.certificate.as_ref().map(|certificate| certificate.fingerprint().to_string());
        fingerprint.map_or(Identity::Anonymous, |name| Identity::User(name.into()))
    }

    /// Where the client of this request is: behind as many proxies as are trusted.
    pub(super) fn client<B>(&self, request: &Request<B>, site: &Site) -> IpAddr {
        proxied::client_of(request.headers(), self.peer.ip(), &site.config.proxies.trusted)
    }
}

/// Where the client of a request is; handlers find it among the extensions of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Tells a request's handler who asks.
pub(super) fn introduce<B>(request: &mut Request<B>, visitor: &Visitor, site: &Site) {
    let client = ClientAddress(visitor.client(request, site));
    request.extensions_mut().insert(client);
    if let Some(certificate) = &visitor.certificate {
        request.extensions_mut().insert(certificate.clone());
    }
}
