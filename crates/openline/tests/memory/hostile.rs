//! Peers that would like to have our memory.

use std::time::Duration;

use openline::handshake::Negotiated;
use openline::{Config, Error, Role, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::timeout;

use crate::wire::masked;
use crate::{Peak, alone, live_bytes};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

fn server(stream: DuplexStream) -> WebSocket<DuplexStream> {
    WebSocket::from_parts(stream, b"", Role::Server, &Negotiated::default(), Config::default())
}

/// §5.5.3 lets an endpoint answer "only the most recently processed Ping frame".
#[test]
fn two_hundred_thousand_pings_of_a_peer_that_does_not_read() {
    let _alone = alone();
    runtime().block_on(async {
        let (mut client, stream) = tokio::io::duplex(16 << 10);
        let mut socket = server(stream);
        let pings = masked(0x89, &[7; 125]).repeat(100);
        let mut peak = Peak::new();
        let receiving = tokio::spawn(async move { socket.recv().await });
        for _ in 0..2_000 {
            client.write_all(&pings).await.unwrap();
            peak.look();
        }
        assert!(!receiving.is_finished());
        assert!(peak.bytes < 256 << 10, "{} bytes live", peak.bytes);
    });
}

/// Nothing is set aside for what was only announced.
#[test]
fn a_megabyte_that_was_announced_and_not_sent() {
    let _alone = alone();
    runtime().block_on(async {
        let mut connections = Vec::with_capacity(1000);
        let mut lines = Vec::with_capacity(1000);
        for _ in 0..1000 {
            let (client, stream) = tokio::io::duplex(64);
            lines.push(client);
            connections.push(server(stream));
        }
        let before = live_bytes();
        for (client, socket) in lines.iter_mut().zip(&mut connections) {
            client.write_all(&masked(0x82, &vec![0; 1 << 20])[..15]).await.unwrap();
            assert!(timeout(Duration::ZERO, socket.recv()).await.is_err());
        }
        let bytes = (live_bytes() - before) / connections.len();
        assert!(bytes < 1024, "{bytes} bytes for a connection");
    });
}

/// A peer that asks and asks, and reads no answer, costs the output's limit and one message.
#[test]
fn answers_to_a_peer_that_does_not_read() {
    let _alone = alone();
    runtime().block_on(async {
        let (mut client, stream) = tokio::io::duplex(16 << 10);
        let mut socket = server(stream);
        let mut peak = Peak::new();
        let echoing = tokio::spawn(async move {
            loop {
                match socket.recv_ref().await {
                    Ok(Some((message, mut reply))) => reply.feed(message).unwrap(),
                    Ok(None) => return None,
                    Err(error) => return Some(error),
                }
            }
        });
        let question = masked(0x82, &[7; 4000]);
        while client.write_all(&question).await.is_ok() {
            peak.look();
        }
        let error = echoing.await.unwrap();
        assert!(matches!(error, Some(Error::TimedOut(openline::TimedOut::Write))), "{error:?}");
        assert!(peak.bytes < 3 << 20, "{} bytes live", peak.bytes); // 1 MiB, in a buffer that doubled
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
    });
}

/// A fragment of one byte is a message of one byte more, not an allocation more.
#[test]
fn a_megabyte_in_fragments_of_one_byte() {
    let _alone = alone();
    runtime().block_on(async {
        let (mut client, stream) = tokio::io::duplex(1 << 20);
        let mut socket = server(stream);
        let mut peak = Peak::new();
        let receiving = tokio::spawn(async move { socket.recv().await });
        client.write_all(&masked(0x02, b"x")).await.unwrap();
        let fragments = masked(0x00, b"x").repeat(1 << 10);
        for _ in 0..1000 {
            client.write_all(&fragments).await.unwrap();
            peak.look();
        }
        client.write_all(&masked(0x80, b"x")).await.unwrap();
        assert_eq!(receiving.await.unwrap().unwrap().unwrap().len(), 1000 * 1024 + 2);
        assert!(peak.bytes < 4 << 20, "{} bytes live", peak.bytes); // the line's 1 MiB, and a message that doubled
    });
}
