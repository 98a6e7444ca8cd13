//! How a connection ends (§7): every state, and every change of state.
//!
//! ```text
//!             close() or the peer's Close            both Close frames crossed
//!   Open ────────────────────────────────► Closing ──────────────────────────────┐
//!    │  a broken rule, a deadline: "_Fail the WebSocket Connection_" (§7.1.7)     ▼
//!    │  sends Close, hears nothing more, and goes straight to ─────────► Closing, TCP to be closed (§7.1.1)
//!    │                                                                            │
//!    └──────────────── TCP is gone (§7.1.5: 1006 without Close frames) ───────────┴──► Closed (§7.1.4)
//! ```

use std::time::{Duration, Instant};

use crate::close::{Close, Closed, Initiator};
use crate::connection::Role;

/// Where the WebSocket is (§4.1, §7.1). There is no "connecting": a handshake is a type of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Messages flow.
    Open,
    /// A Close frame was sent or received.
    Closing,
    /// TCP is gone, or may go.
    Closed,
}

/// What the owner of the socket has to do (§7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoState {
    /// Read and write.
    Open,
    /// Write what is queued, end the sending side (with TLS: close_notify), then read and discard until the peer ends
    /// too or the deadline passes: dropping a socket with unread bytes would destroy our last frames on their way.
    Shutdown,
    /// Write what is queued and wait for the peer to end TCP: "a client SHOULD wait for the server".
    AwaitEof,
    /// Drop the socket.
    Closed,
}

/// The closing handshake of one connection.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) state: State,
    pub(crate) io: IoState,
    pub(crate) deadline: Option<Instant>,
    /// Nothing that still comes is looked at (§1.4, §7.1.7).
    pub(crate) discards: bool,
    /// Boxed: most of its life a connection has none.
    pub(crate) closed: Option<Box<Closed>>,
}

impl Closing {
    pub(crate) fn new() -> Self {
        Self { state: State::Open, io: IoState::Open, deadline: None, discards: false, closed: None }
    }

    /// Our Close frame is queued. `false` when one was before: the first one counts.
    pub(crate) fn sent(&mut self, close: &Close, role: Role, deadline: Instant) -> bool {
        let closed = self.closed(Initiator::Us);
        if closed.sent.is_some() {
            return false;
        }
        closed.sent = Some(close.clone());
        self.advance(role, deadline);
        true
    }

    /// The peer's Close frame arrived.
    pub(crate) fn received(&mut self, close: Close, role: Role, deadline: Instant) {
        self.closed(Initiator::Peer).received = Some(close);
        // §1.4: "a peer discards any further data received"
        self.discards = true;
        self.advance(role, deadline);
    }

    /// §7.1.7: "An endpoint MUST NOT continue to attempt to process data (including a responding Close frame)".
    pub(crate) fn failed(&mut self, by: Initiator, deadline: Instant) {
        self.closed(by).by = by;
        self.discards = true;
        self.deadline = Some(deadline);
        (self.state, self.io) = (State::Closing, IoState::Shutdown);
    }

    /// TCP is gone, or no longer worth waiting for.
    pub(crate) fn gone(&mut self, by: Initiator) {
        self.closed(by);
        self.discards = true;
        self.deadline = None;
        (self.state, self.io) = (State::Closed, IoState::Closed);
    }

    fn advance(&mut self, role: Role, deadline: Instant) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closing;
        self.deadline.get_or_insert(deadline);
        if self.closed.as_ref().is_some_and(|closed| closed.is_clean()) {
            // §7.1.1: the server closes TCP first, so that TIME_WAIT is the server's.
            self.io = match role {
                Role::Server => IoState::Shutdown,
                Role::Client => IoState::AwaitEof,
            };
            self.deadline = Some(deadline);
        }
    }

    fn closed(&mut self, by: Initiator) -> &mut Closed {
        self.closed.get_or_insert_with(|| Box::new(Closed { received: None, sent: None, by }))
    }
}

/// Adds without ever overflowing.
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.min(CENTURY)
}

/// A deadline a century away is none.
pub(crate) const CENTURY: Duration = Duration::from_secs(3_155_760_000);
