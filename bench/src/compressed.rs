//! JSON over permessage-deflate (RFC 7692), both ways, each message for itself.
//!
//! Compressing is most of what such an echo costs, and must not be the load's to do again for every message: requests are
//! compressed in advance, as many as make a server's guess of the next one worthless, and sent in turn. A reply is inflated
//! and compared with the request, to the last byte; how it was compressed is the server's choice.

use anyhow::{Result, bail, ensure};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{
    cell::Cell,
    frame::{self, TEXT, client_frame},
};

/// Messages in advance.
#[derive(Debug)]
pub(crate) struct Compressed {
    /// By number: what is sent, and what it says.
    messages: Vec<(Vec<u8>, Vec<u8>)>,
    inflater: Decompress,
    inflated: Vec<u8>,
}

impl Compressed {
    pub(crate) fn new(cell: Cell) -> Result<Compressed> {
        let messages: Result<_> = (0..MESSAGES)
            .map(|number| {
                let text = ticks(number, cell.payload_bytes);
                let mut frame = client_frame(TEXT, &compressed(&text)?);
                frame[0] |= RSV1;
                Ok((frame, text))
            })
            .collect();
        Ok(Compressed { messages: messages?, inflater: Decompress::new(false), inflated: Vec::new() })
    }

    /// The next `count` requests in a row, from `first` on.
    pub(crate) fn number<'a>(&self, batch: &'a mut Vec<u8>, first: u64, count: usize) -> &'a [u8] {
        batch.clear();
        for number in (first..).take(count) {
            batch.extend(&self.message(number).0);
        }
        batch
    }

    /// Takes `input` for the reply to request `number`, of which `begun` has come before and to which it is added. Returns how
    /// many bytes it took: to the end of that reply, after which nothing is begun, or all there are.
    pub(crate) fn check(&mut self, input: &[u8], number: u64, begun: &mut Vec<u8>) -> Result<usize> {
        let before = begun.len();
        let wanted = |begun: &[u8]| {
            let header = frame::header_bytes(begun);
            if begun.len() < header { header } else { header + frame::payload_bytes(&begun[..header]) as usize }
        };
        loop {
            let missing = wanted(begun) - begun.len();
            let rest = &input[begun.len() - before..];
            if missing == 0 && begun.len() >= frame::header_bytes(begun) {
                break;
            }
            if rest.is_empty() {
                return Ok(input.len());
            }
            begun.extend(&rest[..missing.min(rest.len())]);
            ensure!(begun.len() <= MAX_REPLY_BYTES, "reply {number:#x} does not end");
        }
        let taken = begun.len() - before;
        let payload = &begun[frame::header_bytes(begun)..];
        match begun[0] {
            COMPRESSED_TEXT => {
                self.inflate(payload, number)?;
                ensure!(
                    self.inflated == self.message(number).1,
                    "reply {number:#x} says something else than its request"
                );
            }
            WHOLE_TEXT => bail!("reply {number:#x} is not compressed"),
            first => bail!("reply {number:#x}: a frame begins with {first:#04x}, instead of a compressed text"),
        }
        begun.clear();
        Ok(taken)
    }

    /// §7.2.2: the empty block that was taken off is put back.
    fn inflate(&mut self, payload: &[u8], number: u64) -> Result<()> {
        self.inflater.reset(false);
        self.inflated.clear();
        // One byte more than there may be, so that more than that is seen.
        self.inflated.reserve(self.messages[0].1.len() + 1);
        for part in [payload, TAIL] {
            let before = self.inflater.total_in();
            let status = self.inflater.decompress_vec(part, &mut self.inflated, FlushDecompress::Sync)?;
            let whole = self.inflater.total_in() - before == part.len() as u64;
            ensure!(whole || status == Status::StreamEnd, "reply {number:#x} inflates to more than its request");
        }
        Ok(())
    }

    fn message(&self, number: u64) -> &(Vec<u8>, Vec<u8>) {
        &self.messages[(number % MESSAGES) as usize]
    }
}

/// §7.2.1: a block with sync flush, without the four bytes that it ends with.
fn compressed(text: &[u8]) -> Result<Vec<u8>> {
    let mut deflater = Compress::new(Compression::new(6), false);
    let mut bytes = Vec::with_capacity(text.len() + 64);
    deflater.compress_vec(text, &mut bytes, FlushCompress::Sync)?;
    ensure!(bytes.ends_with(TAIL), "no sync flush at the end");
    bytes.truncate(bytes.len() - TAIL.len());
    Ok(bytes)
}

