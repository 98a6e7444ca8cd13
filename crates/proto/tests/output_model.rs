//! `Output` against a naive model that keeps a list of frames: random messages, pings, pongs and partial writes.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "support/link.rs"]
mod link;
#[allow(dead_code, reason = "what the frames say is looked at in other tests")]
#[path = "support/wire.rs"]
mod wire;

use std::collections::VecDeque;
use std::time::Instant;

use openline_proto::{Config, Connection, Output, Role, SendError, SharedMessage};
use proptest::prelude::*;

/// Not a multiple of anything, and above the length from which payloads are kept by reference.
const FRAGMENT_BYTES: usize = 5000;

/// What may wait of pings and pongs, before the newest pong takes the place of the one before (§5.5.3).
const MAX_CONTROL_BYTES: usize = 4096;

/// What one would write down who has all day: frames in lists, and how much of the first is written.
#[derive(Default)]
struct Model {
    mask_bytes: usize,
    data: VecDeque<Vec<u8>>,
    control: VecDeque<Vec<u8>>,
    /// What is left of a frame of which a part is written.
    begun_data: usize,
    begun_control: usize,
    /// Every frame that went out, or began to.
    wire: Vec<u8>,
    written: usize,
}

impl Model {
    fn message(&mut self, opcode: u8, payload: &[u8], fragment_bytes: usize) {
        let mut fragments = payload.chunks(fragment_bytes).collect::<Vec<_>>();
        fragments.resize(fragments.len().max(1), &[]);
        let last = fragments.len() - 1;
        for (i, fragment) in fragments.into_iter().enumerate() {
            let first = u8::from(i == last) << 7 | if i == 0 { opcode } else { 0 };
            self.data.push_back(wire::frame(first, fragment));
        }
    }

    fn ping(&mut self, payload: &[u8]) -> bool {
        let frame = wire::frame(0x89, payload);
        let fits = self.control_bytes() + frame.len() + self.mask_bytes <= MAX_CONTROL_BYTES;
        if fits {
            self.control.push_back(frame);
        }
        fits
    }

    fn pong(&mut self, payload: &[u8]) {
        let frame = wire::frame(0x8a, payload);
        let full = self.control_bytes() + frame.len() + self.mask_bytes > MAX_CONTROL_BYTES;
        self.control.pop_back_if(|newest| full && newest[0] == 0x8a);
        self.control.push_back(frame);
    }

    /// The order of the wire: the frame that is begun, then what is urgent, then what is next.
    fn write(&mut self, mut bytes: usize) {
        self.written += bytes;
        while bytes > 0 {
            let begun = if self.begun_data > 0 { &mut self.begun_data } else { &mut self.begun_control };
            if *begun > 0 {
                let taken = bytes.min(*begun);
                (*begun, bytes) = (*begun - taken, bytes - taken);
            } else if let Some(frame) = self.control.pop_front() {
                self.begun_control = frame.len() + self.mask_bytes;
                self.wire.extend(frame);
            } else {
                let frame = self.data.pop_front().expect("no more is written than waits");
                self.begun_data = frame.len() + self.mask_bytes;
                self.wire.extend(frame);
            }
        }
    }

    fn control_bytes(&self) -> usize {
        self.begun_control + self.bytes(&self.control)
    }

    fn len(&self) -> usize {
        self.begun_data + self.control_bytes() + self.bytes(&self.data)
    }

