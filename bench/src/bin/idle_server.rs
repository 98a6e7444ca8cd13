//! `idle_server ADDR [--threads N]`: the library's echo example, unchanged, under an allocator that counts.
//!
//! Every line on its standard input is answered with `live N allocations M`: the bytes of heap that are allocated and not yet freed,
//! and how often memory was asked for since the start.

use std::{
    alloc::System,
    io::stdin,
    process::{ExitCode, Termination as _},
    thread,
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    thread::spawn(|| {
        for _ in stdin().lines().map_while(Result::ok) {
            let heap = HEAP.stats();
            println!(
                "live {} allocations {}",
                heap.bytes_allocated - heap.bytes_deallocated,
                heap.allocations + heap.reallocations
            );
        }
    });
    example::run().report()
}

mod example {
    include!(concat!(env!("OUT_DIR"), "/echo_server.rs"));

    pub(super) fn run() -> impl std::process::Termination {
        main()
    }
}
