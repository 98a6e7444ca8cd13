//! However the network cuts its bytes, the application hears the same and the same is written: the test that only a core
//! without a socket can have.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "support/heard.rs"]
mod heard;
#[allow(dead_code, reason = "what is written is looked at in other tests")]
#[path = "support/wire.rs"]
mod wire;

use std::time::Instant;

use heard::{Heard, Mode, feed};
use openline_proto::{Config, Connection, IoState, Kind, Output, ProtocolError, Role, State};
use proptest::prelude::*;
use wire::frame;

/// Small enough that a few frames meet every limit.
fn config() -> Config {
    Config { max_frame_bytes: 300, max_message_bytes: 400, max_empty_fragments: 3, ..Default::default() }
}

/// Everything that can be seen of a connection after it was fed.
#[derive(Debug, PartialEq)]
struct Outcome {
    heard: Vec<Heard>,
    error: Option<ProtocolError>,
    written: Vec<u8>,
    states: (State, IoState),
    closed: Option<openline_proto::Closed>,
}

/// Feeds pieces, each in its mode, to a fresh connection.
fn play<'a>(role: Role, pieces: impl IntoIterator<Item = (Mode, &'a [u8])>) -> Outcome {
    let now = Instant::now();
    let mut connection = match role {
        Role::Server => Connection::server(&Default::default(), config(), now),
        Role::Client => Connection::client(&Default::default(), config(), [1; 32], now),
    };
    let (mut output, mut heard, mut error) = (Output::new(), Vec::new(), None);
    for (mode, piece) in pieces {
        let result = feed(&mut connection, mode, piece, now, &mut output, &mut heard);
        error = error.or(result.err());
    }
    let states = (connection.state(), connection.io_state());
    let closed = connection.closed().cloned();
    Outcome { heard: merged(heard, &error), error, written: output.to_vec(), states, closed }
}

/// Parts of one message in one; how many there are is the only thing that cuts may change.
fn merged(heard: Vec<Heard>, error: &Option<ProtocolError>) -> Vec<Heard> {
    let mut merged: Vec<Heard> = Vec::new();
    for heard in heard {
        match (merged.last_mut(), heard) {
            (Some(Heard::Part(kind, before, last @ false)), Heard::Part(same, part, end)) if *kind == same => {
                before.extend(part);
                *last = end;
            }
            (_, heard) => merged.push(heard),
        }
    }
    // Of a text that turns out wrong, more or less may have gone out before.
    if *error == Some(ProtocolError::InvalidUtf8) {
        merged.pop_if(|last| matches!(last, Heard::Part(Kind::Text, _, false)));
    }
    merged
}

/// `wire`, cut at `cuts`, read in the mode `first` and in the other one from each of `switches`, which are in order.
fn pieces<'a>(wire: &'a [u8], cuts: &[usize], first: Mode, switches: &[usize]) -> Vec<(Mode, &'a [u8])> {
    let mut pieces = Vec::new();
    let mut mode = first;
    let mut begin = 0;
    for end in switches.iter().copied().chain([wire.len()]) {
        let mut at = begin;
        for cut in cuts.iter().copied().filter(|cut| (begin + 1..end).contains(cut)) {
            pieces.push((mode, &wire[at..cut]));
            at = cut;
        }
        // An application that changes over asks at once, even if nothing comes.
        pieces.push((mode, &wire[at..end]));
        mode = if mode == Mode::Whole { Mode::Parts } else { Mode::Whole };
        begin = end;
    }
    pieces
}

const ROLES: [Role; 2] = [Role::Server, Role::Client];

const MODES: [Mode; 2] = [Mode::Whole, Mode::Parts];

fn masked_for(role: Role, frames: &[u8]) -> Vec<u8> {
    match role {
        Role::Server => wire::mask(frames),
        Role::Client => frames.to_vec(),
    }
}

