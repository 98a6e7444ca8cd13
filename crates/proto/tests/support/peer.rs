//! The other end of a connection, played by a test: what it sends and what it expects are literal bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openline_proto::{
    Close, CloseCode, Closed, Config, Connection, IoState, Output, ProtocolError, Role, State, TimedOut,
};

use crate::heard::{Heard, Mode, feed};
use crate::wire;

/// A peer, and the connection that it is connected to.
pub(crate) struct Peer {
    /// The end under test.
    pub(crate) connection: Connection,
    /// What it has to write.
    pub(crate) output: Output,
    pub(crate) now: Instant,
    /// How the application under test reads.
    pub(crate) mode: Mode,
    heard: VecDeque<Heard>,
}

impl Peer {
    /// A client, and a server under test.
    pub(crate) fn client() -> Self {
        Self::client_of(Config::default())
    }

    /// A server, and a client under test.
    pub(crate) fn server() -> Self {
        Self::server_of(Config::default())
    }

    pub(crate) fn client_of(config: impl Into<Arc<Config>>) -> Self {
        let now = Instant::now();
        Self::new(Connection::server(&Default::default(), config, now), now)
    }

    pub(crate) fn server_of(config: impl Into<Arc<Config>>) -> Self {
        let now = Instant::now();
        Self::new(Connection::client(&Default::default(), config, [7; 32], now), now)
    }

    /// One of each, for what both ends must do.
    pub(crate) fn both() -> [Self; 2] {
        [Self::client(), Self::server()]
    }

    pub(crate) fn both_of(config: Config) -> [Self; 2] {
        [Self::client_of(config.clone()), Self::server_of(config)]
    }

    /// The peer of this connection.
    pub(crate) fn new(connection: Connection, now: Instant) -> Self {
        Self { connection, output: Output::new(), now, mode: Mode::Whole, heard: VecDeque::new() }
    }

    /// These frames as this peer puts them on the wire: a client masks them (§5.1).
    pub(crate) fn frames(&self, unmasked: impl AsRef<[u8]>) -> Vec<u8> {
        match self.connection.role() {
            Role::Server => wire::mask(unmasked.as_ref()),
            Role::Client => unmasked.as_ref().to_vec(),
        }
    }

    /// These bytes arrive, and break no rule.
    #[track_caller]
    pub(crate) fn sends(&mut self, wire: impl AsRef<[u8]>) {
        let bytes = wire.as_ref();
        if let Err(error) = self.try_sends(bytes) {
            panic!("{error}: {}", bytes.escape_ascii());
        }
    }

    /// These bytes arrive; which rule they break, if any.
    pub(crate) fn try_sends(&mut self, wire: &[u8]) -> Result<(), ProtocolError> {
        let mut heard = Vec::new();
        let result = feed(&mut self.connection, self.mode, wire, self.now, &mut self.output, &mut heard);
        self.heard.extend(heard);
        result
    }

    /// These bytes arrive and break this rule, so the connection fails (§7.1.7): a Close frame with the error's code
    /// and words is the last thing to be written, and nothing that comes later matters.
    #[track_caller]
    pub(crate) fn breaks(&mut self, wire: impl AsRef<[u8]>, error: ProtocolError) {
        let bytes = wire.as_ref();
        assert_eq!(self.try_sends(bytes), Err(error.clone()), "{}", bytes.escape_ascii());
        let close = Close::new(error.close_code(), &error.to_string());
        assert_eq!(close.reason(), error.to_string(), "the reason is cut");
        self.expects(close_frame(u16::from(error.close_code()), &error.to_string()));
        assert_eq!((self.connection.state(), self.connection.io_state()), (State::Closing, IoState::Shutdown));
        self.hears_nothing();
        self.sends(self.frames(b"\x81\x01x\x89\x01x\x88\x02\x03\xe8"));
        self.sends(bytes);
        self.hears_nothing();
        self.expects(b"");
        assert_eq!(self.closed().code(), 1006, "§7.1.5: no Close frame was received");
    }

    /// All that waits to be written, masks taken off, is exactly this.
    #[track_caller]
    pub(crate) fn expects(&mut self, unmasked: impl AsRef<[u8]>) {
        let unmasked = unmasked.as_ref();
        let written = self.takes();
        assert_eq!(written.escape_ascii().to_string(), unmasked.escape_ascii().to_string());
    }

    /// All that waits to be written, masks taken off; it must be legal.
    pub(crate) fn takes(&mut self) -> Vec<u8> {
        let written = self.output.to_vec();
        assert_eq!(self.output.len(), 0);
        for frame in wire::frames(&written) {
            assert_eq!(frame.masked, self.connection.role() == Role::Client, "§5.1");
        }
        wire::unmask(&written)
    }

    /// The application under test hears this next.
    #[track_caller]
    pub(crate) fn hears(&mut self, heard: Heard) {
        assert_eq!(self.heard.pop_front(), Some(heard));
    }

    #[track_caller]
    pub(crate) fn hears_nothing(&mut self) {
        assert_eq!(self.heard.pop_front(), None);
    }

    /// Everything that the application heard and did not look at.
    pub(crate) fn heard(&mut self) -> Vec<Heard> {
        self.heard.drain(..).collect()
    }

    /// The application under test closes.
    pub(crate) fn closes(&mut self, code: CloseCode, reason: &str) {
        self.connection.close(Close::new(code, reason), self.now, &mut self.output);
    }

    /// When the connection wants to be woken, counted from now.
    pub(crate) fn next_timeout(&mut self) -> Option<Duration> {
        let at = self.connection.next_timeout(&self.output, self.now)?;
        Some(at.saturating_duration_since(self.now))
    }

    /// Time passes, and the connection is woken whenever it wants to be; what it writes is not taken.
    pub(crate) fn waits(&mut self, time: Duration) -> Result<(), TimedOut> {
        let end = self.now + time;
        while let Some(at) = self.connection.next_timeout(&self.output, self.now).filter(|at| *at <= end) {
            assert!(at > self.now || self.connection.io_state() != IoState::Closed, "a timeout that does not go away");
            self.now = self.now.max(at);
            self.connection.handle_timeout(self.now, &mut self.output)?;
        }
        self.now = end;
        Ok(())
    }

    /// TCP ends.
    pub(crate) fn drops(&mut self) {
        self.connection.receive_eof();
    }

    /// How it ended.
    #[track_caller]
    pub(crate) fn closed(&self) -> &Closed {
        self.connection.closed().expect("not closed")
    }

    /// States (§4.1, §7.1) of the connection and its socket.
    pub(crate) fn states(&self) -> (State, IoState) {
        (self.connection.state(), self.connection.io_state())
    }
}

/// A Close frame, without a mask.
pub(crate) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    wire::frame(0x88, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
}
