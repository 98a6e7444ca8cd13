//! A client's opening request, checked and not yet answered (RFC 6455 §4.2.1).

use std::{collections::BTreeSet, error, fmt};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{self, GetAll},
};

use super::{
    ExtensionOffer, Host, Negotiated, Origin, Rejection, Subprotocol, key, reserved,
    tokens::{self, Listed},
};
use crate::deflate::{self, Deflate};

/// A client's opening request: every rule of §4.2.1 holds, nothing is answered.
///
/// ```
/// use http::Request;
/// use openline_proto::handshake::{Acceptance, Offer};
///
/// let request = Request::get("/chat")
///     .header("Host", "server.example.com")
///     .header("Upgrade", "websocket")
///     .header("Connection", "Upgrade")
///     .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .header("Sec-WebSocket-Version", "13")
///     .header("Sec-WebSocket-Protocol", "chat, superchat")
///     .body(())?;
/// let offer = Offer::read(&request)?;
/// let acceptance = Acceptance { subprotocol: Some(offer.subprotocols()[0].clone()), ..Acceptance::default() };
/// let (response, negotiated) = offer.accept(&acceptance)?;
/// assert_eq!(response.headers()["Sec-WebSocket-Accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "chat");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Offer {
    reply: Reply,
    host: Host,
    origin: Option<Origin>,
    subprotocols: Vec<Subprotocol>,
    extensions: Vec<ExtensionOffer>,
}

/// How to say yes.
#[derive(Clone, Debug)]
enum Reply {
    /// §4.2.2: 101, with this `Sec-WebSocket-Accept`.
    SwitchingProtocols { accept: String },
    /// RFC 8441 §5: 200, and no `Accept`, because there was no key.
    Ok { version: Version },
}

impl Offer {
    /// Checks an opening request: `GET` with `Upgrade` (HTTP/1.1), or `CONNECT` with a [`ConnectProtocol`] among the
    /// request's extensions (HTTP/2, RFC 8441; HTTP/3, RFC 9220).
    ///
    /// The body is not looked at, a request that announces one is refused. A fragment cannot be seen here, because
    /// `http::Uri` drops it: whoever reads the request line refuses it. Header fields that §4.2.1 does not name are
    /// ignored, and so is a `Sec-WebSocket-Accept`, which means something in a response only (§11.3.3).
    ///
    /// # Errors
    /// The first clause of §4.2.1 (RFC 8441 §4, §5) that is broken. §4.2.1: "the server MUST stop processing the
    /// client's handshake and return an HTTP response with an appropriate error code": [`Rejection::response`].
    pub fn read(request: &Request<()>) -> Result<Self, Rejection> {
        let headers = request.headers();
        let connect = connect_protocol(request);
        let host = match connect {
            Some(protocol) => read_connect(request, protocol)?,
            None => read_upgrade(request)?,
        };
        if has_body(headers) {
            return Err(Rejection::Body);
        }
        check_version(headers)?;
        let reply = match connect {
            Some(_) => Reply::Ok { version: request.version() },
            None => Reply::SwitchingProtocols { accept: read_key(headers)? },
        };
        Ok(Self {
            reply,
            host,
            origin: read_origin(headers)?,
            subprotocols: read_subprotocols(headers)?,
            extensions: ExtensionOffer::parse_list(headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS))
                .map_err(|_| Rejection::InvalidExtensions)?,
        })
    }

    /// Says yes: 101 with everything §4.2.2 wants in it, or 200 to a `CONNECT` (RFC 8441 §5).
    ///
    /// # Errors
    /// The acceptance names a subprotocol that was not offered, or sets a header field that is the handshake's own.
    pub fn accept(&self, acceptance: &Acceptance) -> Result<(Response<()>, Negotiated), AcceptError> {
        let mut response = Response::new(());
        let headers = response.headers_mut();
        let (status, version) = match &self.reply {
            Reply::SwitchingProtocols { accept } => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, header_value(accept));
                (StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11)
            }
            Reply::Ok { version } => (StatusCode::OK, *version),
        };
        if let Some(subprotocol) = &acceptance.subprotocol {
            // §4.2.2: one the client offered, or no header at all; an empty one "is not the same as the null value".
            if !self.subprotocols.contains(subprotocol) {
                return Err(AcceptError::UnofferedSubprotocol(subprotocol.clone()));
            }
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, header_value(subprotocol));
        }
        for (name, value) in &acceptance.headers {
            if reserved::is_reserved(name) {
                return Err(AcceptError::ReservedHeader(name.clone()));
            }
            headers.append(name, value.clone());
        }
        let compressions = self.extensions.iter().filter(|offer| offer.name == deflate::NAME);
        let agreed = acceptance.deflate.as_ref().and_then(|settings| deflate::answer(settings, compressions));
        let deflate = agreed.map(|(answer, agreed)| {
            response.headers_mut().insert(header::SEC_WEBSOCKET_EXTENSIONS, header_value(&answer));
            agreed
        });
        *response.status_mut() = status;
        *response.version_mut() = version;
        Ok((response, Negotiated { subprotocol: acceptance.subprotocol.clone(), deflate }))
    }

    /// What the client would speak, in the order of its preference; all different.
    pub fn subprotocols(&self) -> &[Subprotocol] {
        &self.subprotocols
    }

    /// Which extensions the client would use, in the order of its preference; unknown ones included.
    pub fn extensions(&self) -> &[ExtensionOffer] {
        &self.extensions
    }

    /// The page whose script asked; `None` for a client that is no browser.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The host the client means to speak to: the request target's when it names one (RFC 9112 §3.2.2), else the
    /// `Host` header's.
    pub fn host(&self) -> &Host {
        &self.host
    }
}

