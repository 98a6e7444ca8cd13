//! What compression costs: nothing while idle, the limit for a bomb, and with takeover what its memory allows.

use std::cell::RefCell;
use std::time::Duration;

use openline::deflate::{ContextMemory, Deflate, Deflater, Inflater};
use openline::handshake::{ClientHandshake, Negotiated, ServerHandshake};
use openline::{Config, Error, ProtocolError, Role, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::UnixStream;

use crate::wire::masked;
use crate::{Peak, alone, live_bytes};

/// An idle connection that agreed on compression may cost this much more than one that did not.
const MAX_MORE_BYTES: usize = 128;

const CONNECTIONS: usize = 100;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// What a server agrees on with a client like it.
fn agree(deflate: Option<Deflate>) -> Negotiated {
    let uri = "ws://a/".parse().unwrap();
    let client = ClientHandshake::new(&uri, [7; 16]).unwrap().deflate(deflate.clone());
    let server = ServerHandshake { deflate, ..ServerHandshake::default() };
    server.accept(&client.request()).unwrap().1
}

/// A server's connection, and its peer.
fn open(negotiated: &Negotiated, config: Config) -> (WebSocket<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(32 << 10);
    (WebSocket::from_parts(ours, &[], Role::Server, negotiated, config), theirs)
}

fn json() -> Vec<u8> {
    (0..200).map(|n| format!("{{\"sequence\":{n},\"kind\":\"tick\"}}")).collect::<String>().into_bytes()
}

/// What each of many connections holds once each has echoed a message; the kernel has the buffers.
async fn idle_bytes(deflate: Option<Deflate>) -> usize {
    let negotiated = agree(deflate.clone());
    let config = std::sync::Arc::new(Config::default());
    let json = json();
    let mut deflater = Deflater::new(6, 15);
    let frame = match &deflate {
        Some(_) => masked(0xc2, deflater.message(&json, usize::MAX).unwrap()),
        None => masked(0x82, &json),
    };
    let mut answer = vec![0; 16 << 10];
    let mut connections = Vec::with_capacity(CONNECTIONS);
    let mut before = 0;
    for n in 0..=CONNECTIONS {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let mut socket = WebSocket::from_parts(ours, &[], Role::Server, &negotiated, config.clone());
        peer.write_all(&frame).await.unwrap();
        let message = socket.recv().await.unwrap().unwrap();
        assert_eq!(message.as_bytes(), json);
        socket.send(message).await.unwrap();
        assert!(peer.read(&mut answer).await.unwrap() > 0);
        assert_eq!(answer[0], if deflate.is_some() { 0xc2 } else { 0x82 });
        assert!(tokio::time::timeout(Duration::ZERO, socket.recv()).await.is_err(), "idle again");
        match n {
            // What a thread allocates once.
            0 => before = live_bytes(),
            _ => connections.push((socket, peer)),
        }
    }
    (live_bytes() - before) / CONNECTIONS
}

#[test]
fn an_idle_connection_costs_no_more_for_compression() {
    let _alone = alone();
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let without = idle_bytes(None).await;
        let with = idle_bytes(Some(Deflate::default())).await;
        println!("{with} bytes with compression, {without} without");
        assert!(with <= without + MAX_MORE_BYTES, "{with} bytes with compression, {without} without");
    });
}

