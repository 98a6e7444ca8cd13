//! A WebSocket carried over a WebSocket: what an echo sends back is what it got, to the bit, whatever it may look like.

use std::time::Instant;

use openline::http1::{HeadLimits, parse_request};
use openline::proto::{Config, Connection, Event, Output};

use crate::bytes::{masked, upgrade};
use crate::peer::Peer;
use crate::server::{NOISE, Server};

/// A line to an echo, as a pipe: what goes in comes out.
struct Tunnel(Peer);

impl Tunnel {
    fn carry(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.sends(masked(0x82, bytes));
        self.0.message()
    }
}

#[test]
fn a_line_inside_a_line() {
    let server = Server::start(&[]);
    let mut tunnel = Tunnel(Peer::open(&server, "/test"));
    let now = Instant::now();

    // The inner opening handshake, through the outer line and back.
    let request = tunnel.carry(upgrade("/inner").as_bytes());
    let (head, length) = parse_request(&request, &HeadLimits::default()).unwrap().expect("all of it");
    assert_eq!((head.uri().path(), length), ("/inner", request.len()));

    let mut client = Connection::client(&Default::default(), Config::default(), [7; 32], now);
    let mut server_end = Connection::server(&Default::default(), Config::default(), now);
    let (mut client_output, mut server_output) = (Output::new(), Output::new());
    // Messages of every length of a header, and one that goes in fragments.
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
        let payload: Vec<u8> = (0..length).map(|at: u32| (at * 31 % 251) as u8).collect();
        client.send(&payload[..], &mut client_output).unwrap();
        let mut input = tunnel.carry(&client_output.to_vec());
        let arrived = message(&mut server_end, &mut input, &mut server_output);
        assert_eq!(arrived, payload);
        server_end.send(&arrived[..], &mut server_output).unwrap();
        let mut input = tunnel.carry(&server_output.to_vec());
        assert_eq!(message(&mut client, &mut input, &mut client_output), payload);
    }
    // The inner Close frame is nothing to the outer line.
    let carried = tunnel.carry(b"\x88\x82\0\0\0\0\x03\xe8");
    assert_eq!(carried, b"\x88\x82\0\0\0\0\x03\xe8");
    tunnel.0.sends(b"\x81\x85\0\0\0\0hello");
    tunnel.0.expects(b"\x81\x05hello");
    drop(tunnel);
    server.endured(NOISE);
}

fn message(connection: &mut Connection, mut input: &mut [u8], output: &mut Output) -> Vec<u8> {
    loop {
        assert!(!input.is_empty(), "a message in it");
        let received = connection.receive(input, Instant::now(), output).unwrap();
        if let Some(Event::Message(arrival)) = received.event {
            assert_eq!(received.consumed, input.len(), "and nothing behind it");
            return arrival.lend(input).as_bytes().to_vec();
        }
        input = &mut input[received.consumed..];
    }
}
