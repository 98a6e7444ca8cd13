//! The closing handshake in values: close codes (§7.4), what a Close frame says, and how a connection ended.

use std::fmt;
use std::num::NonZeroU16;

use bytestring::ByteString;

use crate::error::ProtocolError;

/// A close code that may stand in a Close frame (§7.4): it cannot hold 1004, 1005, 1006 or 1015.
///
/// Valid are the codes registered for the wire, 1000-1003 and 1007-1014, and the ranges 3000-3999 (libraries and
/// frameworks) and 4000-4999 (private use).
///
/// ```
/// use openline_proto::CloseCode;
/// assert_eq!(CloseCode::NORMAL.to_string(), "1000 Normal Closure");
/// assert_eq!(u16::from(CloseCode::try_from(4001).unwrap()), 4001);
/// assert!(CloseCode::try_from(1006).is_err()); // "MUST NOT be set as a status code in a Close control frame"
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(NonZeroU16);

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $code:literal, $name:literal;)*) => {
        impl CloseCode {
            $($(#[$doc])* pub const $constant: CloseCode = CloseCode(NonZeroU16::new($code).expect("not zero"));)*

            /// The name in IANA's registry, when it has one.
            pub fn name(self) -> Option<&'static str> {
                match self.0.get() {
                    $($code => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    /// The purpose of the connection is fulfilled.
    NORMAL = 1000, "Normal Closure";
    /// The endpoint goes away: a server shuts down, a browser leaves the page.
    GOING_AWAY = 1001, "Going Away";
    /// The peer broke the protocol.
    PROTOCOL = 1002, "Protocol Error";
    /// A kind of data that this endpoint cannot accept.
    UNSUPPORTED = 1003, "Unsupported Data";
    /// Data that is not what its kind promised, such as text that is not UTF-8.
    INVALID = 1007, "Invalid Frame Payload Data";
    /// A policy was violated, and no other code fits.
    POLICY = 1008, "Policy Violation";
    /// A message larger than this endpoint processes.
    TOO_BIG = 1009, "Message Too Big";
    /// A client misses an extension in the server's answer.
    MANDATORY_EXTENSION = 1010, "Mandatory Extension";
    /// A condition that keeps this endpoint from fulfilling the request.
    INTERNAL = 1011, "Internal Error";
    /// The service restarts; clients may reconnect, spread over a few seconds.
    RESTART = 1012, "Service Restart";
    /// The service is overloaded; clients should connect elsewhere or later.
    TRY_AGAIN = 1013, "Try Again Later";
    /// A gateway got an invalid answer from upstream.
    BAD_GATEWAY = 1014, "Bad Gateway";
    /// Registered at IANA for frameworks, as HTTP's 401.
    UNAUTHORIZED = 3000, "Unauthorized";
    /// Registered at IANA for frameworks, as HTTP's 403.
    FORBIDDEN = 3003, "Forbidden";
    /// Registered at IANA for frameworks, as HTTP's 408.
    TIMEOUT = 3008, "Timeout";
}

impl TryFrom<u16> for CloseCode {
    type Error = InvalidCloseCode;

    fn try_from(code: u16) -> Result<Self, InvalidCloseCode> {
        match (code, NonZeroU16::new(code)) {
            (1000..=1003 | 1007..=1014 | 3000..=4999, Some(code)) => Ok(Self(code)),
            _ => Err(InvalidCloseCode(code)),
        }
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> u16 {
        code.0.get()
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.name().map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number that may not stand in a Close frame (§7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCloseCode(pub u16);

impl fmt::Display for InvalidCloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a close code that may be sent: use 1000-1003, 1007-1014 or 3000-4999", self.0)
    }
}

impl std::error::Error for InvalidCloseCode {}

/// What a Close frame says (§5.5.1): nothing, a code, or a code and a reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close {
    code: Option<CloseCode>,
    reason: ByteString,
}

impl Close {
    /// The longest reason in bytes: a control frame's 125 less the code's two.
    pub const MAX_REASON_BYTES: usize = 123;

    /// A Close frame without a body; its reader sees 1005.
    pub const fn empty() -> Self {
        Self { code: None, reason: ByteString::from_static("") }
    }

    /// A code and a reason. A reason over 123 bytes is cut at a character, so that the frame stays legal (§5.5).
    pub fn new(code: CloseCode, reason: &str) -> Self {
        let end = reason.floor_char_boundary(Self::MAX_REASON_BYTES);
        Self { code: Some(code), reason: ByteString::from(&reason[..end]) }
    }

    /// The code; `None` when the body is empty, which §7.1.5 reports as 1005.
    pub fn code(&self) -> Option<CloseCode> {
        self.code
    }

    /// The reason, "" when there is none (§7.1.6). Not for end users: it is the peer's text.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Reads a Close frame's body (§5.5.1, §7.4.1).
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let (code, reason) = match body {
            [] => return Ok(Self::empty()),
            [_] => return Err(ProtocolError::TruncatedCloseCode),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        let code = CloseCode::try_from(code).map_err(|_| ProtocolError::InvalidCloseCode(code))?;
        let reason = simdutf8::basic::from_utf8(reason).map_err(|_| ProtocolError::InvalidCloseReason)?;
        Ok(Self { code: Some(code), reason: ByteString::from(reason) })
    }

    /// The frame's body: at most 125 bytes by construction.
    pub(crate) fn body(&self) -> Vec<u8> {
        let Some(code) = self.code else { return Vec::new() };
        let mut body = u16::from(code).to_be_bytes().to_vec();
        body.extend_from_slice(self.reason.as_bytes());
        body
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self { code: Some(code), reason: ByteString::new() }
    }
}

/// Which side sent its Close frame first, or dropped the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// This endpoint.
    Us,
    /// The other one.
    Peer,
}

/// How a connection ended: the Close frames that crossed the wire, and who began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The peer's Close frame, when one came.
    pub received: Option<Close>,
    /// Ours, when one was queued.
    pub sent: Option<Close>,
    /// Who began to close.
    pub by: Initiator,
}

impl Closed {
    /// The close code as §7.1.5 defines it: the received one, 1005 when the frame had none, 1006 when no frame came.
    pub fn code(&self) -> u16 {
        match &self.received {
            Some(close) => close.code().map_or(1005, u16::from),
            None => 1006,
        }
    }

    /// The received reason, "" when there is none (§7.1.6).
    pub fn reason(&self) -> &str {
        self.received.as_ref().map_or("", Close::reason)
    }

    /// Whether both Close frames crossed: "_cleanly_" in the words of §7.1.4.
    pub fn is_clean(&self) -> bool {
        self.received.is_some() && self.sent.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_must_not_be_sent_cannot_be_made() {
        for code in (0..1000).chain([1004, 1005, 1006]).chain(1015..3000).chain(5000..=u16::MAX) {
            assert_eq!(CloseCode::try_from(code), Err(InvalidCloseCode(code)));
        }
        for code in (1000..1004).chain(1007..1015).chain(3000..5000) {
            assert_eq!(CloseCode::try_from(code).map(u16::from), Ok(code));
        }
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let close = Close::new(CloseCode::NORMAL, &"ä".repeat(100));
        assert_eq!(close.reason(), "ä".repeat(61));
        assert_eq!(close.body().len(), 2 + 122);
    }

    #[test]
    fn bodies_read_as_they_are_written() {
        for close in [Close::empty(), CloseCode::GOING_AWAY.into(), Close::new(CloseCode::POLICY, "no")] {
            assert_eq!(Close::parse(&close.body()), Ok(close));
        }
        assert_eq!(Close::parse(b"\x03"), Err(ProtocolError::TruncatedCloseCode));
        assert_eq!(Close::parse(b"\x03\xed"), Err(ProtocolError::InvalidCloseCode(1005)));
        assert_eq!(Close::parse(b"\x03\xe8\xff"), Err(ProtocolError::InvalidCloseReason));
    }
}
