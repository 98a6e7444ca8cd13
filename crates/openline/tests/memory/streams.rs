//! A message of a gibibyte, in parts, in bounded memory at both ends.

use openline::handshake::Negotiated;
use openline::{Config, Kind, Part, Role, WebSocket};
use tokio::io::{AsyncWriteExt, DuplexStream};

use crate::{Peak, alone, wire};

const BYTES: u64 = 1 << 30;
const PIECE: usize = 64 << 10;

/// Both ends together, their line included.
const MAX_PEAK: usize = 8 << 20;

fn config() -> Config {
    Config { max_frame_bytes: BYTES, max_message_bytes: BYTES, ..Config::default() }
}

fn open(stream: DuplexStream, role: Role) -> WebSocket<DuplexStream> {
    WebSocket::from_parts(stream, b"", role, &Negotiated::default(), config())
}

/// Receives one message, and looks at the memory at every part.
async fn receive(mut socket: WebSocket<DuplexStream>) -> usize {
    let mut peak = Peak::new();
    let mut received = 0;
    loop {
        let Part { kind, bytes, last } = socket.recv_part().await.unwrap().unwrap();
        peak.look();
        received += bytes.len() as u64;
        assert_eq!(kind, Kind::Binary);
        assert!(bytes.first().is_none_or(|byte| *byte == 7) && bytes.last().is_none_or(|byte| *byte == 7));
        if last {
            assert_eq!(received, BYTES);
            return peak.bytes;
        }
    }
}

fn run(send: impl Future<Output = usize> + 'static, receive: impl Future<Output = usize> + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sent, received) = runtime.block_on(async { tokio::join!(send, receive) });
    println!("at most {} KiB live", sent.max(received) >> 10);
    assert!(sent.max(received) <= MAX_PEAK, "{sent} bytes live when sending, {received} when receiving");
}

/// One frame of a gibibyte, from a peer that is bytes.
async fn send_frame(mut stream: DuplexStream, role: Role) -> usize {
    let mut peak = Peak::new();
    let key = (role == Role::Client).then_some([1, 2, 3, 4]);
    let mut header = wire::frame(0x82, &[7; PIECE], key);
    let piece = header.split_off(header.len() - PIECE); // a multiple of the key's length
    header.truncate(1);
    header.push(127 | if key.is_some() { 0x80 } else { 0 });
    header.extend_from_slice(&BYTES.to_be_bytes());
    header.extend(key.into_iter().flatten());
    stream.write_all(&header).await.unwrap();
    for _ in 0..BYTES / PIECE as u64 {
        stream.write_all(&piece).await.unwrap();
        peak.look();
    }
    peak.bytes
}

/// Fragments of 64 KiB, from our own sender.
async fn send_fragments(stream: DuplexStream, role: Role) -> usize {
    let mut socket = open(stream, role);
    let piece = vec![7; PIECE];
    let mut peak = Peak::new();
    let mut message = socket.start_binary();
    for _ in 0..BYTES / PIECE as u64 {
        message.write(&piece).await.unwrap();
        peak.look();
    }
    message.finish().await.unwrap();
    peak.bytes
}

#[test]
fn a_server_receives_a_gibibyte_in_one_frame() {
    let _alone = alone();
    let (client, server) = tokio::io::duplex(256 << 10);
    run(send_frame(client, Role::Client), receive(open(server, Role::Server)));
}

#[test]
fn a_client_receives_a_gibibyte_in_one_frame() {
    let _alone = alone();
    let (client, server) = tokio::io::duplex(256 << 10);
    run(send_frame(server, Role::Server), receive(open(client, Role::Client)));
}

#[test]
fn a_client_streams_a_gibibyte_to_a_server() {
    let _alone = alone();
    let (client, server) = tokio::io::duplex(256 << 10);
    run(send_fragments(client, Role::Client), receive(open(server, Role::Server)));
}

#[test]
fn a_server_streams_a_gibibyte_to_a_client() {
    let _alone = alone();
    let (client, server) = tokio::io::duplex(256 << 10);
    run(send_fragments(server, Role::Server), receive(open(client, Role::Client)));
}