/// What a server adds when it says yes to an [`Offer`]. The default adds nothing, and compression if it is offered.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// The subprotocol to speak, one of those offered.
    pub subprotocol: Option<Subprotocol>,
    /// Further header fields for the response, such as `Set-Cookie`.
    pub headers: HeaderMap,
    /// Compression, if the client offers it (RFC 7692); `None` declines. Default: without context takeover, so that an
    /// idle connection holds no memory for it.
    pub deflate: Option<Deflate>,
}

impl Default for Acceptance {
    fn default() -> Self {
        Self { subprotocol: None, headers: HeaderMap::new(), deflate: Some(Deflate::default()) }
    }
}

/// The `:protocol` of an extended `CONNECT` (RFC 8441 §4), put among a request's extensions by whoever read it.
///
/// Compared without case, as upgrade tokens are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectProtocol(pub String);

/// Whether a request asks for a WebSocket at all, however badly: `Upgrade` names `websocket`, or an extended
/// `CONNECT` does.
///
/// For servers that speak more than one protocol on one path. [`Offer::read`] then says whether the request is in
/// order.
pub fn asks_for_websocket(request: &Request<()>) -> bool {
    match connect_protocol(request) {
        Some(protocol) => is_websocket(protocol),
        None => tokens::elements(request.headers().get_all(header::UPGRADE))
            .any(|element| element.eq_ignore_ascii_case(b"websocket")),
    }
}

/// RFC 8441 §4: only HTTP/2 and later have the pseudo-header `:protocol`, and only on `CONNECT`.
fn connect_protocol(request: &Request<()>) -> Option<&ConnectProtocol> {
    let protocol = request.extensions().get()?;
    (request.method() == Method::CONNECT && request.version() > Version::HTTP_11).then_some(protocol)
}

fn is_websocket(protocol: &ConnectProtocol) -> bool {
    protocol.0.eq_ignore_ascii_case("websocket")
}

/// RFC 8441 §4, §5: the part of an extended `CONNECT` that differs from §4.2.1.
fn read_connect(request: &Request<()>, protocol: &ConnectProtocol) -> Result<Host, Rejection> {
    if !is_websocket(protocol) {
        return Err(Rejection::ConnectProtocol(protocol.0.clone()));
    }
    // RFC 9113 §8.2.2: a message with connection-specific fields is malformed.
    if request.headers().contains_key(header::CONNECTION) || request.headers().contains_key(header::UPGRADE) {
        return Err(Rejection::ConnectionHeader);
    }
    // RFC 8441 §4: ":scheme and :path pseudo-header fields […] MUST also be included"; `Host` is not looked at.
    if request.uri().scheme().is_none() {
        return Err(Rejection::Target);
    }
    target_host(request.uri())?.ok_or(Rejection::Target)
}

/// §4.2.1, items 1 to 4.
fn read_upgrade(request: &Request<()>) -> Result<Host, Rejection> {
    if request.version() < Version::HTTP_11 {
        return Err(Rejection::HttpVersion(request.version()));
    }
    if request.method() != Method::GET {
        return Err(Rejection::Method(request.method().clone()));
    }
    if request.version() > Version::HTTP_11 {
        return Err(Rejection::UpgradeOverHttp2);
    }
    let host = read_host(request)?;
    let headers = request.headers();
    match tokens::look_for(headers.get_all(header::UPGRADE), "websocket", tokens::is_protocol) {
        Listed::With => {}
        Listed::Absent => return Err(Rejection::NoUpgrade),
        Listed::Malformed => return Err(Rejection::InvalidUpgrade),
        Listed::Without => return Err(Rejection::OtherUpgrade),
    }
    match tokens::look_for(headers.get_all(header::CONNECTION), "upgrade", tokens::is_token) {
        Listed::With => Ok(host),
        Listed::Malformed => Err(Rejection::InvalidConnection),
        Listed::Absent | Listed::Without => Err(Rejection::ConnectionWithoutUpgrade),
    }
}