/// What a few frames can say and do wrong.
fn corpus() -> Vec<Vec<u8>> {
    let text = "aä€😀".as_bytes();
    let mut corpus: Vec<Vec<u8>> = [
        &b""[..],
        b"\x81\0",
        b"\x82\0",
        b"\x81\x05Hello",
        b"\x82\x02\xff\xfe\x81\x02hi",
        b"\x01\x03Hel\x80\x02lo",
        b"\x01\0\x00\0\x80\0\x02\0\x80\x01x",
        b"\x01\x01a\x89\x04ping\x00\x01b\x8a\x04pong\x80\x01c\x81\x01d",
        b"\x89\0\x8a\0\x89\x03abc",
        b"\x88\0",
        b"\x88\x02\x03\xe8\x81\x05later",
        b"\x01\x01a\x88\x07\x0f\xa0cause",
        // A code point in four frames, and with a ping in it.
        b"\x01\x01\xf0\x00\x01\x9f\x00\x01\x98\x80\x01\x80",
        b"\x01\x02\xe2\x82\x89\x01p\x80\x02\xacx\x82\x01y",
        // What breaks a rule, with something right before it and something after it.
        b"\x81\x02ok\xc1\x01x\x81\x01y",
        b"\x81\x02ok\x83\0\x81\x01y",
        b"\x89\x01p\x8b\0",
        b"\x81\x7e\0\x7d",
        b"\x82\x7f\0\0\0\0\0\0\xff\xff",
        b"\x82\x7f\x80\0\0\0\0\0\0\0",
        b"\x09\x01x",
        b"\x89\x7e\0\x7e",
        b"\x80\x01x",
        b"\x01\x01a\x81\x01b",
        b"\x02\x01a\x01\x01b",
        b"\x88\x01x",
        b"\x88\x02\x03\xee",
        b"\x88\x04\x03\xe8\xc3\x28",
        b"\x81\x03ab\xff",
        b"\x01\x03ab\xe2\x80\x01c",
        b"\x01\x02\xf0\x9f\x80\0",
        b"\x81\x02\xf0\x9f",
        b"\x01\x04abc\xed\x00\x03\xa0\x80x",
        b"\x01\0\x00\0\x00\0\x00\0",
        b"\x82\x7e\x01\x2d",
    ]
    .map(<[u8]>::to_vec)
    .into();
    corpus.push(frame(0x81, text));
    corpus.push([frame(0x01, &text[..5]), frame(0x89, text), frame(0x80, &text[5..])].concat());
    corpus.push(frame(0x82, &[7; 126]));
    corpus.push([frame(0x02, &[1; 300]), frame(0x80, &[2; 101])].concat());
    corpus
}

/// Every corpus input, in both roles and all modes, changing over at every byte: cut at every byte, and at every single
/// place.
#[test]
fn a_small_corpus_cut_everywhere() {
    for frames in corpus() {
        for role in ROLES {
            let wire = masked_for(role, &frames);
            let every: Vec<usize> = (0..wire.len()).collect();
            for first in MODES {
                let unchanged = [vec![]];
                let changed = (0..=wire.len()).map(|switch| vec![switch]);
                for switches in unchanged.into_iter().chain(changed) {
                    let whole = play(role, pieces(&wire, &[], first, &switches));
                    let bytes = play(role, pieces(&wire, &every, first, &switches));
                    assert_eq!(whole, bytes, "{role:?} {first:?} {switches:?}: {}", frames.escape_ascii());
                    // All single cuts are many, for the long inputs; these are enough to meet every border of a frame.
                    for cut in (0..wire.len()).filter(|cut| *cut < 40 || cut % 17 == 0) {
                        let cut_once = play(role, pieces(&wire, &[cut], first, &switches));
                        assert_eq!(whole, cut_once, "{role:?} {first:?} {switches:?}, cut at {cut}");
                    }
                }
            }
        }
    }
}

/// A binary message whose rest nobody wants, and behind it a text that turns out wrong.
#[test]
fn a_dropped_message_is_not_mistaken_for_a_wrong_text() {
    let wire = [frame(0x82, &[7; 14]), frame(0x01, b"\0\0\0\x80")].concat();
    let every: Vec<usize> = (0..wire.len()).collect();
    let switches = [0, 3, 4];
    let whole = play(Role::Client, pieces(&wire, &[], Mode::Whole, &switches));
    assert_eq!(whole, play(Role::Client, pieces(&wire, &every, Mode::Whole, &switches)));
}

