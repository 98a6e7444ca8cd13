//! WebSocket (RFC 6455) as a sans-IO state machine: bytes in, events out; messages in, bytes out.
//!
//! ```text
//!    network                       Connection                           application
//!
//!   bytes read ──► receive(&mut [u8], now, &mut Output) ──► Event::{Message, Part, Ping, Pong, Close}
//!                    │ pongs, the answer to a Close,
//!                    ▼ the Close that names a broken rule
//!   bytes to write ◄── Output ◄── send · send_part · send_shared · ping · close
//!                    ▲
//!   time ──────────► handle_timeout(now, &mut Output)   keepalive, closing, stalled peers
//! ```
//!
//! There is no I/O here, no clock, no entropy and no logging: the caller brings bytes, time and randomness, and owns
//! every buffer. One call of [`Connection::receive`] is one step and yields at most one [`Event`], which names a range
//! of the input instead of copying it. A loop looks like this:
//!
//! ```
//! use openline_proto::{Config, Connection, Event, IoState, Output};
//! use std::time::Instant;
//!
//! /// Everything that one read brought: answers go to `output`, to be written once.
//! fn echo(connection: &mut Connection, mut input: &mut [u8], output: &mut Output) -> Result<(), Box<dyn std::error::Error>> {
//!     while !input.is_empty() {
//!         let received = connection.receive(input, Instant::now(), output)?;
//!         if let Some(Event::Message(arrival)) = &received.event {
//!             connection.send(arrival.lend(input), output)?;
//!         }
//!         input = &mut input[received.consumed..];
//!     }
//!     Ok(())
//! }
//!
//! let mut server = Connection::server(&Default::default(), Config::default(), Instant::now());
//! let mut output = Output::new();
//! let mut input = *b"\x81\x82\0\0\0\0hi\x82\x81\0\0\0\0\x07"; // two messages, masked with a key of zeros
//! echo(&mut server, &mut input, &mut output).unwrap();
//! assert_eq!(output.to_vec(), b"\x81\x02hi\x82\x01\x07");
//! assert_eq!(server.io_state(), IoState::Open);
//! ```
//!
//! The opening handshake is a type of its own, in [`handshake`], over the types of the `http` crate: a `Connection`
//! cannot be "connecting".

pub mod deflate;
pub mod frame;
pub mod handshake;

mod assemble;
mod clock;
mod close;
mod connection;
mod error;
mod event;
mod limits;
mod mask;
mod masker;
mod message;
mod output;
mod receive;
mod role;
mod state;
mod utf8;

pub use close::{Close, CloseCode, Closed, Initiator, InvalidCloseCode};
pub use connection::Connection;
pub use error::{ProtocolError, SendError, TimedOut};
pub use event::{Arrival, Event, Payload, Received};
pub use limits::Config;
pub use mask::mask;
pub use message::{Kind, Message, MessageRef, Outgoing, SharedMessage, SharedMessages, Text, TextRef};
pub use output::Output;
pub use role::Role;
pub use state::{IoState, State};
