//! Somebody who minds their own business while others attack.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::peer::{Frame, Peer};
use crate::server::Server;

/// An echo takes 0.1 ms on a machine that does nothing else, and some 10 ms while an attack has its turn on one of two
/// threads. Nobody calls a line dead that answers within this.
const UNDISTURBED: Duration = Duration::from_secs(5);

/// A well-behaved client on a line of its own, that says something every few milliseconds and hears it again.
pub(crate) struct Witness {
    over: Arc<AtomicBool>,
    echoes: Option<JoinHandle<Vec<Duration>>>,
}

impl Witness {
    pub(crate) fn of(server: &Server) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut peer = Peer::open(server, "/test");
        let until = over.clone();
        let echoes = thread::spawn(move || {
            let mut echoes = Vec::new();
            loop {
                let before = Instant::now();
                peer.sends(b"\x81\x85\0\0\0\0hello");
                assert_eq!(peer.message(), b"hello");
                echoes.push(before.elapsed());
                if until.load(Ordering::Relaxed) {
                    break;
                }
                // A pause between two questions, so that asking is no attack.
                thread::sleep(Duration::from_millis(5));
            }
            // Not only alive, but well: the closing handshake is answered, too.
            peer.sends(b"\x88\x82\0\0\0\0\x03\xe8");
            let answer = loop {
                let frame = peer.frame();
                if frame.first != 0x89 {
                    break frame;
                }
            };
            assert_eq!(answer, Frame { first: 0x88, payload: b"\x03\xe8".to_vec() });
            peer.expects_end();
            echoes
        });
        Self { over, echoes: Some(echoes) }
    }

    /// Nothing came late, nothing was lost, and the line closed as it should.
    #[track_caller]
    pub(crate) fn was_not_disturbed(mut self) {
        self.over.store(true, Ordering::Relaxed);
        let echoes = self.echoes.take().unwrap().join().expect("a good line stays good");
        let slowest = echoes.iter().max().expect("at least one");
        println!("the witness: {} echoes, the slowest after {slowest:?}", echoes.len());
        assert!(*slowest < UNDISTURBED, "one of {} echoes took {slowest:?}", echoes.len());
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}