/// Both roles hear the same from the same frames, and write the same but for the masks.
#[test]
fn both_roles_hear_the_same() {
    for frames in corpus() {
        for mode in MODES {
            let [server, client] = ROLES.map(|role| play(role, [(mode, &masked_for(role, &frames)[..])]));
            assert_eq!((&server.heard, &server.error), (&client.heard, &client.error));
            assert_eq!(server.written, wire::unmask(&client.written));
        }
    }
}

/// Frames that mostly follow one another as they should.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a€😀]{0,90}".prop_map(String::into_bytes);
    let payload = prop_oneof![4 => text, 1 => prop::collection::vec(any::<u8>(), 0..310)];
    let first = prop_oneof![
        30 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x80]),
        1 => any::<u8>()
    ];
    let data = (first, payload).prop_map(|(first, payload)| frame(first, &payload));
    let control = (prop::sample::select(vec![0x89_u8, 0x8a]), prop::collection::vec(any::<u8>(), 0..126))
        .prop_map(|(first, payload)| frame(first, &payload));
    let close = prop_oneof![Just(b"\x88\0".to_vec()), Just(b"\x88\x03\x03\xe8x".to_vec()), Just(b"\x88\x01x".to_vec())];
    let message = ("[a€😀]{1,90}", any::<prop::sample::Index>(), any::<bool>()).prop_map(|(text, index, ping)| {
        let (first, last) = text.as_bytes().split_at(index.index(text.len()));
        let between = if ping { frame(0x89, first.get(..50).unwrap_or(first)) } else { Vec::new() };
        [frame(0x01, first), between, frame(0x80, last)].concat()
    });
    let part = prop_oneof![6 => message, 4 => data, 2 => control, 1 => close];
    prop::collection::vec(part, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_frames_cut_anywhere(
        frames in frames(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        switches in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        first in prop::sample::select(MODES.to_vec()),
        role in prop::sample::select(ROLES.to_vec()),
    ) {
        let wire = masked_for(role, &frames);
        let places = |indices: Vec<prop::sample::Index>| {
            let mut places: Vec<usize> = indices.iter().map(|index| index.index(wire.len() + 1)).collect();
            places.sort_unstable();
            places
        };
        let (cuts, switches) = (places(cuts), places(switches));
        let every: Vec<usize> = (0..wire.len()).collect();
        let whole = play(role, pieces(&wire, &[], first, &switches));
        prop_assert_eq!(&whole, &play(role, pieces(&wire, &cuts, first, &switches)));
        prop_assert_eq!(&whole, &play(role, pieces(&wire, &every, first, &switches)));
    }

    /// What was written is legal whatever came, and ends with a Close frame if the peer broke a rule.
    #[test]
    fn any_bytes_are_survived(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        first in prop::sample::select(MODES.to_vec()),
        role in prop::sample::select(ROLES.to_vec()),
    ) {
        let outcome = play(role, pieces(&bytes, &[], first, &[bytes.len() / 2]));
        let said = wire::said(&outcome.written, role == Role::Client);
        if outcome.error.is_some() {
            prop_assert!(matches!(said.last(), Some(wire::Said::Close(_))));
            prop_assert_eq!(outcome.states, (State::Closing, IoState::Shutdown));
        }
    }

    /// Frames that break no rule are heard as they were written.
    #[test]
    fn legal_frames_are_heard_as_they_were_written(frames in frames(), role in prop::sample::select(ROLES.to_vec())) {
        let wire = masked_for(role, &frames);
        let outcome = play(role, [(Mode::Whole, &wire[..])]);
        if outcome.error.is_none() {
            // Behind a Close frame anything may come.
            let closed = outcome.heard.iter().any(|heard| matches!(heard, Heard::Close(_)));
            if !closed {
                let said: Vec<Heard> = wire::said(&wire, role == Role::Server).into_iter().map(as_heard).collect();
                prop_assert_eq!(outcome.heard, said);
            }
        }
    }
}

fn as_heard(said: wire::Said) -> Heard {
    match said {
        wire::Said::Text(text) => Heard::text(str::from_utf8(&text).unwrap()),
        wire::Said::Binary(bytes) => Heard::binary(&bytes),
        wire::Said::Ping(payload) => Heard::Ping(payload),
        wire::Said::Pong(payload) => Heard::Pong(payload),
        wire::Said::Close(_) => unreachable!("not behind a Close frame"),
    }
}
