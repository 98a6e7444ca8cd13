//! §7 with two ends and a network that takes 50 ms: closing handshakes that cross, get lost, or meet a peer that does not
//! play along.

use std::time::Duration;

use openline_proto::{Close, CloseCode, Config, Initiator, IoState, ProtocolError, State, TimedOut};

use crate::heard::Heard;
use crate::pair::{End, Pair};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn pair() -> Pair {
    Pair::new(Config::default(), Config::default())
}

fn closes(end: &mut End, now: std::time::Instant, code: CloseCode, reason: &str) {
    end.connection.close(Close::new(code, reason), now, &mut end.output);
}

fn ended(end: &End) -> (u16, &str, Initiator, bool) {
    let closed = end.closed();
    (closed.code(), closed.reason(), closed.by, closed.is_clean())
}

/// §7.1.1: after the handshake the server ends TCP first, and the client follows.
#[test]
fn a_client_closes() {
    let mut pair = pair();
    closes(&mut pair.client, pair.now, CloseCode::NORMAL, "bye");
    pair.drive(SECOND);
    assert_eq!(pair.server.heard, [(50 * MILLISECOND, Heard::Close(Close::new(CloseCode::NORMAL, "bye")))]);
    assert_eq!(pair.client.heard, [(100 * MILLISECOND, Heard::Close(Close::new(CloseCode::NORMAL, "bye")))]);
    assert_eq!(ended(&pair.client), (1000, "bye", Initiator::Us, true));
    assert_eq!(ended(&pair.server), (1000, "bye", Initiator::Peer, true));
    // The server's Close frame and its FIN arrive together, and the client's FIN comes after.
    assert_eq!(pair.client.dropped, Some(100 * MILLISECOND));
    assert_eq!(pair.server.dropped, Some(150 * MILLISECOND));
}

#[test]
fn a_server_closes() {
    let mut pair = pair();
    closes(&mut pair.server, pair.now, CloseCode::GOING_AWAY, "");
    pair.drive(SECOND);
    assert_eq!(ended(&pair.server), (1001, "", Initiator::Us, true));
    assert_eq!(ended(&pair.client), (1001, "", Initiator::Peer, true));
    // The server has the answer at 100 ms and ends TCP; the client waited for that.
    assert_eq!(pair.client.dropped, Some(150 * MILLISECOND));
    assert_eq!(pair.server.dropped, Some(200 * MILLISECOND));
}

/// Each takes the other's Close frame for the answer to its own.
#[test]
fn both_close_at_once() {
    let mut pair = pair();
    closes(&mut pair.client, pair.now, CloseCode::NORMAL, "client");
    closes(&mut pair.server, pair.now, CloseCode::GOING_AWAY, "server");
    pair.drive(SECOND);
    assert_eq!(ended(&pair.client), (1001, "server", Initiator::Us, true));
    assert_eq!(ended(&pair.server), (1000, "client", Initiator::Us, true));
    assert_eq!((pair.client.heard.len(), pair.server.heard.len()), (1, 1), "one Close frame in each direction");
    assert_eq!(pair.client.dropped, Some(100 * MILLISECOND));
    assert_eq!(pair.server.dropped, Some(150 * MILLISECOND));
}

/// What was on its way when the other end closed is heard, and the unfinished message is nobody's.
#[test]
fn a_close_frame_meets_a_fragmented_message() {
    let mut pair = pair();
    pair.client.connection.send("whole", &mut pair.client.output).unwrap();
    pair.client.connection.send_part("unfin", false, &mut pair.client.output).unwrap();
    closes(&mut pair.server, pair.now, CloseCode::RESTART, "");
    pair.drive(SECOND);
    let close = Heard::Close(CloseCode::RESTART.into());
    assert_eq!(pair.server.heard(), [Heard::text("whole"), close.clone()]);
    assert_eq!(pair.client.heard(), [close]);
    assert_eq!(ended(&pair.server), (1012, "", Initiator::Us, true));
    assert_eq!(ended(&pair.client), (1012, "", Initiator::Peer, true));
}

/// A message of a megabyte goes before the Close frame, whole, through a link of 64 KiB.
#[test]
fn a_close_frame_waits_behind_a_long_message() {
    for from_client in [true, false] {
        let mut pair = pair();
        let now = pair.now;
        let (from, to) =
            if from_client { (&mut pair.client, &mut pair.server) } else { (&mut pair.server, &mut pair.client) };
        to.link.latency = Duration::ZERO;
        from.connection.send(vec![7; 1 << 20], &mut from.output).unwrap();
        closes(from, now, CloseCode::NORMAL, "");
        pair.drive(3 * SECOND);
        let to = if from_client { &pair.server } else { &pair.client };
        assert_eq!(to.heard(), [Heard::binary(&[7; 1 << 20]), Heard::Close(CloseCode::NORMAL.into())]);
        assert!(pair.client.closed().is_clean() && pair.server.closed().is_clean());
    }
}

/// The Close frame never arrives: the end that sent it gives up after `close_timeout`, the other after its keepalive.
#[test]
fn a_close_frame_is_lost() {
    let mut pair = pair();
    pair.server.connection.jitter(0); // pings after 18 s
    pair.client.link.stalled = true;
    pair.server.link.stalled = true;
    closes(&mut pair.client, pair.now, CloseCode::NORMAL, "");
    pair.drive(60 * SECOND);
    assert_eq!(pair.client.timed_out, Some((5 * SECOND, TimedOut::Close)));
    assert_eq!(pair.client.dropped, Some(5 * SECOND));
    assert_eq!(ended(&pair.client), (1006, "", Initiator::Us, false));
    assert_eq!(pair.server.timed_out, Some((38 * SECOND, TimedOut::Pong)));
    assert_eq!(pair.server.dropped, Some(43 * SECOND), "and five more for a peer to take the Close frame");
    assert_eq!(ended(&pair.server), (1006, "", Initiator::Us, false));
}

