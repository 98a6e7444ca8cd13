//! The streams of a connection: a task each, of which none outlives the connection, nor waits for ever for a peer that opens
//! its window no further.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::hosting::body::Body;

/// Shown to h2 at once: what is not taken of it in time is no more than this.
const PIECE_BYTES: usize = 16 << 10;

tokio::task_local! {
    /// Of the stream whose task this is.
    static CLOCK: Arc<Clock>;
}

/// Since when h2 has something of an answer for which its peer has no room.
#[derive(Debug, Default)]
struct Clock(Mutex<Option<Instant>>);

impl Clock {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until that has lasted for `limit`.
    async fn stalled(&self, limit: Duration) {
        loop {
            let since = *self.since();
            let now = Instant::now();
            let end = since.unwrap_or(now) + limit;
            if end <= now {
                return;
            }
            sleep_until(end).await;
        }
    }
}

/// The tasks of a connection's streams. It alone has them, as they have an [`Spawn`] each.
#[derive(Debug, Default)]
pub(super) struct Streams(Arc<Mutex<JoinSet<()>>>);

/// Begins a stream's task.
#[derive(Clone, Debug)]
pub(super) struct Spawn {
    streams: Weak<Mutex<JoinSet<()>>>,
    write_timeout: Duration,
}

impl Streams {
    pub(super) fn spawn(&self, write_timeout: Duration) -> Spawn {
        Spawn { streams: Arc::downgrade(&self.0), write_timeout }
    }

    /// Drops them all, and waits until they are gone.
    pub(super) async fn end(self) {
        let mut streams = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        streams.shutdown().await;
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawn {
    fn execute(&self, stream: F) {
        let Some(streams) = self.streams.upgrade() else { return };
        let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        let (clock, write_timeout) = (Arc::<Clock>::default(), self.write_timeout);
        streams.spawn(async move {
            tokio::select! {
                () = CLOCK.scope(clock.clone(), stream) => {}
                () = clock.stalled(write_timeout) => {}
            }
        });
    }
}

/// An answer on its way, which shows that the connection is in use.
pub(super) struct Active {
    body: Body,
    /// What `body` gave, and was not shown yet.
    rest: Bytes,
    clock: Option<Arc<Clock>>,
    _active: watch::Receiver<()>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Active {
    /// To be called in the stream's task. `slot`: its place among all that the server does at once.
    pub(super) fn new(body: Body, active: watch::Receiver<()>, slot: Option<OwnedSemaphorePermit>) -> Self {
        let clock = CLOCK.try_with(Arc::clone).ok();
        let answer = Self { body, rest: Bytes::new(), clock, _active: active, _slot: slot };
        answer.waits_for_room(true);
        answer
    }

    /// h2 asks for more when its peer has room for more.
    fn waits_for_room(&self, waits: bool) {
        if let Some(clock) = &self.clock {
            *clock.since() = waits.then(Instant::now);
        }
    }
}

impl HttpBody for Active {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.waits_for_room(false);
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return end,
            }
        }
        let shown = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(shown);
        self.waits_for_room(true);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
