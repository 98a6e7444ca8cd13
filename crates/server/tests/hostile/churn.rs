//! Many who come and go: nothing of them stays, and those who are there do not notice.

use std::fs;

use crate::bytes::upgrade;
use crate::peer::Peer;
use crate::server::{KIB, MIB, NOISE, Server, crowd};

/// Connects, gets as far as its turn says, and is gone.
fn come_and_go(server: &Server, turn: usize) {
    let request = upgrade("/test");
    let mut peer = Peer::connect(server);
    match turn % 5 {
        0 => {}
        1 => peer.sends(&request[..100]),
        2 => peer.sends(&request),
        3 => peer.upgrades("/chat"),
        _ => {
            peer.upgrades("/test");
            peer.sends(b"\x81\x85\0\0\0\0hello");
        }
    }
    match turn % 10 {
        // With what was answered still unread, this is a reset as well.
        0 => drop(peer),
        // A reset leaves no port behind in TIME_WAIT, of which there are only so many.
        _ => peer.resets(),
    }
}

#[test]
fn ten_thousand_who_come_and_go() {
    let server = Server::start(&[]);
    (0..2_000).for_each(|turn| come_and_go(&server, turn));
    server.waits_for_connections(0);
    let before = server.growth();
    (0..8_000).for_each(|turn| come_and_go(&server, turn));
    server.waits_for_connections(0);
    // Once it is warm nothing is added: 128 bytes kept of each would be seen.
    let added = server.growth().saturating_sub(before);
    assert!(added <= MIB, "{} KiB were added by 8,000 connections", added / KIB);
    server.endured(NOISE);
}

#[test]
fn a_thousand_who_open_a_line_and_reset_it_at_once() {
    let server = Server::start(&[]);
    for path in ["/test", "/chat"] {
        for _ in 0..500 {
            let mut peer = Peer::connect(&server);
            peer.sends(upgrade(path));
            peer.resets();
        }
    }
    server.endured(NOISE);
}

/// After a restart everybody is there at once. Whoever finds the system's queue full is not told, and tries again only
/// after a second.
#[test]
fn a_thousand_at_the_same_time() {
    let _turn = crowd();
    let server = Server::start(&[]);
    let most: usize = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let mut crowd: Vec<_> =
        server.while_it_stands_still(|| (0..most.min(1000)).map(|_| Peer::connect(&server)).collect());
    crowd.iter_mut().for_each(|peer| peer.upgrades("/test"));
    drop(crowd);
    // A task and a socket: some 3 KiB for each.
    server.endured(NOISE + 1000 * 8 * KIB);
}

/// Newcomers wait in the system's queue until others leave; lines that are open go on.
#[test]
fn more_than_there_are_file_descriptors() {
    let server = Server::start_with_files(100, &["--head-timeout", "10m"]);
    let crowd: Vec<_> = (0..200).map(|_| Peer::connect(&server)).collect();
    server.waits_until("all descriptors are in use", |server| server.connections() > 80);
    // While one waits that wants nothing else than to talk.
    let mut late = Peer::connect(&server);
    late.sends(upgrade("/test"));
    drop(crowd);
    assert_eq!(late.answer(), 101);
    late.sends(b"\x81\x85\0\0\0\0hello");
    late.expects(b"\x81\x05hello");
    drop(late);
    assert!(server.endured(NOISE).contains("cannot accept connections"));
}

/// 503 for as many as can be told at a time, and for the rest the end without a word; those inside go on.
#[test]
fn more_than_are_let_in() {
    let _turn = crowd();
    let server = Server::start(&["--max-connections", "10"]);
    let inside: Vec<_> = (0..9).map(|_| Peer::open(&server, "/test")).collect();
    let mut crowd: Vec<_> = (0..500).map(|_| Peer::connect(&server)).collect();
    let mut told = 0;
    for peer in &mut crowd {
        if peer.tries_to_send(upgrade("/test")).is_ok() {
            told += usize::from(peer.answer_if_any() == Some(503));
        }
    }
    assert!(told > 0);
    drop((crowd, inside));
    server.endured(NOISE);
}
