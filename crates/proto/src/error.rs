//! Errors by whose fault they are: the peer's (`ProtocolError`), ours (`SendError`), time's (`TimedOut`).

use std::fmt;

use crate::close::CloseCode;
use crate::deflate::InflateError;

/// A rule of RFC 6455, or of RFC 7692, that the peer broke. The Close frame that tells it so is queued before this is returned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A client's frame without a mask (§5.1).
    UnmaskedFrame,
    /// A server's frame with a mask (§5.1).
    MaskedFrame,
    /// A reserved bit that no negotiated extension defines (§5.2), or not on this frame (RFC 7692 §6).
    ReservedBits,
    /// Opcode 3-7 or 11-15 (§5.2).
    ReservedOpcode(u8),
    /// A length that fits a shorter form (§5.2).
    NonMinimalLength,
    /// A 64-bit length with its most significant bit set (§5.2).
    LengthOutOfRange,
    /// A control frame in fragments (§5.5).
    FragmentedControl,
    /// A control frame over 125 bytes (§5.5).
    LongControl,
    /// A continuation frame while no message is begun (§5.4).
    UnexpectedContinuation,
    /// A new message inside an unfinished one (§5.4).
    InterleavedMessage,
    /// A Close frame whose body is one byte long (§5.5.1).
    TruncatedCloseCode,
    /// A close code that must not be on the wire (§7.4).
    InvalidCloseCode(u16),
    /// A close reason that is not UTF-8 (§5.5.1).
    InvalidCloseReason,
    /// A text message that is not UTF-8 (§5.6, §8.1).
    InvalidUtf8,
    /// A frame over `Config::max_frame_bytes` (§10.4).
    FrameTooBig {
        /// What its header declares.
        bytes: u64,
        /// What is allowed.
        max: u64,
    },
    /// A message over `Config::max_message_bytes` (§10.4).
    MessageTooBig {
        /// What is allowed.
        max: u64,
    },
    /// More empty fragments in one message than `Config::max_empty_fragments` (§10.4).
    TooManyEmptyFragments {
        /// What is allowed.
        max: u32,
    },
    /// A compressed message that cannot be inflated (RFC 7692 §7.2.2).
    Inflate(InflateError),
    /// A message that inflates to more than `Deflate::max_ratio` times what came.
    InflateRatio {
        /// What is allowed.
        max: u32,
    },
}

impl ProtocolError {
    /// The code that the peer is told (§7.4.1).
    pub fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8 | Self::InvalidCloseReason => CloseCode::INVALID,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::InflateRatio { .. } => CloseCode::TOO_BIG,
            Self::TooManyEmptyFragments { .. } | Self::Inflate(InflateError::TooManyFinalBlocks) => CloseCode::POLICY,
            // "data within a message that was not consistent with the type of the message"
            Self::Inflate(InflateError::Corrupt | InflateError::Truncated) => CloseCode::INVALID,
            _ => CloseCode::PROTOCOL,
        }
    }

    /// The RFC that was broken: 6455, or 7692 for compression.
    pub fn rfc(&self) -> u16 {
        match self {
            Self::Inflate(_) | Self::InflateRatio { .. } => 7692,
            _ => 6455,
        }
    }

    /// The section of it.
    pub fn section(&self) -> &'static str {
        match self {
            Self::UnmaskedFrame | Self::MaskedFrame => "5.1",
            Self::ReservedBits | Self::ReservedOpcode(_) => "5.2",
            Self::NonMinimalLength | Self::LengthOutOfRange => "5.2",
            Self::UnexpectedContinuation | Self::InterleavedMessage => "5.4",
            Self::FragmentedControl | Self::LongControl => "5.5",
            Self::TruncatedCloseCode | Self::InvalidCloseReason => "5.5.1",
            Self::InvalidUtf8 => "5.6",
            Self::InvalidCloseCode(_) => "7.4",
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::TooManyEmptyFragments { .. } => "10.4",
            Self::Inflate(_) | Self::InflateRatio { .. } => "7.2.2",
        }
    }
}

impl fmt::Display for ProtocolError {
    /// One short sentence; it is also the reason in the Close frame, so it stays under 123 bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnmaskedFrame => write!(f, "a client's frame is not masked"),
            Self::MaskedFrame => write!(f, "a server's frame is masked"),
            Self::ReservedBits => write!(f, "a reserved bit is set"),
            Self::ReservedOpcode(opcode) => write!(f, "opcode {opcode} is reserved"),
            Self::NonMinimalLength => write!(f, "a length is not in its shortest form"),
            Self::LengthOutOfRange => write!(f, "a length has its most significant bit set"),
            Self::FragmentedControl => write!(f, "a control frame is fragmented"),
            Self::LongControl => write!(f, "a control frame is over 125 bytes"),
            Self::UnexpectedContinuation => write!(f, "a continuation frame continues nothing"),
            Self::InterleavedMessage => write!(f, "a message begins inside another"),
            Self::TruncatedCloseCode => write!(f, "a close code is one byte long"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::InvalidCloseReason => write!(f, "a close reason is not UTF-8"),
            Self::InvalidUtf8 => write!(f, "a text message is not UTF-8"),
            Self::FrameTooBig { bytes, max } => write!(f, "a frame of {bytes} bytes is over the limit of {max}"),
            Self::MessageTooBig { max } => write!(f, "a message is over the limit of {max} bytes"),
            Self::TooManyEmptyFragments { max } => write!(f, "a message has over {max} empty fragments"),
            Self::Inflate(error) => error.fmt(f),
            Self::InflateRatio { max } => write!(f, "a message inflates to over {max} times its size"),
        }?;
        write!(f, " (RFC {} §{})", self.rfc(), self.section())
    }
}

impl std::error::Error for ProtocolError {}

/// Why a message was not queued: the application's fault or its misfortune, never the peer's doing on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// A Close frame was sent or received, or the line is gone: §5.5.1 forbids data after it.
    Closed,
    /// `Output` holds `Config::max_output_bytes` or more: the peer does not read as fast as we send. Nothing was queued.
    Full,
    /// A streamed message is begun and not finished: §5.4 forbids another inside it.
    Unfinished,
    /// A part of another kind than the streamed message it belongs to.
    MixedKinds,
    /// A ping's payload over 125 bytes (§5.5).
    LongControl,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closing or closed",
            Self::Full => "the output is full: the peer reads slower than this side sends",
            Self::Unfinished => "a streamed message is not finished yet",
            Self::MixedKinds => "a streamed message is text or binary, not both",
            Self::LongControl => "a ping carries at most 125 bytes",
        })
    }
}

impl std::error::Error for SendError {}

/// A deadline that passed. The Close frame that says so is queued, unless the peer takes no bytes or had its chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimedOut {
    /// Nothing came within `Config::pong_timeout` of our ping.
    Pong,
    /// The peer did not answer our Close frame within `Config::close_timeout`.
    Close,
    /// The peer took no byte for `Config::write_timeout`.
    Write,
    /// A begun message got no byte for `Config::message_timeout`.
    Message,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pong => "no answer to a keepalive ping in time",
            Self::Close => "no answer to our Close frame in time",
            Self::Write => "the peer has stopped reading",
            Self::Message => "a message was begun and not continued in time",
        })
    }
}

impl std::error::Error for TimedOut {}
