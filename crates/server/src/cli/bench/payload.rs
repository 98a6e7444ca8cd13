//! What is sent. Every payload is a function of its [`Stamp`], so that a reply is checked against what was sent without keeping
//! it: a million messages in flight cost no memory for their bytes.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use openline::{Kind, Message, MessageRef, Outgoing};

/// What tells one message from all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) line: u64,
    /// Its number on its line, from 0.
    pub(super) seq: u64,
    /// When it was made, in milliseconds since 1970.
    pub(super) unix_ms: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Payload {
    kind: Kind,
    form: Form,
    /// Different in each run, so that no reply of another run passes for one of this.
    seed: u64,
}

#[derive(Clone, Debug)]
enum Form {
    /// The same in every message.
    Fixed(Vec<u8>),
    /// Numbered at both ends, so that a reply made of two messages is found out.
    Numbered(usize),
    /// Text with places to fill in.
    Template(Vec<Piece>),
    /// `openline-SEED-SEQ-`, then filling: found inside of whatever a server wraps around it.
    Marked(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Line,
    Seq,
    Random,
    Time,
}

impl Payload {
    pub(super) fn none() -> Self {
        Self::new(Kind::Binary, Form::Fixed(Vec::new()))
    }

    /// # Errors
    /// A text has to be UTF-8.
    pub(super) fn fixed(bytes: Vec<u8>, kind: Kind) -> Result<Self, std::str::Utf8Error> {
        if kind == Kind::Text {
            std::str::from_utf8(&bytes)?;
        }
        Ok(Self::new(kind, Form::Fixed(bytes)))
    }

    pub(super) fn sized(bytes: usize, kind: Kind) -> Self {
        Self::new(kind, Form::Numbered(bytes))
    }

    /// Whatever in braces is not the name of a place stays as it is: JSON needs no escapes.
    pub(super) fn template(text: &str, kind: Kind) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut plain = String::new();
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            match PLACES.iter().find(|(name, _)| rest.starts_with(name)) {
                Some((name, piece)) => {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    pieces.push(piece.clone());
                    rest = &rest[name.len()..];
                }
                None => {
                    plain.push('{');
                    rest = &rest[1..];
                }
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Self::new(kind, Form::Template(pieces))
    }

    /// # Errors
    /// When there is no room for the mark.
    pub(super) fn marked(bytes: usize, kind: Kind) -> Result<Self, String> {
        if bytes < MARK_BYTES {
            return Err(format!(
                "--fan-out needs {MARK_BYTES} bytes to tell its messages apart: use --size {MARK_BYTES}"
            ));
        }
        Ok(Self::new(kind, Form::Marked(bytes)))
    }

    fn new(kind: Kind, form: Form) -> Self {
        Self { kind, form, seed: RandomState::new().hash_one(0) }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// About how many bytes each message has.
    pub(super) fn len(&self) -> usize {
        match &self.form {
            Form::Fixed(bytes) => bytes.len(),
            Form::Numbered(bytes) | Form::Marked(bytes) => *bytes,
            Form::Template(pieces) => pieces.iter().map(Piece::len).sum(),
        }
    }

    /// Where in a message its mark is, and the number in it; `None` for messages of others.
    pub(super) fn marked_seq(&self, message: &[u8]) -> Option<u64> {
        let prefix = mark_prefix(self.seed);
        // At the very beginning, unless the server wraps it into something.
        let at = match message.starts_with(prefix.as_bytes()) {
            true => 0,
            false => message.windows(prefix.len()).position(|window| window == prefix.as_bytes())?,
        };
        let digits = message.get(at + prefix.len()..)?.get(..16)?;
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Line | Self::Seq => 6,
            Self::Random => 16,
            Self::Time => 13,
        }
    }
}

/// Makes payloads in a buffer of its own.
#[derive(Debug)]
pub(super) struct Renderer {
    payload: Payload,
    buffer: Vec<u8>,
}

impl Renderer {
    pub(super) fn new(payload: &Payload) -> Self {
        let buffer = match &payload.form {
            Form::Fixed(bytes) => bytes.clone(),
            Form::Numbered(bytes) | Form::Marked(bytes) => filling(*bytes, payload.kind),
            Form::Template(_) => Vec::new(),
        };
        Self { payload: payload.clone(), buffer }
    }

