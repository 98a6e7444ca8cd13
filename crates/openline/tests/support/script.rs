//! A stream that does what a script says, one step for each call.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a read does.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    Bytes(Vec<u8>),
    /// Nothing is there yet.
    Wait,
    End,
    Fail(io::ErrorKind),
}

/// What a write does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Write {
    /// Takes at most so many bytes.
    Take(usize),
    /// There is no room yet; after the last step there is none until `lets_write`.
    Wait,
    Fail(io::ErrorKind),
}

/// The stream. Out of steps, it takes all that is written and has nothing to read.
#[derive(Debug)]
pub(crate) struct Script(Arc<Mutex<State>>);

/// The test's view of it.
#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) reads: VecDeque<Read>,
    pub(crate) writes: VecDeque<Write>,
    /// What every flush says.
    pub(crate) flush: Option<io::ErrorKind>,
    /// What was written does not leave the stream's own buffer.
    pub(crate) holds: bool,
    /// What was written.
    pub(crate) written: Vec<u8>,
    /// How often something was written.
    pub(crate) calls: usize,
    pub(crate) flushes: usize,
    pub(crate) shut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

pub(crate) fn script(
    reads: impl IntoIterator<Item = Read>,
    writes: impl IntoIterator<Item = Write>,
) -> (Script, Handle) {
    let state = State { reads: reads.into_iter().collect(), writes: writes.into_iter().collect(), ..State::default() };
    let state = Arc::new(Mutex::new(state));
    (Script(state.clone()), Handle(state))
}

/// A socket that takes this many bytes, then makes the writer wait a moment, so many times.
pub(crate) fn slow(bytes: usize, times: usize) -> impl Iterator<Item = Write> {
    [Write::Take(bytes), Write::Wait].into_iter().cycle().take(2 * times + 1)
}

impl Handle {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// What was written since the last look.
    pub(crate) fn take_written(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().written)
    }

    /// Adds to what there is to read.
    pub(crate) fn reads(&self, read: Read) {
        let mut state = self.state();
        state.reads.push_back(read);
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }

    /// The stream's own buffer is written.
    pub(crate) fn lets_flush(&self) {
        let mut state = self.state();
        state.holds = false;
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
    }

    /// A writer that waits may try again.
    pub(crate) fn lets_write(&self, write: Write) {
        let mut state = self.state();
        state.writes.push_back(write);
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
    }
}

impl State {
    fn write<'a>(
        &mut self,
        cx: &mut Context<'_>,
        slices: impl IntoIterator<Item = &'a [u8]>,
    ) -> Poll<io::Result<usize>> {
        let room = match self.writes.pop_front() {
            None => usize::MAX,
            Some(Write::Take(bytes)) => bytes,
            Some(Write::Fail(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Write::Wait) => {
                if self.writes.is_empty() {
                    self.writes.push_back(Write::Wait); // until `lets_write`
                    self.writer = Some(cx.waker().clone());
                } else {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        };
        self.calls += 1;
        let before = self.written.len();
        for slice in slices {
            let taken = slice.len().min(room - (self.written.len() - before));
            self.written.extend_from_slice(&slice[..taken]);
        }
        Poll::Ready(Ok(self.written.len() - before))
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        match state.reads.pop_front() {
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Read::Wait) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Read::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buffer.remaining()));
                buffer.put_slice(&bytes);
                if !rest.is_empty() {
                    state.reads.push_front(Read::Bytes(rest));
                }
                Poll::Ready(Ok(()))
            }
            Some(Read::End) => {
                state.reads.push_front(Read::End);
                Poll::Ready(Ok(()))
            }
            Some(Read::Fail(kind)) => Poll::Ready(Err(kind.into())),
        }
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().write(cx, [bytes])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().write(cx, slices.iter().map(|slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.lock().unwrap();
        state.flushes += 1;
        assert!(state.flushes < 10_000, "flushes without end");
        if state.holds {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        state.flush.map_or(Poll::Ready(Ok(())), |kind| Poll::Ready(Err(kind.into())))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().shut = true;
        Poll::Ready(Ok(()))
    }
}
