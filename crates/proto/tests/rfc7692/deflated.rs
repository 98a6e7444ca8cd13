//! Connections that agreed on compression, and a second opinion on what they send.

use std::time::Instant;

use openline_proto::deflate::{Deflate, Deflater, Inflated, Inflater};
use openline_proto::handshake::{ClientHandshake, Negotiated, ServerHandshake};
use openline_proto::{Config, Connection};

use crate::peer::Peer;
use crate::wire::{self, Frame};

/// Compresses whatever it can.
pub(crate) fn eager() -> Deflate {
    Deflate { min_bytes: 1, ..Deflate::default() }
}

/// What a server with these settings and a client with those agree on, as the server has it, and as the client has it.
pub(crate) fn agree(server: &Deflate, client: &Deflate) -> [Negotiated; 2] {
    let client = ClientHandshake::new(&"ws://a/".parse().unwrap(), [7; 16]).unwrap().deflate(client.clone());
    let server = ServerHandshake { deflate: Some(server.clone()), ..ServerHandshake::default() };
    let (response, negotiated) = server.accept(&client.request()).unwrap();
    [negotiated, client.finish(&response).unwrap()]
}

/// A client of a server under test, and a server of a client under test, both with these settings and such a peer.
pub(crate) fn both(deflate: &Deflate) -> [Peer; 2] {
    both_of(deflate, Config::default())
}

pub(crate) fn both_of(deflate: &Deflate, config: Config) -> [Peer; 2] {
    let [server, client] = agree(deflate, deflate);
    let now = Instant::now();
    [
        Peer::new(Connection::server(&server, config.clone(), now), now),
        Peer::new(Connection::client(&client, config, [7; 32], now), now),
    ]
}

/// A compressed frame, without a mask; `first` is its first byte, without RSV1.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    wire::frame(first | 0x40, payload)
}

/// A whole message in one frame, compressed by itself.
pub(crate) fn message(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, Deflater::new(6, 15).message(payload, usize::MAX).unwrap())
}

/// Inflates one compressed message.
pub(crate) fn inflate(inflater: &mut Inflater, mut input: &[u8]) -> Vec<u8> {
    let mut output = Vec::new();
    loop {
        let Inflated { taken, bytes, pending } = inflater.inflate(input, usize::MAX).unwrap();
        output.extend_from_slice(bytes);
        input = &input[taken..];
        if input.is_empty() && !pending {
            inflater.finish().unwrap();
            return output;
        }
    }
}

/// What the messages in these frames say, and whether they were compressed. Each must begin and end in them.
pub(crate) fn said(inflater: &mut Inflater, frames: &[Frame]) -> Vec<(Vec<u8>, bool)> {
    let mut said = Vec::new();
    let mut message: Option<(Vec<u8>, bool)> = None;
    for frame in frames.iter().filter(|frame| frame.opcode < wire::CLOSE) {
        assert_eq!(frame.opcode == 0, message.is_some(), "§5.4");
        assert!(!(frame.compressed && frame.opcode == 0), "RFC 7692 §6.1: RSV1 on a continuation");
        let (payload, _) = message.get_or_insert((Vec::new(), frame.compressed));
        payload.extend(&frame.payload);
        if frame.fin {
            let (payload, compressed) = message.take().unwrap();
            said.push((if compressed { inflate(inflater, &payload) } else { payload }, compressed));
        }
    }
    assert_eq!(message, None, "a message does not end");
    said
}

/// JSON as applications send it.
pub(crate) fn json(messages: u32) -> String {
    (0..messages).map(|n| format!("{{\"sequence\":{n},\"price\":{}}}", n.wrapping_mul(2_654_435_761) >> 16)).collect()
}

/// Bytes that do not shrink.
pub(crate) fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}
