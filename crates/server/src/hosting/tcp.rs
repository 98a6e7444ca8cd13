//! `tcp`: a TCP service, or one at a Unix socket, whose bytes are carried in messages. What websockify does.
//!
//! Each message's bytes go to the service as they are, and what the service says comes in binary messages, cut anywhere.
//! Whoever offers the subprotocol `base64` and not `binary` speaks, and gets, Base64 in text messages.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use http::StatusCode;
use openline::proto::handshake::{Offer, Subprotocol};
use openline::proto::{Close, CloseCode, Message};
use openline::{ClientStream, Error, SendError, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use super::arrive::Refusal;
use super::dial::{self, Address, BackendTls, Tls};
use super::guest::{Says, drain};
use super::place::Found;
use super::reading::read;
use crate::edge::answer::text;

/// A TCP service.
#[derive(Clone, Debug)]
pub struct Tcp {
    target: Target,
    tls: Option<BackendTls>,
    ready: Option<Tls>,
    connect_timeout: Duration,
}

#[derive(Clone, Debug)]
enum Target {
    One(Address),
    /// By a parameter of the path: these and no others.
    Named(String, BTreeMap<String, Address>),
}

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::One(address) => address.fmt(f),
            Target::Named(parameter, targets) => write!(f, "{{{parameter}}} of {}", targets.len()),
        }
    }
}

