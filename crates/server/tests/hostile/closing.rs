//! Wrong Close frames (§5.5.1, §7.4), and what comes behind a Close frame, in either direction.

use std::thread;
use std::time::{Duration, Instant};

use crate::bytes::{close, masked, unmasked};
use crate::peer::Peer;
use crate::server::{MIB, NOISE, Server};

#[test]
fn wrong_close_frames_are_answered_by_what_is_wrong() {
    let server = Server::start(&[]);
    let wrong = |code: u16| masked(0x88, &code.to_be_bytes());
    let mut cases = vec![
        // §5.5: "a payload length of 125 bytes or less"
        (masked(0x88, &close(1000, &[b'x'; 198])), 1002),
        (masked(0x88, &close(1000, &[b'x'; 124])), 1002),
        (b"\x88\xff".to_vec(), 1002),
        // §5.5: "MUST NOT be fragmented"
        (masked(0x08, &close(1000, b"")), 1002),
        // §5.5.1: if there is a body, its "first two bytes […] MUST be" a code
        (masked(0x88, b"\x03"), 1002),
        // §5.5.1: the reason is UTF-8; whole UTF-8
        (masked(0x88, &close(1000, b"\xff\xfe")), 1007),
        (masked(0x88, &close(1000, b"caf\xc3")), 1007),
        (masked(0x88, &close(1000, b"\xed\xa0\x80")), 1007),
        // §5.1: masked
        (unmasked(0x88, &close(1000, b"")), 1002),
        // §5.2: no reserved bit
        (masked(0xc8, &close(1000, b"")), 1002),
    ];
    // §7.4.1: 1004, 1005, 1006 and 1015 are not for the wire; §7.4.2: nor is what nobody has registered.
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        cases.push((wrong(code), 1002));
    }
    for (bytes, code) in cases {
        let mut peer = Peer::open(&server, "/test");
        peer.sends(&bytes);
        // §7.1.7: nothing behind a broken rule is looked at.
        peer.sends(b"\x81\x85\0\0\0\0hello\x88\x82\0\0\0\0\x03\xe8");
        let reason = peer.expects_close(code);
        assert!(reason.contains("RFC 6455"), "{}: {reason:?} is not ours", bytes.escape_ascii());
        peer.expects_end();
    }
    // What is right is echoed.
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        let mut peer = Peer::open(&server, "/test");
        peer.sends(wrong(code));
        assert_eq!(peer.expects_close(code), "");
        peer.expects_end();
    }
    let mut peer = Peer::open(&server, "/test");
    peer.sends(masked(0x88, &close(1000, &[b'x'; 123])));
    assert_eq!(peer.expects_close(1000), "x".repeat(123));
    peer.expects_end();
    drop(peer);
    let mut peer = Peer::open(&server, "/test");
    peer.sends(masked(0x88, b""));
    peer.expects(b"\x88\0");
    peer.expects_end();
    drop(peer);
    server.endured(NOISE);
}

/// §1.4: "After receiving a control frame indicating the connection should be closed, a peer discards any further data
/// received."
#[test]
fn what_comes_behind_a_close_frame_is_not_looked_at() {
    let server = Server::start(&[]);
    let mut room = Peer::open(&server, "/chat");
    for behind in [
        b"\x81\x84\0\0\0\0more".to_vec(),
        b"\x89\x81\0\0\0\0?".to_vec(),
        b"\x88\x82\0\0\0\0\x03\xe9".to_vec(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0xff; 100_000],
    ] {
        for (path, before, answer) in
            [("/test", &b"\x81\x85\0\0\0\0hello"[..], &b"\x81\x05hello"[..]), ("/chat", b"", b"")]
        {
            let mut peer = Peer::open(&server, path);
            peer.sends([before, b"\x88\x82\0\0\0\0\x03\xe8", &behind].concat());
            peer.expects(answer);
            peer.expects_close(1000);
            peer.expects_end();
        }
    }
    // In the room nobody has heard anything.
    let mut speaker = Peer::open(&server, "/chat");
    speaker.sends(b"\x81\x85\0\0\0\0hello");
    room.expects(b"\x81\x05hello");
    drop((room, speaker));
    server.endured(NOISE);
}

/// Whether it was its Close frame, or ours for a rule that it broke: it has the close timeout to stop.
#[test]
fn who_does_not_stop_behind_a_close_frame_is_cut_off() {
    let server = Server::start(&["--close-timeout", "500ms"]);
    for last in [&b"\x88\x82\0\0\0\0\x03\xe8"[..], b"\x81\x05hello"] {
        for then in [vec![0xff; 64 << 10], b"\x89\x80\0\0\0\0".repeat(1000), masked(0x82, &[0; MIB])] {
            let mut peer = Peer::open(&server, "/test");
            peer.sends(last);
            peer.sends_until_ended(&then);
        }
        // It says nothing, and does not end its side either.
        let mut peer = Peer::open(&server, "/test");
        peer.sends(last);
        server.waits_for_connections(0);
        assert_eq!(peer.frame().first, 0x88);
        peer.expects_end();
    }
    server.endured(NOISE);
}

/// Ctrl-C, and of those who are there only one answers. The others have the shutdown timeout, and nobody has longer.
#[test]
fn who_does_not_answer_our_close_frame_does_not_hold_up_the_end() {
    let flags =
        ["--shutdown-timeout", "5s", "--close-timeout", "10m", "--write-timeout", "10m", "--head-timeout", "10m"];
    let mut server = Server::start(&flags);
    let mut polite = Peer::open(&server, "/test");
    let mut silent = Peer::open(&server, "/test");
    let mut deaf = Peer::open_narrow(&server, "/test");
    deaf.sends_until_stuck(&masked(0x82, &[0; 64 << 10]));
    let mut flood = Peer::open_narrow(&server, "/chat");
    let flooding = thread::spawn(move || flood.sends_until_ended(&b"\x89\x80\0\0\0\0".repeat(1000)));
    let mut half = Peer::connect(&server);
    half.sends("GET /test HT");
    server.waits_for_connections(5);
    server.disturbed_nobody();
    // One output of 1 MiB, and the echo that crossed its limit.
    server.stayed_within(NOISE + 3 * MIB);

    let start = Instant::now();
    server.interrupt();
    polite.expects_close(1001);
    polite.sends(b"\x88\x82\0\0\0\0\x03\xe9");
    polite.expects_end();
    drop(polite);
    let said = server.has_ended();
    assert!(said.contains("dropped 3 of 4 lines"), "{said}");
    let took = start.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(25)).contains(&took), "{took:?}");
    // Whoever looks now still finds the Close frame.
    silent.expects_close(1001);
    flooding.join().unwrap();
    deaf.end();
}
