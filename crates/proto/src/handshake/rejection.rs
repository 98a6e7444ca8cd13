//! Why a server refuses an opening handshake, and the HTTP response that says so (RFC 6455 §4.2.1, §4.2.2).

use std::{error, fmt};

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};

use super::{
    AcceptError, InvalidExtensions, InvalidHost, InvalidOrigin, InvalidSubprotocol, Origin, Subprotocol, reserved,
};

/// Why an opening handshake is refused: one variant per clause.
///
/// `Display` is a sentence for whoever wrote the client, and the body of [`Rejection::response`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// §4.2.1 item 1: "An HTTP/1.1 or higher".
    HttpVersion(Version),
    /// §4.2.1 item 1: "GET request".
    Method(Method),
    /// RFC 8441 §3: HTTP/2 and HTTP/3 have no `Upgrade`.
    UpgradeOverHttp2,
    /// RFC 9220 §3: a `:protocol` other than `websocket`.
    ConnectProtocol(String),
    /// RFC 9113 §8.2.2: `Connection` or `Upgrade` in HTTP/2 or HTTP/3.
    ConnectionHeader,
    /// §4.2.1 item 1: neither a path nor an absolute http or https URI.
    Target,
    /// §4.2.1 item 2: no `Host`.
    MissingHost,
    /// RFC 9112 §3.2: more than one `Host`.
    DuplicateHost,
    /// RFC 9112 §3.2: a `Host` that is no host.
    InvalidHost,
    /// §4.2.1 item 3: no `Upgrade`: a plain HTTP request.
    NoUpgrade,
    /// RFC 9110 §7.8: an `Upgrade` that is no list of protocols.
    InvalidUpgrade,
    /// §4.2.1 item 3: an `Upgrade` to something else.
    OtherUpgrade,
    /// RFC 9110 §7.6.1: a `Connection` that is no list of tokens.
    InvalidConnection,
    /// §4.2.1 item 4: a `Connection` that lacks the token `Upgrade`.
    ConnectionWithoutUpgrade,
    /// A body announced, by `Content-Length` or `Transfer-Encoding`.
    Body,
    /// §4.2.1 item 6: no `Sec-WebSocket-Version`.
    MissingVersion,
    /// §11.3.5: more than one `Sec-WebSocket-Version`.
    DuplicateVersion,
    /// §4.2.2 item 4: a `Sec-WebSocket-Version` that is not 13.
    OtherVersion(HeaderValue),
    /// §4.2.1 item 5: no `Sec-WebSocket-Key`.
    MissingKey,
    /// §11.3.1: more than one `Sec-WebSocket-Key`.
    DuplicateKey,
    /// §4.2.1 item 5: a `Sec-WebSocket-Key` that is not base64 of 16 bytes.
    InvalidKey,
    /// RFC 6454 §7.3: more than one `Origin`.
    DuplicateOrigin,
    /// RFC 6454 §7.1: an `Origin` that is none.
    InvalidOrigin,
    /// §4.1 item 10: a `Sec-WebSocket-Protocol` that is empty, or no list of tokens.
    InvalidSubprotocols,
    /// §4.1 item 10: the same subprotocol twice.
    DuplicateSubprotocol(Subprotocol),
    /// §9.1: a `Sec-WebSocket-Extensions` that breaks its grammar.
    InvalidExtensions,
    /// §4.2.2 item 4, §10.2: a page from elsewhere.
    ForeignOrigin(Origin),
    /// Ours, not the client's: the server is told to send a header field that belongs to the handshake.
    ReservedHeader(HeaderName),
    /// Ours, not the client's: the server chose a subprotocol that was not offered.
    UnofferedSubprotocol(Subprotocol),
}