    fn bytes(&self, frames: &VecDeque<Vec<u8>>) -> usize {
        frames.iter().map(|frame| frame.len() + self.mask_bytes).sum()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Lent(usize),
    Owned(usize),
    Shared(usize),
    Parts(Vec<usize>),
    Ping(usize),
    /// A ping of the peer's, which makes a pong of ours.
    Pong(usize),
    Pongs(usize),
    Write {
        bytes: usize,
        slices: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let long = prop_oneof![0_usize..300, 3900_usize..4300, 4900_usize..5100, 0_usize..20_000];
    prop_oneof![
        3 => (0_usize..700).prop_map(Step::Lent),
        1 => long.clone().prop_map(Step::Lent),
        2 => long.clone().prop_map(Step::Owned),
        1 => long.prop_map(Step::Shared),
        1 => (66_000_usize..140_000).prop_map(Step::Shared),
        1 => prop::collection::vec(0_usize..6000, 1..4).prop_map(Step::Parts),
        3 => (0_usize..=125).prop_map(Step::Ping),
        3 => (0_usize..=125).prop_map(Step::Pong),
        1 => (0_usize..90).prop_map(Step::Pongs),
        12 => (prop_oneof![0_usize..10, 0_usize..5000, 0_usize..60_000, Just(usize::MAX)], 1_usize..=16)
            .prop_map(|(bytes, slices)| Step::Write { bytes, slices }),
    ]
}

fn run(role: Role, steps: Vec<Step>) {
    let now = Instant::now();
    let config = Config { fragment_bytes: FRAGMENT_BYTES, max_output_bytes: usize::MAX, ..Default::default() };
    let mut connection = match role {
        Role::Server => Connection::server(&Default::default(), config, now),
        Role::Client => Connection::client(&Default::default(), config, [3; 32], now),
    };
    let mask_bytes = if role == Role::Client { 4 } else { 0 };
    let mut output = Output::new();
    let mut model = Model { mask_bytes, ..Default::default() };
    let mut wire = Vec::new();
    for (number, step) in steps.into_iter().enumerate() {
        let payload = |length| vec![number as u8; length];
        let pong = |connection: &mut Connection, output: &mut Output, length| {
            let ping = wire::frame(0x89, &payload(length));
            let mut ping = if role == Role::Server { wire::mask(&ping) } else { ping };
            connection.receive(&mut ping, now, output).unwrap();
        };
        match step {
            Step::Lent(length) => {
                connection.send(&payload(length)[..], &mut output).unwrap();
                model.message(2, &payload(length), FRAGMENT_BYTES);
            }
            Step::Owned(length) => {
                connection.send(payload(length), &mut output).unwrap();
                model.message(2, &payload(length), FRAGMENT_BYTES);
            }
            Step::Shared(length) => {
                connection.send_shared(&SharedMessage::new(payload(length)), &mut output).unwrap();
                model.message(2, &payload(length), if role == Role::Client { FRAGMENT_BYTES } else { 65_536 });
            }
            Step::Parts(lengths) => {
                for length in &lengths {
                    connection.send_part(payload(length + 1), false, &mut output).unwrap();
                }
                connection.send_part(&[], true, &mut output).unwrap();
                for (i, length) in lengths.into_iter().enumerate() {
                    model.message(if i == 0 { 2 } else { 0 }, &payload(length + 1), FRAGMENT_BYTES);
                    model.data.back_mut().unwrap()[0] &= 0x7f;
                }
                model.message(0, &[], FRAGMENT_BYTES);
            }
            Step::Ping(length) => {
                let expected = if model.ping(&payload(length)) { Ok(()) } else { Err(SendError::Full) };
                assert_eq!(connection.ping(&payload(length), &mut output), expected);
            }
            Step::Pong(length) => {
                pong(&mut connection, &mut output, length);
                model.pong(&payload(length));
            }
            Step::Pongs(number) => {
                for length in (0..number).map(|i| i % 126) {
                    pong(&mut connection, &mut output, length);
                    model.pong(&payload(length));
                }
            }
            Step::Write { bytes, slices } => {
                let written = link::write(&mut output, bytes, slices);
                assert_eq!(written.len(), bytes.min(model.len()));
                model.write(written.len());
                wire.extend(written);
            }
        }
        assert_eq!((output.len(), output.is_empty()), (model.len(), model.len() == 0));
        assert_eq!(output.written(), model.written as u64);
        assert!(model.control_bytes() <= MAX_CONTROL_BYTES + 131);
    }
    let rest = output.to_vec();
    assert_eq!(rest.len(), model.len());
    model.write(rest.len());
    wire.extend(rest);
    assert!(wire::unmask(&wire) == model.wire, "the wire is not what the model says");
    wire::said(&wire, role == Role::Client);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn output_is_what_a_list_of_frames_would_be(
        steps in prop::collection::vec(step(), 0..60),
        role in prop::sample::select(vec![Role::Server, Role::Client]),
    ) {
        run(role, steps);
    }
}
