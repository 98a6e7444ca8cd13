//! Lines between two ends: quiet, silent, stalled, busy, and with an application that sleeps. Every instant is exact.

use std::time::Duration;

use openline_proto::{Close, CloseCode, Config, Initiator, State, TimedOut};

use crate::heard::Heard;
use crate::pair::{End, Pair};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn quiet() -> Config {
    Config { ping_interval: None, ..Default::default() }
}

/// A pair whose first pings come after 18 s, the least that 20 s can be.
fn pair(client: Config, server: Config) -> Pair {
    let mut pair = Pair::new(client, server);
    pair.client.connection.jitter(0);
    pair.server.connection.jitter(0);
    pair
}

fn pings(end: &End) -> usize {
    end.heard.iter().filter(|(_, heard)| matches!(heard, Heard::Ping(_))).count()
}

#[track_caller]
fn all_is_well(pair: &Pair) {
    for end in [&pair.client, &pair.server] {
        assert_eq!((end.connection.state(), &end.timed_out, &end.error), (State::Open, &None, &None));
    }
}

/// A line on which nobody says anything lives, and either end, or both, make sure of it every 20 s or so.
#[test]
fn an_idle_line_lives_for_an_hour() {
    let both = (Config::default(), Config::default());
    for (client, server) in [both, (quiet(), Config::default()), (Config::default(), quiet())] {
        let mut pair = pair(client, server);
        pair.drive(3600 * SECOND);
        all_is_well(&pair);
        let pings = pings(&pair.client) + pings(&pair.server);
        assert!((3600 / 22..=2 * 3600 / 18).contains(&pings), "{pings}");
    }
}

/// A peer that vanishes is given up after `ping_interval` and `pong_timeout`, and its line is dropped `close_timeout` later.
#[test]
fn a_silent_peer_is_given_up() {
    for client_vanishes in [true, false] {
        let mut pair = pair(Config::default(), Config::default());
        let far = pair.now + 3600 * SECOND;
        let vanishes = if client_vanishes { &mut pair.client } else { &mut pair.server };
        vanishes.asleep = Some(far);
        pair.drive(60 * SECOND);
        let stays = if client_vanishes { &pair.server } else { &pair.client };
        assert_eq!(stays.timed_out, Some((38 * SECOND, TimedOut::Pong)));
        assert_eq!(stays.dropped, Some(43 * SECOND));
        assert_eq!((stays.closed().code(), stays.closed().by), (1006, Initiator::Us));
    }
}

/// It is told why, in case it comes back.
#[test]
fn a_peer_that_comes_back_too_late_hears_why() {
    let mut pair = pair(Config::default(), Config::default());
    pair.client.asleep = Some(pair.now + 40 * SECOND);
    pair.drive(60 * SECOND);
    let close = Close::new(CloseCode::INTERNAL, "no answer to a keepalive ping in time");
    assert_eq!(pair.client.heard, [(40 * SECOND, Heard::Ping(vec![])), (40 * SECOND, Heard::Close(close))]);
    assert_eq!(pair.server.dropped, Some(40 * SECOND + 50 * MILLISECOND), "the peer has dropped the line");
}

/// A peer that comes back in the last moment is welcome.
#[test]
fn a_peer_that_comes_back_in_time_is_kept() {
    let mut pair = pair(quiet(), Config::default());
    pair.client.asleep = Some(pair.now + 38 * SECOND - 50 * MILLISECOND);
    pair.drive(60 * SECOND);
    all_is_well(&pair);
    assert_eq!(pair.server.heard[0], (38 * SECOND, Heard::Pong(vec![])));
}

/// Our application sleeps for a minute, while a ping is unanswered and messages come in. Then it reads first.
#[test]
fn an_application_that_sleeps_blames_nobody() {
    let mut pair = pair(quiet(), Config::default());
    pair.drive(18 * SECOND + MILLISECOND);
    pair.server.asleep = Some(pair.now + 60 * SECOND);
    pair.drive(10 * SECOND);
    pair.client.connection.send("hello", &mut pair.client.output).unwrap();
    pair.drive(100 * SECOND);
    all_is_well(&pair);
    let woke = 78 * SECOND + MILLISECOND;
    assert_eq!(pair.server.heard[..2], [(woke, Heard::Pong(vec![])), (woke, Heard::text("hello"))]);
}

/// The same while it was writing: it writes, and then looks whether its peer stalls.
#[test]
fn a_writer_that_sleeps_blames_nobody() {
    let mut pair = pair(quiet(), quiet());
    pair.server.connection.send(vec![7; 1 << 20], &mut pair.server.output).unwrap();
    pair.drive(MILLISECOND);
    pair.server.asleep = Some(pair.now + 50 * SECOND);
    pair.drive(70 * SECOND);
    all_is_well(&pair);
    assert_eq!(pair.client.heard(), [Heard::binary(&[7; 1 << 20])]);
}

/// An application that takes no messages for ten minutes: what is not read is not silence.
#[test]
fn an_application_that_does_not_read_blames_nobody() {
    let mut pair = pair(quiet(), Config::default());
    pair.server.reads = false;
    for i in 0..60 {
        pair.client.connection.send(&[i], &mut pair.client.output).unwrap();
        pair.drive(10 * SECOND);
    }
    all_is_well(&pair);
    assert_eq!(pair.server.heard, []);
    pair.server.reads = true;
    pair.drive(MILLISECOND);
    all_is_well(&pair);
    let messages = pair.server.heard().into_iter().filter(|heard| matches!(heard, Heard::Message(_)));
    assert!(messages.eq((0..60).map(|i| Heard::binary(&[i]))));
}

