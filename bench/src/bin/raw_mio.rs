//! `raw_mio ADDR`: TCP echo without WebSocket and without an async runtime: epoll, one read buffer, one write for each read.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::SocketAddr,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

struct Connection {
    stream: TcpStream,
    /// What the kernel did not take, which is nearly always nothing.
    unsent: Vec<u8>,
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on {}", listener.local_addr()?);

    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut buffer = vec![0; 64 << 10]; // as `raw_echo`
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            done => done?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
                continue;
            }
            let Some(place) = connections.get_mut(event.token().0) else { continue };
            if let Some(connection) = place
                && !connection.echo(&mut buffer)
            {
                *place = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, connections: &mut Vec<Option<Connection>>) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut stream, _)) => {
                stream.set_nodelay(true)?;
                let id = connections.iter().rposition(Option::is_none).filter(|&id| id + 1 == connections.len());
                let id = id.unwrap_or(connections.len());
                poll.registry().register(&mut stream, Token(id), Interest::READABLE | Interest::WRITABLE)?;
                let connection = Some(Connection { stream, unsent: Vec::new() });
                match connections.get_mut(id) {
                    Some(place) => *place = connection,
                    None => connections.push(connection),
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

impl Connection {
    /// Whether it is still there.
    fn echo(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            if !self.unsent.is_empty() {
                let Ok(sent) = write(&mut self.stream, &self.unsent) else { return false };
                self.unsent.drain(..sent);
                if !self.unsent.is_empty() {
                    return true; // until there is room
                }
            }
            let length = match self.stream.read(buffer) {
                Ok(0) => return false,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            };
            let Ok(sent) = write(&mut self.stream, &buffer[..length]) else { return false };
            self.unsent.extend_from_slice(&buffer[sent..length]);
            // Edge-triggered, but a short read has seen the end of what is there.
            if length < buffer.len() && self.unsent.is_empty() {
                return true;
            }
        }
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(length) => sent += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

const LISTENER: Token = Token(usize::MAX - 1);
