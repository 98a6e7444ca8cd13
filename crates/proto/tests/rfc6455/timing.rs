//! Deadlines of one end, to the instant (§5.5.2, §7.1.1, §7.2.1): keepalive, silence, stalls, and who is to blame for them.
//! Both ends together are in `lines`.

use std::time::Duration;

use openline_proto::{CloseCode, Config, IoState, SendError, SharedMessage, State, TimedOut};

use crate::heard::{Heard, Mode};
use crate::peer::{Peer, close_frame};

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_nanos(1);

/// Pings after 10 s of silence to within a few nanoseconds, gives up 3 s later.
fn config() -> Config {
    Config { ping_interval: Some(10 * SECOND), pong_timeout: 3 * SECOND, ..Default::default() }
}

/// The first interval of a connection that nobody seeded is exact, give or take rounding.
fn waits_for_the_ping(peer: &mut Peer) {
    let wait = peer.next_timeout().expect("keepalive is on");
    assert!(wait.abs_diff(10 * SECOND) < 100 * TICK, "{wait:?}");
    peer.waits(wait).unwrap();
}

mod keepalive {
    use super::*;

    #[test]
    fn pings_after_silence() {
        for mut peer in Peer::both_of(config()) {
            waits_for_the_ping(&mut peer);
            peer.expects(b"\x89\0");
            assert_eq!(peer.next_timeout(), Some(3 * SECOND));
        }
    }

    #[test]
    fn gives_up_when_nothing_comes() {
        for mut peer in Peer::both_of(config()) {
            waits_for_the_ping(&mut peer);
            peer.expects(b"\x89\0");
            assert_eq!(peer.waits(3 * SECOND - TICK), Ok(()));
            peer.expects(b"");
            assert_eq!(peer.waits(TICK), Err(TimedOut::Pong));
            peer.expects(close_frame(1011, "no answer to a keepalive ping in time"));
            assert_eq!(peer.states(), (State::Closing, IoState::Shutdown));
            assert_eq!(peer.closed().code(), 1006);
        }
    }

    /// §5.5.3 asks for a Pong, but any byte shows that the peer lives.
    #[test]
    fn any_byte_is_a_sign_of_life() {
        for sign in [&b"\x8a\0"[..], b"\x81\x01x", b"\x81", b"\x89\0"] {
            for mut peer in Peer::both_of(config()) {
                waits_for_the_ping(&mut peer);
                peer.expects(b"\x89\0");
                peer.waits(3 * SECOND - TICK).unwrap();
                peer.sends(peer.frames(sign));
                peer.takes();
                assert!(peer.next_timeout() > Some(8 * SECOND), "the next is a ping");
            }
        }
    }

    #[test]
    fn does_not_ping_while_bytes_come() {
        for mut peer in Peer::both_of(config()) {
            for _ in 0..100 {
                peer.waits(8 * SECOND).unwrap();
                peer.sends(peer.frames(b"\x81\x01x"));
                peer.expects(b"");
            }
        }
    }

    /// Each interval is somewhere within a tenth of the one that is configured.
    #[test]
    fn spreads_pings_by_a_tenth() {
        let mut intervals = Vec::new();
        for seed in [0, 1, u32::MAX / 3, 1 << 31, u32::MAX] {
            for mut peer in Peer::both_of(config()) {
                peer.connection.jitter(seed);
                let mut waits = std::collections::HashSet::new();
                for _ in 0..200 {
                    let wait = peer.next_timeout().unwrap();
                    assert!((9 * SECOND..=11 * SECOND).contains(&wait), "{wait:?}");
                    intervals.push(wait);
                    waits.insert(wait);
                    peer.waits(wait).unwrap();
                    peer.expects(b"\x89\0");
                    peer.sends(peer.frames(b"\x8a\0"));
                }
                assert!(waits.len() > 190, "each is another");
            }
        }
        let (least, most) = (intervals.iter().min().unwrap(), intervals.iter().max().unwrap());
        assert!(*least < 9 * SECOND + SECOND / 20 && *most > 11 * SECOND - SECOND / 20, "{least:?} to {most:?}");
    }

    /// A ping that is not written cannot be answered: whether the peer reads is for `write_timeout` to say.
    #[test]
    fn a_ping_that_waits_is_not_waited_for() {
        for mut peer in Peer::both_of(config()) {
            waits_for_the_ping(&mut peer);
            assert_eq!(peer.next_timeout(), Some(30 * SECOND), "the write timeout");
            assert_eq!(peer.waits(25 * SECOND), Ok(()));
            peer.expects(b"\x89\0");
            // It has been on its way since now.
            assert_eq!(peer.next_timeout(), Some(3 * SECOND));
            assert_eq!(peer.waits(3 * SECOND - TICK), Ok(()));
            assert_eq!(peer.waits(TICK), Err(TimedOut::Pong));
        }
    }

