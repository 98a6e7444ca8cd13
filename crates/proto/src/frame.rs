//! Frame headers (§5.2): what the first 2 to 14 bytes of a frame say. Nothing about connections.

use crate::error::ProtocolError;

/// What a frame is (§5.2, §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// "Are you there?"
    Ping = 0x9,
    /// "I am."
    Pong = 0xa,
}

impl Opcode {
    /// §5.5: "Control frames are identified by opcodes where the most significant bit of the opcode is 1."
    pub fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    fn parse(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            reserved => return Err(ProtocolError::ReservedOpcode(reserved)),
        })
    }
}

/// A frame's header. Which reserved bits and masks are legal depends on the connection, so they are only reported here.
///
/// ```
/// use openline_proto::frame::{Header, Opcode};
/// let (header, length) = Header::parse(b"\x81\x05Hello").unwrap().unwrap(); // §5.7
/// assert_eq!((header.opcode, header.fin, header.payload_bytes, length), (Opcode::Text, true, 5, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last fragment of its message.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3 as the bits 4, 2 and 1.
    pub reserved: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, on frames from a client.
    pub key: Option<[u8; 4]>,
    /// The payload's length.
    pub payload_bytes: u64,
}

impl Header {
    /// RSV1 in `reserved`: the first frame of a compressed message (RFC 7692 §6).
    pub const RSV1: u8 = 4;

    /// The longest header: 2 bytes, 8 of length, 4 of masking key.
    pub const MAX_BYTES: usize = 14;

    /// Reads a header and says how long it is; `None` when more bytes are needed.
    ///
    /// # Errors
    /// What a header alone can do wrong: reserved opcodes, lengths that are not minimal or out of range, control frames
    /// that are fragmented or over 125 bytes.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        let opcode = Opcode::parse(first & 0x0f)?;
        let fin = first & 0x80 != 0;
        let short = second & 0x7f;
        if opcode.is_control() {
            // §5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
            if !fin {
                return Err(ProtocolError::FragmentedControl);
            }
            if short > 125 {
                return Err(ProtocolError::LongControl);
            }
        }
        // §5.2: "the minimal number of bytes MUST be used to encode the length"
        let (payload_bytes, rest) = match short {
            126 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let length = u16::from_be_bytes(*length);
                if length < 126 {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (u64::from(length), rest)
            }
            127 => {
                let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
                let length = u64::from_be_bytes(*length);
                if length >> 63 != 0 {
                    return Err(ProtocolError::LengthOutOfRange);
                }
                if length <= u64::from(u16::MAX) {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (length, rest)
            }
            short => (u64::from(short), rest),
        };
        let (key, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => match rest.split_first_chunk() {
                Some((key, rest)) => (Some(*key), rest),
                None => return Ok(None),
            },
        };
        let header = Self { fin, reserved: first >> 4 & 7, opcode, key, payload_bytes };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Appends the header, its length in the shortest form.
    #[inline]
    pub fn write(&self, output: &mut Vec<u8>) {
        let masked = u8::from(self.key.is_some()) << 7;
        // All of the longest, and then as much of it as there is: a copy of a fixed length is two stores, and no call.
        let mut head = [0; Self::MAX_BYTES];
        head[0] = u8::from(self.fin) << 7 | self.reserved << 4 | self.opcode as u8;
        let mut end = 2;
        if let Ok(short @ 0..=125) = u8::try_from(self.payload_bytes) {
            head[1] = masked | short;
        } else if let Ok(medium) = u16::try_from(self.payload_bytes) {
            head[1] = masked | 126;
            head[2..4].copy_from_slice(&medium.to_be_bytes());
            end = 4;
        } else {
            head[1] = masked | 127;
            head[2..10].copy_from_slice(&self.payload_bytes.to_be_bytes());
            end = 10;
        }
        if let Some(key) = self.key {
            head[end..end + 4].copy_from_slice(&key);
            end += 4;
        }
        let before = output.len();
        output.extend_from_slice(&head);
        output.truncate(before + end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every header that can be written reads back, at the borders of the three forms of length.
    #[test]
    fn headers_read_as_they_are_written() {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        for opcode in [Continuation, Text, Binary, Close, Ping, Pong] {
            for payload_bytes in [0, 1, 125, 126, 127, 65_535, 65_536, u64::MAX >> 1] {
                if opcode.is_control() && payload_bytes > 125 {
                    continue;
                }
                for fin in [true, opcode.is_control()] {
                    for key in [None, Some([1, 2, 3, 4])] {
                        let header = Header { fin, reserved: 0b101, opcode, key, payload_bytes };
                        let mut bytes = Vec::new();
                        header.write(&mut bytes);
                        assert!(bytes.len() <= Header::MAX_BYTES);
                        assert_eq!(Header::parse(&bytes), Ok(Some((header, bytes.len()))));
                        for cut in 0..bytes.len() {
                            assert_eq!(Header::parse(&bytes[..cut]), Ok(None));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_must_be_minimal_and_in_range() {
        let error = |bytes: &[u8]| Header::parse(bytes).unwrap_err();
        assert_eq!(error(b"\x82\x7e\0\x7d"), ProtocolError::NonMinimalLength);
        assert_eq!(error(b"\x82\x7f\0\0\0\0\0\0\xff\xff"), ProtocolError::NonMinimalLength);
        assert_eq!(error(b"\x82\x7f\x80\0\0\0\0\0\0\0"), ProtocolError::LengthOutOfRange);
    }

    #[test]
    fn opcodes_3_to_7_and_11_to_15_are_reserved() {
        for opcode in (3..8).chain(11..16) {
            assert_eq!(Header::parse(&[0x80 | opcode, 0]), Err(ProtocolError::ReservedOpcode(opcode)));
        }
    }

    #[test]
    fn control_frames_are_short_and_whole() {
        assert_eq!(Header::parse(b"\x89\x7e"), Err(ProtocolError::LongControl));
        assert_eq!(Header::parse(b"\x09\x01"), Err(ProtocolError::FragmentedControl));
    }
}
