//! Buffers, compressors and inflaters shared by all connections of a thread, so that an idle connection holds none.
//!
//! A buffer is taken and put back; no borrow of the pool is held across a poll, because a WebSocket may run over another.

use std::cell::RefCell;
use std::thread::LocalKey;

use openline_proto::Output;
use openline_proto::deflate::{Codecs, Deflater, DeflaterKind, Inflater};

use crate::input::Input;

/// An output's first capacity; it grows with what is queued.
const WRITE_BYTES: usize = 16 << 10;

/// An output that grew beyond this is freed rather than kept.
const MAX_WRITE_BYTES: usize = 256 << 10;

/// Buffers of each kind kept per thread: as many as connections that are in the middle of something at once.
const MAX_BUFFERS: usize = 16;

/// Compressors kept per thread, some 390 kB each: one is held for no longer than it takes to compress, but for messages
/// that are streamed; two, for two windows or levels.
const MAX_DEFLATERS: usize = 2;

/// Inflaters kept per thread, 96 KiB each: as many as messages that come in at once, and in more than one read.
const MAX_INFLATERS: usize = 8;

type Pool<T> = RefCell<Vec<Box<T>>>;

thread_local! {
    static INPUTS: Pool<Input> = const { RefCell::new(Vec::new()) };
    static OUTPUTS: Pool<Output> = const { RefCell::new(Vec::new()) };
    static DEFLATERS: Pool<Deflater> = const { RefCell::new(Vec::new()) };
    static INFLATERS: Pool<Inflater> = const { RefCell::new(Vec::new()) };
}

/// The compressors and inflaters of the thread that asks.
#[derive(Debug)]
pub(crate) struct ThreadCodecs;

impl Codecs for ThreadCodecs {
    fn take_deflater(&self, kind: DeflaterKind) -> Box<Deflater> {
        let pooled = DEFLATERS.with_borrow_mut(|pool| {
            let at = pool.iter().position(|pooled| pooled.kind() == kind)?;
            Some(pool.swap_remove(at))
        });
        pooled.unwrap_or_else(|| Box::new(Deflater::of(kind)))
    }

    fn put_deflater(&self, mut deflater: Box<Deflater>) {
        deflater.shrink(MAX_WRITE_BYTES);
        // One that nobody asks for any more makes room for one that somebody did.
        let _ = DEFLATERS.try_with(|pool| {
            if let Ok(mut pool) = pool.try_borrow_mut() {
                pool.truncate(MAX_DEFLATERS - 1);
                pool.insert(0, deflater);
            }
        });
    }

    fn take_inflater(&self) -> Box<Inflater> {
        INFLATERS.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    fn put_inflater(&self, inflater: Box<Inflater>) {
        put(&INFLATERS, inflater, MAX_INFLATERS);
    }
}

/// An empty input.
pub(crate) fn take_input() -> Box<Input> {
    INPUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Input::new()))
}

/// Puts an input back that holds nothing of use.
pub(crate) fn put_input(input: Box<Input>) {
    if input.is_roomy() {
        put(&INPUTS, input, MAX_BUFFERS);
    }
}

/// An empty output.
pub(crate) fn take_output() -> Box<Output> {
    OUTPUTS.with_borrow_mut(Vec::pop).unwrap_or_else(|| Box::new(Output::with_capacity(WRITE_BYTES)))
}

/// Puts an output back that holds nothing.
pub(crate) fn put_output(output: Box<Output>) {
    if output.is_empty() && output.capacity() <= MAX_WRITE_BYTES {
        put(&OUTPUTS, output, MAX_BUFFERS);
    }
}

/// Frees the buffer instead when the pool is full, or gone because the thread ends.
fn put<T>(pool: &'static LocalKey<Pool<T>>, buffer: Box<T>, max: usize) {
    let _ = pool.try_with(|pool| {
        if let Ok(mut pool) = pool.try_borrow_mut()
            && pool.len() < max
        {
            pool.push(buffer);
        }
    });
}
