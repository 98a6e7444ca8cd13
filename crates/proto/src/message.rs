//! Messages (§5.6): owned, lent from a buffer, on their way out, and shared between many connections.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use bytestring::ByteString;

use crate::deflate::{Codecs, DeflaterKind};
use crate::frame::{Header, Opcode};

/// Text or binary (§5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl Kind {
    pub(crate) fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// Text that is UTF-8 by type and costs a reference count to clone.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(ByteString);

impl Text {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(ByteString::from(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(ByteString::from(text))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

/// A whole message. Cloning it costs a reference count.
///
/// ```
/// use openline_proto::Message;
/// let message = Message::from("hello");
/// assert_eq!(message.as_text(), Some("hello"));
/// match message {
///     Message::Text(text) => assert_eq!(text, "hello"),
///     Message::Binary(_) => unreachable!(),
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text message.
    Text(Text),
    /// A binary message.
    Binary(Bytes),
}

impl Message {
    /// Text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload, of either kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload, of either kind, without a copy.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload's length in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// A whole message lent from a buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MessageRef<'a> {
    /// A text message.
    Text(TextRef<'a>),
    /// A binary message.
    Binary(&'a [u8]),
}

impl<'a> MessageRef<'a> {
    /// `bytes` that were checked when they arrived, if they are text.
    pub(crate) fn checked(kind: Kind, bytes: &'a [u8]) -> Self {
        match kind {
            Kind::Text => Self::Text(TextRef(bytes)),
            Kind::Binary => Self::Binary(bytes),
        }
    }

    /// Text or binary.
    pub fn kind(self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload, of either kind.
    pub fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text of a text message.
    pub fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// A copy that owns its payload.
    pub fn to_message(self) -> Message {
        match self {
            Self::Text(text) => Message::from(text.as_str()),
            Self::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(bytes)),
        }
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.debug_tuple("Text").field(&text.as_str()).finish(),
            Self::Binary(bytes) => f.debug_tuple("Binary").field(bytes).finish(),
        }
    }
}

/// The bytes of a text that was checked when it arrived.
///
/// A server that only passes text on never needs it as `str`; one that does pays for a second look at the bytes
/// (§5.6 was settled by the first), at 13 GB/s and more.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TextRef<'a>(&'a [u8]);

impl<'a> TextRef<'a> {
    /// The text.
    ///
    /// # Panics
    /// When the message was lent from another buffer than the one that `receive` looked at.
    pub fn as_str(self) -> &'a str {
        simdutf8::basic::from_utf8(self.0).expect("text was checked when it arrived")
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl Deref for TextRef<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for TextRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A message on its way out: text is UTF-8 by construction, and a payload that is owned can be sent without a copy.
///
/// Made from `&str`, `String`, `Text`, `&[u8]`, `Vec<u8>`, `Bytes`, `Message` and `MessageRef`.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    pub(crate) kind: Kind,
    pub(crate) payload: Payload<'a>,
    pub(crate) wish: Wish,
}

/// Whether a message shall be compressed where that was agreed on. One that would not shrink never is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// As `Deflate::min_bytes` says.
    None,
    Compressed,
    Uncompressed,
}

#[derive(Clone, Debug)]
pub(crate) enum Payload<'a> {
    Lent(&'a [u8]),
    Owned(Bytes),
}

impl<'a> Outgoing<'a> {
    fn lent(kind: Kind, bytes: &'a [u8]) -> Self {
        Self { kind, payload: Payload::Lent(bytes), wish: Wish::None }
    }

    fn owned(kind: Kind, bytes: Bytes) -> Self {
        Self { kind, payload: Payload::Owned(bytes), wish: Wish::None }
    }

    /// To be sent as it is, where others are compressed: for what is compressed already, and for secrets beside what an
    /// attacker may choose (CRIME, BREACH: RFC 7692 §8).
    ///
    /// ```
    /// use openline_proto::Outgoing;
    /// let message = Outgoing::from("token=abc&echo=whatever they sent").uncompressed();
    /// ```
    pub fn uncompressed(self) -> Self {
        Self { wish: Wish::Uncompressed, ..self }
    }

    /// To be compressed, however short, if compression was agreed on and makes it shorter.
    pub fn compressed(self) -> Self {
        Self { wish: Wish::Compressed, ..self }
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.payload {
            Payload::Lent(bytes) => bytes,
            Payload::Owned(bytes) => bytes,
        }
    }
}

macro_rules! outgoing {
    ($($from:ty => |$value:ident| $make:expr;)*) => {$(
        impl<'a> From<$from> for Outgoing<'a> {
            #[inline]
            fn from($value: $from) -> Self {
                $make
            }
        }
    )*};
}

outgoing! {
    &'a str => |text| Self::lent(Kind::Text, text.as_bytes());
    &'a String => |text| Self::lent(Kind::Text, text.as_bytes());
    String => |text| Self::owned(Kind::Text, text.into());
    Text => |text| Self::owned(Kind::Text, text.into_bytes());
    &'a [u8] => |bytes| Self::lent(Kind::Binary, bytes);
    &'a Vec<u8> => |bytes| Self::lent(Kind::Binary, bytes);
    Vec<u8> => |bytes| Self::owned(Kind::Binary, bytes.into());
    Bytes => |bytes| Self::owned(Kind::Binary, bytes);
    Message => |message| Self::owned(message.kind(), message.into_bytes());
    &Message => |message| Self::owned(message.kind(), message.clone().into_bytes());
    MessageRef<'a> => |message| Self::lent(message.kind(), message.as_bytes());
    Cow<'a, str> => |text| match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    };
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::lent(Kind::Binary, bytes)
    }
}

/// A message encoded once for many connections. Cloning it costs a reference count.
///
/// A server's frames are the same for every client, so they are written once and shared; a client masks its own copy.
///
/// ```
/// use openline_proto::{Config, Connection, Output, SharedMessage};
/// use std::{sync::Arc, time::Instant};
/// let news = SharedMessage::new("news");
/// let (config, mut output) = (Arc::new(Config::default()), Output::new());
/// let mut connection = Connection::server(&Default::default(), config, Instant::now());
/// connection.send_shared(&news, &mut output).unwrap();
/// assert_eq!(output.to_vec(), b"\x81\x04news");
/// ```
#[derive(Clone, Debug)]
pub struct SharedMessage {
    kind: Kind,
    /// Unmasked frames, one after the other.
    frames: Bytes,
    /// The payload alone; inside `frames` when there is one frame.
    payload: Bytes,
    pub(crate) wish: Wish,
    compressed: Arc<Compressed>,
}

/// The same message compressed, for each window that somebody needs it with, 9 bits to 15; `None` where it would not
/// shrink.
#[derive(Debug, Default)]
struct Compressed(OnceLock<Box<[OnceLock<Option<Bytes>>; 7]>>);

impl SharedMessage {
    /// Fragments of a shared message, as `Config::fragment_bytes` for one that is not shared.
    const FRAGMENT_BYTES: usize = 64 << 10;