    pub(super) fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The message with this stamp.
    pub(super) fn message(&mut self, stamp: Stamp) -> Outgoing<'_> {
        let kind = self.payload.kind;
        let bytes = self.render(stamp);
        match kind {
            Kind::Binary => Outgoing::from(bytes),
            Kind::Text => Outgoing::from(std::str::from_utf8(bytes).expect("made of text and ASCII digits")),
        }
    }

    /// The same, to keep.
    pub(super) fn owned(&mut self, stamp: Stamp) -> Message {
        let kind = self.payload.kind;
        let bytes = self.render(stamp).to_vec();
        match kind {
            Kind::Binary => Message::from(bytes),
            Kind::Text => Message::from(String::from_utf8(bytes).expect("made of text and ASCII digits")),
        }
    }

    /// Compares a reply with the message with this stamp.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&mut self, stamp: Stamp, reply: MessageRef<'_>) -> Result<(), Wrong> {
        let kind = self.payload.kind;
        let expected = self.render(stamp);
        let got = reply.as_bytes();
        if got == expected && reply.kind() == kind {
            return Ok(());
        }
        if got.len() != expected.len() {
            return Err(Wrong::Length { expected: expected.len(), got: got.len() });
        }
        match expected.iter().zip(got).position(|(expected, got)| expected != got) {
            Some(at) => Err(Wrong::Bytes { at, expected: expected[at], got: got[at] }),
            None => Err(Wrong::Kind(reply.kind())),
        }
    }

    fn render(&mut self, stamp: Stamp) -> &[u8] {
        let seed = self.payload.seed;
        match &self.payload.form {
            Form::Fixed(_) => {}
            Form::Numbered(bytes) => {
                let number = mix(seed ^ (stamp.line << 40) ^ stamp.seq);
                for range in ends(*bytes, if self.payload.kind == Kind::Text { 16 } else { 8 }) {
                    let place = &mut self.buffer[range];
                    match self.payload.kind {
                        Kind::Binary => place.copy_from_slice(&number.to_le_bytes()[..place.len()]),
                        Kind::Text => place.copy_from_slice(&hex(number)[..place.len()]),
                    }
                }
            }
            Form::Marked(_) => {
                let prefix = mark_prefix(seed);
                self.buffer[..prefix.len()].copy_from_slice(prefix.as_bytes());
                self.buffer[prefix.len()..][..16].copy_from_slice(&hex(stamp.seq));
                self.buffer[MARK_BYTES - 1] = b'-';
            }
            Form::Template(pieces) => {
                use std::io::Write;
                self.buffer.clear();
                for piece in pieces {
                    let written = match piece {
                        Piece::Text(text) => self.buffer.write_all(text.as_bytes()),
                        Piece::Line => write!(self.buffer, "{}", stamp.line),
                        Piece::Seq => write!(self.buffer, "{}", stamp.seq),
                        Piece::Random => self.buffer.write_all(&hex(mix(seed ^ mix((stamp.line << 40) ^ stamp.seq)))),
                        Piece::Time => write!(self.buffer, "{}", stamp.unix_ms),
                    };
                    written.expect("a Vec takes everything");
                }
            }
        }
        &self.buffer
    }
}

/// How a reply differs from what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Kind(Kind),
    Length { expected: usize, got: usize },
    Bytes { at: usize, expected: u8, got: u8 },
}

impl Wrong {
    /// The sort of mistake, to count it by.
    pub(super) fn sort(self) -> &'static str {
        match self {
            Self::Kind(Kind::Text) => "text came back for binary",
            Self::Kind(Kind::Binary) => "binary came back for text",
            Self::Length { .. } => "another length than was sent",
            Self::Bytes { .. } => "other bytes than were sent",
        }
    }

    /// This mistake, for the first of its sort.
    pub(super) fn detail(self) -> String {
        match self {
            Self::Kind(_) => String::new(),
            Self::Length { expected, got } => format!("{got} bytes instead of {expected}"),
            Self::Bytes { at, expected, got } => format!("at byte {at}: {got:#04x} instead of {expected:#04x}"),
        }
    }
}

/// Where the number goes: as much of it as fits at the beginning, and the whole of it at the end, if there is room for both.
fn ends(length: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    let last = (length >= 2 * width).then(|| length - width..length);
    [Some(0..length.min(width)), last].into_iter().flatten()
}

