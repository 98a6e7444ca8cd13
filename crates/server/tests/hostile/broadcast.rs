//! A room of a thousand, of whom one stops reading, or is gone, in the middle of a broadcast.

use std::time::{Duration, Instant};

use crate::bytes::{masked, turn, unmasked};
use crate::peer::{End, Peer};
use crate::server::{KIB, NOISE, Server, crowd};

/// From the first byte that is said until the last of a thousand has heard the last byte; 20 ms are usual.
const HEARD_BY_ALL: Duration = Duration::from_secs(5);

const MESSAGE_BYTES: usize = 4 << 10;

fn message(turn: u32) -> Vec<u8> {
    let mut message = vec![b'm'; MESSAGE_BYTES];
    message[..4].copy_from_slice(&turn.to_be_bytes());
    message
}

/// One says something, and all of these hear it, next and whole.
#[track_caller]
fn says(speaker: &mut Peer, turn: u32, listeners: &mut [Peer]) {
    let start = Instant::now();
    speaker.sends(masked(0x82, &message(turn)));
    let expected = unmasked(0x82, &message(turn));
    for listener in listeners {
        listener.expects(&expected);
    }
    assert!(start.elapsed() < HEARD_BY_ALL, "message {turn} took {:?}", start.elapsed());
}

/// 64 KiB may wait in its outbox, and as many in its output: 1013, and the end of the line when even that is not read.
#[test]
fn one_of_a_thousand_stops_reading() {
    let _turn = crowd();
    let server = Server::start(&["--max-output-bytes", "64KiB", "--close-timeout", "1s", "--write-timeout", "10m"]);
    let mut speaker = Peer::open(&server, "/chat");
    let mut listeners: Vec<_> = (0..999).map(|_| Peer::open(&server, "/chat")).collect();
    listeners.push(Peer::open_narrow(&server, "/chat"));
    (0..10).for_each(|turn| says(&mut speaker, turn, &mut listeners));
    let mut stuck = listeners.pop().unwrap();
    // How much its system takes before the server notices is the system's affair.
    let mut turns = 10..1000;
    while server.connections() > 999 + 1 {
        says(&mut speaker, turns.next().expect("it does not end"), &mut listeners);
    }
    let last = turns.start;
    (last..last + 10).for_each(|turn| says(&mut speaker, turn, &mut listeners));
    // What its system had taken for it is a beginning without a gap.
    let mut next = 10;
    while let Ok(frame) = stuck.next_frame() {
        assert_eq!((frame.first, turn(&frame.payload)), (0x82, next));
        next += 1;
    }
    assert!(next < last, "{next}");
    drop((speaker, listeners));
    // A line is some 3 KiB; a message is there once for all who hear it; and 64 + 64 KiB for the one who does not.
    server.endured(NOISE + 1002 * 8 * KIB);
}

/// One that was only slow finds all that was sent to it before, and then 1013.
#[test]
fn one_who_wakes_in_time_is_told_why() {
    let server = Server::start(&["--max-output-bytes", "64KiB", "--close-timeout", "10m", "--write-timeout", "10m"]);
    let mut speaker = Peer::open(&server, "/chat");
    let mut slow = Peer::open_narrow(&server, "/chat");
    let mut listeners = [Peer::open(&server, "/chat")];
    (0..1000).for_each(|turn| says(&mut speaker, turn, &mut listeners));
    let mut next = 0;
    let goodbye = loop {
        let frame = slow.frame();
        if frame.first != 0x82 {
            break frame;
        }
        assert_eq!(turn(&frame.payload), next);
        next += 1;
    };
    assert!((1..1000).contains(&next), "{next}");
    assert_eq!((goodbye.first, &goodbye.payload[..2]), (0x88, &1013_u16.to_be_bytes()[..]));
    slow.sends(b"\x88\x82\0\0\0\0\x03\xf5");
    assert_eq!(slow.end(), (0, End::Fin));
    // Coming back is welcome.
    let mut again = Peer::open(&server, "/chat");
    says(&mut speaker, 1000, &mut listeners);
    again.expects(unmasked(0x82, &message(1000)));
    drop((speaker, slow, listeners, again));
    server.endured(NOISE);
}

#[test]
fn many_reset_in_the_middle() {
    let server = Server::start(&[]);
    let mut speaker = Peer::open(&server, "/chat");
    let mut listeners: Vec<_> = (0..50).map(|_| Peer::open(&server, "/chat")).collect();
    let mut leaving: Vec<_> = (0..100).map(|_| Peer::open(&server, "/chat")).collect();
    for turn in 0..100 {
        leaving.pop().unwrap().resets();
        says(&mut speaker, turn, &mut listeners);
    }
    server.waits_for_connections(50 + 1);
    drop((speaker, listeners));
    // At most 100 outboxes that were never emptied, with a reference to each message.
    server.endured(NOISE);
}
