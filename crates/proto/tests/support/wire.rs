//! Frames by the book (§5.2): written apart from the code under test, and simple enough to be believed.

/// A whole frame, its payload unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    /// RSV1: it begins a compressed message (RFC 7692 §6).
    pub(crate) compressed: bool,
    pub(crate) opcode: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

/// What frames say: messages put together, control frames where they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Close(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The frames in `wire`, which must end where a frame ends.
pub(crate) fn frames(wire: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut at = 0;
    while at < wire.len() {
        let (first, second) = (wire[at], wire[at + 1]);
        assert_eq!(first & 0x30, 0, "a reserved bit is set at byte {at}");
        let compressed = first & 0x40 != 0;
        let (masked, short) = (second & 0x80 != 0, second & 0x7f);
        let (length_bytes, least) = match short {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        let extended = wire[at + 2..at + 2 + length_bytes].iter().fold(0, |length, byte| length << 8 | *byte as usize);
        assert!(extended >= least, "a length is not minimal at byte {at}");
        let length = if short < 126 { short as usize } else { extended };
        at += 2 + length_bytes;
        let key = if masked { [wire[at], wire[at + 1], wire[at + 2], wire[at + 3]] } else { [0; 4] };
        at += if masked { 4 } else { 0 };
        let payload = wire[at..at + length].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        at += length;
        frames.push(Frame { fin: first & 0x80 != 0, compressed, opcode: first & 0x0f, masked, payload });
    }
    frames
}

/// What the frames in `wire` say. They must be legal (§5.4, §5.5), masked if `masked` (§5.1), and no data follows Close.
pub(crate) fn said(wire: &[u8], masked: bool) -> Vec<Said> {
    let mut said = Vec::new();
    let mut message: Option<(u8, Vec<u8>)> = None;
    let mut closed = false;
    for frame in frames(wire) {
        assert_eq!(frame.masked, masked, "§5.1: a client masks every frame, a server none");
        assert!(!frame.compressed, "§5.2: a reserved bit is set");
        if frame.opcode >= CLOSE {
            assert!(frame.fin && frame.payload.len() <= 125, "§5.5: control frames are short and whole");
        } else {
            assert!(!closed, "§5.5.1: no data after Close");
        }
        match frame.opcode {
            CLOSE => {
                assert!(!closed, "one Close frame is enough");
                closed = true;
                said.push(Said::Close(frame.payload));
                continue;
            }
            PING => said.push(Said::Ping(frame.payload)),
            PONG => said.push(Said::Pong(frame.payload)),
            0 => {
                let (_, payload) = message.as_mut().expect("§5.4: a continuation continues something");
                payload.extend(frame.payload);
            }
            TEXT | BINARY => {
                assert!(message.is_none(), "§5.4: messages do not interleave");
                message = Some((frame.opcode, frame.payload));
            }
            opcode => panic!("opcode {opcode} is reserved"),
        }
        if frame.opcode < CLOSE && frame.fin {
            said.push(match message.take().expect("begun") {
                (TEXT, payload) => Said::Text(payload),
                (_, payload) => Said::Binary(payload),
            });
        }
    }
    said
}

/// A frame without a mask; `first` is its first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..65_536 => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// The masking key of §5.7's examples.
pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Masks the frames of `wire`, which have no mask; what they do wrong beside that stays. The last may be incomplete.
pub(crate) fn mask(mut wire: &[u8]) -> Vec<u8> {
    let mut masked = Vec::new();
    while let [first, second, ..] = *wire {
        let header_bytes = match second & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let length = match header_bytes {
            2 => usize::from(second & 0x7f),
            _ => wire[2..header_bytes].iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte)) as usize,
        };
        let (payload, rest) = wire[header_bytes..].split_at(length.min(wire.len() - header_bytes));
        masked.extend([first, second | 0x80]);
        masked.extend(&wire[2..header_bytes]);
        masked.extend(KEY);
        masked.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]));
        wire = rest;
    }
    masked.extend(wire);
    masked
}

/// The frames of `wire`, their masks taken off.
pub(crate) fn unmask(wire: &[u8]) -> Vec<u8> {
    let first = |f: &Frame| u8::from(f.fin) << 7 | u8::from(f.compressed) << 6 | f.opcode;
    frames(wire).iter().flat_map(|f| frame(first(f), &f.payload)).collect()
}
