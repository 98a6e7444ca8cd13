//! A client's masking keys (§5.3, §10.3).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// §5.3: "The masking key needs to be unpredictable; thus, the masking key MUST be derived from a strong source of
/// entropy, and the masking key for a given frame MUST NOT make it simple for a server/proxy to predict the masking key
/// for a subsequent frame." A stream cipher from a secret seed is both, and costs nanoseconds.
#[derive(Debug)]
pub(crate) struct Masker(ChaCha8Rng);

impl Masker {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// A fresh key for each frame.
    pub(crate) fn next_key(&mut self) -> [u8; 4] {
        self.0.next_u32().to_ne_bytes()
    }
}