    /// The same when the driver slept since it saw the ping wait: what counts is when it was seen to be written.
    #[test]
    fn a_ping_is_waited_for_from_when_it_is_written() {
        for mut peer in Peer::both_of(config()) {
            waits_for_the_ping(&mut peer);
            peer.next_timeout();
            peer.now += 20 * SECOND;
            peer.expects(b"\x89\0");
            assert_eq!(peer.connection.handle_timeout(peer.now, &mut peer.output), Ok(()));
            assert_eq!(peer.next_timeout(), Some(3 * SECOND));
        }
    }

    /// Not reading is not silence: who stops reading says so, and the count begins again.
    #[test]
    fn can_be_held() {
        for mut peer in Peer::both_of(config()) {
            waits_for_the_ping(&mut peer);
            peer.expects(b"\x89\0");
            for _ in 0..100 {
                peer.waits(2 * SECOND).unwrap();
                peer.connection.hold_keepalive(peer.now);
            }
            peer.expects(b"");
            waits_for_some_ping(&mut peer);
            peer.expects(b"\x89\0");
        }
    }

    fn waits_for_some_ping(peer: &mut Peer) {
        let wait = peer.next_timeout().unwrap();
        assert!((9 * SECOND..=11 * SECOND).contains(&wait));
        peer.waits(wait).unwrap();
    }

    #[test]
    fn can_be_turned_off() {
        for mut peer in Peer::both_of(Config { ping_interval: None, ..Default::default() }) {
            assert_eq!(peer.next_timeout(), None);
            peer.waits(86_400 * SECOND).unwrap();
            peer.expects(b"");
        }
    }

    /// As long as a duration can be: as good as never, and no overflow.
    #[test]
    fn has_no_interval_that_is_too_long() {
        let forever = Duration::MAX;
        let config = Config {
            ping_interval: Some(forever),
            pong_timeout: forever,
            close_timeout: forever,
            write_timeout: forever,
            idle_timeout: Some(forever),
            message_timeout: forever,
            ..Default::default()
        };
        for mut peer in Peer::both_of(config) {
            peer.connection.jitter(u32::MAX);
            peer.connection.send("x", &mut peer.output).unwrap();
            peer.sends(peer.frames(b"\x01\x01x"));
            assert!(peer.next_timeout() > Some(86_400 * 365 * SECOND));
            peer.closes(CloseCode::NORMAL, "");
            assert!(peer.next_timeout() > Some(86_400 * 365 * SECOND));
        }
    }

    /// A thousand pings that the peer does not take are not queued: one waits.
    #[test]
    fn one_ping_waits_at_a_time() {
        for mut peer in Peer::both_of(Config { write_timeout: 3600 * SECOND, ..config() }) {
            peer.waits(3000 * SECOND).unwrap();
            peer.expects(b"\x89\0");
        }
    }

    /// An application that slept for a minute reads first, and then looks at the clock.
    #[test]
    fn what_came_in_time_is_in_time_however_late_it_is_read() {
        for mut peer in Peer::both_of(config()) {
            waits_for_the_ping(&mut peer);
            peer.expects(b"\x89\0");
            peer.next_timeout();
            peer.now += 60 * SECOND;
            peer.sends(peer.frames(b"\x8a\0"));
            assert_eq!(peer.connection.handle_timeout(peer.now, &mut peer.output), Ok(()));
            assert_eq!(peer.connection.state(), State::Open);
        }
    }

    /// After a Close frame, there is only its deadline.
    #[test]
    fn ends_with_the_closing_handshake() {
        for mut peer in Peer::both_of(Config { close_timeout: 60 * SECOND, ..config() }) {
            peer.closes(CloseCode::NORMAL, "");
            peer.takes();
            peer.waits(59 * SECOND).unwrap();
            peer.expects(b"");
            assert_eq!(peer.next_timeout(), Some(SECOND));
        }
    }
}

/// `write_timeout`: a peer that does not read.
mod stalls {
    use super::*;

    fn config() -> Config {
        Config { ping_interval: None, ..Default::default() }
    }

    #[test]
    fn are_given_up_after_a_while() {
        for mut peer in Peer::both_of(config()) {
            peer.connection.send("x", &mut peer.output).unwrap();
            assert_eq!(peer.next_timeout(), Some(30 * SECOND));
            assert_eq!(peer.waits(30 * SECOND - TICK), Ok(()));
            assert_eq!(peer.waits(TICK), Err(TimedOut::Write));
            // Nothing can be said to it, so nothing is waited for.
            assert_eq!(peer.states(), (State::Closed, IoState::Closed));
            assert_eq!((peer.closed().code(), peer.closed().sent.clone()), (1006, None));
            assert_eq!(peer.next_timeout(), None);
        }
    }

