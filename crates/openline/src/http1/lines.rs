//! The lines of a head, found as the bytes arrive (RFC 9112 §2.2).

use super::HeadError;

/// Splits a growing buffer into lines. Remembers how far it looked, so that a head that comes byte by byte costs what a
/// head in one piece does.
#[derive(Debug)]
pub(super) struct Lines {
    /// Where the line that is being looked for begins.
    start: usize,
    /// Where to look next: everything before is known to hold no end of line.
    at: usize,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { start: 0, at: 0 }
    }

    /// The next line of `bytes`, without its end; `None` until it is there. `bytes` is the buffer from the head's
    /// first byte on, each time with what came before. `longest` is the most this line may have, `max_bytes` the most
    /// all may.
    ///
    /// §2.2: a line ends in CR LF. A recipient "MAY recognize a single LF as a line terminator": we do not, as a
    /// proxy in front of us may not either; a bare CR is invalid to begin with.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        longest: usize,
        max_bytes: usize,
    ) -> Result<Option<&'a [u8]>, HeadError> {
        let allowed = &bytes[..bytes.len().min(max_bytes)];
        while let Some(&byte) = allowed.get(self.at) {
            match byte {
                b'\r' => match allowed.get(self.at + 1) {
                    Some(b'\n') => {
                        let line = &allowed[self.start..self.at];
                        self.at += 2;
                        self.start = self.at;
                        return Ok(Some(line));
                    }
                    Some(_) => return Err(HeadError::BareCarriageReturn),
                    None => break,
                },
                b'\n' => return Err(HeadError::BareLineFeed),
                // RFC 9110 §5.5: `field-vchar`, SP and HTAB; obs-text is opaque data.
                b'\t' | b' '..=b'~' | 0x80.. => {
                    if self.at - self.start == longest {
                        return Err(HeadError::RequestLineTooLong);
                    }
                    self.at += 1;
                }
                control => return Err(HeadError::Control(control)),
            }
        }
        if bytes.len() >= max_bytes {
            return Err(HeadError::TooManyBytes(max_bytes));
        }
        Ok(None)
    }

    /// How many bytes the lines so far took, their ends included.
    pub(super) fn consumed(&self) -> usize {
        self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head that dribbles in must not cost its length squared: bytes already looked at may turn into anything.
    #[test]
    fn each_byte_is_looked_at_once() {
        let (mut lines, mut buffer) = (Lines::new(), Vec::new());
        for &byte in b"GET / HTTP/1.1\r" {
            buffer.push(byte);
            assert_eq!(lines.next(&buffer, 20, 100), Ok(None));
            if byte != b'\r' {
                buffer.fill(0); // a NUL would be refused
            }
        }
        buffer.push(b'\n');
        assert_eq!(lines.next(&buffer, 20, 100), Ok(Some(&[0; 14][..])));
        assert_eq!(lines.consumed(), 16);
    }
}