/// Item 1: "a "Request-URI" that should be interpreted as a /resource name/" or "an absolute HTTP/HTTPS URI containing
/// the /resource name/"; item 2: "a |Host| header field containing the server's authority".
fn read_host(request: &Request<()>) -> Result<Host, Rejection> {
    // RFC 9112 §3.2: one `Host`, and a valid one, even where the target overrides it (§3.2.2).
    let header = match only(request.headers().get_all(header::HOST)) {
        Only::One(value) => {
            value.to_str().ok().and_then(|text| Host::parse(text).ok()).ok_or(Rejection::InvalidHost)?
        }
        Only::None => return Err(Rejection::MissingHost),
        Only::Many => return Err(Rejection::DuplicateHost),
    };
    let uri = request.uri();
    if let Some(host) = target_host(uri)? {
        return Ok(host);
    }
    if !uri.path().starts_with('/') {
        return Err(Rejection::Target); // `*`
    }
    Ok(header)
}

/// The host of an absolute http or https URI; `None` for a bare path.
fn target_host(uri: &Uri) -> Result<Option<Host>, Rejection> {
    match (uri.scheme_str(), uri.authority()) {
        (None, None) => Ok(None),
        (Some("http" | "https"), Some(authority)) => {
            Host::parse(authority.as_str()).map(Some).map_err(|_| Rejection::Target)
        }
        _ => Err(Rejection::Target),
    }
}

/// RFC 9110 §7.8: what follows an upgrade request is the other protocol. A body in between is how requests are
/// smuggled.
fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).iter().any(|length| length.as_bytes().trim_ascii() != b"0")
}

/// Item 6, and §4.4: the answer to another version names the one we speak.
fn check_version(headers: &HeaderMap) -> Result<(), Rejection> {
    match only(headers.get_all(header::SEC_WEBSOCKET_VERSION)) {
        Only::One(version) if version.as_bytes().trim_ascii() == b"13" => Ok(()),
        Only::One(version) => Err(Rejection::OtherVersion(version.clone())),
        Only::None => Err(Rejection::MissingVersion),
        Only::Many => Err(Rejection::DuplicateVersion), // §11.3.5
    }
}

/// Item 5. The nonce stays encoded: "It is not necessary for the server to base64-decode the |Sec-WebSocket-Key|
/// value."
fn read_key(headers: &HeaderMap) -> Result<String, Rejection> {
    let key = match only(headers.get_all(header::SEC_WEBSOCKET_KEY)) {
        Only::One(key) => key.to_str().map_err(|_| Rejection::InvalidKey)?.trim_ascii(),
        Only::None => return Err(Rejection::MissingKey),
        Only::Many => return Err(Rejection::DuplicateKey), // §11.3.1
    };
    if !key::is_valid(key.as_bytes()) {
        return Err(Rejection::InvalidKey);
    }
    Ok(key::accept_key(key))
}

/// Item 7.
fn read_origin(headers: &HeaderMap) -> Result<Option<Origin>, Rejection> {
    match only(headers.get_all(header::ORIGIN)) {
        Only::None => Ok(None),
        Only::One(value) => {
            let text = value.to_str().map_err(|_| Rejection::InvalidOrigin)?;
            Origin::parse(text.trim_ascii()).map(Some).map_err(|_| Rejection::InvalidOrigin)
        }
        Only::Many => Err(Rejection::DuplicateOrigin),
    }
}

/// Item 8, and §4.1: non-empty tokens, "and MUST all be unique strings"; §11.3.4: in one header field or several.
fn read_subprotocols(headers: &HeaderMap) -> Result<Vec<Subprotocol>, Rejection> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut subprotocols = Vec::new();
    let mut seen = BTreeSet::new(); // a head has room for thousands: not one by one
    for name in tokens::elements(values) {
        let subprotocol = Subprotocol::from_bytes(name).map_err(|_| Rejection::InvalidSubprotocols)?;
        if !seen.insert(name) {
            return Err(Rejection::DuplicateSubprotocol(subprotocol));
        }
        subprotocols.push(subprotocol);
    }
    if subprotocols.is_empty() && headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
        return Err(Rejection::InvalidSubprotocols);
    }
    Ok(subprotocols)
}

/// How often a header field that comes once at most came.
enum Only<'a> {
    None,
    One(&'a HeaderValue),
    Many,
}

fn only<'a>(values: GetAll<'a, HeaderValue>) -> Only<'a> {
    let mut values = values.iter();
    match (values.next(), values.next()) {
        (None, _) => Only::None,
        (Some(value), None) => Only::One(value),
        (Some(_), Some(_)) => Only::Many,
    }
}

/// A header value of base64 or tokens.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("base64 and tokens are visible ASCII")
}

/// Why an [`Offer`] cannot be accepted this way: a mistake of the server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// §4.2.2: the subprotocol must be one that the client offered.
    UnofferedSubprotocol(Subprotocol),
    /// A header field that belongs to the opening handshake.
    ReservedHeader(HeaderName),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnofferedSubprotocol(name) => {
                write!(f, "the client did not offer the subprotocol {name}: answer with one it offered, or with none")
            }
            Self::ReservedHeader(name) => reserved::ReservedHeader(name.clone()).fmt(f),
        }
    }
}

impl error::Error for AcceptError {}
