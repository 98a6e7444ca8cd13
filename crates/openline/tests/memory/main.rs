//! What connections cost in memory, counted by the allocator: idle, streaming, and under attack.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

#[path = "../support/wire.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod wire;

mod deflate;
mod hostile;
mod idle;
mod streams;

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated and not freed.
fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    // Freed bytes first: another thread may be in between.
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The allocator counts for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most that was live when someone looked, above what was before.
#[derive(Debug)]
struct Peak {
    before: usize,
    bytes: usize,
}

impl Peak {
    fn new() -> Self {
        Self { before: live_bytes(), bytes: 0 }
    }

    fn look(&mut self) {
        self.bytes = self.bytes.max(live_bytes().saturating_sub(self.before));
    }
}
