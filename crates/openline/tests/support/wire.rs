//! Frames as bytes, both ways, without the code under test.

/// A frame: its first byte, its payload, and a masking key when a client sends it (§5.1).
pub(crate) fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mask_bit = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(mask_bit | length as u8),
        length @ ..0x1_0000 => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let key = key.inspect(|key| bytes.extend_from_slice(key)).unwrap_or_default();
    bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    bytes
}

/// A client's frame.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, Some([0x37, 0xfa, 0x21, 0x3d]))
}

/// A server's frame.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, payload, None)
}

/// A frame that was read, its mask taken off.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.payload[..self.payload.len().min(200)];
        write!(f, "{:02x} {} bytes b\"{}\"", self.first, self.payload.len(), shown.escape_ascii())
    }
}

/// The first frame of `bytes` and its length on the wire; `None` while it is not whole.
pub(crate) fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()), 10),
        length => (u64::from(length), 2),
    };
    let masked = second & 0x80 != 0;
    let mut key = [0; 4];
    if masked {
        key = bytes.get(at..at + 4)?.try_into().unwrap();
        at += 4;
    }
    let end = at + usize::try_from(length).unwrap();
    let payload = bytes.get(at..end)?.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
    Some((Frame { first, masked, payload }, end))
}

/// Whole frames, and nothing behind them.
#[track_caller]
pub(crate) fn parse_all(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, length) = parse(bytes).unwrap_or_else(|| panic!("a frame is cut: {}", bytes.escape_ascii()));
        frames.push(frame);
        bytes = &bytes[length..];
    }
    frames
}

/// The messages that whole frames are made of: first byte without FIN, and payload. Control frames stand by themselves.
#[track_caller]
pub(crate) fn messages(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut open: Option<usize> = None;
    for frame in parse_all(bytes) {
        let opcode = frame.first & 0x0f;
        let fin = frame.first & 0x80 != 0;
        match (opcode, open) {
            (8.., _) => messages.push((opcode, frame.payload)),
            (0, Some(at)) => messages[at].1.extend_from_slice(&frame.payload),
            (1 | 2, None) => {
                messages.push((opcode, frame.payload));
                open = Some(messages.len() - 1);
            }
            _ => panic!("a frame out of order: {:02x}", frame.first),
        }
        if opcode < 8 && fin {
            open = None;
        }
    }
    assert_eq!(open, None, "a message is not finished");
    messages
}
