//! How far an opening has come: what a client that gave up was waiting for.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// What is waited for while a line is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// The addresses of a name.
    Name,
    /// Other connections that are being opened to the same place, with [`Client::queue`](crate::Client::queue).
    Turn,
    /// Somebody who answers at one of the addresses.
    Connection,
    /// The proxy's word that it has brought us to the server.
    Proxy,
    /// The server's part in the TLS handshake.
    Tls,
    /// The server's answer to the opening handshake.
    Answer,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name was still being looked up",
            Self::Turn => "another connection to the same place was still being opened",
            Self::Connection => "nobody answered at any address",
            Self::Proxy => "the proxy had not connected us to the server",
            Self::Tls => "the TLS handshake was not done",
            Self::Answer => "the server had not answered",
        })
    }
}

/// The stage of one opening, to be read when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU8);

const STAGES: [Stage; 6] = [Stage::Name, Stage::Turn, Stage::Connection, Stage::Proxy, Stage::Tls, Stage::Answer];

impl Progress {
    pub(super) fn reach(&self, stage: Stage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    pub(super) fn stage(&self) -> Stage {
        STAGES[usize::from(self.0.load(Ordering::Relaxed))]
    }
}
