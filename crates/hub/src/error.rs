//! Why something could not be done.

use std::{error, fmt};

use crate::idempotency::MAX_IDEMPOTENCY_KEY_BYTES;

/// Why something was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// The channel's namespace does not exist.
    UnknownNamespace,
    /// There are as many channels as there may be. Try again later: unused ones go.
    TooManyChannels,
    /// The payload is too long for the namespace.
    TooBig {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// The idempotency key is empty, or too long.
    IdempotencyKey,
    /// Something else was published under the same idempotency key.
    IdempotencyKeyReused,
}

/// Why a subscription did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The channel's namespace does not exist.
    UnknownNamespace,
    /// There are as many channels as there may be. Try again later: unused ones go.
    TooManyChannels,
    /// The channel has as many subscribers as it may have.
    TooManySubscribers {
        /// How many.
        max: usize,
    },
}

/// Why a channel could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadError {
    /// The channel's namespace does not exist.
    UnknownNamespace,
    /// There are as many channels as there may be. Try again later: unused ones go.
    TooManyChannels,
}

const UNKNOWN_NAMESPACE: &str = "there is no such namespace";
const TOO_MANY_CHANNELS: &str = "there are too many channels; try again later";

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNamespace => f.write_str(UNKNOWN_NAMESPACE),
            Self::TooManyChannels => f.write_str(TOO_MANY_CHANNELS),
            Self::TooBig { bytes, max } => {
                write!(f, "the payload has {bytes} bytes; in this namespace it may have {max}")
            }
            Self::IdempotencyKey => {
                write!(f, "an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY_BYTES} bytes; a UUID is a good one")
            }
            Self::IdempotencyKeyReused => write!(f, "something else was published under this idempotency key"),
        }
    }
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownNamespace => f.write_str(UNKNOWN_NAMESPACE),
            Self::TooManyChannels => f.write_str(TOO_MANY_CHANNELS),
            Self::TooManySubscribers { max } => write!(f, "the channel has its {max} subscribers already"),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownNamespace => UNKNOWN_NAMESPACE,
            Self::TooManyChannels => TOO_MANY_CHANNELS,
        })
    }
}

impl error::Error for PublishError {}
impl error::Error for SubscribeError {}
impl error::Error for ReadError {}
