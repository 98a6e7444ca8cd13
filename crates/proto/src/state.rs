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
use crate::role::Role;

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
    /// Nothing that still comes is looked at (§1.4, §7.1.7).
    pub(crate) discards: bool,
    /// Boxed: most of its life a connection has none.
    ending: Option<Box<Ending>>,
}

#[derive(Debug)]
struct Ending {
    closed: Closed,
    deadline: Option<Instant>,
}

impl Closing {
    pub(crate) fn new() -> Self {
        Self { state: State::Open, io: IoState::Open, discards: false, ending: None }
    }

    /// What crossed, and who began.
    pub(crate) fn closed(&self) -> Option<&Closed> {
        self.ending.as_ref().map(|ending| &ending.closed)
    }

    /// When waiting for the rest of it ends.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.ending.as_ref().and_then(|ending| ending.deadline)
    }

    /// Our Close frame is queued. `false` when one was before: the first one counts.
    pub(crate) fn sent(&mut self, close: &Close, role: Role, deadline: Instant) -> bool {
        let closed = &mut self.ending(Initiator::Us).closed;
        if closed.sent.is_some() {
            return false;
        }
        closed.sent = Some(close.clone());
        self.advance(role, deadline);
        true
    }

    /// The peer's Close frame arrived.
    pub(crate) fn received(&mut self, close: Close, role: Role, deadline: Instant) {
        self.ending(Initiator::Peer).closed.received = Some(close);
        // §1.4: "a peer discards any further data received"
        self.discards = true;
        self.advance(role, deadline);
    }

    /// §7.1.7: "An endpoint MUST NOT continue to attempt to process data (including a responding Close frame)".
    pub(crate) fn failed(&mut self, by: Initiator, deadline: Instant) {
        let ending = self.ending(by);
        ending.closed.by = by;
        ending.deadline = Some(deadline);
        self.discards = true;
        (self.state, self.io) = (State::Closing, IoState::Shutdown);
    }

    /// TCP is gone, or no longer worth waiting for.
    pub(crate) fn gone(&mut self, by: Initiator) {
        self.ending(by).deadline = None;
        self.discards = true;
        (self.state, self.io) = (State::Closed, IoState::Closed);
    }

    fn advance(&mut self, role: Role, deadline: Instant) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closing;
        let Some(ending) = &mut self.ending else { return };
        ending.deadline.get_or_insert(deadline);
        if ending.closed.is_clean() {
            ending.deadline = Some(deadline);
            // §7.1.1: the server closes TCP first, so that TIME_WAIT is the server's.
            self.io = match role {
                Role::Server => IoState::Shutdown,
                Role::Client => IoState::AwaitEof,
            };
        }
    }

    fn ending(&mut self, by: Initiator) -> &mut Ending {
        self.ending.get_or_insert_with(|| {
            Box::new(Ending { closed: Closed { received: None, sent: None, by }, deadline: None })
        })
    }
}

/// Adds without ever overflowing.
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.min(CENTURY)
}

/// A deadline a century away is none.
pub(crate) const CENTURY: Duration = Duration::from_secs(3_155_760_000);
