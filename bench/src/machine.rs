//! What was measured on what: figures mean little without it.

use std::{fs, process::Command};

use serde::{Deserialize, Serialize};

/// The machine, the toolchain and the commit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    rustc: String,
    commit: String,
    /// Processes that wanted to run, averaged over the minute before: near 0 on a quiet machine.
    load_average: f64,
}

impl Machine {
    /// To be read before the measurement, which loads the machine itself.
    pub(crate) fn this(cores: usize) -> Machine {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpu_info = read("/proc/cpuinfo");
        let cpu =
            cpu_info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
        let load = read("/proc/loadavg");
        Machine {
            cpu: cpu.unwrap_or("unknown").into(),
            cores,
            kernel: read("/proc/sys/kernel/osrelease").trim().into(),
            rustc: output("rustc", &["--version"]),
            commit: output("git", &["describe", "--always", "--dirty", "--exclude=*"]),
            load_average: load.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN),
        }
    }

    /// Says so if other work would have been measured too.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.load_average > QUIET_LOAD_AVERAGE).then(|| {
            format!("the machine was busy before (load average {}): do not trust these figures", self.load_average)
        })
    }

    pub(crate) fn line(&self) -> String {
        let Machine { cpu, cores, kernel, rustc, commit, load_average } = self;
        format!("{cpu}, {cores} cores; Linux {kernel}; {rustc}; commit {commit}; load average before {load_average}")
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.ok().filter(|output| output.status.success()).map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().into()
}

/// The build that comes before, or a shell and a desktop, stay below this a minute later.
const QUIET_LOAD_AVERAGE: f64 = 0.5;
