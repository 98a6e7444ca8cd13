//! `[api]`: backends, which show a key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::Secret;

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Api {
    /// Whoever shows one of these keys (`Authorization: Bearer KEY`, or `X-API-Key: KEY`) may publish to every channel, and delete
    /// its past. At least 16 characters: `openssl rand -hex 32` makes a good one. Better in `OPENLINE_API_KEYS` than in a file that
    /// others read; two of them let backends change from one to the other.
    pub(super) keys: Vec<Secret>,
}
