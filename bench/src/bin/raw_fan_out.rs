//! `raw_fan_out ADDR`: TCP without WebSocket and without an async runtime, on which everyone hears everyone else: epoll, one read
//! buffer, one write to each of the others for each read.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::SocketAddr,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

/// Nobody leaves before the end of a measurement, so places are not used again.
#[derive(Default)]
struct Room {
    members: Vec<Option<Member>>,
}

struct Member {
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

    let mut room = Room::default();
    let mut buffer = vec![0; 64 << 10]; // as `raw_echo`
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            done => done?,
        }
        for event in &events {
            match event.token() {
                LISTENER => room.accept(&listener, &poll)?,
                Token(id) => room.pass_on(id, event.is_readable(), &mut buffer),
            }
        }
    }
}

impl Room {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            match listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true)?;
                    let token = Token(self.members.len());
                    poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
                    self.members.push(Some(Member { stream, unsent: Vec::new() }));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// What one says, to all the others.
    fn pass_on(&mut self, id: usize, is_readable: bool, buffer: &mut [u8]) {
        self.send(id, &[]);
        while is_readable && let Some(member) = &mut self.members[id] {
            let length = match member.stream.read(buffer) {
                Ok(length @ 1..) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return self.members[id] = None,
            };
            for other in (0..self.members.len()).filter(|&other| other != id) {
                self.send(other, &buffer[..length]);
            }
            // Edge-triggered, but a short read has seen the end of what is there.
            if length < buffer.len() {
                return;
            }
        }
    }

    fn send(&mut self, id: usize, bytes: &[u8]) {
        let Some(member) = &mut self.members[id] else { return };
        if member.send(bytes).is_err() {
            self.members[id] = None;
        }
    }
}

impl Member {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let sent = write(&mut self.stream, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        let sent = if self.unsent.is_empty() { write(&mut self.stream, bytes)? } else { 0 };
        self.unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
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