/// A service on the same machine or in the same building answers in milliseconds; 5 s bridge two lost packets.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Whoever is left to read, reads what is left within this time.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Tcp {
    /// Always this one.
    pub fn to(address: Address) -> Self {
        Self { target: Target::One(address), tls: None, ready: None, connect_timeout: CONNECT_TIMEOUT }
    }

    /// The one that a parameter of the path names, of these: `/vnc/{machine}`. Another name is 404.
    pub fn named(parameter: impl Into<String>, targets: BTreeMap<String, Address>) -> Self {
        Self {
            target: Target::Named(parameter.into(), targets),
            tls: None,
            ready: None,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// With TLS to the service.
    pub fn tls(self, tls: BackendTls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Connecting may take this long; over it 504. Default 5 s.
    pub fn connect_timeout(self, limit: Duration) -> Self {
        Self { connect_timeout: limit, ..self }
    }

    pub(super) fn parameter(&self) -> Option<&str> {
        match &self.target {
            Target::One(_) => None,
            Target::Named(parameter, _) => Some(parameter),
        }
    }

    pub(super) fn checked(mut self) -> Result<Self, String> {
        if let Target::Named(parameter, targets) = &self.target
            && targets.is_empty()
        {
            return Err(format!("{{{parameter}}} has nothing to choose from: name the targets"));
        }
        self.ready = self.tls.as_ref().map(Tls::open).transpose()?;
        Ok(self)
    }

    /// Of websockify's two the one that costs less.
    pub(super) fn choose(&self, offer: &Offer) -> Option<Subprotocol> {
        let offered = |name: &str| offer.subprotocols().iter().find(|offered| offered.as_str() == name).cloned();
        offered("binary").or_else(|| offered("base64"))
    }

    /// Connects, before the handshake is answered: an answer of 101 means that the service is there.
    pub(super) async fn connect(
        &self,
        found: &Found,
        subprotocol: Option<&Subprotocol>,
        line: &Arc<openline::Config>,
    ) -> Result<Bridge, Refusal> {
        let address = match &self.target {
            Target::One(address) => address,
            Target::Named(parameter, targets) => {
                let named = found.parameters.iter().find(|(name, _)| **name == **parameter);
                let named = named.and_then(|(_, value)| targets.get(&**value));
                named.ok_or_else(|| Box::new(text(StatusCode::NOT_FOUND, "There is no service of that name.")))?
            }
        };
        let stream = dial::dial(address, self.ready.as_ref(), self.connect_timeout).await.map_err(|error| {
            tracing::warn!(route = %found.place.shown, %address, %error, "cannot reach the service");
            Box::new(error.response())
        })?;
        let (reading, writing) = tokio::io::split(stream);
        Ok(Bridge {
            reading,
            writing,
            is_base64: subprotocol.is_some_and(|name| name.as_str() == "base64"),
            patience: line.write_timeout,
        })
    }
}

/// A connection to a service, for one line.
#[derive(Debug)]
pub(super) struct Bridge {
    reading: ReadHalf<ClientStream>,
    writing: WriteHalf<ClientStream>,
    is_base64: bool,
    /// A service that takes nothing of what waits for it for this long is given up.
    patience: Duration,
}

/// What ends a bridge, and what the client is told.
const SAYS_BASE64: &str = "base64 is spoken here, and that is none";
const BROKE: &str = "the service broke the connection";
const STALLED: &str = "the service takes nothing";

impl Bridge {
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        socket: &mut WebSocket<S>,
        mut says: Says,
    ) -> Result<(), Error> {
        // What the service has not taken yet; until it has, no more is read from the client.
        let mut pending = Bytes::new();
        // Whether TLS may hold some of it back, and until when the service has to take something.
        let mut is_held_back = false;
        let mut deadline = Instant::now();
        let mut has_ended = false;
        loop {
            tokio::select! {
                message = socket.recv(), if pending.is_empty() => match message? {
                    Some(message) if !says.allows(message.as_bytes().len(), socket) => return drain(socket).await,
                    Some(message) => match self.unwrap(message) {
                        Ok(bytes) => {
                            pending = bytes;
                            if !is_held_back {
                                deadline = Instant::now() + self.patience;
                            }
                        }
                        Err(reason) => return socket.close(CloseCode::INVALID, reason).await.map(drop),
                    },
                    None => return self.hang_up().await,
                },
                heard = read(&mut self.reading), if !has_ended => match heard {
                    Ok(bytes) if bytes.is_empty() => {
                        // It has said everything; what the client still says until it has read that, it may hear.
                        has_ended = true;
                        socket.start_close(CloseCode::NORMAL);
                        socket.flush().await?;
                    }
                    Ok(bytes) => match self.say(socket, bytes).await {
                        Err(Error::Send(SendError::Closed)) => has_ended = true,
                        said => said?,
                    },
                    Err(error) => {
                        tracing::debug!(%error, "the service broke the connection");
                        return broke(socket, BROKE).await;
                    }
                },
                // Beside reading: a service that waits to be read takes nothing.
                put = timeout_at(deadline, put(&mut self.writing, &pending)), if is_held_back || !pending.is_empty() => match put {
                    Ok(Ok(Put::Wrote(bytes @ 1..))) => {
                        pending.advance(bytes);
                        is_held_back = true;
                        deadline = Instant::now() + self.patience;
                    }
                    Ok(Ok(Put::Flushed)) => is_held_back = false,
                    // It listens no more, and may still have something to say.
                    Ok(Ok(Put::Wrote(0))) => (pending, is_held_back) = (Bytes::new(), false),
                    Ok(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe && !has_ended => {
                        (pending, is_held_back) = (Bytes::new(), false);
                    }
                    Ok(Err(_)) if has_ended => return drain(socket).await,
                    Ok(_) => return broke(socket, BROKE).await,
                    Err(_) => return broke(socket, STALLED).await,
                },
            }
        }
    }

    fn unwrap(&self, message: Message) -> Result<Bytes, &'static str> {
        if !self.is_base64 {
            return Ok(message.into_bytes());
        }
        STANDARD.decode(message.as_bytes()).map(Bytes::from).map_err(|_| SAYS_BASE64)
    }

    async fn say<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocket<S>,
        bytes: Bytes,
    ) -> Result<(), Error> {
        match self.is_base64 {
            true => socket.send(STANDARD.encode(&bytes)).await,
            false => socket.send(Message::Binary(bytes)).await,
        }
    }

    /// The client is gone: the service is told, and what it still says is read, as a reset would destroy what it has not read.
    async fn hang_up(mut self) -> Result<(), Error> {
        let farewell = async {
            self.writing.shutdown().await?;
            while !read(&mut self.reading).await?.is_empty() {}
            io::Result::Ok(())
        };
        let _ = timeout(LAST_WORDS, farewell).await;
        Ok(())
    }
}

/// What was done for the service.
enum Put {
    Wrote(usize),
    /// TLS holds nothing back any more.
    Flushed,
}

/// Writes some of what it has not taken yet, or flushes where it has taken all. Cancel-safe.
async fn put(writing: &mut WriteHalf<ClientStream>, pending: &Bytes) -> io::Result<Put> {
    match pending.is_empty() {
        true => writing.flush().await.map(|()| Put::Flushed),
        false => writing.write(pending).await.map(Put::Wrote),
    }
}

async fn broke<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>, reason: &str) -> Result<(), Error> {
    socket.start_close(Close::new(CloseCode::BAD_GATEWAY, reason));
    drain(socket).await
}
