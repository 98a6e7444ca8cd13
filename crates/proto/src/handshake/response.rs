//! Why a client fails an opening handshake (RFC 6455 §4.1).

use std::{error, fmt};

use http::{HeaderValue, StatusCode, Version};

use crate::deflate::InvalidDeflate;

/// What is wrong with the server's response: one variant per check of §4.1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// Item 1: not 101. Not a broken handshake but an answer in HTTP: a refusal, a redirect, a request to log in.
    Status(StatusCode),
    /// §4.2.2 item 5: a 101 in less than HTTP/1.1.
    HttpVersion(Version),
    /// Item 2: no `Upgrade`.
    MissingUpgrade,
    /// Item 2: an `Upgrade` other than `websocket`, or more than one.
    OtherUpgrade(HeaderValue),
    /// Item 3: no `Connection`.
    MissingConnection,
    /// RFC 9110 §7.6.1: a `Connection` that is no list of tokens.
    InvalidConnection,
    /// Item 3: a `Connection` that lacks the token `Upgrade`.
    ConnectionWithoutUpgrade,
    /// Item 4: no `Sec-WebSocket-Accept`.
    MissingAccept,
    /// §11.3.3: more than one `Sec-WebSocket-Accept`.
    DuplicateAccept,
    /// Item 4: a `Sec-WebSocket-Accept` that does not answer our key.
    WrongAccept,
    /// §9.1: a `Sec-WebSocket-Extensions` that breaks its grammar.
    InvalidExtensions,
    /// Item 5: an extension that was not offered.
    UnofferedExtension(String),
    /// RFC 7692 §5: an extension that is accepted twice.
    DuplicateExtension(String),
    /// RFC 7692 §7.1: permessage-deflate with parameters that do not answer the offer.
    InvalidDeflate(InvalidDeflate),
    /// §11.3.4: more than one `Sec-WebSocket-Protocol`.
    DuplicateSubprotocol,
    /// Item 6: a subprotocol that was not offered; an empty one and a list of several are such.
    UnofferedSubprotocol(HeaderValue),
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => {
                write!(
                    f,
                    "the server answered {status} instead of opening a WebSocket: check the URL and the \
                     credentials"
                )
            }
            Self::HttpVersion(version) => {
                write!(f, "the server switched protocols in {version:?}, which cannot: it must speak HTTP/1.1")
            }
            Self::MissingUpgrade => f.write_str(
                "the server's answer has no Upgrade header: it must say \"Upgrade: websocket\"; is there a \
                     proxy in between?",
            ),
            Self::OtherUpgrade(value) => {
                write!(f, "the server switched to {value:?}: it must say \"Upgrade: websocket\", once")
            }
            Self::MissingConnection => f.write_str(
                "the server's answer has no Connection header: it must say \"Connection: Upgrade\"; is \
                     there a proxy in between?",
            ),
            Self::InvalidConnection => {
                f.write_str("the server's Connection header is malformed: it must say \"Connection: Upgrade\"")
            }
            Self::ConnectionWithoutUpgrade => {
                f.write_str("the server's Connection header does not say Upgrade: it must say \"Connection: Upgrade\"")
            }
            Self::MissingAccept => {
                f.write_str("the server's answer has no Sec-WebSocket-Accept header: it may not speak WebSocket at all")
            }
            Self::DuplicateAccept => {
                f.write_str("the server's answer has more than one Sec-WebSocket-Accept header: it must send one")
            }
            Self::WrongAccept => f.write_str(
                "the server's Sec-WebSocket-Accept does not answer our key: it may be a cached answer, or \
                     not speak WebSocket at all",
            ),
            Self::InvalidExtensions => f.write_str(
                "the server's Sec-WebSocket-Extensions header is malformed: it must list names with \
                     parameters, or be left out",
            ),
            Self::UnofferedExtension(name) => {
                write!(
                    f,
                    "the server turned on the extension {name:?}, which was not offered: it must choose among \
                     those offered"
                )
            }
            Self::DuplicateExtension(name) => {
                write!(f, "the server turned on the extension {name:?} twice: it must choose one of the offers")
            }
            Self::InvalidDeflate(fault) => {
                write!(
                    f,
                    "the server's answer to the offer of permessage-deflate cannot be used, because {fault}: connect \
                     without compression"
                )
            }
            Self::DuplicateSubprotocol => f.write_str(
                "the server's answer has more than one Sec-WebSocket-Protocol header: it must send one, or \
                     none",
            ),
            Self::UnofferedSubprotocol(value) => {
                write!(
                    f,
                    "the server chose the subprotocol {value:?}, which was not offered: offer it, or have the \
                     server choose another"
                )
            }
        }
    }
}

impl error::Error for ResponseError {}
