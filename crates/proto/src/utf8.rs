//! UTF-8 that arrives in pieces (§5.6): a frame, or a read, may end in the middle of a code point.

use simdutf8::compat::from_utf8;

/// The text so far is not UTF-8, and no further byte can mend it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// What one piece adds: at most one code point begun in an earlier piece, then whole ones.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Whole<'a> {
    /// The code point that straddles the border before this piece, with its length; 0 when none does.
    pub(crate) straddler: ([u8; 4], usize),
    /// How many bytes of the piece the straddler took.
    pub(crate) taken: usize,
    /// The whole code points after it.
    pub(crate) text: &'a str,
}

impl Whole<'_> {
    /// The straddler as text, "" when there is none.
    pub(crate) fn straddler(&self) -> &str {
        from_utf8(&self.straddler.0[..self.straddler.1]).expect("a straddler is a whole code point")
    }
}

/// Checks a text piece by piece, failing at the first byte that cannot be right.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    begun: [u8; 4],
    begun_bytes: usize,
}

impl Checker {
    /// Takes the next piece; keeps up to three bytes of a code point that it leaves unfinished.
    pub(crate) fn push<'a>(&mut self, piece: &'a [u8]) -> Result<Whole<'a>, Invalid> {
        let (straddler, taken) = self.finish_begun(piece)?;
        let rest = &piece[taken..];
        let text = match from_utf8(rest) {
            Ok(text) => text,
            Err(error) if error.error_len().is_none() => {
                let (text, begun) = rest.split_at(error.valid_up_to());
                self.begun[..begun.len()].copy_from_slice(begun);
                self.begun_bytes = begun.len();
                from_utf8(text).expect("valid up to here")
            }
            Err(_) => return Err(Invalid),
        };
        Ok(Whole { straddler, taken, text })
    }

    /// How many bytes the code point begun here still misses; `None` when none is begun.
    pub(crate) fn missing_bytes(&self) -> Option<usize> {
        let lead = self.begun[..self.begun_bytes].first()?;
        Some(lead.leading_ones() as usize - self.begun_bytes)
    }

    /// Whether the text may end here.
    pub(crate) fn is_whole(&self) -> bool {
        self.begun_bytes == 0
    }

    fn finish_begun(&mut self, piece: &[u8]) -> Result<(([u8; 4], usize), usize), Invalid> {
        let mut taken = 0;
        while self.begun_bytes > 0 && taken < piece.len() {
            self.begun[self.begun_bytes] = piece[taken];
            self.begun_bytes += 1;
            taken += 1;
            match from_utf8(&self.begun[..self.begun_bytes]) {
                Ok(_) => return Ok(((self.begun, std::mem::take(&mut self.begun_bytes)), taken)),
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Invalid),
            }
        }
        Ok((([0; 4], 0), taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(pieces: &[&[u8]]) -> Result<String, Invalid> {
        let mut checker = Checker::default();
        let mut text = String::new();
        for piece in pieces {
            let whole = checker.push(piece)?;
            text.push_str(whole.straddler());
            text.push_str(whole.text);
        }
        checker.is_whole().then_some(text).ok_or(Invalid)
    }

    #[test]
    fn a_text_cut_anywhere_is_the_same_text() {
        let text = "aκό€😀z";
        let bytes = text.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(collect(&pieces).as_deref(), Ok(text), "cut at {first} and {second}");
            }
        }
        assert_eq!(collect(&bytes.chunks(1).collect::<Vec<_>>()).as_deref(), Ok(text));
    }

    #[test]
    fn it_fails_at_the_first_byte_that_cannot_be_right() {
        for (good, bad) in
            [(&b"\xce\xba"[..], &b"\xff"[..]), (b"\xf4", b"\x90"), (b"\xed", b"\xa0"), (b"\xe2\x82", b"\x28")]
        {
            let mut checker = Checker::default();
            assert!(checker.push(good).is_ok());
            assert_eq!(checker.push(bad), Err(Invalid));
        }
        assert_eq!(collect(&[b"\xe2\x82"]), Err(Invalid));
    }
}
