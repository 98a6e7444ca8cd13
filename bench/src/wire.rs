//! The bytes of one echo, both ways: numbered requests built in advance, replies predicted to the last byte.

use anyhow::{Result, bail, ensure};

use crate::{
    cell::{Cell, Kind},
    frame::{self, BINARY, CONTINUATION, TEXT, client_frame},
};

/// What one message looks like on the way out and on the way back.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    request: Template,
    /// The payload of the reply.
    reply: Template,
    /// The opcode of a WebSocket's reply; `None` for a server that knows no frames.
    opcode: Option<u8>,
}

/// How much of a reply has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// A frame's header that came in pieces.
    header: [u8; frame::MAX_HEADER_BYTES],
    header_bytes: usize,
    /// What is missing of the frame's payload.
    frame_left: usize,
    fin: bool,
    /// The first frame has come.
    in_fragments: bool,
    /// Bytes of the payload.
    seen: usize,
    begun: bool,
}

impl Wire {
    /// WebSocket messages: masked out, unmasked back.
    pub(crate) fn websocket(cell: Cell) -> Wire {
        let payload = payload(cell.payload_bytes, cell.kind);
        let opcode = if cell.kind == Kind::Binary { BINARY } else { TEXT };
        Wire {
            request: Template::new(client_frame(opcode, &payload), cell.payload_bytes, frame::KEY, cell.kind),
            reply: Template::new(payload, cell.payload_bytes, [0; 4], cell.kind),
            opcode: Some(opcode),
        }
    }

    /// Messages that are sent as bodies of requests with this head, and come as WebSocket messages.
    pub(crate) fn posted(cell: Cell, head: &str) -> Wire {
        let payload = payload(cell.payload_bytes, cell.kind);
        let request = [head.as_bytes(), &payload].concat();
        Wire { request: Template::new(request, cell.payload_bytes, [0; 4], cell.kind), ..Wire::websocket(cell) }
    }

    /// The same number of bytes for a server that knows no WebSocket. A client's frame is 4 bytes (the masking key) longer than
    /// the reply; a raw echo returns what it got. Half the key's length each way makes the sum of both directions equal.
    pub(crate) fn raw(cell: Cell) -> Wire {
        let length = Wire::websocket(cell).request.bytes.len() - 2;
        let message = Template::new(payload(length, Kind::Binary), length, [0; 4], Kind::Binary);
        Wire { request: message.clone(), reply: message, opcode: None }
    }

    /// `count` requests in a row, whose numbers `number` fills in.
    pub(crate) fn batch(&self, count: usize) -> Vec<u8> {
        self.request.bytes.repeat(count)
    }

    /// Numbers the first requests of a batch, from `first` on, and returns their bytes.
    pub(crate) fn number<'a>(&self, batch: &'a mut [u8], first: u64, count: usize) -> &'a [u8] {
        let length = self.request.bytes.len();
        for (request, number) in batch.chunks_exact_mut(length).take(count).zip(first..) {
            self.request.number(request, number);
        }
        &batch[..count * length]
    }

    /// Compares `input` with the reply to request `number`, of which some may have come before. Returns how many bytes it took:
    /// to the end of that reply, or all there are.
    pub(crate) fn check(&mut self, input: &[u8], number: u64, progress: &mut Progress) -> Result<usize> {
        if !progress.begun {
            *progress = Progress::default();
            progress.begun = !input.is_empty();
        }
        self.reply.number_own(number);
        let mut taken = 0;
        while taken < input.len() {
            if let Some(opcode) = self.opcode
                && progress.frame_left == 0
            {
                taken += progress.read_header(&input[taken..], opcode, number, self.reply.bytes.len())?;
            } else if self.opcode.is_none() {
                progress.frame_left = self.reply.bytes.len() - progress.seen;
                progress.fin = true;
            }
            let length = progress.frame_left.min(input.len() - taken);
            self.compare(&input[taken..taken + length], number, progress.seen)?;
            taken += length;
            progress.seen += length;
            progress.frame_left -= length;
            if progress.is_done(self.reply.bytes.len()) {
                progress.begun = false;
                break;
            }
        }
        Ok(taken)
    }

    fn compare(&self, input: &[u8], number: u64, seen: usize) -> Result<()> {
        let expected = &self.reply.bytes[seen..seen + input.len()];
        if input == expected {
            return Ok(());
        }
        let Some(at) = (0..input.len()).find(|&at| input[at] != expected[at]) else { return Ok(()) };
        bail!(
            "reply {number:#x} differs at byte {} of its payload: expected {:#04x}, got {:#04x}",
            seen + at,
            expected[at],
            input[at]
        );
    }
}

impl Progress {
    /// Whether no byte of the next reply has come.
    pub(crate) fn is_between(&self) -> bool {
        !self.begun
    }

    fn is_done(&self, payload_bytes: usize) -> bool {
        self.frame_left == 0 && self.header_bytes == 0 && self.fin && self.seen == payload_bytes
    }

