//! A line and its program: both ways, each at the pace of the other.

use std::process::ExitStatus;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use openline::proto::{Close, CloseCode, Message};
use openline::{Error, SendError, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::{sleep, timeout};

use super::process::{Parts, Process};
use super::shared::Seat;
use super::stdout::{Cut, Cutter, TooLong};
use crate::hosting::guest::{Says, drain};
use crate::hosting::reading::read;

/// A line's part of a program.
#[derive(Debug)]
pub(in crate::hosting) enum Talk {
    Alone(Box<Alone>),
    Shared(Seat),
}

impl Talk {
    pub(super) fn alone(process: Process, cut: Cut, patience: Duration) -> Self {
        Self::Alone(Box::new(Alone { process, cut, patience }))
    }

    pub(super) fn shared(seat: Seat) -> Self {
        Self::Shared(seat)
    }

    pub(in crate::hosting) async fn run<S>(self, socket: &mut WebSocket<S>, says: Says) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self {
            Self::Alone(alone) => alone.run(socket, says).await,
            Self::Shared(seat) => seat.run(socket, says).await,
        }
    }
}

/// A program of its own.
#[derive(Debug)]
pub(in crate::hosting) struct Alone {
    process: Process,
    cut: Cut,
    /// A program that takes nothing of what waits for it for this long is given up.
    patience: Duration,
}

/// After a program ended, what it printed is in the pipe and read at once; who else holds the pipe open left the group.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Alone {
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        socket: &mut WebSocket<S>,
        mut says: Says,
    ) -> Result<(), Error> {
        let mut cutter = Cutter::new(self.cut);
        // What the program has not taken yet; until it has, no more is read from the client.
        let mut pending = BytesMut::new();
        let mut status: Option<Option<ExitStatus>> = None;
        loop {
            let Parts { stdin, stdout, leader } = self.process.parts();
            tokio::select! {
                message = socket.recv(), if pending.is_empty() => match message? {
                    Some(message) if !says.allows(message.as_bytes().len(), socket) => return drain(socket).await,
                    Some(message) if self.process.stdin.is_some() => self.line(message, &mut pending),
                    // It listens no more, and may still have something to say.
                    Some(_) => {}
                    None => return Ok(()), // and the program is dropped
                },
                said = hear(stdout) => match said {
                    Some(bytes) => {
                        cutter.put(&bytes);
                        if !self.pass_on(socket, &mut cutter).await? {
                            return drain(socket).await;
                        }
                    }
                    None => break,
                },
                written = timeout(self.patience, write(stdin, &pending)), if !pending.is_empty() => match written {
                    Ok(Ok(bytes @ 1..)) => pending.advance(bytes),
                    Ok(_) => {
                        self.process.stdin = None;
                        pending.clear();
                    }
                    Err(_) => return close(socket, CloseCode::INTERNAL, "the program does not read").await,
                },
                ended = leader.ended(), if status.is_none() => status = Some(ended),
                () = sleep(LAST_WORDS), if status.is_some() => break,
            }
        }
        let last = cutter.last().map_err(|TooLong { max_bytes }| too_long(max_bytes));
        match last {
            Ok(Some(message)) => drop(socket.feed(message).await),
            Ok(None) => {}
            Err(reason) => return close(socket, CloseCode::INTERNAL, &reason).await,
        }
        let status = match status {
            Some(status) => status,
            None => self.end(socket).await?,
        };
        let (code, reason) = verdict(status);
        close(socket, code, &reason).await
    }

    /// It has said everything: now it ends, and the client is kept for as long.
    async fn end<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut WebSocket<S>,
    ) -> Result<Option<ExitStatus>, Error> {
        let Some(mut ending) = self.process.end() else { return Ok(None) };
        loop {
            tokio::select! {
                status = &mut ending => return Ok(status.ok().flatten()),
                message = socket.recv_ref() => if message?.is_none() {
                    return Ok(None);
                },
            }
        }
    }

    /// As the program reads it.
    fn line(&self, message: Message, pending: &mut BytesMut) {
        pending.extend_from_slice(message.as_bytes());
        if matches!(self.cut, Cut::Lines { .. }) {
            pending.extend_from_slice(b"\n");
        }
    }

    /// What is whole goes to the client, as soon as it has room; `false` when it is leaving.
    async fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocket<S>,
        cutter: &mut Cutter,
    ) -> Result<bool, Error> {
        loop {
            let message = match cutter.next() {
                Ok(Some(message)) => message,
                Ok(None) => return socket.flush().await.map(|()| true),
                Err(TooLong { max_bytes }) => {
                    socket.start_close(Close::new(CloseCode::INTERNAL, &too_long(max_bytes)));
                    return Ok(false);
                }
            };
            match socket.feed(message).await {
                Err(Error::Send(SendError::Closed)) => return Ok(false),
                fed => fed?,
            }
        }
    }
}

/// What it prints next; `None` at the end.
pub(super) async fn hear(stdout: Option<&mut ChildStdout>) -> Option<bytes::Bytes> {
    read(stdout?).await.ok().filter(|bytes| !bytes.is_empty())
}

pub(super) async fn write(stdin: Option<&mut ChildStdin>, pending: &[u8]) -> std::io::Result<usize> {
    match stdin {
        Some(stdin) => stdin.write(pending).await,
        None => Ok(0),
    }
}

pub(super) fn too_long(max_bytes: usize) -> String {
    format!("the program printed a line of more than {max_bytes} bytes")
}

/// What a program's end means for the line.
pub(super) fn verdict(status: Option<ExitStatus>) -> (CloseCode, String) {
    let Some(status) = status else { return (CloseCode::INTERNAL, "the program ended".to_owned()) };
    if status.success() {
        return (CloseCode::NORMAL, String::new());
    }
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return (CloseCode::INTERNAL, format!("the program was ended by signal {signal}"));
    }
    let code = status.code().unwrap_or_default();
    (CloseCode::INTERNAL, format!("the program ended with status {code}"))
}

async fn close<S>(socket: &mut WebSocket<S>, code: CloseCode, reason: &str) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    socket.start_close(Close::new(code, reason));
    drain(socket).await
}
