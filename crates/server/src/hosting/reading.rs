//! Reading without holding a buffer while nothing comes: there are many quiet lines.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

/// Read at once: what fills a pipe, and most of what one TCP window brings.
const BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BYTES].into());
}

/// Whatever is there; empty at the end. Cancel-safe.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    poll_fn(|cx| poll_read(from, cx)).await
}

/// The same, for those who wait for more than this.
pub(super) fn poll_read(from: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    })
}
