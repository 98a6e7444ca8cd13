//! How an open connection can end badly. A clean end is `None`, not an error.

use std::fmt;
use std::io;

use openline_proto::{ProtocolError, SendError, TimedOut};

/// Why a connection failed, or why a message was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule of RFC 6455. It was told so in a Close frame.
    Protocol(ProtocolError),
    /// A deadline passed.
    TimedOut(TimedOut),
    /// The peer ended TCP without a closing handshake: 1006 (§7.1.5).
    Aborted,
    /// The socket failed.
    Io(io::Error),
    /// The message was not queued.
    Send(SendError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "the peer broke the protocol: {error}"),
            Self::TimedOut(error) => error.fmt(f),
            Self::Aborted => f.write_str("the line ended without a closing handshake (1006)"),
            Self::Io(error) => write!(f, "the line failed: {error}"),
            Self::Send(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Protocol(error) => Some(error),
            Self::TimedOut(error) => Some(error),
            Self::Io(error) => Some(error),
            Self::Send(error) => Some(error),
            Self::Aborted => None,
        }
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<TimedOut> for Error {
    fn from(error: TimedOut) -> Self {
        Self::TimedOut(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