    /// Reads a frame's header (§5.2), or a part of it. A reply may come in fragments (§5.4), nothing may come between them.
    fn read_header(&mut self, input: &[u8], opcode: u8, number: u64, payload_bytes: usize) -> Result<usize> {
        let mut taken = 0;
        let (first, length) = loop {
            let whole = frame::header_bytes(&self.header[..self.header_bytes]);
            if self.header_bytes >= 2 && self.header_bytes == whole {
                break (self.header[0], frame::payload_bytes(&self.header[..whole]));
            }
            let Some(byte) = input.get(taken) else { return Ok(taken) };
            self.header[self.header_bytes] = *byte;
            self.header_bytes += 1;
            taken += 1;
        };
        let expected = if self.in_fragments { CONTINUATION } else { opcode };
        let hint = match first & 0x0f {
            frame::PING => " (a ping)",
            frame::CLOSE => " (a close)",
            _ => "",
        };
        ensure!(
            first & 0x7f == expected && self.header[1] & 0x80 == 0,
            "reply {number:#x}: a frame begins with {first:#04x} {:#04x}{hint}, instead of opcode {expected:#x}",
            self.header[1]
        );
        self.header_bytes = 0;
        self.fin = first & 0x80 != 0;
        self.in_fragments = true;
        self.frame_left = usize::try_from(length)?;
        let left = payload_bytes - self.seen;
        ensure!(
            if self.fin { self.frame_left == left } else { self.frame_left <= left },
            "reply {number:#x}: a frame of {} bytes, where {left} are missing",
            self.frame_left
        );
        Ok(taken)
    }
}

/// A message with its number left out. The number stands at both ends of the payload, so that a reply put together from two
/// messages is found out.
#[derive(Clone, Debug)]
struct Template {
    bytes: Vec<u8>,
    first: Place,
    last: Place,
    kind: Kind,
}

/// Where a number goes, and the masking key as it falls there.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    mask: [u8; 8],
}

impl Template {
    fn new(bytes: Vec<u8>, payload_bytes: usize, key: [u8; 4], kind: Kind) -> Template {
        let start = bytes.len() - payload_bytes;
        let place = |offset: usize| Place { at: start + offset, mask: std::array::from_fn(|i| key[(offset + i) % 4]) };
        Template { first: place(0), last: place(payload_bytes - NUMBER_BYTES), bytes, kind }
    }

    fn number(&self, message: &mut [u8], number: u64) {
        let number = self.spell(number);
        Self::put(message, self.first, number);
        Self::put(message, self.last, number);
    }

    fn number_own(&mut self, number: u64) {
        let number = self.spell(number);
        Self::put(&mut self.bytes, self.first, number);
        Self::put(&mut self.bytes, self.last, number);
    }

    /// As eight bytes; in text as eight letters and digits, of which each holds six bits.
    fn spell(&self, number: u64) -> u64 {
        match self.kind {
            Kind::Binary => number,
            Kind::Ascii | Kind::Mixed | Kind::Json => {
                // The connection's number is in the upper half, and only its lower 16 bits are ever used.
                let number = number & 0xffff_ffff_ffff;
                u64::from_le_bytes(std::array::from_fn(|at| ALPHABET[(number >> (6 * at)) as usize & 63]))
            }
        }
    }

    fn put(message: &mut [u8], place: Place, number: u64) {
        let masked = number ^ u64::from_le_bytes(place.mask);
        message[place.at..place.at + NUMBER_BYTES].copy_from_slice(&masked.to_le_bytes());
    }
}

/// Content between two places for a number. Binary: bytes without a short period, so that a shifted copy differs.
fn payload(length: usize, kind: Kind) -> Vec<u8> {
    let bytes = (0..length as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8);
    match kind {
        Kind::Binary => bytes.collect(),
        Kind::Ascii | Kind::Json => bytes.map(|byte| ALPHABET[usize::from(byte) & 63]).collect(),
        Kind::Mixed => {
            let mut text = "12345678".to_owned();
            let most = length - NUMBER_BYTES;
            for (piece, byte) in SCRIPTS.chars().cycle().zip(bytes) {
                if text.len() + piece.len_utf8() > most {
                    break;
                }
                text.push(piece);
                // A digit here and there, so that it has no short period either.
                if byte & 7 == 0 && text.len() < most {
                    text.push(char::from(ALPHABET[usize::from(byte >> 3)]));
                }
            }
            let mut bytes = text.into_bytes();
            bytes.resize(length, b'.');
            bytes
        }
    }
}

const NUMBER_BYTES: usize = 8;

/// Room for the number at both ends.
pub(crate) const MIN_PAYLOAD_BYTES: usize = 2 * NUMBER_BYTES;

const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

