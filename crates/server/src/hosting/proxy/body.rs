//! Bodies on their way through: counted, and never kept.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Taken;
use crate::rates::{Spending, TooMuch, What};

/// A request's body, which can be asked whether any of it was taken: then no other server can have it.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    body: Mutex<(Incoming, u64)>,
    is_touched: AtomicBool,
    is_too_big: AtomicBool,
    /// Whose bytes are counted as they come: of a body that did not say how long it is.
    spending: Option<Spending>,
    too_much: OnceLock<TooMuch>,
}

impl Upload {
    /// Of at most so many bytes.
    pub(super) fn new(body: Incoming, max_bytes: u64, spending: Option<Spending>) -> Self {
        let shared = Shared {
            body: Mutex::new((body, max_bytes)),
            is_touched: AtomicBool::new(false),
            is_too_big: AtomicBool::new(false),
            spending,
            too_much: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether somebody else can have all of it.
    pub(super) fn is_whole(&self) -> bool {
        !self.shared.is_touched.load(Ordering::Relaxed)
    }

    /// Whether it broke off for its length.
    pub(super) fn is_too_big(&self) -> bool {
        self.shared.is_too_big.load(Ordering::Relaxed)
    }

    /// Whether it broke off because its client said too much.
    pub(super) fn too_much(&self) -> Option<&TooMuch> {
        self.shared.too_much.get()
    }

    fn with<T>(&self, what: impl FnOnce(&mut (Incoming, u64)) -> T) -> T {
        // Nothing in here panics half-way.
        what(&mut self.shared.body.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request's body has more bytes than the route takes, or than its client may send.
#[derive(Debug)]
pub(super) struct BrokenOff;

impl fmt::Display for BrokenOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request's body is too long")
    }
}

impl Error for BrokenOff {}

impl Body for Upload {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.with(|(body, left)| {
            let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
            let Some(Ok(frame)) = frame else { return Poll::Ready(frame.map(|frame| frame.map_err(Into::into))) };
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.shared.is_touched.store(true, Ordering::Relaxed);
            match left.checked_sub(bytes) {
                Some(less) => *left = less,
                None => {
                    self.shared.is_too_big.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(BrokenOff.into())));
                }
            }
            let taken = self.shared.spending.as_ref().map(|spending| spending.take(None, What::Bytes, bytes));
            if let Some(Err(too_much)) = taken {
                let _ = self.shared.too_much.set(too_much); // the first is as good as any
                return Poll::Ready(Some(Err(BrokenOff.into())));
            }
            Poll::Ready(Some(Ok(frame)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.with(|(body, _)| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|(body, _)| body.size_hint())
    }
}

/// An answer's body: as long as it lasts, its server has one request more.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) body: Incoming,
    pub(super) _taken: Taken,
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
