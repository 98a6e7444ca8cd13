//! A client's side of the opening handshake (RFC 6455 §4.1).

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header};

use super::{
    ExtensionOffer, Host, Negotiated, ReservedHeader, ResponseError, Subprotocol, UriError, key, reserved,
    tokens::{self, Listed},
    uri::Target,
};
use crate::deflate::{self, Deflate};

/// One opening handshake of a client: makes the request, then judges the response.
///
/// ```
/// use http::Response;
/// use openline_proto::handshake::ClientHandshake;
///
/// let nonce = *b"the sample nonce"; // §4.1: 16 bytes, "selected randomly for each connection"
/// let client = ClientHandshake::new(&"ws://server.example.com:8080/chat".parse()?, nonce)?;
/// let request = client.request();
/// assert_eq!(request.uri(), "/chat");
/// assert_eq!(request.headers()["Host"], "server.example.com:8080");
/// assert_eq!(request.headers()["Sec-WebSocket-Key"], "dGhlIHNhbXBsZSBub25jZQ==");
///
/// let response = Response::builder()
///     .status(101)
///     .header("Upgrade", "websocket")
///     .header("Connection", "Upgrade")
///     .header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
///     .body(())?;
/// assert_eq!(client.finish(&response)?.subprotocol(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClientHandshake {
    resource: Uri,
    host: Host,
    key: String,
    subprotocols: Vec<Subprotocol>,
    headers: HeaderMap,
    deflate: Option<deflate::Offers>,
}

impl ClientHandshake {
    /// A handshake for a `ws`, `wss`, `http` or `https` URI. The nonce is 16 bytes from a good random source, new
    /// each time.
    ///
    /// `http::Uri` has no fragments: parsing one drops it, where §3 forbids it. Use [`parse_uri`](super::parse_uri)
    /// on text.
    ///
    /// # Errors
    /// The URI is not one that §3 allows.
    pub fn new(uri: &Uri, nonce: [u8; 16]) -> Result<Self, UriError> {
        let Target { host, resource } = Target::of(uri)?;
        let key = key::encode(nonce);
        Ok(Self { resource, host, key, subprotocols: Vec::new(), headers: HeaderMap::new(), deflate: None })
    }

    /// Offers further subprotocols, in the order of preference. One that is there already is left out: §4.1, "unique".
    pub fn subprotocols(mut self, subprotocols: impl IntoIterator<Item = Subprotocol>) -> Self {
        for subprotocol in subprotocols {
            if !self.subprotocols.contains(&subprotocol) {
                self.subprotocols.push(subprotocol);
            }
        }
        self
    }