    /// Encodes a message.
    pub fn new<'a>(message: impl Into<Outgoing<'a>>) -> Self {
        let message = message.into();
        let payload = message.as_bytes();
        let frames = Self::encode(message.kind, 0, payload);
        let payload = match message.payload {
            _ if payload.len() <= Self::FRAGMENT_BYTES => frames.slice(frames.len() - payload.len()..),
            Payload::Owned(bytes) => bytes,
            Payload::Lent(bytes) => Bytes::copy_from_slice(bytes),
        };
        Self { kind: message.kind, frames, payload, wish: message.wish, compressed: Arc::default() }
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    pub fn as_bytes(&self) -> &[u8] {
        &self.payload
    }

    /// How many bytes a server puts on the wire for it.
    pub fn encoded_bytes(&self) -> usize {
        self.frames.len()
    }

    /// The message, for one that has to be masked.
    pub(crate) fn lend(&self) -> Outgoing<'_> {
        Outgoing { kind: self.kind, payload: Payload::Lent(&self.payload), wish: self.wish }
    }

    /// All of its frames in one piece.
    #[inline]
    pub(crate) fn encoded(&self) -> &[u8] {
        &self.frames
    }

    /// The frames, one by one.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Bytes> + use<> {
        Self::split(self.frames.clone())
    }

    /// The frames of the message compressed for a window of so many bits, if that makes it shorter. Done once, at the
    /// level of whoever needs it first, and by its library.
    pub(crate) fn compressed_frames(
        &self,
        kind: DeflaterKind,
        codecs: &dyn Codecs,
    ) -> Option<impl Iterator<Item = Bytes> + use<>> {
        let windows = self.compressed.0.get_or_init(Box::default);
        let frames = windows[usize::from(kind.window_bits - 9)].get_or_init(|| {
            let mut deflater = codecs.take_deflater(kind);
            let compressed = deflater.alone(&self.payload, self.payload.len().saturating_sub(1));
            // §6.1: "RSV1 […] of the first fragment"
            let frames = compressed.map(|payload| Self::encode(self.kind, Header::RSV1, payload));
            deflater.reset();
            codecs.put_deflater(deflater);
            frames
        });
        frames.clone().map(Self::split)
    }

    fn encode(kind: Kind, mut reserved: u8, payload: &[u8]) -> Bytes {
        let mut frames =
            Vec::with_capacity(payload.len() + Header::MAX_BYTES * (1 + payload.len() / Self::FRAGMENT_BYTES));
        let mut opcode = kind.opcode();
        let mut rest = payload;
        loop {
            let (fragment, after) = rest.split_at(rest.len().min(Self::FRAGMENT_BYTES));
            let fin = after.is_empty();
            Header { fin, reserved, opcode, key: None, payload_bytes: fragment.len() as u64 }.write(&mut frames);
            frames.extend_from_slice(fragment);
            if fin {
                return frames.into();
            }
            (opcode, reserved, rest) = (Opcode::Continuation, 0, after);
        }
    }

    fn split(mut rest: Bytes) -> impl Iterator<Item = Bytes> {
        std::iter::from_fn(move || {
            let (header, bytes) = Header::parse(&rest).expect("we wrote it")?;
            Some(rest.split_to(bytes + header.payload_bytes as usize))
        })
    }
}

