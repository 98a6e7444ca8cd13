//! A peer on raw TCP, that may do as it likes.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use crate::bytes::upgrade;
use crate::server::Server;

/// Nothing that is waited for takes this long, unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Peer(BufReader<TcpStream>);

/// A frame from the server, which never masks.
#[derive(Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// How TCP ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order.
    Fin,
    /// The server had no more use for what we sent.
    Reset,
}

impl Peer {
    pub(crate) fn connect(server: &Server) -> Self {
        Self::new(TcpStream::connect_timeout(&server.address, PATIENCE).unwrap())
    }

    /// A line to a path.
    pub(crate) fn open(server: &Server, path: &str) -> Self {
        let mut peer = Self::connect(server);
        peer.upgrades(path);
        peer
    }

    /// A line to a path by one whose system takes in next to nothing while it does not read. What the server's system
    /// would take, some megabytes on loopback, is not the server's memory, and takes long to fill.
    pub(crate) fn open_narrow(server: &Server, path: &str) -> Self {
        let mut peer = Self::narrow(server.address).unwrap();
        peer.upgrades(path);
        peer
    }

    /// As narrow, before any request.
    pub(crate) fn connect_narrow(server: &Server) -> Self {
        Self::narrow(server.address).unwrap()
    }

    /// Small segments make for small buffers on both sides.
    fn narrow(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_recv_buffer_size(4096)?;
        socket.set_tcp_mss(536)?;
        socket.connect(&address.into())?;
        Ok(Self::new(socket.into()))
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::with_capacity(4096, stream))
    }

    #[track_caller]
    pub(crate) fn upgrades(&mut self, path: &str) {
        self.sends(upgrade(path));
        assert_eq!(self.answer(), 101);
    }

    #[track_caller]
    pub(crate) fn sends(&mut self, bytes: impl AsRef<[u8]>) {
        self.tries_to_send(bytes).expect("the server takes it");
    }

    /// Sends what the server may no longer want.
    pub(crate) fn tries_to_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_mut().write_all(bytes.as_ref())
    }

    /// Sends the same again and again until the server has ended the line.
    #[track_caller]
    pub(crate) fn sends_until_ended(&mut self, piece: &[u8]) {
        assert!(self.sends_until(piece, || false), "all is taken, and the line is open");
    }

    /// Sends the same again and again until the server has ended the line, and then says so, or there is enough.
    #[track_caller]
    pub(crate) fn sends_until(&mut self, piece: &[u8], enough: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE && !enough() {
            match self.0.get_mut().write(piece) {
                Ok(_) => {}
                Err(error) if is_end(&error) => return true,
                Err(error) => panic!("neither taken nor refused: {error}"),
            }
        }
        false
    }

    /// Sends the same again and again until the server has taken nothing for half a second, or has ended the line.
    pub(crate) fn sends_until_stuck(&mut self, piece: &[u8]) {
        let start = Instant::now();
        self.0.get_ref().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        while start.elapsed() < PATIENCE && self.0.get_mut().write(piece).is_ok() {}
        self.0.get_ref().set_write_timeout(Some(PATIENCE)).unwrap();
    }

    /// FIN: nothing more comes from here, and everything is still read.
    pub(crate) fn ends_sending(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).unwrap();
    }

    /// RST, as from a system that was switched off and on again.
    pub(crate) fn resets(self) {
        SockRef::from(self.0.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Another hand on the same line.
    pub(crate) fn second_hand(&self) -> Self {
        Self::new(self.0.get_ref().try_clone().unwrap())
    }

    /// The next bytes are exactly these.
    #[track_caller]
    pub(crate) fn expects(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        let mut bytes = vec![0; expected.len()];
        self.0.read_exact(&mut bytes).expect("more comes");
        assert_eq!(bytes.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    /// The next frame.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Frame {
        self.next_frame().expect("another frame")
    }

    /// The next frame, if one comes before the end.
    pub(crate) fn next_frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head)?;
        let [first, second] = head;
        assert_eq!(second & 0x80, 0, "§5.1: a server masks nothing");
        let length = match second {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.0.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload)?;
        Ok(Frame { first, payload })
    }

    /// The next message, put together from its fragments; control frames between them are dropped.
    #[track_caller]
    pub(crate) fn message(&mut self) -> Vec<u8> {
        let mut message = Vec::new();
        loop {
            let frame = self.frame();
            if frame.first & 0x08 == 0 {
                message.extend(frame.payload);
                if frame.first & 0x80 != 0 {
                    return message;
                }
            }
        }
    }

    /// Next comes a Close frame with this code, and then the end. Returns the reason.
    #[track_caller]
    pub(crate) fn expects_close(&mut self, code: u16) -> String {
        let frame = self.frame();
        assert_eq!(frame.first, 0x88, "{frame:?}");
        let reason = String::from_utf8(frame.payload[2..].to_vec()).expect("§5.5.1: a reason is UTF-8");
        assert_eq!(&frame.payload[..2], code.to_be_bytes(), "{reason:?}");
        reason
    }

    /// The server ends TCP in order, and says nothing more.
    #[track_caller]
    pub(crate) fn expects_end(&mut self) {
        assert_eq!(self.end(), (0, End::Fin));
    }

    /// Reads to the end: how many bytes, and how it ended.
    #[track_caller]
    pub(crate) fn end(&mut self) -> (usize, End) {
        let mut rest = 0;
        loop {
            let read = self.0.fill_buf().map(<[u8]>::len);
            match read {
                Ok(0) => return (rest, End::Fin),
                Ok(bytes) => {
                    rest += bytes;
                    self.0.consume(bytes);
                }
                Err(error) if is_end(&error) => return (rest, End::Reset),
                Err(error) => panic!("no end after {rest} bytes: {error}"),
            }
        }
    }

    /// The next HTTP response's status; its body is read.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> u16 {
        self.answer_if_any().expect("an answer")
    }

    /// The next HTTP response's status and its body.
    #[track_caller]
    pub(crate) fn whole_answer(&mut self) -> (u16, String) {
        let (status, body) = self.read_answer().expect("an answer");
        (status, String::from_utf8(body).expect("UTF-8"))
    }

    /// The same, or `None` at the end of the connection.
    pub(crate) fn answer_if_any(&mut self) -> Option<u16> {
        self.read_answer().map(|(status, _)| status)
    }

    fn read_answer(&mut self) -> Option<(u16, Vec<u8>)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            match self.0.read_line(&mut head) {
                Ok(1..) => {}
                Err(error) if !is_end(&error) => panic!("neither an answer nor the end: {error}"),
                _ => {
                    assert_eq!(head, "", "it ended inside an answer");
                    return None;
                }
            }
        }
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).expect("its body");
        Some((head[9..12].parse().unwrap(), body))
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted)
}