impl Rejection {
    /// 400 for what breaks a rule, and where HTTP has a word for it, that: 403, 405, 426, 501. 500 for the server's
    /// own mistakes.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ForeignOrigin(_) => StatusCode::FORBIDDEN,
            // §4.2.2: "an appropriate HTTP error code (such as 426 Upgrade Required)".
            Self::NoUpgrade | Self::OtherUpgrade | Self::OtherVersion(_) => StatusCode::UPGRADE_REQUIRED,
            Self::ConnectProtocol(_) => StatusCode::NOT_IMPLEMENTED, // RFC 9220 §3
            Self::ReservedHeader(_) | Self::UnofferedSubprotocol(_) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The response to send: the sentence as plain text, and the header fields that the status calls for.
    ///
    /// It ends the connection (`Connection: close`): a client that got this wrong may already have sent frames.
    /// HTTP/2 and HTTP/3 have neither `Connection` nor `Upgrade` (RFC 9113 §8.2.2): whoever answers there leaves them
    /// out, as whoever answers a `HEAD` leaves out the body.
    pub fn response(&self) -> Response<String> {
        let body = format!("{self}\n");
        let mut response = Response::new(String::new());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self.status() {
            // RFC 9110 §15.5.22: a 426 names the protocol; §7.8: and `Connection` names `Upgrade`.
            StatusCode::UPGRADE_REQUIRED => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade, close"));
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
        }
        // §4.4: "a |Sec-WebSocket-Version| header field indicating the version(s) the server is capable of
        // understanding".
        if matches!(
            self,
            Self::NoUpgrade
                | Self::OtherUpgrade
                | Self::OtherVersion(_)
                | Self::MissingVersion
                | Self::DuplicateVersion
        ) {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        *response.body_mut() = body;
        response
    }
}

impl From<AcceptError> for Rejection {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::UnofferedSubprotocol(name) => Self::UnofferedSubprotocol(name),
            AcceptError::ReservedHeader(name) => Self::ReservedHeader(name),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HttpVersion(version) => {
                write!(
                    f,
                    "A WebSocket needs HTTP/1.1 or later, and this was {version:?}: send the request as \
                     HTTP/1.1."
                )
            }
            Self::Method(method) => write!(f, "A WebSocket is opened with GET, and this was {method}: send GET."),
            Self::UpgradeOverHttp2 => f.write_str(
                "Over HTTP/2 and HTTP/3 a WebSocket is opened with an extended CONNECT (RFC 8441), not \
                     with GET: send that, or GET over HTTP/1.1.",
            ),
            Self::ConnectProtocol(protocol) => {
                write!(f, "The :protocol {protocol:?} is not served here: send :protocol = websocket.")
            }
            Self::ConnectionHeader => {
                f.write_str("HTTP/2 and HTTP/3 have no Connection and no Upgrade header: leave them out.")
            }
            Self::Target => f.write_str(
                "The request target must be a path that begins with \"/\", or an absolute http or https \
                     URI.",
            ),
            Self::MissingHost => f.write_str("The Host header is missing: send one with the name of this server."),
            Self::DuplicateHost => f.write_str("There is more than one Host header: send one."),
            Self::InvalidHost => write!(f, "The Host header is malformed: {InvalidHost}."),
            Self::NoUpgrade => f.write_str(
                "This is a WebSocket endpoint: connect with a WebSocket client. If you did, a proxy in \
                     between dropped the Upgrade header.",
            ),
            Self::InvalidUpgrade => f.write_str("The Upgrade header is malformed: send \"Upgrade: websocket\"."),
            Self::OtherUpgrade => f.write_str(
                "The Upgrade header asks for something other than a WebSocket: send \"Upgrade: websocket\".",
            ),
            Self::InvalidConnection => f.write_str("The Connection header is malformed: send \"Connection: Upgrade\"."),
            Self::ConnectionWithoutUpgrade => f.write_str(
                "The Connection header does not say Upgrade: send \"Connection: Upgrade\". If you did, a \
                     proxy in between dropped it.",
            ),
            Self::Body => {
                f.write_str("An opening handshake has no body: leave out Content-Length and Transfer-Encoding.")
            }
            Self::MissingVersion => {
                f.write_str("The Sec-WebSocket-Version header is missing: send \"Sec-WebSocket-Version: 13\".")
            }
            Self::DuplicateVersion => {
                f.write_str("There is more than one Sec-WebSocket-Version header: send one, with the value 13.")
            }
            Self::OtherVersion(version) => {
                write!(
                    f,
                    "Version {version:?} of the WebSocket protocol is not spoken here: send \
                     \"Sec-WebSocket-Version: 13\"."
                )
            }
            Self::MissingKey => {
                f.write_str("The Sec-WebSocket-Key header is missing: send one with 16 random bytes in base64.")
            }
            Self::DuplicateKey => f.write_str("There is more than one Sec-WebSocket-Key header: send one."),
            Self::InvalidKey => {
                f.write_str("The Sec-WebSocket-Key header is malformed: send 16 random bytes in base64, 24 characters.")
            }
            Self::DuplicateOrigin => f.write_str("There is more than one Origin header: send one, or none."),
            Self::InvalidOrigin => write!(f, "The Origin header is malformed: {InvalidOrigin}."),
            Self::InvalidSubprotocols => {
                write!(
                    f,
                    "The Sec-WebSocket-Protocol header is malformed: send names with commas between them, or \
                     leave it out; {InvalidSubprotocol}."
                )
            }
            Self::DuplicateSubprotocol(name) => {
                write!(f, "The Sec-WebSocket-Protocol header names {name} more than once: send each name once.")
            }
            Self::InvalidExtensions => write!(f, "{InvalidExtensions}: correct it, or leave it out."),
            Self::ForeignOrigin(origin) => {
                write!(f, "Pages from {origin} may not connect here: the server has to allow that origin first.")
            }
            Self::ReservedHeader(name) => {
                write!(f, "This server is misconfigured: {}.", reserved::ReservedHeader(name.clone()))
            }
            Self::UnofferedSubprotocol(name) => {
                write!(f, "This server is misconfigured: it chose the subprotocol {name}, which you did not offer.")
            }
        }
    }
}

impl error::Error for Rejection {}