/// With takeover a quiet connection keeps what its peer may refer to, and nothing else.
#[test]
fn a_quiet_connection_with_takeover_keeps_a_window() {
    let _alone = alone();
    runtime().block_on(async {
        let memory = ContextMemory::new(1 << 30);
        let deflate = Deflate { peer_window_bits: 12, ..Deflate::with_takeover(memory.clone()) };
        let (mut socket, mut peer) = open(&agree(Some(deflate)), Config { ping_interval: None, ..Config::default() });
        let mut deflater = Deflater::new(6, 12);
        let json = json();
        // What the thread's pools hold comes and goes with the first message.
        for round in 0..2 {
            let before = live_bytes();
            peer.write_all(&masked(0xc2, deflater.message(&json, usize::MAX).unwrap())).await.unwrap();
            assert_eq!(socket.recv().await.unwrap().unwrap().as_bytes(), json);
            assert!(memory.used() > Inflater::BYTES);
            let quiet = tokio::time::timeout(Duration::from_secs(31), socket.recv()).await;
            assert!(quiet.is_err(), "nothing comes");
            assert_eq!(memory.used(), 4096);
            let more = live_bytes().saturating_sub(before);
            assert!(round == 0 || more < 4096 + 1024, "{more} bytes");
        }
    });
}

/// What a compressor and an inflater are said to take is what they take.
#[test]
fn what_contexts_are_counted_as() {
    let _alone = alone();
    for window_bits in 9..=15 {
        let before = live_bytes();
        let mut deflater = Deflater::new(1, window_bits);
        deflater.message(&json(), usize::MAX);
        deflater.shrink(4 << 10);
        let bytes = live_bytes() - before;
        let counted = Deflater::bytes(window_bits);
        println!("a compressor with {window_bits} bits: {bytes}, counted as {counted}");
        assert!(bytes <= counted && counted < bytes + bytes / 4, "{window_bits} bits: {bytes}, counted as {counted}");
    }
    let before = live_bytes();
    let _inflater = Inflater::new();
    let (bytes, counted) = (live_bytes() - before, Inflater::BYTES);
    println!("an inflater: {bytes}, counted as {counted}");
    assert!(bytes <= counted && counted < bytes + bytes / 8, "{bytes}, counted as {counted}");
}

/// 64 MiB of zeros in 65 kB, in one frame, and in parts.
#[test]
fn a_bomb_costs_no_more_than_the_limit() {
    let _alone = alone();
    runtime().block_on(async {
        const MAX_BYTES: usize = 2 << 20;
        let bomb = masked(0xc2, Deflater::new(9, 15).message(&vec![0; 64 << 20], usize::MAX).unwrap());
        assert!(bomb.len() < 70_000);
        let big = Config { max_frame_bytes: 1 << 40, max_message_bytes: 1 << 40, ..Config::default() };
        for (config, parts) in [(Config::default(), false), (Config::default(), true), (big, true)] {
            let is_big = config.max_message_bytes > 1 << 20;
            let (mut socket, mut peer) = open(&agree(Some(Deflate::default())), config);
            let peak = RefCell::new(Peak::new());
            let mut heard = 0;
            let sending = async {
                for piece in bomb.chunks(20) {
                    if peer.write_all(piece).await.is_err() {
                        break;
                    }
                    peak.borrow_mut().look();
                    tokio::task::yield_now().await;
                }
                let mut end = Vec::new();
                let _ = peer.read_to_end(&mut end).await;
            };
            let receiving = async {
                let ended = loop {
                    peak.borrow_mut().look();
                    match if parts {
                        socket.recv_part().await.map(|part| part.map(|part| part.bytes.len()))
                    } else {
                        socket.recv().await.map(|message| message.map(|message| message.len()))
                    } {
                        Ok(Some(bytes)) => heard += bytes,
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                    if heard == 64 << 20 {
                        break Ok(());
                    }
                };
                peak.borrow_mut().look();
                drop(socket);
                ended
            };
            let (ended, ()) = tokio::join!(receiving, sending);
            match is_big {
                true => assert!(ended.is_ok() && heard == 64 << 20),
                false => {
                    assert!(
                        matches!(ended, Err(Error::Protocol(ProtocolError::MessageTooBig { max: 1_048_576 }))),
                        "{ended:?}"
                    );
                    assert!(heard <= 1 << 20);
                }
            }
            let bytes = peak.borrow().bytes;
            println!("{bytes} bytes at most");
            assert!(bytes < MAX_BYTES, "{bytes} bytes");
        }
    });
}
