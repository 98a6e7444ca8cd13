//! Peers that send and never read: they fill what is theirs, and then they are on their own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::bytes::{long_ping, masked, upgrade};
use crate::peer::Peer;
use crate::server::{MIB, NOISE, Server};

/// Once 1 MiB of echoes waits, nothing more is read from it, and the write timeout decides.
#[test]
fn one_that_only_sends_to_an_echo() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let mut peer = Peer::open_narrow(&server, "/test");
    peer.sends_until_ended(&masked(0x82, &[b'd'; 64 << 10]));
    // The output, 1 MiB, and the echo that crossed its limit.
    server.endured(NOISE + 3 * MIB);
}

/// The same with the messages that are the most work for their size.
#[test]
fn one_that_only_sends_small_ones_to_an_echo() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let mut peer = Peer::open_narrow(&server, "/test");
    peer.sends_until_ended(&masked(0x81, b"x").repeat(1000));
    // The output, 1 MiB; growing, it is there twice.
    server.endured(NOISE + 3 * MIB);
}

/// And with pings between them, whose pongs could be more than the limit of the output has room for.
#[test]
fn one_that_sends_messages_and_pings_to_an_echo() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let mut peer = Peer::open_narrow(&server, "/test");
    let pings = (0..20).flat_map(long_ping).collect();
    peer.sends_until_ended(&[masked(0x82, &[b'd'; 1000]), pings].concat());
    // The output, 1 MiB; growing, it is there twice. Of pongs 4 KiB wait beside it.
    server.endured(NOISE + 3 * MIB);
}

/// 1013 for whom the outbox of 1 MiB overflows, and the end of the line when even that is not read; or the write timeout
/// for whom everything stands still. The last one talks to nobody, which costs nothing.
#[test]
fn two_that_only_send_to_a_chat() {
    let server = Server::start(&["--write-timeout", "2s", "--close-timeout", "1s"]);
    let message = masked(0x82, &[b'd'; 16 << 10]);
    let one_ended = AtomicBool::new(false);
    let two = [Peer::open_narrow(&server, "/chat"), Peer::open_narrow(&server, "/chat")];
    thread::scope(|scope| {
        for mut peer in two {
            let (message, one_ended) = (&message, &one_ended);
            scope.spawn(move || {
                if peer.sends_until(message, || one_ended.load(Ordering::Relaxed)) {
                    one_ended.store(true, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(one_ended.into_inner(), "both are still there");
    // For each an outbox and an output of 1 MiB, and the message that crossed the limit.
    server.endured(NOISE + 2 * 3 * MIB);
}

/// Pipelined requests (RFC 9112 §9.3.2) whose answers nobody reads are read no further.
#[test]
fn one_that_only_asks_for_the_page() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let mut peer = Peer::connect_narrow(&server);
    peer.sends_until_ended(&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(100));
    // One page is some 10 KiB, and hyper stops at a few of them.
    server.endured(NOISE + 2 * MIB);
}

/// It asks to upgrade, does not read the answer, and goes on as if it had.
#[test]
fn one_that_does_not_even_read_its_handshake() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let mut peer = Peer::connect_narrow(&server);
    peer.sends(upgrade("/test"));
    peer.sends_until_ended(&masked(0x82, &[b'd'; 64 << 10]));
    server.endured(NOISE + 3 * MIB);
}
