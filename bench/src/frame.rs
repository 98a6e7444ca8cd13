//! RFC 6455 §5.2 as a client needs it here: masked frames out, predicted or read frames in.
//!
//! Written for the load side alone and not shared with the library, so that both cannot be wrong in the same way.

use std::io::{self, Read};

pub(crate) const CONTINUATION: u8 = 0x0;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x8;
pub(crate) const PING: u8 = 0x9;
pub(crate) const PONG: u8 = 0xa;

/// §5.3 wants a fresh key for each frame, to protect proxies from hostile pages. Here one key lets frames be built in advance; a
/// server unmasks them all the same.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// An unfragmented frame as a client sends it: masked.
pub(crate) fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, 0x80, payload.len());
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// An unfragmented frame as a server sends it: not masked.
#[cfg(test)]
pub(crate) fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, 0, payload.len());
    frame.extend(payload);
    frame
}

/// Reads one frame of a server: opcode and payload. Fragments are refused: a server that echoes short messages needs none.
pub(crate) fn read_server_frame(stream: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    stream.read_exact(&mut start)?;
    let [first, second] = start;
    let opcode = first & 0x0f;
    if first & 0xf0 != 0x80 || second & 0x80 != 0 {
        return Err(invalid(format!(
            "expected an unmasked, unfragmented frame, got the header {first:02x} {second:02x}"
        )));
    }
    let length = match second {
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            stream.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        length => u64::from(length),
    };
    if length > MAX_PAYLOAD_BYTES {
        return Err(invalid(format!("a frame of {length} bytes, which nobody asked for")));
    }
    let mut payload = vec![0; length as usize];
    stream.read_exact(&mut payload)?;
    Ok((opcode, payload))
}

/// How long a server's header is that begins so; 2 until its second byte is there.
pub(crate) fn header_bytes(start: &[u8]) -> usize {
    match start.get(1).map(|second| second & 0x7f) {
        Some(126) => 4,
        Some(127) => MAX_HEADER_BYTES,
        _ => 2,
    }
}

/// The length that a whole header of a server gives.
pub(crate) fn payload_bytes(header: &[u8]) -> u64 {
    match header {
        [_, short] => u64::from(*short & 0x7f),
        [_, _, length @ ..] => length.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
        _ => 0,
    }
}

/// FIN, the opcode, and the length in its shortest form, as §5.2 requires.
fn header(opcode: u8, mask_bit: u8, length: usize) -> Vec<u8> {
    let mut header = vec![0x80 | opcode];
    match length {
        0..=125 => header.push(mask_bit | length as u8),
        126..=0xffff => {
            header.push(mask_bit | 126);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(mask_bit | 127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Without a masking key: two bytes, and eight of length.
pub(crate) const MAX_HEADER_BYTES: usize = 10;

/// Echoes of what was sent are far shorter.
const MAX_PAYLOAD_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod rfc6455_5_7_examples {
    use super::*;

    #[test]
    fn a_masked_hello() {
        assert_eq!(client_frame(0x1, b"Hello"), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn an_unmasked_hello() {
        assert_eq!(server_frame(0x1, b"Hello"), b"\x81\x05\x48\x65\x6c\x6c\x6f");
        assert_eq!(read_server_frame(&mut &b"\x81\x05\x48\x65\x6c\x6c\x6f"[..]).unwrap(), (0x1, b"Hello".to_vec()));
    }

    #[test]
    fn a_ping_and_its_masked_pong() {
        assert_eq!(read_server_frame(&mut &b"\x89\x05Hello"[..]).unwrap(), (PING, b"Hello".to_vec()));
        assert_eq!(client_frame(PONG, b"Hello"), b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn lengths_of_16_and_of_64_bits() {
        for (length, start) in
            [(126, &b"\x82\x7e\x00\x7e"[..]), (256, b"\x82\x7e\x01\x00"), (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0")]
        {
            let frame = server_frame(BINARY, &vec![7; length]);
            assert_eq!(&frame[..start.len()], start);
            assert_eq!(read_server_frame(&mut &frame[..]).unwrap(), (BINARY, vec![7; length]));
        }
    }
}

#[cfg(test)]
mod refusals {
    use super::*;

    #[test]
    fn masked_fragmented_and_endless_frames() {
        for frame in [&b"\x82\x81\0\0\0\0x"[..], b"\x02\x01x", b"\xc2\x01x", b"\x82\x7f\0\0\0\xff\0\0\0\0"] {
            assert_eq!(read_server_frame(&mut &frame[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn half_a_frame() {
        assert_eq!(read_server_frame(&mut &b"\x82\x05Hel"[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