/// Bytes without a short period, so that a shifted copy differs; for text, letters.
fn filling(length: usize, kind: Kind) -> Vec<u8> {
    let bytes = (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8);
    match kind {
        Kind::Binary => bytes.collect(),
        Kind::Text => bytes.map(|byte| b'a' + byte % 26).collect(),
    }
}

fn mark_prefix(seed: u64) -> String {
    format!("openline-{seed:016x}-")
}

fn hex(number: u64) -> [u8; 16] {
    std::array::from_fn(|at| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15])
}

/// The finaliser of SplitMix64: neighbours become strangers.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

const PLACES: [(&str, Piece); 4] =
    [("{line}", Piece::Line), ("{seq}", Piece::Seq), ("{random}", Piece::Random), ("{time}", Piece::Time)];

/// `openline-`, 16 digits, `-`, 16 digits, `-`.
const MARK_BYTES: usize = 9 + 16 + 1 + 16 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(payload: &Payload, stamp: Stamp) -> String {
        String::from_utf8(Renderer::new(payload).message(stamp).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn a_template_is_filled_in() {
        let payload = Payload::template("{\"id\":{seq},\"line\":{line},\"at\":{time},\"x\":{}}", Kind::Text);
        let stamp = Stamp { line: 7, seq: 12, unix_ms: 1_700_000_000_000 };
        assert_eq!(text(&payload, stamp), "{\"id\":12,\"line\":7,\"at\":1700000000000,\"x\":{}}");
        assert_eq!(text(&Payload::template("plain", Kind::Text), stamp), "plain");
        assert_eq!(text(&Payload::template("{se{seq}q}", Kind::Text), stamp), "{se12q}");
    }

    #[test]
    fn random_is_random_and_the_same_for_the_check() {
        let payload = Payload::template("{random}", Kind::Text);
        let [first, again, other] = [0, 0, 1].map(|seq| text(&payload, Stamp { seq, ..Stamp::default() }));
        assert_eq!(first.len(), 16);
        assert_eq!(first, again);
        assert_ne!(first, other);
    }

    #[test]
    fn every_size_is_numbered_and_checked() {
        for bytes in [0, 1, 7, 8, 15, 16, 17, 32, 125, 126, 1024, 70_000] {
            let mut renderer = Renderer::new(&Payload::sized(bytes, Kind::Binary));
            let stamp = Stamp { line: 3, seq: 5, unix_ms: 0 };
            let mut message = renderer.message(stamp).as_bytes().to_vec();
            assert_eq!(message.len(), bytes);
            assert_eq!(renderer.check(stamp, MessageRef::Binary(&message)), Ok(()));
            let other = renderer.check(stamp, MessageRef::Binary(&[0; 3]));
            assert_eq!(other, Err(Wrong::Length { expected: bytes, got: 3 }));
            // One byte has 256 values, so the next message may look the same.
            if bytes >= 7 {
                let next = renderer.check(Stamp { seq: 6, ..stamp }, MessageRef::Binary(&message));
                assert!(matches!(next, Err(Wrong::Bytes { .. })));
            }
            if let Some(last) = message.last_mut() {
                *last ^= 1;
                let wrong = renderer.check(stamp, MessageRef::Binary(&message)).unwrap_err();
                assert!(matches!(wrong, Wrong::Bytes { at, .. } if at == bytes - 1), "{wrong:?}");
            }
            let text = Renderer::new(&Payload::sized(bytes, Kind::Text)).message(stamp).as_bytes().to_vec();
            assert!(text.len() == bytes && text.is_ascii());
        }
    }

    #[test]
    fn a_mark_is_found_in_an_envelope() {
        let payload = Payload::marked(100, Kind::Text).unwrap();
        let message = text(&payload, Stamp { seq: 0xabc, ..Stamp::default() });
        assert_eq!(message.len(), 100);
        assert_eq!(payload.marked_seq(message.as_bytes()), Some(0xabc));
        assert_eq!(payload.marked_seq(format!("{{\"data\":\"{message}\"}}").as_bytes()), Some(0xabc));
        assert_eq!(payload.marked_seq(b"hello"), None);
        assert_eq!(payload.marked_seq(&message.as_bytes()[..30]), None);
        assert_eq!(Payload::marked(100, Kind::Text).unwrap().marked_seq(message.as_bytes()), None, "of another run");
        assert!(Payload::marked(MARK_BYTES - 1, Kind::Text).is_err());
    }
}
