//! Buffers shared by all connections of a thread, so that an idle connection holds none.
//!
//! A buffer is taken and put back; no borrow of the pool is held across a poll, because a WebSocket may run over another.

use std::cell::RefCell;

/// What one read can bring. 64 KiB: sixteen frames of 4 KiB in one system call, and the kernel rarely has more at hand.
pub(crate) const READ_BYTES: usize = 64 << 10;

/// A write buffer's first capacity; it grows with what is queued.
const WRITE_BYTES: usize = 16 << 10;

/// A write buffer that grew beyond this is freed rather than kept.
const MAX_WRITE_BYTES: usize = 256 << 10;

/// Buffers of each kind kept per thread: as many as connections that are in the middle of something at once.
const MAX_BUFFERS: usize = 16;

thread_local! {
    static READ: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static WRITE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `READ_BYTES` initialised bytes.
pub(crate) fn take_read() -> Vec<u8> {
    READ.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; READ_BYTES])
}

/// Puts a buffer from `take_read` back.
pub(crate) fn put_read(buffer: Vec<u8>) {
    debug_assert_eq!(buffer.len(), READ_BYTES);
    put(&READ, buffer);
}

/// An empty buffer with some capacity.
pub(crate) fn take_write() -> Vec<u8> {
    WRITE.with_borrow_mut(Vec::pop).unwrap_or_else(|| Vec::with_capacity(WRITE_BYTES))
}

/// Puts a buffer from `take_write` back.
pub(crate) fn put_write(buffer: Vec<u8>) {
    debug_assert!(buffer.is_empty());
    if buffer.capacity() <= MAX_WRITE_BYTES {
        put(&WRITE, buffer);
    }
}

/// Frees the buffer instead when the pool is full, or gone because the thread ends.
fn put(pool: &'static std::thread::LocalKey<RefCell<Vec<Vec<u8>>>>, buffer: Vec<u8>) {
    let _ = pool.try_with(|pool| {
        if let Ok(mut pool) = pool.try_borrow_mut()
            && pool.len() < MAX_BUFFERS
        {
            pool.push(buffer);
        }
    });
}
