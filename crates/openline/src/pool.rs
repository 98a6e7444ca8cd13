//! Buffers shared by all connections of a thread, so that an idle connection holds none.
//!
//! A buffer is taken and put back; no borrow of the pool is held across a poll, because a WebSocket may run over another.

use std::cell::RefCell;
use std::thread::LocalKey;

use openline_proto::Output;

use crate::input::Input;

/// An output's first capacity; it grows with what is queued.
const WRITE_BYTES: usize = 16 << 10;

/// An output that grew beyond this is freed rather than kept.
const MAX_WRITE_BYTES: usize = 256 << 10;

/// Buffers of each kind kept per thread: as many as connections that are in the middle of something at once.
const MAX_BUFFERS: usize = 16;

type Pool<T> = RefCell<Vec<Box<T>>>;

thread_local! {
    static INPUTS: Pool<Input> = const { RefCell::new(Vec::new()) };
    static OUTPUTS: Pool<Output> = const { RefCell::new(Vec::new()) };
}

/// An empty input.
pub(crate) fn take_input() -> Box<Input> {
    INPUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Input::new()))
}

/// Puts an input back that holds nothing of use.
pub(crate) fn put_input(input: Box<Input>) {
    if input.is_roomy() {
        put(&INPUTS, input);
    }
}

/// An empty output.
pub(crate) fn take_output() -> Box<Output> {
    OUTPUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Output::with_capacity(WRITE_BYTES)))
}

/// Puts an output back that holds nothing.
pub(crate) fn put_output(output: Box<Output>) {
    if output.is_empty() && output.capacity() <= MAX_WRITE_BYTES {
        put(&OUTPUTS, output);
    }
}

/// Frees the buffer instead when the pool is full, or gone because the thread ends.
fn put<T>(pool: &'static LocalKey<Pool<T>>, buffer: Box<T>) {
    let _ = pool.try_with(|pool| {
        if let Ok(mut pool) = pool.try_borrow_mut()
            && pool.len() < MAX_BUFFERS
        {
            pool.push(buffer);
        }
    });
}