    #[test]
    fn end_with_every_byte_that_is_taken() {
        for mut peer in Peer::both_of(config()) {
            peer.connection.send(&[0; 100], &mut peer.output).unwrap();
            for _ in 0..50 {
                assert_eq!(peer.waits(29 * SECOND), Ok(()));
                peer.output.advance(1);
            }
            assert_eq!(peer.next_timeout(), Some(30 * SECOND));
            assert_eq!(peer.waits(30 * SECOND), Err(TimedOut::Write));
        }
    }

    /// What is sent after a pause has all its time.
    #[test]
    fn begin_when_something_waits() {
        for mut peer in Peer::both_of(config()) {
            peer.connection.send("x", &mut peer.output).unwrap();
            peer.waits(20 * SECOND).unwrap();
            peer.takes();
            assert_eq!(peer.next_timeout(), None);
            peer.waits(3600 * SECOND).unwrap();
            peer.connection.send("y", &mut peer.output).unwrap();
            assert_eq!(peer.next_timeout(), Some(30 * SECOND));
        }
    }

    /// That the peer sends does not excuse it.
    #[test]
    fn are_stalls_even_if_the_peer_talks() {
        for mut peer in Peer::both_of(Config::default()) {
            peer.connection.send("x", &mut peer.output).unwrap();
            for _ in 0..29 {
                assert_eq!(peer.waits(SECOND), Ok(()));
                peer.sends(peer.frames(b"\x81\x01x\x89\0"));
            }
            assert_eq!(peer.waits(SECOND), Err(TimedOut::Write));
        }
    }
}

/// `idle_timeout`: nobody says anything.
mod idleness {
    use super::*;

    fn config() -> Config {
        Config { ping_interval: None, idle_timeout: Some(60 * SECOND), ..Default::default() }
    }

    #[test]
    fn closes_the_connection() {
        for mut peer in Peer::both_of(config()) {
            assert_eq!(peer.next_timeout(), Some(60 * SECOND));
            assert_eq!(peer.waits(60 * SECOND - TICK), Ok(()));
            peer.expects(b"");
            assert_eq!(peer.waits(TICK), Ok(()), "not an error: it closes cleanly");
            peer.expects(close_frame(1001, "idle for too long"));
            assert_eq!(peer.states(), (State::Closing, IoState::Open));
            peer.sends(peer.frames(close_frame(1001, "")));
            assert!(peer.closed().is_clean());
        }
    }

    /// Messages count, in either direction, whole or in parts.
    #[test]
    fn ends_with_every_message() {
        let sends: [fn(&mut Peer); 5] = [
            |peer| peer.connection.send("x", &mut peer.output).unwrap(),
            |peer| peer.connection.send_part("x", true, &mut peer.output).unwrap(),
            |peer| peer.connection.send_shared(&SharedMessage::new("x"), &mut peer.output).unwrap(),
            |peer| peer.connection.send_shared(&SharedMessage::new(&[0; 9000]), &mut peer.output).unwrap(),
            |peer| peer.sends(peer.frames(b"\x81\x01x")),
        ];
        for speaks in sends {
            for mut peer in Peer::both_of(config()) {
                peer.waits(59 * SECOND).unwrap();
                speaks(&mut peer);
                assert!(peer.next_timeout() <= Some(60 * SECOND));
                peer.takes();
                assert_eq!(peer.next_timeout(), Some(60 * SECOND));
                peer.waits(60 * SECOND).unwrap();
                peer.expects(close_frame(1001, "idle for too long"));
            }
        }
    }

    /// A message that is on its way is not idleness, however long it takes.
    #[test]
    fn is_not_a_message_that_comes_slowly() {
        for mode in [Mode::Whole, Mode::Parts] {
            for mut peer in Peer::both_of(config()) {
                peer.mode = mode;
                peer.sends(peer.frames(b"\x02\x01x"));
                for _ in 0..10 {
                    peer.waits(20 * SECOND).unwrap();
                    peer.sends(peer.frames(b"\x00\x01x"));
                }
                peer.expects(b"");
                assert_eq!(peer.connection.state(), State::Open);
            }
        }
    }

    /// Pings and pongs are no messages: they say that the line is there, not that anybody uses it.
    #[test]
    fn does_not_end_with_control_frames() {
        for mut peer in Peer::both_of(Config { ping_interval: Some(7 * SECOND), ..config() }) {
            for _ in 0..59 {
                peer.waits(SECOND).unwrap();
                peer.sends(peer.frames(b"\x89\0\x8a\0"));
                peer.takes();
            }
            peer.waits(SECOND).unwrap();
            peer.expects(close_frame(1001, "idle for too long"));
        }
    }
}