/// A peer that takes nothing is given up after `write_timeout`, whatever else waits: there is no telling it why.
#[test]
fn a_peer_that_stops_reading_is_given_up() {
    for server_stops in [true, false] {
        let mut pair = pair(Config::default(), Config::default());
        let (writes, stops) =
            if server_stops { (&mut pair.client, &mut pair.server) } else { (&mut pair.server, &mut pair.client) };
        stops.reads = false;
        writes.flood = Some(vec![7; 10_000]);
        pair.drive(60 * SECOND);
        let writes = if server_stops { &pair.client } else { &pair.server };
        assert_eq!(writes.timed_out, Some((30 * SECOND, TimedOut::Write)));
        assert_eq!(writes.dropped, Some(30 * SECOND));
        assert_eq!((writes.closed().code(), writes.closed().sent.clone()), (1006, None));
        // It held no more than `max_output_bytes` and the message that crossed that line.
        assert!(writes.output.len() < (1 << 20) + 10_100);
    }
}

/// A network that stands still for 25 s, and a reader that takes 64 KiB each 29 s, are slow, not gone.
#[test]
fn a_slow_line_is_not_a_dead_one() {
    let mut pair = pair(Config::default(), Config::default());
    pair.server.connection.send(vec![7; 1 << 20], &mut pair.server.output).unwrap();
    pair.server.link.stalled = true;
    pair.drive(25 * SECOND);
    pair.server.link.stalled = false;
    pair.drive(5 * SECOND);
    all_is_well(&pair);
    assert!(pair.client.heard().contains(&Heard::binary(&[7; 1 << 20])));

    let mut pair = self::pair(quiet(), quiet());
    pair.server.connection.send(vec![7; 1 << 20], &mut pair.server.output).unwrap();
    while pair.client.heard.is_empty() || !pair.server.output.is_empty() {
        pair.client.reads = false;
        pair.drive(29 * SECOND);
        pair.client.reads = true;
        pair.drive(MILLISECOND);
        all_is_well(&pair);
    }
    assert!(pair.time() > 400 * SECOND);
    assert!(pair.client.heard().contains(&Heard::binary(&[7; 1 << 20])));
}

/// Two applications that only send, through links that are always full: each reads what the other sends, nobody waits for
/// anybody, and no ping is spent on so busy a line.
#[test]
fn two_peers_that_only_send_do_not_wait_for_each_other() {
    let mut pair = pair(Config::default(), Config::default());
    for end in [&mut pair.client, &mut pair.server] {
        end.flood = Some(vec![7; 8192]);
        end.link.latency = 500 * MILLISECOND;
    }
    pair.drive(120 * SECOND);
    all_is_well(&pair);
    for end in [&pair.client, &pair.server] {
        assert!(end.heard.len() >= 2 * 118 * 7, "64 KiB each 500 ms: {}", end.heard.len());
        assert_eq!(pings(end), 0);
    }
}

/// Two applications of which neither reads are at a standstill, and both lines end when it is sure.
#[test]
fn two_peers_that_never_read_end_after_the_write_timeout() {
    let mut pair = pair(Config::default(), Config::default());
    for end in [&mut pair.client, &mut pair.server] {
        end.flood = Some(vec![7; 8192]);
        end.reads = false;
    }
    pair.drive(60 * SECOND);
    for end in [&pair.client, &pair.server] {
        assert_eq!(end.timed_out, Some((30 * SECOND, TimedOut::Write)));
    }
}

/// Nobody says anything for `idle_timeout`: a clean end, although pings were answered all the while.
#[test]
fn an_idle_line_is_closed() {
    let mut pair = pair(Config::default(), Config { idle_timeout: Some(60 * SECOND), ..Default::default() });
    pair.drive(SECOND);
    pair.client.connection.send("the last word", &mut pair.client.output).unwrap();
    pair.drive(100 * SECOND);
    let spoke = SECOND + 50 * MILLISECOND;
    let close = Heard::Close(Close::new(CloseCode::GOING_AWAY, "idle for too long"));
    assert_eq!(pair.client.heard.last(), Some(&(spoke + 60 * SECOND + 50 * MILLISECOND, close)));
    assert!(pair.client.closed().is_clean() && pair.server.closed().is_clean());
    assert_eq!((pair.server.closed().by, &pair.server.timed_out), (Initiator::Us, &None));
}

/// A message that is begun and not continued ends the line, whatever comes between its fragments.
#[test]
fn a_message_that_is_not_continued_ends_the_line() {
    let pings = Config { ping_interval: Some(5 * SECOND), ..Default::default() };
    let mut pair = pair(pings, Config::default());
    pair.client.connection.send_part("begun", false, &mut pair.client.output).unwrap();
    pair.drive(100 * SECOND);
    assert_eq!(pair.server.timed_out, Some((60 * SECOND + 50 * MILLISECOND, TimedOut::Message)));
    let close = Close::new(CloseCode::POLICY, "a message was begun and not continued in time");
    assert_eq!(pair.client.heard.last(), Some(&(60 * SECOND + 100 * MILLISECOND, Heard::Close(close))));
    assert!(self::pings(&pair.server) >= 10);
}
