//! The limit on open files, which each connection counts against once at either end.

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Makes room for this many connections in this process and in the servers it starts, which inherit the limit.
pub(crate) fn allow(connections: usize) -> Result<()> {
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let needed = connections as u64 + OTHER_FILES;
    if now >= needed {
        return Ok(());
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, most.max(needed))
        .with_context(|| format!("{connections} connections need {needed} open files, and the system allows {most}"))
}

/// Pipes, pollers, listeners, with room to spare.
const OTHER_FILES: u64 = 64;
