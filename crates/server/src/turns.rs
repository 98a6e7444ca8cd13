//! Whose turn it is on a line: its client's, who says something, or ours, who have something for it.
//!
//! What waits for a client waits where it is counted and bounded (in its outbox, in the channel's past), and not a second time
//! in the line's own queue: more is taken only once what was taken before is written.

use std::future::poll_fn;
use std::task::{Context, Poll};

use openline::{Error, Message, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};

/// Taken at once, about: what is written by one system call, and all that a line of a reader that does not read holds.
pub(crate) const TAKE_BYTES: usize = 16 << 10;

/// What happens next.
#[derive(Debug)]
pub(crate) enum Turn<T> {
    /// The client said something, or left.
    Theirs(Result<Option<Message>, Error>),
    /// There is something for it.
    Ours(T),
}

/// Whose turn it was. Neither side has to wait for the other one to be silent.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    was_ours: bool,
}

impl Turns {
    /// Waits for the next turn. `ours` is polled only while there is little to write; what is queued is written meanwhile.
    pub(crate) async fn next<S, T>(
        &mut self,
        socket: &mut WebSocket<S>,
        mut ours: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Turn<T>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        poll_fn(|cx| {
            let mut take = |socket: &WebSocket<S>, cx: &mut Context<'_>| match socket.queued_bytes() < TAKE_BYTES {
                true => ours(cx).map(Turn::Ours),
                false => Poll::Pending,
            };
            if !std::mem::replace(&mut self.was_ours, true)
                && let taken @ Poll::Ready(_) = take(socket, cx)
            {
                return taken;
            }
            // It writes, too: then there may be room.
            let theirs = socket.poll_recv(cx).map(Turn::Theirs);
            let next = if theirs.is_ready() { theirs } else { take(socket, cx) };
            self.was_ours = matches!(next, Poll::Ready(Turn::Ours(_)));
            next
        })
        .await
    }
}
