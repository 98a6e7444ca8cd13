//! Reading without holding a buffer while nothing comes: there are many quiet lines.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::ready;

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

/// Read at once: what fills a pipe, and most of what one TCP window brings.
const BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BYTES].into());
}

/// Whatever is there; empty at the end. Cancel-safe.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    poll_fn(|cx| {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut buffer))?;
            Ok(Bytes::copy_from_slice(buffer.filled())).into()
        })
    })
    .await
}