/// `message_timeout`: a message that is begun and not continued is memory that the peer holds here.
mod begun_messages {
    use super::*;

    fn config() -> Config {
        Config { ping_interval: None, ..Default::default() }
    }

    #[test]
    fn must_go_on() {
        for begun in [&b"\x01\x03one"[..], b"\x81\x03o", b"\x82\x03", b"\x01\0"] {
            for mode in [Mode::Whole, Mode::Parts] {
                for mut peer in Peer::both_of(config()) {
                    peer.mode = mode;
                    peer.sends(peer.frames(begun));
                    assert_eq!(peer.waits(60 * SECOND - TICK), Ok(()));
                    assert_eq!(peer.waits(TICK), Err(TimedOut::Message));
                    peer.expects(close_frame(1008, "a message was begun and not continued in time"));
                    assert_eq!(peer.states(), (State::Closing, IoState::Shutdown));
                }
            }
        }
    }

    #[test]
    fn go_on_with_every_byte() {
        for mut peer in Peer::both_of(config()) {
            let wire = peer.frames(b"\x82\x0a0123456789");
            let (header, payload) = wire.split_at(wire.len() - 10);
            peer.sends(header);
            for byte in payload {
                peer.waits(59 * SECOND).unwrap();
                peer.sends([*byte]);
            }
            peer.hears(Heard::binary(b"0123456789"));
            assert_eq!(peer.next_timeout(), None, "between messages there is nothing to wait for");
        }
    }

    /// Control frames between the fragments are no progress.
    #[test]
    fn do_not_go_on_with_control_frames() {
        for mut peer in Peer::both_of(config()) {
            peer.sends(peer.frames(b"\x01\x03one"));
            for _ in 0..59 {
                peer.waits(SECOND).unwrap();
                peer.sends(peer.frames(b"\x89\x01x\x8a\0"));
                peer.takes();
            }
            assert_eq!(peer.waits(SECOND), Err(TimedOut::Message));
        }
    }

    /// Nor is any byte of one, or of a header that does not say yet what it is.
    #[test]
    fn do_not_go_on_with_a_byte_of_a_control_frame() {
        for mut peer in Peer::both_of(config()) {
            let wire = peer.frames(b"\x89\x01x");
            peer.sends(peer.frames(b"\x01\x03one"));
            for byte in wire {
                peer.waits(5 * SECOND).unwrap();
                peer.sends([byte]);
            }
            peer.takes();
            assert!(peer.next_timeout() < Some(50 * SECOND));
        }
    }

    /// Nor is a driver that looks and finds nothing.
    #[test]
    fn do_not_go_on_with_empty_reads() {
        for mode in [Mode::Whole, Mode::Parts] {
            for begun in [&b"\x82\x05one"[..], b"\x02\x03one"] {
                for mut peer in Peer::both_of(config()) {
                    peer.mode = mode;
                    peer.sends(peer.frames(begun));
                    peer.waits(30 * SECOND).unwrap();
                    peer.sends(b"");
                    assert_eq!(peer.next_timeout(), Some(30 * SECOND));
                }
            }
        }
    }

    /// An application that does not read is not the peer's fault.
    #[test]
    fn may_wait_while_nobody_reads() {
        for mut peer in Peer::both_of(config()) {
            peer.mode = Mode::Parts;
            peer.sends(peer.frames(b"\x02\x03one"));
            for _ in 0..100 {
                peer.waits(50 * SECOND).unwrap();
                peer.connection.hold_keepalive(peer.now);
            }
            assert_eq!(peer.next_timeout(), Some(60 * SECOND));
            peer.waits(60 * SECOND).unwrap_err();
        }
    }
}

/// A timeout that is handled too early, or twice, does nothing.
#[test]
fn nothing_happens_before_it_is_due() {
    for mut peer in Peer::both_of(config()) {
        for _ in 0..10 {
            peer.connection.handle_timeout(peer.now, &mut peer.output).unwrap();
        }
        peer.expects(b"");
        waits_for_the_ping(&mut peer);
        peer.connection.handle_timeout(peer.now, &mut peer.output).unwrap();
        peer.expects(b"\x89\0");
        peer.closes(CloseCode::NORMAL, "");
        peer.connection.handle_timeout(peer.now, &mut peer.output).unwrap();
        assert_eq!(peer.connection.send("x", &mut peer.output), Err(SendError::Closed));
        assert_eq!(peer.connection.state(), State::Closing);
    }
}