    /// Adds a header field, such as `Origin`, `Cookie` or `Authorization`. The same name may come more than once.
    ///
    /// # Errors
    /// The handshake's own fields cannot be set: `Host` (see [`ClientHandshake::host`]), `Upgrade`, `Connection`, all
    /// of `Sec-WebSocket-*`, and those that announce a body.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Result<Self, ReservedHeader> {
        if name == header::HOST || reserved::is_reserved(&name) {
            return Err(ReservedHeader(name));
        }
        self.headers.append(name, value);
        Ok(self)
    }

    /// Offers compression (RFC 7692); `None`, as it begins, offers none.
    pub fn deflate(self, deflate: impl Into<Option<Deflate>>) -> Self {
        Self { deflate: deflate.into().map(deflate::Offers::new), ..self }
    }

    /// Sends another `Host` than the URI's, as behind a tunnel or in a test.
    pub fn host(self, host: Host) -> Self {
        Self { host, ..self }
    }

    /// §4.1: the opening request, as HTTP/1.1, with the resource name for its target.
    pub fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = self.resource.clone();
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        headers.insert(header::HOST, header_value(&self.host.to_string()));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::SEC_WEBSOCKET_KEY, header_value(&self.key));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        if !self.subprotocols.is_empty() {
            let names: Vec<&str> = self.subprotocols.iter().map(Subprotocol::as_str).collect();
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header_value(&names.join(", ")));
        }
        if let Some(offers) = &self.deflate {
            headers.insert(header::SEC_WEBSOCKET_EXTENSIONS, header_value(&offers.header()));
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        request
    }

    /// §4.1, the second half: validates the server's response. What follows its head on the line is the server's
    /// frames.
    ///
    /// A response has no body when it is a 101, whatever `Content-Length` says (RFC 9112 §6.3): not looked at.
    ///
    /// # Errors
    /// The first clause that is broken; the client must then fail the connection. [`ResponseError::Status`] for
    /// anything but 101: the server answered in plain HTTP, and whoever sent the request may follow a redirect or log
    /// in.
    pub fn finish(&self, response: &Response<()>) -> Result<Negotiated, ResponseError> {
        // Item 1.
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(ResponseError::Status(response.status()));
        }
        if response.version() < Version::HTTP_11 {
            return Err(ResponseError::HttpVersion(response.version()));
        }
        self.check_upgrade(response.headers())?;
        self.check_accept(response.headers())?;
        let deflate = self.read_extensions(response.headers())?;
        Ok(Negotiated { subprotocol: self.read_subprotocol(response.headers())?, deflate })
    }

    /// Items 2 and 3. `Upgrade` must *be* `websocket`, in any case (erratum 5453, rejected, wanted capitals), and not
    /// just list it; `Connection` must contain `Upgrade`.
    fn check_upgrade(&self, headers: &HeaderMap) -> Result<(), ResponseError> {
        let mut upgrades = headers.get_all(header::UPGRADE).iter();
        match (upgrades.next(), upgrades.next()) {
            (None, _) => return Err(ResponseError::MissingUpgrade),
            (Some(one), None) if one.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket") => {}
            (Some(one), _) => return Err(ResponseError::OtherUpgrade(one.clone())),
        }
        match tokens::look_for(headers.get_all(header::CONNECTION), "upgrade", tokens::is_token) {
            Listed::With => Ok(()),
            Listed::Absent => Err(ResponseError::MissingConnection),
            Listed::Malformed => Err(ResponseError::InvalidConnection),
            Listed::Without => Err(ResponseError::ConnectionWithoutUpgrade),
        }
    }

    /// Item 4, "ignoring any leading and trailing whitespace", and §11.3.3: once.
    fn check_accept(&self, headers: &HeaderMap) -> Result<(), ResponseError> {
        let mut accepts = headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
        match (accepts.next(), accepts.next()) {
            (None, _) => Err(ResponseError::MissingAccept),
            (Some(_), Some(_)) => Err(ResponseError::DuplicateAccept),
            (Some(one), None) if one.as_bytes().trim_ascii() == key::accept_key(&self.key).as_bytes() => Ok(()),
            (Some(_), None) => Err(ResponseError::WrongAccept),
        }
    }

    /// Item 5, and §9.1. Erratum 3433: several header fields make one list.
    fn read_extensions(&self, headers: &HeaderMap) -> Result<Option<deflate::Agreed>, ResponseError> {
        let extensions = ExtensionOffer::parse_list(headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS))
            .map_err(|_| ResponseError::InvalidExtensions)?;
        let mut agreed = None;
        for extension in extensions {
            let Some(offers) = self.deflate.as_ref().filter(|_| extension.name == deflate::NAME) else {
                return Err(ResponseError::UnofferedExtension(extension.name));
            };
            // RFC 7692 §5: one at most of those that use the same reserved bit.
            if agreed.is_some() {
                return Err(ResponseError::DuplicateExtension(extension.name));
            }
            agreed = Some(offers.finish(&extension).map_err(ResponseError::InvalidDeflate)?);
        }
        Ok(agreed)
    }

    /// Item 6, and §11.3.4: once.
    fn read_subprotocol(&self, headers: &HeaderMap) -> Result<Option<Subprotocol>, ResponseError> {
        let mut values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(ResponseError::DuplicateSubprotocol);
        }
        let name = value.as_bytes().trim_ascii();
        match self.subprotocols.iter().find(|offered| offered.as_bytes() == name) {
            Some(offered) => Ok(Some(offered.clone())),
            None => Err(ResponseError::UnofferedSubprotocol(value.clone())),
        }
    }
}

/// A header value of base64, tokens or a host.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("base64, tokens and hosts are visible ASCII")
}
