//! Lengths that are declared and never come (§5.2): memory follows what arrives, and a header alone meets a limit.

use crate::bytes::{declares, masked};
use crate::peer::Peer;
use crate::server::{KIB, MIB, NOISE, Server, crowd};

#[test]
fn more_than_is_allowed_is_refused_by_its_header() {
    let server = Server::start(&[]);
    for (declared, code) in [
        // §10.4
        (1_048_577, 1009),
        (u64::from(u32::MAX), 1009),
        ((1 << 63) - 1, 1009),
        // §5.2: "the most significant bit MUST be 0"
        (1 << 63, 1002),
        (u64::MAX, 1002),
    ] {
        for first in [0x01, 0x81, 0x02, 0x82] {
            let mut peer = Peer::open(&server, "/test");
            peer.sends(declares(first, declared));
            let reason = peer.expects_close(code);
            assert!(code == 1002 || reason.contains(&declared.to_string()), "{reason}");
            peer.expects_end();
        }
    }
    // What is declared counts together with what is there.
    let mut peer = Peer::open(&server, "/test");
    peer.sends(masked(0x02, b"x"));
    peer.sends(declares(0x80, MIB as u64));
    peer.expects_close(1009);
    peer.expects_end();
    drop(peer);
    server.endured(NOISE);
}

#[test]
fn a_thousand_maxima_that_never_come() {
    let _turn = crowd();
    let server = Server::start(&["--message-timeout", "10m"]);
    let mut peers: Vec<_> = (0..1000).map(|_| Peer::open(&server, "/test")).collect();
    for peer in &mut peers {
        // The echo of the first is written when the second has been looked at.
        peer.sends([b"\x81\x85\0\0\0\0hello".to_vec(), declares(0x82, MIB as u64)].concat());
    }
    for peer in &mut peers {
        peer.expects(b"\x81\x05hello");
    }
    // Memory that is reserved and never touched is not resident, but it is counted as data.
    assert!(server.reserved() < 64 * MIB, "{} MiB", server.reserved() / MIB);
    // It was a promise that may be kept.
    peers[500].sends(vec![0; MIB]);
    assert_eq!(peers[500].message(), vec![0; MIB]);
    drop(peers);
    // Some 3 KiB for each: a task, a socket, a message that is begun. And the one that came.
    server.endured(NOISE + 1000 * 8 * KIB + 3 * MIB);
}