/// Messages encoded once, which many connections send one after the other: as [`SharedMessage`], and all of them at once.
///
/// ```
/// use openline_proto::{Config, Connection, Output, SharedMessage, SharedMessages};
/// use std::{sync::Arc, time::Instant};
/// let news: SharedMessages = ["good", "news"].map(SharedMessage::new).into_iter().collect();
/// let (config, mut output) = (Arc::new(Config::default()), Output::new());
/// let mut connection = Connection::server(&Default::default(), config, Instant::now());
/// connection.send_all_shared(&news, &mut output).unwrap();
/// assert_eq!(output.to_vec(), b"\x81\x04good\x81\x04news");
/// ```
#[derive(Clone, Debug)]
pub struct SharedMessages {
    messages: Arc<[SharedMessage]>,
    /// Those of all of them.
    frames: Bytes,
}

impl SharedMessages {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &SharedMessage> {
        self.messages.iter()
    }

    /// Their frames, in one piece.
    pub(crate) fn encoded(&self) -> &Bytes {
        &self.frames
    }
}

impl FromIterator<SharedMessage> for SharedMessages {
    fn from_iter<I: IntoIterator<Item = SharedMessage>>(messages: I) -> Self {
        let messages: Arc<[SharedMessage]> = messages.into_iter().collect();
        let mut frames = Vec::with_capacity(messages.iter().map(SharedMessage::encoded_bytes).sum());
        messages.iter().for_each(|message| frames.extend_from_slice(&message.frames));
        Self { messages, frames: frames.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_message_is_its_frames_and_its_payload() {
        for length in [0_usize, 1, 125, 126, 65_535, 65_536, 65_537, 200_000] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let message = SharedMessage::new(&payload);
            assert_eq!(message.as_bytes(), payload);
            let frames: Vec<Bytes> = message.frames().collect();
            assert_eq!(frames.len(), length.max(1).div_ceil(65_536));
            assert_eq!(frames.concat().len(), message.encoded_bytes());
            let mut read = Vec::new();
            for (i, frame) in frames.iter().enumerate() {
                let (header, bytes) = Header::parse(frame).unwrap().unwrap();
                assert_eq!(header.fin, i + 1 == frames.len());
                assert_eq!(header.opcode, if i == 0 { Opcode::Binary } else { Opcode::Continuation });
                read.extend_from_slice(&frame[bytes..]);
            }
            assert_eq!(read, payload);
        }
    }
}
