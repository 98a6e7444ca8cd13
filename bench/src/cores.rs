//! A core for the servers and one for the load, so that neither takes time from the other.

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::cpu;

#[derive(Args, Clone, Default)]
pub(crate) struct Cores {
    /// The core of the servers and the core of the load [default: the first two]
    #[arg(long, num_args = 2, value_names = ["SERVER", "LOAD"])]
    cores: Vec<usize>,
}

impl Cores {
    /// Those that this process may use, if none were chosen.
    pub(crate) fn allowed(&self) -> Result<Vec<usize>> {
        // Later this thread is pinned, and may use one.
        ALLOWED.get_or_init(|| cpu::cores().map_err(|error| format!("{error:#}"))).clone().map_err(anyhow::Error::msg)
    }

    /// What this thread starts from now on runs on the servers' core; on more of them, if it has as many threads. Where there
    /// are no more, it shares the load's.
    pub(crate) fn pin_server(&self, threads: usize) -> Result<()> {
        let [server, load] = self.pair()?;
        let others = self.allowed()?.into_iter().filter(|core| ![server, load].contains(core));
        cpu::pin(&[server].into_iter().chain(others).chain([load]).take(threads).collect::<Vec<_>>())
    }

    /// This thread runs on the load's core.
    pub(crate) fn pin_load(&self) -> Result<()> {
        cpu::pin(&[self.pair()?[1]])
    }

    fn pair(&self) -> Result<[usize; 2]> {
        let cores = if self.cores.is_empty() { self.allowed()? } else { self.cores.clone() };
        let pair: Option<[usize; 2]> = cores.get(..2).and_then(|cores| cores.try_into().ok());
        let pair = pair.context("the server and the load need a core each")?;
        ensure!(pair[0] != pair[1], "the server and the load need a core each");
        Ok(pair)
    }
}

static ALLOWED: std::sync::OnceLock<Result<Vec<usize>, String>> = std::sync::OnceLock::new();
