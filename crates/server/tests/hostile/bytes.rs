//! What is on the wire, put together by hand.

/// An opening handshake of a client that is no browser; the accept key is `s3pPLMBiTxaQ9kYGzzhZRbK+xOo=` (§1.3).
pub(crate) fn upgrade(path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A frame from a client, its length in the shortest form, masked with zeros (§5.3 asks for more of a real one).
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, 0x80, payload.len() as u64);
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A frame from a server.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = head(first, 0, payload.len() as u64);
    frame.extend(payload);
    frame
}

/// The beginning of a client's frame that may never come.
pub(crate) fn declares(first: u8, payload_bytes: u64) -> Vec<u8> {
    let mut frame = head(first, 0x80, payload_bytes);
    frame.extend([0; 4]);
    frame
}

fn head(first: u8, mask: u8, payload_bytes: u64) -> Vec<u8> {
    let mut head = vec![first];
    match payload_bytes {
        0..=125 => head.push(mask | payload_bytes as u8),
        126..=0xffff => {
            head.push(mask | 126);
            head.extend((payload_bytes as u16).to_be_bytes());
        }
        _ => {
            head.push(mask | 127);
            head.extend(payload_bytes.to_be_bytes());
        }
    }
    head
}

/// The payload of a Close frame.
pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], reason].concat()
}

/// A ping that is the `turn`th of many, as long as a ping may be.
pub(crate) fn long_ping(turn: u32) -> [u8; 131] {
    let mut frame = [b'.'; 131];
    frame[..6].copy_from_slice(b"\x89\xfd\0\0\0\0");
    frame[6..10].copy_from_slice(&turn.to_be_bytes());
    frame
}

/// As short as one can be that tells its turn.
pub(crate) fn short_ping(turn: u32) -> [u8; 10] {
    let mut frame = *b"\x89\x84\0\0\0\0....";
    frame[6..].copy_from_slice(&turn.to_be_bytes());
    frame
}

/// What a ping of ours, or its pong, tells of its turn.
pub(crate) fn turn(payload: &[u8]) -> u32 {
    u32::from_be_bytes(payload[..4].try_into().unwrap())
}
