//! Entropy: the operating system's for masking keys, and a cheap sequence to spread pings.

use std::sync::atomic::{AtomicU32, Ordering};

/// A fresh seed for a client's masking keys (§5.3), or a nonce for its opening handshake (§4.1).
///
/// # Panics
/// When the operating system has no entropy: a client must not go on without.
pub(crate) fn fresh<const N: usize>() -> [u8; N] {
    let mut seed = [0; N];
    getrandom::fill(&mut seed).expect("the operating system has entropy");
    seed
}

/// Another place in the spread of pings for each connection. It need not be unpredictable, only different.
pub(crate) fn jitter() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Steps of the golden ratio fill the range evenly.
    NEXT.fetch_add(0x9e37_79b9, Ordering::Relaxed)
}
