//! Where a request's body ends (RFC 9112 §6): what must be known to find the next head on a kept-alive connection.

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use openline::http1::HeadError;

/// What is left of a request's body.
#[derive(Debug, PartialEq)]
pub(super) enum Body {
    /// §6.2: this many bytes more. A request without a body has `Length(0)`.
    Length(u64),
    /// §7.1: chunks, up to the empty one and its trailers.
    Chunked(Chunks),
}

impl Body {
    /// §6.3, of a head that `http1` read: one length, or `chunked` alone, or neither.
    pub(super) fn of(headers: &HeaderMap, max_trailer_bytes: usize) -> Result<Self, HeadError> {
        if headers.contains_key(TRANSFER_ENCODING) {
            return Ok(Body::Chunked(Chunks::new(max_trailer_bytes)));
        }
        let Some(length) = headers.get(CONTENT_LENGTH) else { return Ok(Body::Length(0)) };
        let length = length.to_str().ok().and_then(|digits| digits.parse().ok());
        length.map(Body::Length).ok_or(HeadError::InvalidContentLength)
    }

    /// How many of `bytes` belong to the body, and whether it ends with them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), BrokenBody> {
        match self {
            Body::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok((taken, *left == 0))
            }
            Body::Chunked(chunks) => chunks.take(bytes),
        }
    }
}

/// A chunked body that is malformed, or has too much around its chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenBody;

/// Follows a chunked body to its end without keeping any of it.
#[derive(Debug, PartialEq)]
pub(super) struct Chunks {
    place: Place,
    /// Bytes of chunk extensions and trailers that may still come: they carry nothing, and so never end by themselves.
    room: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Size { size: u64, digits: u8 },
    Extension { size: u64 },
    SizeLf { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
}

impl Chunks {
    fn new(room: usize) -> Self {
        Self { place: Place::Size { size: 0, digits: 0 }, room }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), BrokenBody> {
        let mut at = 0;
        while at < bytes.len() {
            if let Place::Data { left } = self.place {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += taken;
                let left = left - taken as u64;
                self.place = if left == 0 { Place::DataCr } else { Place::Data { left } };
                continue;
            }
            let byte = bytes[at];
            at += 1;
            self.place = match (self.place, byte) {
                // Sixteen digits are 64 bits; the seventeenth would wrap.
                (Place::Size { size, digits: digits @ 0..=15 }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                    let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                    Place::Size { size: size << 4 | digit, digits: digits + 1 }
                }
                (Place::Size { size, digits: 1.. }, b'\r') => Place::SizeLf { size },
                (Place::Size { size, digits: 1.. }, b';') => Place::Extension { size },
                (Place::Extension { size }, b'\r') => Place::SizeLf { size },
                (Place::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                    self.spend()?;
                    Place::Extension { size }
                }
                (Place::SizeLf { size: 0 }, b'\n') => Place::TrailerStart,
                (Place::SizeLf { size }, b'\n') => Place::Data { left: size },
                (Place::DataCr, b'\r') => Place::DataLf,
                (Place::DataLf, b'\n') => Place::Size { size: 0, digits: 0 },
                (Place::TrailerStart, b'\r') => Place::LastLf,
                (Place::Trailer, b'\r') => Place::TrailerLf,
                // A trailer may not begin with white space: that would be a folded line.
                (Place::TrailerStart, b'!'..=b'~') | (Place::Trailer, b'\t' | b' '..=b'~' | 0x80..) => {
                    self.spend()?;
                    Place::Trailer
                }
                (Place::TrailerLf, b'\n') => Place::TrailerStart,
                (Place::LastLf, b'\n') => return Ok((at, true)),
                _ => return Err(BrokenBody),
            };
        }
        Ok((at, false))
    }

    fn spend(&mut self) -> Result<(), BrokenBody> {
        self.room = self.room.checked_sub(1).ok_or(BrokenBody)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` whole and then byte by byte: the same bytes must be taken.
    fn chunked(bytes: &[u8]) -> Result<Option<usize>, BrokenBody> {
        let whole = Chunks::new(16).take(bytes).map(|(taken, ended)| ended.then_some(taken));
        let mut chunks = Chunks::new(16);
        let mut split = Ok(None);
        for (at, byte) in bytes.iter().enumerate() {
            match chunks.take(std::slice::from_ref(byte)) {
                Ok((1, false)) => continue,
                Ok((1, true)) => split = Ok(Some(at + 1)),
                Ok(other) => panic!("took {other:?} of one byte"),
                Err(error) => split = Err(error),
            }
            break;
        }
        assert_eq!(whole, split);
        whole
    }

    #[test]
    fn rfc9112_6_3_the_fields_say_which_body() {
        let of = |name, value: &str| Body::of(&HeaderMap::from_iter([(name, value.parse().unwrap())]), 64);
        assert_eq!(Body::of(&HeaderMap::new(), 64), Ok(Body::Length(0)));
        assert_eq!(of(CONTENT_LENGTH, "42"), Ok(Body::Length(42)));
        assert_eq!(of(TRANSFER_ENCODING, "chunked"), Ok(Body::Chunked(Chunks::new(64))));
    }

    #[test]
    fn a_length_ends_where_it_says() {
        let mut body = Body::Length(5);
        assert_eq!(body.take(b"abc"), Ok((3, false)));
        assert_eq!(body.take(b"deGET / HTTP/1.1"), Ok((2, true)));
    }

    #[test]
    fn rfc9112_7_1_chunks_end_after_the_trailers() {
        assert_eq!(chunked(b"0\r\n\r\nGET"), Ok(Some(5)));
        assert_eq!(chunked(b"3\r\nabc\r\n0\r\n\r\nGET"), Ok(Some(13)));
        assert_eq!(chunked(b"00a\r\n0123456789\r\n0\r\n\r\n"), Ok(Some(22)));
        assert_eq!(chunked(b"1;name=x\r\na\r\n0\r\nA: b\r\n\r\nGET"), Ok(Some(24)));
        assert_eq!(chunked(b"3\r\nabc\r\n"), Ok(None));
    }

    #[test]
    fn rfc9112_7_1_nothing_but_crlf_ends_a_line() {
        for wrong in [
            &b"\r\n"[..],
            b"x\r\n",
            b" 3\r\nabc\r\n",
            b"3 \r\nabc\r\n",
            b"3\nabc\r\n",
            b"3\rabc",
            b"3\r\nabcd",
            b"3\r\nabc\n0\r\n\r\n",
            b"3;a\nabc",
            b"3;\0\r\n",
            b"0\r\n\n",
            b"0\r\n folded\r\n\r\n",
            b"0\r\nA: b\n\r\n",
            b"-1\r\n",
            b"00000000000000003\r\n",
        ] {
            assert_eq!(chunked(wrong), Err(BrokenBody), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        assert_eq!(chunked(b"1;0123456789abcdefg\r\n"), Err(BrokenBody));
        assert_eq!(chunked(b"0\r\nA: 123456789\r\nB: 1234567\r\n\r\n"), Err(BrokenBody));
    }
}