#[test]
fn the_answer_is_lost() {
    let mut pair = pair();
    pair.server.link.stalled = true;
    closes(&mut pair.client, pair.now, CloseCode::NORMAL, "");
    pair.drive(60 * SECOND);
    assert_eq!(pair.client.timed_out, Some((5 * SECOND, TimedOut::Close)));
    assert_eq!(ended(&pair.client), (1006, "", Initiator::Us, false));
    // The server answered, and hears the client's FIN.
    assert_eq!(ended(&pair.server), (1000, "", Initiator::Peer, true));
    assert_eq!((pair.server.dropped, pair.server.timed_out), (Some(5050 * MILLISECOND), None));
}

#[test]
fn the_peer_never_answers() {
    for client_closes in [true, false] {
        let mut pair = pair();
        let now = pair.now;
        let (closer, other) =
            if client_closes { (&mut pair.client, &mut pair.server) } else { (&mut pair.server, &mut pair.client) };
        other.asleep = Some(now + 3600 * SECOND);
        closes(closer, now, CloseCode::NORMAL, "");
        pair.drive(60 * SECOND);
        let closer = if client_closes { &pair.client } else { &pair.server };
        assert_eq!(closer.timed_out, Some((5 * SECOND, TimedOut::Close)));
        assert_eq!(closer.dropped, Some(5 * SECOND));
        assert_eq!(ended(closer), (1006, "", Initiator::Us, false));
    }
}

/// The handshake is done, and the peer holds on to TCP: we let go, and that is no error.
#[test]
fn the_peer_never_drops_tcp() {
    let mut pair = pair();
    pair.server.never_drops = true;
    closes(&mut pair.client, pair.now, CloseCode::NORMAL, "");
    pair.drive(60 * SECOND);
    assert_eq!(pair.client.dropped, Some(5100 * MILLISECOND), "5 s after the answer");
    assert_eq!(pair.client.timed_out, None);
    assert_eq!(ended(&pair.client), (1000, "", Initiator::Us, true));

    let mut pair = self::pair();
    pair.client.never_drops = true;
    closes(&mut pair.client, pair.now, CloseCode::NORMAL, "");
    pair.drive(60 * SECOND);
    assert_eq!(pair.server.dropped, Some(5050 * MILLISECOND));
    assert_eq!(pair.server.timed_out, None);
    assert_eq!(ended(&pair.server), (1000, "", Initiator::Peer, true));
}

/// A peer that does not wait for our answer: TCP ends right behind its Close frame.
#[test]
fn the_peer_closes_and_drops_tcp() {
    let mut pair = pair();
    closes(&mut pair.client, pair.now, CloseCode::NORMAL, "bye");
    pair.drive(Duration::ZERO);
    pair.client.connection.receive_eof(); // it drops the line
    pair.drive(SECOND);
    assert_eq!(ended(&pair.client), (1006, "", Initiator::Us, false));
    assert_eq!(ended(&pair.server), (1000, "bye", Initiator::Peer, true));
    assert_eq!(pair.server.dropped, Some(50 * MILLISECOND));
}

/// TCP ends without a word.
#[test]
fn the_peer_drops_tcp() {
    let mut pair = pair();
    pair.client.connection.send_part("unfinished", false, &mut pair.client.output).unwrap();
    pair.drive(SECOND);
    pair.client.connection.receive_eof();
    pair.drive(SECOND);
    assert_eq!(ended(&pair.server), (1006, "", Initiator::Peer, false));
    assert_eq!(pair.server.dropped, Some(1050 * MILLISECOND));
    assert_eq!(pair.server.connection.state(), State::Closed);
}

/// §7.1.7: the end that fails the connection says why, hears nothing more, and drops TCP; the other hears why, and for it
/// the handshake is clean.
#[test]
fn one_end_breaks_a_rule() {
    let mut pair = Pair::new(Config::default(), Config { max_message_bytes: 10, ..Default::default() });
    pair.client.connection.send("a message that is too long", &mut pair.client.output).unwrap();
    pair.client.connection.send("later", &mut pair.client.output).unwrap();
    pair.drive(SECOND);
    let reason = "a message is over the limit of 10 bytes (RFC 6455 §10.4)";
    assert_eq!(pair.server.error, Some((50 * MILLISECOND, ProtocolError::MessageTooBig { max: 10 })));
    assert_eq!(pair.server.heard, []);
    assert_eq!(pair.client.heard, [(100 * MILLISECOND, Heard::Close(Close::new(CloseCode::TOO_BIG, reason)))]);
    assert_eq!(ended(&pair.client), (1009, reason, Initiator::Peer, true));
    assert_eq!(ended(&pair.server), (1006, "", Initiator::Us, false));
    // Both FINs follow at once.
    assert_eq!(pair.client.dropped, Some(100 * MILLISECOND));
    assert_eq!(pair.server.dropped, Some(150 * MILLISECOND));
}

/// A failed connection whose peer takes nothing is dropped all the same.
#[test]
fn one_end_breaks_a_rule_and_reads_nothing() {
    let mut pair = Pair::new(Config::default(), Config { max_message_bytes: 10, ..Default::default() });
    pair.server.link.capacity = 10;
    pair.client.reads = false;
    pair.client.connection.send("a message that is too long", &mut pair.client.output).unwrap();
    pair.drive(6 * SECOND);
    assert_eq!(pair.server.dropped, Some(5050 * MILLISECOND));
    assert!(!pair.server.output.is_empty(), "the Close frame did not fit");
    assert_eq!(pair.server.connection.io_state(), IoState::Closed);
}
