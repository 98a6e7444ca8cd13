//! A message for many is compressed once for each window, however many it goes to.

use std::sync::atomic::{AtomicUsize, Ordering};

use openline_proto::deflate::{Codecs, ContextMemory, Deflate, Deflater, DeflaterKind, Inflater};
use openline_proto::{Outgoing, SharedMessage, SharedMessages};

use crate::deflated::{both, eager, json, noise, said};
use crate::wire;

/// Counts how often a compressor is asked for.
#[derive(Debug)]
struct Counting(AtomicUsize);

impl Codecs for Counting {
    fn take_deflater(&self, kind: DeflaterKind) -> Box<Deflater> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::new(Deflater::of(kind))
    }

    fn put_deflater(&self, _: Box<Deflater>) {}

    fn take_inflater(&self) -> Box<Inflater> {
        Box::default()
    }

    fn put_inflater(&self, _: Box<Inflater>) {}
}

#[test]
fn compressed_once_for_each_window() {
    static CODECS: Counting = Counting(AtomicUsize::new(0));
    let news = json(3000);
    let message = SharedMessage::new(&news);
    let asked = || CODECS.0.swap(0, Ordering::Relaxed);
    for window_bits in [15, 15, 10, 10, 15] {
        let deflate = Deflate { window_bits, ..eager() };
        for _ in 0..10 {
            let [mut client, _] = both(&deflate);
            client.connection.codecs(&CODECS);
            client.connection.send_shared(&message.clone(), &mut client.output).unwrap();
            let written = client.takes();
            assert!(written.len() < news.len() / 2);
            assert_eq!(said(&mut Inflater::new(), &wire::frames(&written)), [(news.clone().into_bytes(), true)]);
        }
    }
    assert_eq!(asked(), 2);
    // One that does not shrink is tried once.
    let message = SharedMessage::new(noise(10_000, 1));
    for _ in 0..10 {
        let [mut client, _] = both(&eager());
        client.connection.codecs(&CODECS);
        client.connection.send_shared(&message, &mut client.output).unwrap();
        client.expects(wire::frame(0x82, message.as_bytes()));
    }
    assert_eq!(asked(), 1);
}

/// Each for itself, among those that are not compressed.
#[test]
fn many_at_once_are_compressed_one_by_one() {
    let news = [json(30), "short".to_owned(), json(300)];
    for mut peer in both(&Deflate::default()) {
        let messages: SharedMessages = news.iter().map(SharedMessage::new).collect();
        peer.connection.send_all_shared(&messages, &mut peer.output).unwrap();
        let written = peer.takes();
        let said = said(&mut Inflater::new(), &wire::frames(&written));
        let compressed = [true, false, true];
        assert!(said.into_iter().eq(news.iter().map(|one| one.clone().into_bytes()).zip(compressed)));
    }
}

#[test]
fn a_client_sends_it_too() {
    let news = json(30);
    let [_, mut server] = both(&eager());
    server.connection.send_shared(&SharedMessage::new(&news), &mut server.output).unwrap();
    let written = server.takes();
    assert_eq!(said(&mut Inflater::new(), &wire::frames(&written)), [(news.into_bytes(), true)]);
}

#[test]
fn short_ones_and_by_choice_as_they_are() {
    for mut peer in both(&Deflate::default()) {
        let news = json(30);
        for (message, compressed) in [
            (Outgoing::from("short"), false),
            (Outgoing::from("ha".repeat(40)).compressed(), true),
            (Outgoing::from(&news), true),
            (Outgoing::from(&news).uncompressed(), false),
        ] {
            let message = SharedMessage::new(message);
            peer.connection.send_shared(&message, &mut peer.output).unwrap();
            let written = peer.takes();
            let expected = [(message.as_bytes().to_vec(), compressed)];
            assert_eq!(said(&mut Inflater::new(), &wire::frames(&written)), expected);
        }
    }
}

/// The peer's window moves on by a message that our context has not seen: it must not refer behind it.
#[test]
fn between_messages_with_takeover() {
    for mut peer in both(&Deflate::with_takeover(ContextMemory::new(1 << 20))) {
        let mut inflater = Inflater::new();
        let news = SharedMessage::new(json(200));
        for n in 0..10 {
            let own = format!("{n}: {}", json(20));
            peer.connection.send(own.as_str(), &mut peer.output).unwrap();
            peer.connection.send_shared(&news, &mut peer.output).unwrap();
            peer.connection.send(own.as_str(), &mut peer.output).unwrap();
            peer.connection.send_shared(&SharedMessage::new("short"), &mut peer.output).unwrap();
            let written = peer.takes();
            let own = own.into_bytes();
            assert_eq!(
                said(&mut inflater, &wire::frames(&written)),
                [(own.clone(), true), (news.as_bytes().to_vec(), true), (own, true), (b"short".to_vec(), false),]
            );
        }
    }
}