/// What a ticker of shares would send, with a number that no other has, in exactly so many bytes.
fn ticks(number: u64, length: usize) -> Vec<u8> {
    let mut text = format!("{{\"id\":{number},\"ticks\":[");
    let mut seed = number;
    loop {
        // Knuth's generator: prices and volumes that nothing predicts.
        let mut next = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let tick = format!(
            "{{\"symbol\":\"{}\",\"price\":{}.{:02},\"volume\":{},\"time\":\"2026-01-02T15:04:{:02}.{:03}Z\"}},",
            SYMBOLS[next(8) as usize],
            next(900) + 100,
            next(100),
            next(100_000),
            next(60),
            next(1000)
        );
        if text.len() + tick.len() + END.len() > length {
            break;
        }
        text.push_str(&tick);
    }
    text.push_str(END);
    let padding = length - text.len();
    text.insert_str(text.len() - 2, &"-".repeat(padding));
    text.into_bytes()
}

/// How many messages there are: all of them together are longer than the window of 32 KiB, though it is not kept.
const MESSAGES: u64 = 64;

const SYMBOLS: [&str; 8] = ["AAPL", "MSFT", "GOOG", "AMZN", "NVDA", "SAP", "ASML", "NESN"];

/// Of every message; what is missing in its length goes between the quotes.
const END: &str = "{}],\"note\":\"\"}";

/// The shortest that is compressed by all who are compared: some leave out messages of less than half a KiB.
pub(crate) const MIN_JSON_BYTES: usize = 512;

const RSV1: u8 = 0x40;
const WHOLE_TEXT: u8 = 0x80 | TEXT;
const COMPRESSED_TEXT: u8 = WHOLE_TEXT | RSV1;
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// A reply is shorter than its request, or not much longer.
const MAX_REPLY_BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::server_frame;

    fn reply(text: &[u8]) -> Vec<u8> {
        let mut frame = server_frame(TEXT, &compressed(text).unwrap());
        frame[0] |= RSV1;
        frame
    }

    fn one_kib() -> Compressed {
        Compressed::new("1x1024x4-deflate".parse().unwrap()).unwrap()
    }

    #[test]
    fn messages_are_json_of_the_length_that_was_asked_for_and_all_different() {
        for length in [MIN_JSON_BYTES, 1024, 16 << 10] {
            let texts: Vec<_> = (0..MESSAGES).map(|number| ticks(number, length)).collect();
            for (number, text) in texts.iter().enumerate() {
                assert_eq!(text.len(), length);
                let json: serde_json::Value = serde_json::from_slice(text).unwrap();
                assert_eq!(json["id"], number);
            }
            assert!(compressed(&texts[7]).unwrap().len() * 2 < length);
        }
    }

    #[test]
    fn a_reply_is_taken_at_every_cut_and_no_byte_more() {
        let mut wire = one_kib();
        let reply = reply(&ticks(9, 1024));
        let with_next = [&reply[..], b"\xc1\x05next"].concat();
        for cut in 0..reply.len() {
            let mut begun = Vec::new();
            assert_eq!(wire.check(&reply[..cut], 9, &mut begun).unwrap(), cut);
            assert_eq!(begun.len(), cut);
            assert_eq!(wire.check(&with_next[cut..], 9, &mut begun).unwrap(), reply.len() - cut);
            assert!(begun.is_empty());
        }
    }

    #[test]
    fn what_differs_is_found() {
        let mut wire = one_kib();
        let mut checked = |frame: &[u8]| wire.check(frame, 9, &mut Vec::new()).map(drop);
        checked(&reply(&ticks(9, 1024))).unwrap();
        assert!(checked(&reply(&ticks(10, 1024))).unwrap_err().to_string().contains("something else"));
        assert!(checked(&reply(&ticks(9, 4096))).unwrap_err().to_string().contains("inflates to more"));
        assert!(checked(&server_frame(TEXT, &ticks(9, 1024))).unwrap_err().to_string().contains("not compressed"));
        assert!(checked(b"\x89\0").unwrap_err().to_string().contains("0x89"));
    }

    #[test]
    fn requests_follow_each_other_and_begin_again() {
        let wire = one_kib();
        let mut batch = Vec::new();
        let length = wire.number(&mut batch, MESSAGES - 1, 2).len();
        assert_eq!(length, wire.messages[63].0.len() + wire.messages[0].0.len());
    }
}
