//! The other end of a connection, played by a test: what it sends and what it expects are literal bytes.

use std::fmt::Debug;
use std::time::Duration;

use openline::handshake::Negotiated;
use openline::{Config, Role, WebSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::wire::{self, Frame};

/// A peer that is bytes only.
#[derive(Debug)]
pub(crate) struct Peer<S = DuplexStream> {
    pub(crate) stream: S,
    unread: Vec<u8>,
}

/// A client played by the test, and the server under test.
pub(crate) fn client_of(config: Config) -> (Peer, WebSocket<DuplexStream>) {
    pair(1 << 20, Role::Server, config)
}

/// A server played by the test, and the client under test.
pub(crate) fn server_of(config: Config) -> (Peer, WebSocket<DuplexStream>) {
    pair(1 << 20, Role::Client, config)
}

/// A peer on loopback, and an end under test in this role.
pub(crate) async fn tcp(role: Role, config: Config) -> (Peer<TcpStream>, WebSocket<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (ours, _) = listener.accept().await.unwrap();
    (Peer::new(theirs), WebSocket::from_parts(ours, b"", role, &Negotiated::default(), config))
}

/// A peer on a line that holds so many bytes in each direction, and an end under test in this role.
pub(crate) fn pair(line_bytes: usize, role: Role, config: Config) -> (Peer, WebSocket<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(line_bytes);
    (Peer::new(theirs), WebSocket::from_parts(ours, b"", role, &Negotiated::default(), config))
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn sends(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the other end reads");
    }

    /// Exactly these bytes come next.
    pub(crate) async fn expects(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        while self.unread.len() < bytes.len() {
            if self.read().await == 0 {
                break;
            }
        }
        let came: Vec<u8> = self.unread.drain(..bytes.len().min(self.unread.len())).collect();
        assert_eq!(came.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }

    /// The next frame, its mask taken off.
    pub(crate) async fn takes_frame(&mut self) -> Frame {
        loop {
            if let Some((frame, length)) = wire::parse(&self.unread) {
                self.unread.drain(..length);
                return frame;
            }
            assert_ne!(self.read().await, 0, "the line ended instead of a frame: {}", self.unread.escape_ascii());
        }
    }

    /// A Close frame with this code comes next.
    pub(crate) async fn expects_close(&mut self, code: u16) {
        let frame = self.takes_frame().await;
        assert_eq!((frame.first, &frame.payload[..2]), (0x88, &code.to_be_bytes()[..]), "{frame:?}");
    }

    /// The line ends here, properly.
    pub(crate) async fn expects_end(&mut self) {
        let read = self.read().await;
        assert_eq!((read, self.unread.escape_ascii().to_string()), (0, String::new()));
    }

    /// Nothing has come by now.
    pub(crate) async fn expects_nothing(&mut self) {
        let read = timeout(Duration::ZERO, self.read()).await;
        assert!(read.is_err() && self.unread.is_empty(), "{}", self.unread.escape_ascii());
    }

    /// Sends, unless the other end is gone.
    pub(crate) async fn sends_if_open(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Every whole frame that has come by now.
    pub(crate) async fn takes_frames(&mut self) -> Vec<Frame> {
        while let Ok(1..) = timeout(Duration::ZERO, self.read()).await {}
        let mut frames = Vec::new();
        while let Some((frame, length)) = wire::parse(&self.unread) {
            self.unread.drain(..length);
            frames.push(frame);
        }
        frames
    }

    /// These bytes were read past this peer, which shall know them after all.
    pub(crate) fn puts_back(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// Text up to and with this, and nothing that comes behind it.
    pub(crate) async fn takes_until(&mut self, end: &str) -> String {
        loop {
            let found = self.unread.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = found {
                let text = self.unread.drain(..at + end.len()).collect();
                return String::from_utf8(text).expect("text");
            }
            assert_ne!(self.read().await, 0, "the line ended: {}", self.unread.escape_ascii());
        }
    }

    /// Everything until the line ends.
    pub(crate) async fn takes_all(&mut self) -> Vec<u8> {
        while self.read().await > 0 {}
        std::mem::take(&mut self.unread)
    }

    async fn read(&mut self) -> usize {
        self.stream.read_buf(&mut self.unread).await.expect("the line does not break")
    }
}