const SCRIPTS: &str = "línea Zeile γραμμή линия שורה سطر पंक्ति เส้น 線路 行く 줄 🧵📈";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cell::Over, frame::server_frame};

    fn cell(payload_bytes: usize, kind: Kind) -> Cell {
        Cell { connections: 1, payload_bytes, in_flight: 1, kind, over: Over::default() }
    }

    fn wire(payload_bytes: usize) -> Wire {
        Wire::websocket(cell(payload_bytes, Kind::Binary))
    }

    fn unmasked(request: &[u8], header_bytes: usize) -> Vec<u8> {
        request[header_bytes + 4..].iter().zip(frame::KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    /// Everything in two pieces: how much of them was taken.
    fn check_in_pieces(wire: &mut Wire, reply: &[u8], number: u64, cut: usize) -> usize {
        let mut progress = Progress::default();
        let first = wire.check(&reply[..cut], number, &mut progress).unwrap();
        assert_eq!(first, cut);
        assert_eq!(progress.is_between(), cut == 0);
        let second = wire.check(&reply[cut..], number, &mut progress).unwrap();
        assert!(progress.is_between());
        first + second
    }

    #[test]
    fn a_websocket_reply_is_predicted_at_every_cut() {
        for kind in [Kind::Binary, Kind::Ascii, Kind::Mixed] {
            for (payload_bytes, header_bytes) in [(16, 2), (20, 2), (21, 2), (125, 2), (126, 4), (1024, 4), (65536, 10)]
            {
                let mut wire = Wire::websocket(cell(payload_bytes, kind));
                let opcode = if kind == Kind::Binary { BINARY } else { TEXT };
                let first = 0x0203_0405_0607;
                let mut batch = wire.batch(3);
                let requests = wire.number(&mut batch, first, 3).to_vec();
                assert_eq!(requests.len(), 3 * (header_bytes + 4 + payload_bytes));
                for (request, number) in requests.chunks(wire.request.bytes.len()).zip(first..) {
                    let payload = unmasked(request, header_bytes);
                    assert!(kind == Kind::Binary || std::str::from_utf8(&payload).is_ok());
                    let reply = server_frame(opcode, &payload);
                    for cut in [0, 1, header_bytes, header_bytes + 5, reply.len() - 1] {
                        assert_eq!(check_in_pieces(&mut wire, &reply, number, cut), reply.len());
                    }
                    let mut progress = Progress::default();
                    let with_next = [&reply[..], b"next"].concat();
                    assert_eq!(wire.check(&with_next, number, &mut progress).unwrap(), reply.len());
                }
            }
        }
    }

    #[test]
    fn a_reply_may_come_in_fragments() {
        let mut wire = wire(300);
        let mut batch = wire.batch(1);
        let payload = unmasked(wire.number(&mut batch, 7, 1), 4);
        let mut reply = server_frame(BINARY, &payload[..200]);
        reply[0] &= 0x7f;
        let mut last = server_frame(BINARY, &payload[200..]);
        last[0] = 0x80;
        reply.extend(last);
        for cut in [0, 1, 2, 3, 4, 204, 205, 206, 250] {
            assert_eq!(check_in_pieces(&mut wire, &reply, 7, cut), reply.len(), "{cut}");
        }
        reply[204] = 0x82; // two messages, and not one
        assert!(wire.check(&reply, 7, &mut Progress::default()).is_err());
    }

    #[test]
    fn any_wrong_byte_is_found() {
        let mut wire = wire(20);
        let mut batch = wire.batch(1);
        let reply = server_frame(BINARY, &unmasked(wire.number(&mut batch, 42, 1), 2));
        for at in 0..reply.len() {
            let mut wrong = reply.clone();
            wrong[at] ^= 0x10;
            let error = wire.check(&wrong, 42, &mut Progress::default()).unwrap_err().to_string();
            let expected = if at < 2 { "a frame".into() } else { format!("differs at byte {} ", at - 2) };
            assert!(error.contains(&expected), "{error}");
        }
        assert!(wire.check(&reply, 43, &mut Progress::default()).is_err());
    }

    #[test]
    fn a_ping_is_named() {
        let error = wire(20).check(b"\x89\x00", 0, &mut Progress::default()).unwrap_err().to_string();
        assert!(error.contains("(a ping)"), "{error}");
    }

    #[test]
    fn a_raw_echo_carries_as_many_bytes_as_a_websocket_echo() {
        for payload_bytes in [16, 20, 126, 1024, 65536] {
            let cell = cell(payload_bytes, Kind::Binary);
            let (websocket, raw) = (Wire::websocket(cell), Wire::raw(cell));
            let reply = server_frame(BINARY, &websocket.reply.bytes);
            assert_eq!(2 * raw.request.bytes.len(), websocket.request.bytes.len() + reply.len());
        }
    }

    #[test]
    fn a_raw_echo_returns_what_it_got() {
        let mut wire = Wire::raw(cell(20, Kind::Binary));
        let mut batch = wire.batch(2);
        let sent = wire.number(&mut batch, 7, 2).to_vec();
        let mut progress = Progress::default();
        assert_eq!(wire.check(&sent, 7, &mut progress).unwrap(), 24);
        assert_eq!(wire.check(&sent[24..34], 8, &mut progress).unwrap(), 10);
        assert_eq!(wire.check(&sent[34..], 8, &mut progress).unwrap(), 14);
        assert!(wire.check(&sent, 8, &mut Progress::default()).is_err());
    }
}
