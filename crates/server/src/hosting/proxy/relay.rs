//! Two lines, and what passes between them: messages as they are, and at the end the close code.
//!
//! Nothing is taken from one side while the other has not been written what was taken before. So a slow reader costs a batch
//! and one message of memory, whoever it is, and the other side waits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use openline::proto::{Close, CloseCode, Closed};
use openline::{ClientStream, Error, SendError, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

use super::BATCH_BYTES;
use super::pool::{Pool, Taken};
use crate::hosting::guest::{Says, drain, too_much_said};
use crate::rates::TooMuch;

/// A message without a byte costs something, too.
const OVERHEAD_BYTES: usize = 64;

/// After so many batches the other lines have their turn.
const ROUNDS: usize = 8;

/// The line to the other server, for a client.
#[derive(Debug)]
pub(in crate::hosting) struct Relay {
    /// `None` once its end is somebody else's.
    upstream: Option<WebSocket<ClientStream>>,
    pool: Arc<Pool>,
    _taken: Taken,
}

/// Which side ended first.
enum End {
    Client(Result<(), Error>),
    /// Neither: the client said more than it may.
    TooMuch(TooMuch),
    Upstream(Result<(), Error>),
}

impl Relay {
    pub(super) fn new(upstream: WebSocket<ClientStream>, pool: Arc<Pool>, taken: Taken) -> Self {
        Self { upstream: Some(upstream), pool, _taken: taken }
    }

    pub(in crate::hosting) async fn run<S>(mut self, client: &mut WebSocket<S>, mut says: Says) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(upstream) = &mut self.upstream else { return Ok(()) };
        let end = poll_fn(|cx| {
            for _ in 0..ROUNDS {
                let up = pump(client, upstream, &mut |bytes| says.message(bytes), cx);
                match up {
                    Step::TooMuch(too_much) => return Poll::Ready(End::TooMuch(too_much)),
                    Step::Ended(ended) => return Poll::Ready(End::Client(ended)),
                    Step::Broke(error) => return Poll::Ready(End::Upstream(Err(error))),
                    Step::Moved | Step::Idle => {}
                }
                match pump(upstream, client, &mut |_| Ok(()), cx) {
                    Step::Ended(ended) => return Poll::Ready(End::Upstream(ended)),
                    Step::Broke(error) => return Poll::Ready(End::Client(Err(error))),
                    Step::Idle if matches!(up, Step::Idle) => return Poll::Pending,
                    Step::Moved | Step::Idle | Step::TooMuch(_) => {}
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        match end {
            End::TooMuch(too_much) => {
                client.start_close(too_much_said(&too_much));
                self.close_upstream(Close::new(CloseCode::GOING_AWAY, "the client said too much"));
                drain(client).await
            }
            End::Client(ended) => {
                self.close_upstream(said(client.closed(), &ended, "the client is gone", CloseCode::GOING_AWAY));
                ended
            }
            End::Upstream(ended) => {
                if let Err(error) = &ended {
                    tracing::debug!(%error, "the line to the server behind broke");
                }
                let close = said(upstream.closed(), &ended, "the server behind is gone", CloseCode::BAD_GATEWAY);
                client.start_close(close);
                drain(client).await
            }
        }
    }

    /// The other server gets its closing handshake, however the client's line ended.
    fn close_upstream(&mut self, close: Close) {
        let (Some(mut upstream), Ok(runtime)) = (self.upstream.take(), Handle::try_current()) else { return };
        if upstream.closed().is_some() {
            return;
        }
        let closing = async move {
            upstream.start_close(close);
            let _ = drain(&mut upstream).await;
        };
        self.pool.endings.spawn_on(closing, &runtime);
    }
}

/// The server ends, or drops the line.
impl Drop for Relay {
    fn drop(&mut self) {
        self.close_upstream(Close::new(CloseCode::GOING_AWAY, "the client is gone"));
    }
}

/// What one side is told of the other's end. 1005, 1006 and 1015 are never sent (RFC 6455 §7.4.1): a close without a code is
/// passed on without, and an end without a close has a code of our own.
fn said(closed: Option<&Closed>, ended: &Result<(), Error>, gone: &str, code: CloseCode) -> Close {
    match (ended, closed.and_then(|closed| closed.received.clone())) {
        (Ok(()), Some(close)) => close,
        _ => Close::new(code, gone),
    }
}

enum Step {
    /// Something passed, and more may.
    Moved,
    /// Nothing to do until a waker says so.
    Idle,
    /// The one that messages are taken from has ended.
    Ended(Result<(), Error>),
    /// The other one has.
    Broke(Error),
    /// More was said than may be.
    TooMuch(TooMuch),
}

/// Takes from one side, if the other has been written all that it was owed, up to a batch.
fn pump<A, B>(
    from: &mut WebSocket<A>,
    to: &mut WebSocket<B>,
    allows: &mut dyn FnMut(usize) -> Result<(), TooMuch>,
    cx: &mut Context<'_>,
) -> Step
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    match pin!(to.flush()).poll(cx) {
        Poll::Ready(Ok(())) => {}
        Poll::Ready(Err(error)) => return Step::Broke(error),
        Poll::Pending => return Step::Idle,
    }
    let mut taken = 0;
    while taken < BATCH_BYTES {
        let message = match pin!(from.recv_ref()).poll(cx) {
            Poll::Ready(Ok(Some((message, _)))) => message,
            Poll::Ready(Ok(None)) => return Step::Ended(Ok(())),
            Poll::Ready(Err(error)) => return Step::Ended(Err(error)),
            Poll::Pending => break,
        };
        if let Err(too_much) = allows(message.as_bytes().len()) {
            return Step::TooMuch(too_much);
        }
        taken += message.as_bytes().len() + OVERHEAD_BYTES;
        match pin!(to.feed(message)).poll(cx) {
            Poll::Ready(Ok(())) => {}
            // It is leaving, and says so itself.
            Poll::Ready(Err(Error::Send(SendError::Closed))) => {}
            Poll::Ready(Err(error)) => return Step::Broke(error),
            // There is always room: see `relayed`.
            Poll::Pending => return Step::Broke(Error::Send(SendError::Full)),
        }
    }
    match taken {
        0 => Step::Idle,
        _ => Step::Moved,
    }
}
