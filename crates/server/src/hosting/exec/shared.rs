//! A program that all lines of a route share.
//!
//! ```text
//!   each line ──message──▶ stdin ──▶ program ──▶ stdout ──line──▶ Room ──▶ every line
//! ```
//! It starts with the first line and ends with the last.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use openline::proto::{Close, CloseCode, SharedMessage};
use openline::{Error, SendError, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use super::process::{Parts, Process};
use super::stdout::{Cut, Cutter, TooLong};
use super::talk::{hear, too_long, verdict, write};
use super::{Frames, Programs, environment};
use crate::hosting::arrive::Refusal;
use crate::hosting::guest::{Says, drain};
use crate::room::{Member, Room};

/// Messages that wait for the program, all lines together; over it the lines wait. Few, as each may be a megabyte.
const WAITING: usize = 16;

/// How it ended.
type Ending = Option<(CloseCode, String)>;

/// The program while it runs.
#[derive(Debug)]
pub(super) struct Shared {
    room: Arc<Room>,
    stdin: mpsc::Sender<Bytes>,
    ending: watch::Receiver<Ending>,
}

/// A line's part of it.
#[derive(Debug)]
pub(in crate::hosting) struct Seat {
    member: Member,
    shared: Arc<Shared>,
    is_lines: bool,
}

impl Shared {
    /// Takes a seat; for the first one the program is started.
    pub(super) fn join(programs: &Arc<Programs>) -> Result<Seat, Refusal> {
        // Nothing in here panics half-way.
        let mut place = programs.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let running = place.upgrade().filter(|shared| shared.ending.borrow().is_none());
        let shared = match running {
            Some(shared) => shared,
            None => {
                let process = programs.spawn(environment::of_nobody())?;
                let (stdin, waiting) = mpsc::channel(WAITING);
                let (ended, ending) = watch::channel(None);
                let room = Arc::new(Room::default());
                tokio::spawn(keep(process, programs.cut(), waiting, room.clone(), ended));
                let shared = Arc::new(Self { room, stdin, ending });
                *place = Arc::downgrade(&shared);
                shared
            }
        };
        let member = shared.room.join(programs.line.max_output_bytes);
        Ok(Seat { member, shared, is_lines: programs.exec.frames == Frames::Lines })
    }
}

/// Serves the program until it ends, or nobody is left.
async fn keep(
    mut process: Process,
    cut: Cut,
    mut waiting: mpsc::Receiver<Bytes>,
    room: Arc<Room>,
    ended: watch::Sender<Ending>,
) {
    let mut cutter = Cutter::new(cut);
    let mut pending = Bytes::new();
    loop {
        let Parts { stdin, stdout, .. } = process.parts();
        tokio::select! {
            message = waiting.recv(), if pending.is_empty() => match message {
                Some(bytes) => pending = bytes,
                None => return, // the last one left, and the program is dropped
            },
            said = hear(stdout) => match said {
                Some(bytes) => cutter.put(&bytes),
                None => break,
            },
            written = write(stdin, &pending), if !pending.is_empty() => match written {
                Ok(bytes @ 1..) => pending.advance(bytes),
                Ok(_) | Err(_) => {
                    process.stdin = None;
                    pending.clear();
                }
            },
            // Nobody is left, while the program does not read.
            () = ended.closed() => return,
        }
        loop {
            match cutter.next() {
                Ok(Some(message)) => room.tell(&message),
                Ok(None) => break,
                Err(TooLong { max_bytes }) => {
                    let _ = ended.send(Some((CloseCode::INTERNAL, too_long(max_bytes))));
                    return;
                }
            }
        }
    }
    if let Ok(Some(message)) = cutter.last() {
        room.tell(&message);
    }
    let status = match process.end() {
        Some(status) => status.await.ok().flatten(),
        None => None,
    };
    let _ = ended.send(Some(verdict(status)));
}

impl Seat {
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        socket: &mut WebSocket<S>,
        mut says: Says,
    ) -> Result<(), Error> {
        let mut ending = self.shared.ending.clone();
        let mut pending: Option<Bytes> = None;
        let (code, reason) = loop {
            tokio::select! {
                biased;
                () = self.member.overflowed() => {
                    break (CloseCode::TRY_AGAIN, "too slow: too much was waiting to be read".to_owned());
                }
                // What was said before the end is heard first.
                message = self.member.hear() => match self.pass_on(socket, &message, pending.is_some()).await {
                    Err(Error::Send(SendError::Closed)) => return drain(socket).await,
                    fed => fed?,
                },
                _ = ending.changed() => {
                    let ended = ending.borrow_and_update().clone();
                    break ended.unwrap_or_else(|| verdict(None));
                }
                room = self.shared.stdin.reserve(), if pending.is_some() => match (room, pending.take()) {
                    (Ok(room), Some(bytes)) => room.send(bytes),
                    // It ended, as is said in a moment.
                    (Err(_), _) | (_, None) => {}
                },
                message = socket.recv(), if pending.is_none() => match message? {
                    Some(message) if !says.allows(message.as_bytes().len(), socket) => return drain(socket).await,
                    Some(message) => {
                        let mut bytes = BytesMut::from(message.as_bytes());
                        if self.is_lines {
                            bytes.extend_from_slice(b"\n");
                        }
                        pending = Some(bytes.freeze());
                    }
                    None => return Ok(()),
                },
            }
        };
        socket.start_close(Close::new(code, &reason));
        drain(socket).await
    }

    /// What is queued `recv` writes; while the line waits for the program, nobody receives.
    async fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocket<S>,
        message: &SharedMessage,
        is_waiting: bool,
    ) -> Result<(), Error> {
        if is_waiting { socket.send_shared(message).await } else { socket.feed_shared(message).await }
    }
}
