//! `[compression]`: whether messages are compressed, how hard, and for how much memory.

use openline::deflate::{ContextMemory, Deflate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::Memory;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Compression {
    /// Whether, and how. Without takeover a quiet line holds no memory for it.
    mode: Mode,
    /// How hard: 1 is fast, 9 is small. Small messages gain little from more than 1.
    #[schemars(range(min = 1, max = 9))]
    level: u8,
    /// Shorter messages are not compressed; by default 512 bytes, with takeover 64: below that little is gained.
    #[serde(skip_serializing_if = "Option::is_none")]
    min_bytes: Option<Memory>,
    /// What takeover may hold, all lines together; those over it are compressed without.
    memory: Memory,
}

/// Whether messages are compressed, and whether they may refer to those before them.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Not at all.
    Off,
    /// Each message on its own.
    On,
    /// Messages refer to those before them: smaller, for memory.
    Takeover,
}

impl Default for Compression {
    fn default() -> Self {
        Self { mode: Mode::On, level: 1, min_bytes: None, memory: Memory(256 << 20) }
    }
}

impl Compression {
    /// What the keys say together.
    pub(super) fn deflate(&self) -> Option<Deflate> {
        let deflate = match self.mode {
            Mode::Off => return None,
            Mode::On => Deflate::default(),
            Mode::Takeover => Deflate::with_takeover(ContextMemory::new(self.memory.0)),
        };
        let min_bytes = self.min_bytes.as_ref().map_or(deflate.min_bytes, |bytes| bytes.0);
        Some(Deflate { level: self.level, min_bytes, ..deflate })
    }
}
