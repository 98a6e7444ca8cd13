//! The bytes of one echo, both ways: numbered requests built in advance, replies predicted to the last byte.

use anyhow::{Result, bail};

use crate::frame::{self, BINARY, client_frame, server_frame};

/// What one message looks like on the way out and on the way back.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    request: Template,
    reply: Template,
}

impl Wire {
    /// Binary WebSocket messages: masked out, unmasked back.
    pub(crate) fn websocket(payload_bytes: usize) -> Wire {
        let payload = payload(payload_bytes);
        Wire {
            request: Template::new(client_frame(BINARY, &payload), payload_bytes, frame::KEY),
            reply: Template::new(server_frame(BINARY, &payload), payload_bytes, [0; 4]),
        }
    }

    /// The same number of bytes for a server that knows no WebSocket. A client's frame is 4 bytes (the masking key) longer than
    /// the reply; a raw echo returns what it got. Half the key's length each way makes the sum of both directions equal.
    pub(crate) fn raw(payload_bytes: usize) -> Wire {
        let websocket = Wire::websocket(payload_bytes);
        let length = (websocket.request.bytes.len() + websocket.reply.bytes.len()) / 2;
        let message = Template::new(payload(length), length, [0; 4]);
        Wire { request: message.clone(), reply: message }
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

    /// Compares `input` with the reply to request `number`, of which `seen` bytes came before. Returns how many bytes it took:
    /// to the end of that reply, or all there are.
    pub(crate) fn check(&mut self, input: &[u8], number: u64, seen: usize) -> Result<usize> {
        let reply = &mut self.reply;
        Template::put(&mut reply.bytes, reply.first, number);
        Template::put(&mut reply.bytes, reply.last, number);
        let rest = &reply.bytes[seen..];
        let length = rest.len().min(input.len());
        if input[..length] == rest[..length] {
            return Ok(length);
        }
        let Some(at) = (0..length).find(|&at| input[at] != rest[at]) else { return Ok(length) };
        let hint = if seen + at == 0 && input[0] == 0x80 | frame::PING { " (a ping)" } else { "" };
        bail!(
            "reply {number:#x} differs at byte {}: expected {:#04x}, got {:#04x}{hint}",
            seen + at,
            rest[at],
            input[at]
        );
    }

    pub(crate) fn reply_bytes(&self) -> usize {
        self.reply.bytes.len()
    }
}

/// A message with its number left out. The number stands at both ends of the payload, so that a reply put together from two
/// messages is found out.
#[derive(Clone, Debug)]
struct Template {
    bytes: Vec<u8>,
    first: Place,
    last: Place,
}

/// Where a number goes, and the masking key as it falls there.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    mask: [u8; 8],
}

impl Template {
    fn new(bytes: Vec<u8>, payload_bytes: usize, key: [u8; 4]) -> Template {
        let start = bytes.len() - payload_bytes;
        let place = |offset: usize| Place { at: start + offset, mask: std::array::from_fn(|i| key[(offset + i) % 4]) };
        Template { first: place(0), last: place(payload_bytes - NUMBER_BYTES), bytes }
    }

    fn number(&self, message: &mut [u8], number: u64) {
        Self::put(message, self.first, number);
        Self::put(message, self.last, number);
    }

    fn put(message: &mut [u8], place: Place, number: u64) {
        let masked = number ^ u64::from_le_bytes(place.mask);
        message[place.at..place.at + NUMBER_BYTES].copy_from_slice(&masked.to_le_bytes());
    }
}

/// Bytes without a short period, so that a shifted copy differs.
fn payload(length: usize) -> Vec<u8> {
    (0..length as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

const NUMBER_BYTES: usize = 8;

/// Room for the number at both ends.
pub(crate) const MIN_PAYLOAD_BYTES: usize = 2 * NUMBER_BYTES;

#[cfg(test)]
mod tests {
    use super::*;

    /// What an echo server answers: the payload unmasked, under a server's header.
    fn answer(request: &[u8], header_bytes: usize) -> Vec<u8> {
        let payload: Vec<u8> =
            request[header_bytes + 4..].iter().zip(frame::KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        server_frame(BINARY, &payload)
    }

    #[test]
    fn a_websocket_reply_is_predicted_at_every_cut() {
        for (payload_bytes, header_bytes) in [(16, 2), (20, 2), (21, 2), (125, 2), (126, 4), (1024, 4), (65536, 10)] {
            let mut wire = Wire::websocket(payload_bytes);
            let mut batch = wire.batch(3);
            let requests = wire.number(&mut batch, 0x0102_0304_0506_0708, 3).to_vec();
            assert_eq!(requests.len(), 3 * (header_bytes + 4 + payload_bytes));
            for (request, number) in requests.chunks(wire.request.bytes.len()).zip(0x0102_0304_0506_0708..) {
                let reply = answer(request, header_bytes);
                for cut in [0, 1, header_bytes, header_bytes + 5, reply.len()] {
                    assert_eq!(wire.check(&reply[..cut], number, 0).unwrap(), cut);
                    assert_eq!(wire.check(&reply[cut..], number, cut).unwrap(), reply.len() - cut);
                }
                assert_eq!(wire.check(&[&reply[..], b"next"].concat(), number, 0).unwrap(), reply.len());
            }
        }
    }

    #[test]
    fn any_wrong_byte_is_found() {
        let mut wire = Wire::websocket(20);
        let mut batch = wire.batch(1);
        let reply = answer(wire.number(&mut batch, 42, 1), 2);
        for at in 0..reply.len() {
            let mut wrong = reply.clone();
            wrong[at] ^= 0x10;
            let error = wire.check(&wrong, 42, 0).unwrap_err().to_string();
            assert!(error.contains(&format!("differs at byte {at}:")), "{error}");
        }
        assert!(wire.check(&reply, 43, 0).is_err());
    }

    #[test]
    fn a_ping_is_named() {
        let error = Wire::websocket(20).check(b"\x89\x00", 0, 0).unwrap_err().to_string();
        assert!(error.ends_with("(a ping)"), "{error}");
    }

    fn both_ways(wire: &Wire) -> usize {
        wire.request.bytes.len() + wire.reply_bytes()
    }

    #[test]
    fn a_raw_echo_carries_as_many_bytes_as_a_websocket_echo() {
        for payload_bytes in [16, 20, 126, 1024, 65536] {
            let (websocket, raw) = (Wire::websocket(payload_bytes), Wire::raw(payload_bytes));
            assert_eq!(both_ways(&raw), both_ways(&websocket));
        }
    }

    #[test]
    fn a_raw_echo_returns_what_it_got() {
        let mut wire = Wire::raw(20);
        let mut batch = wire.batch(2);
        let sent = wire.number(&mut batch, 7, 2).to_vec();
        assert_eq!(wire.check(&sent, 7, 0).unwrap(), 24);
        assert_eq!(wire.check(&sent[24..], 8, 0).unwrap(), 24);
        assert!(wire.check(&sent, 8, 0).is_err());
    }
}
