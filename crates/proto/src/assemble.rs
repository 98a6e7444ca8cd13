//! One message put together from fragments, or from the pieces of a frame that came in several reads.

use bytes::Bytes;

use crate::error::ProtocolError;
use crate::message::{Kind, Message};
use crate::utf8::Checker;

/// A message that is begun and not finished. What it holds grows with the bytes that came, never with a declared length.
#[derive(Debug)]
pub(crate) enum Assembler {
    Text(String, Checker),
    Binary(Vec<u8>),
}

impl Assembler {
    pub(crate) fn new(kind: Kind) -> Self {
        Self::resume(kind, Checker::default())
    }

    /// A message of which at most a part of a code point has come, and `checker` has that.
    pub(crate) fn resume(kind: Kind, checker: Checker) -> Self {
        match kind {
            Kind::Text => Self::Text(String::new(), checker),
            Kind::Binary => Self::Binary(Vec::new()),
        }
    }

    /// §8.1: text is checked as it comes, so that a bad byte ends the connection and not only the message.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        match self {
            Self::Binary(bytes) => bytes.extend_from_slice(piece),
            Self::Text(text, checker) => {
                let whole = checker.push(piece).map_err(|_| ProtocolError::InvalidUtf8)?;
                if whole.straddler.1 > 0 {
                    text.push_str(whole.straddler());
                }
                text.push_str(whole.text);
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Message, ProtocolError> {
        match self {
            Self::Binary(bytes) => Ok(Message::Binary(Bytes::from(bytes))),
            Self::Text(text, checker) if checker.is_whole() => Ok(Message::from(text)),
            Self::Text(..) => Err(ProtocolError::InvalidUtf8),
        }
    }
}
