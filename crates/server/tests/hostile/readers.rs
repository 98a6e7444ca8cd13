//! Readers of channels that never read, by each door: their outbox fills up, they are given up, and then they are gone. And those
//! who read what comes in bursts: nothing of it stays.

use crate::peer::Peer;
use crate::server::{KIB, MIB, NOISE, Server};

/// Of one publication: little enough for many of them, and enough to fill an outbox soon.
const BYTES: usize = 60_000;

/// What the namespace of the demo keeps of the past, and what is under way once more while it is published and read.
const HISTORY: usize = 2 * MIB;

fn post(bytes: usize) -> Vec<u8> {
    let head = format!("POST /c/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n");
    [head.as_bytes(), &vec![b'd'; bytes]].concat()
}

/// Publishes until nobody is left to hear it.
fn publish_until_alone(server: &Server) {
    let mut publisher = Peer::connect(server);
    let publication = post(BYTES);
    for _ in 0..500 {
        publisher.sends(&publication);
        let (status, body) = publisher.whole_answer();
        assert_eq!(status, 202);
        if body.contains("\"deliveries\":0") {
            return;
        }
    }
    panic!("30 MB were published to a reader that does not read, and it is still there");
}

/// Over `limits.max_outbox_bytes`, 1 MiB, the stream ends; as even that is not read, the write timeout decides.
#[test]
fn one_that_never_reads_its_event_stream() {
    let server = Server::start(&["--admin", "off", "--write-timeout", "1s"]);
    let mut reader = Peer::connect_narrow(&server);
    reader.sends("GET /c/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    server.waits_for_connections(1);
    publish_until_alone(&server);
    // The outbox of 1 MiB refers to what the history has, or had; what is written in hyper's buffers, to 64 KiB.
    server.endured(NOISE + HISTORY + 2 * MIB);
    drop(reader);
}

/// The same: 4008, which it does not read either, and then the end after the close timeout.
#[test]
fn one_that_never_reads_its_websocket() {
    let server = Server::start(&["--admin", "off", "--write-timeout", "1s", "--close-timeout", "1s"]);
    let reader = Peer::open_narrow(&server, "/c/x");
    publish_until_alone(&server);
    server.endured(NOISE + HISTORY + 2 * MIB);
    drop(reader);
}

/// One answer has a mebibyte of the past at most, the next request is not read before it is written, and then the write
/// timeout decides.
#[test]
fn one_that_never_reads_its_polls() {
    let server = Server::start(&["--admin", "off", "--write-timeout", "1s"]);
    let mut publisher = Peer::connect(&server);
    for _ in 0..17 {
        publisher.sends(post(BYTES));
        assert_eq!(publisher.answer(), 202);
    }
    drop(publisher);
    let mut reader = Peer::connect_narrow(&server);
    reader.sends_until_ended(&b"GET /c/x?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100));
    // In Base64, each publication once for all, and the answer itself while it is put together.
    server.endured(NOISE + HISTORY + 6 * MIB);
}

/// A thousand who never read share what they were not told, and a budget; what each has for itself is what one write takes.
#[test]
fn a_thousand_that_never_read() {
    let _turn = crate::server::crowd();
    let server = Server::start(&["--admin", "off", "--write-timeout", "60s"]);
    let readers: Vec<_> = (0..1_000).map(|_| Peer::open_narrow(&server, "/c/x")).collect();
    let mut publisher = Peer::connect(&server);
    // 240 KB wait for each of them, and 240 MB for all, of the 256 MiB that there may be: nobody is given up yet.
    for _ in 0..4 {
        publisher.sends(post(BYTES));
        let (status, body) = publisher.whole_answer();
        assert_eq!((status, body.contains("\"deliveries\":1000")), (202, true), "{body}");
    }
    let each = server.growth() / readers.len();
    println!("{} KiB each", each / KIB);
    drop((readers, publisher));
    server.endured(NOISE + HISTORY + 1_000 * 48 * KIB);
}

/// A thousand lines hear a burst, and then nothing: what they took for it is given back.
#[test]
fn a_burst_that_a_thousand_read() {
    let _turn = crate::server::crowd();
    let server = Server::start(&["--admin", "off"]);
    let mut readers: Vec<_> = (0..1_000).map(|_| Peer::open(&server, "/c/x")).collect();
    let mut publisher = Peer::connect(&server);
    let mut burst = |messages: usize, bytes: usize| {
        publisher.sends(post(bytes).repeat(messages));
        for _ in 0..messages {
            assert_eq!(publisher.answer(), 202);
        }
        for reader in &mut readers {
            (0..messages).for_each(|_| assert_eq!(reader.message().len(), bytes));
        }
    };
    burst(1, 100);
    let quiet = server.growth();
    println!("a line that is quiet: {} bytes", quiet / 1_000);
    burst(100, 1_000);
    // The allocator gives pages back only when all of a page is free; and the history has a hundred more by now.
    server.waits_until("what the burst took is given back", |server| server.growth() < quiet + 2 * MIB);
    println!("after a burst: {} bytes more", server.growth().saturating_sub(quiet) / 1_000);
    drop((readers, publisher));
    server.endured(NOISE + HISTORY + 1_000 * 48 * KIB);
}
