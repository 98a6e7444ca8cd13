//! What a program prints, cut into messages.

use bytes::{Buf, Bytes, BytesMut};
use openline::proto::Message;

/// Where to cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// At line feeds.
    Lines {
        /// Longer lines are no messages.
        max_bytes: usize,
    },
    /// As it comes.
    Anywhere,
}

/// A line that is longer than a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong {
    pub(super) max_bytes: usize,
}

/// Bytes in, messages out.
#[derive(Debug)]
pub(super) struct Cutter {
    cut: Cut,
    /// Of a line that has not ended, or lines that were not taken.
    rest: BytesMut,
    /// So many bytes of `rest` have no line feed in them.
    searched: usize,
}

impl Cutter {
    pub(super) fn new(cut: Cut) -> Self {
        Self { cut, rest: BytesMut::new(), searched: 0 }
    }

    pub(super) fn put(&mut self, bytes: &Bytes) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next message that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Message>, TooLong> {
        let Cut::Lines { max_bytes } = self.cut else {
            let all = std::mem::take(&mut self.rest);
            return Ok((!all.is_empty()).then(|| Message::Binary(all.freeze())));
        };
        let found = self.rest[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(at) = found.map(|at| at + self.searched) else {
            self.searched = self.rest.len();
            return if self.searched > max_bytes { Err(TooLong { max_bytes }) } else { self.shrink() };
        };
        self.searched = 0;
        let line = self.rest.split_to(at).freeze();
        self.rest.advance(1);
        message(line, max_bytes).map(Some)
    }

    /// An idle program holds no memory here.
    fn shrink(&mut self) -> Result<Option<Message>, TooLong> {
        if self.rest.is_empty() {
            self.rest = BytesMut::new();
        }
        Ok(None)
    }

    /// At the end: a last line without a line feed.
    pub(super) fn last(&mut self) -> Result<Option<Message>, TooLong> {
        let rest = std::mem::take(&mut self.rest).freeze();
        match (self.cut, rest.is_empty()) {
            (_, true) => Ok(None),
            (Cut::Lines { max_bytes }, false) => message(rest, max_bytes).map(Some),
            (Cut::Anywhere, false) => Ok(Some(Message::Binary(rest))),
        }
    }
}

/// A line without its end, be that of this system or of Windows.
fn message(mut line: Bytes, max_bytes: usize) -> Result<Message, TooLong> {
    if line.ends_with(b"\r") {
        line.truncate(line.len() - 1);
    }
    if line.len() > max_bytes {
        return Err(TooLong { max_bytes });
    }
    Ok(match String::from_utf8(line.into()) {
        Ok(text) => Message::Text(text.into()),
        Err(error) => Message::Binary(error.into_bytes().into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(cutter: &mut Cutter, bytes: &[u8]) -> Result<Vec<Message>, TooLong> {
        cutter.put(&Bytes::copy_from_slice(bytes));
        std::iter::from_fn(|| cutter.next().transpose()).collect()
    }

    fn text(text: &str) -> Message {
        Message::Text(text.into())
    }

    #[test]
    fn lines_however_they_come() {
        let mut cutter = Cutter::new(Cut::Lines { max_bytes: 8 });
        assert_eq!(all(&mut cutter, b"a\nb\r\n\nc"), Ok(vec![text("a"), text("b"), text("")]));
        assert_eq!(all(&mut cutter, b"c"), Ok(vec![]));
        assert_eq!(all(&mut cutter, b"\n"), Ok(vec![text("cc")]));
        assert_eq!(all(&mut cutter, b"\xff\n"), Ok(vec![Message::Binary(vec![0xff].into())]));
        assert_eq!(all(&mut cutter, b"12345678\n"), Ok(vec![text("12345678")]));
        assert_eq!(all(&mut cutter, b"last"), Ok(vec![]));
        assert_eq!(cutter.last(), Ok(Some(text("last"))));
        assert_eq!(cutter.last(), Ok(None));
    }

    #[test]
    fn a_line_over_the_limit_is_none() {
        for bytes in [&b"123456789\n"[..], b"123456789", b"1\n123456789"] {
            let mut cutter = Cutter::new(Cut::Lines { max_bytes: 8 });
            assert_eq!(all(&mut cutter, bytes), Err(TooLong { max_bytes: 8 }), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn bytes_as_they_come() {
        let mut cutter = Cutter::new(Cut::Anywhere);
        assert_eq!(all(&mut cutter, b"a\n\0"), Ok(vec![Message::Binary(b"a\n\0".to_vec().into())]));
        assert_eq!(cutter.last(), Ok(None));
    }
}
