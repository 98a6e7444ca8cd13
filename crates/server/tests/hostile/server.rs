//! The program under attack: its process, its memory, its open files, its end.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::peer::{PATIENCE, Peer};

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

/// What any work may add to an idle server, whatever the peer: code that is touched for the first time, the buffers that
/// two threads keep for the next one, and what the allocator has not given back. 0.2 MiB is usual.
pub(crate) const NOISE: usize = 4 * MIB;

/// `openline serve` on a free port, with two worker threads on any machine. It ends with this.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    said: Option<JoinHandle<String>>,
    /// Its resident memory, and its open files, when it had served one line.
    idle_bytes: usize,
    idle_files: usize,
}

impl Server {
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::run(Command::new(env!("CARGO_BIN_EXE_openline")), flags)
    }

    /// With this many open files, and no way to get more.
    pub(crate) fn start_with_files(files: usize, flags: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(env!("CARGO_BIN_EXE_openline"));
        Self::run(shell, flags)
    }

    fn run(mut command: Command, flags: &[&str]) -> Self {
        // The peers are in this process, and a shell often grants no more than 1,024.
        rlimit::increase_nofile_limit(u64::MAX).unwrap();
        command.args(["serve", "--listen", "127.0.0.1:0", "--threads", "2"]).args(flags).env_remove("RUST_LOG");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let mut stderr = child.stderr.take().unwrap();
        let said = thread::spawn(move || {
            let mut said = String::new();
            stderr.read_to_string(&mut said).unwrap();
            said
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").and_then(|at| at.parse().ok());
        thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let address = address.unwrap_or_else(|| panic!("{line:?}"));
        let mut server = Self { address, child, said: Some(said), idle_bytes: 0, idle_files: 0 };
        server.idle_files = server.files();
        let mut first = Peer::open(&server, "/test");
        first.sends(b"\x81\x85\0\0\0\0hello");
        first.expects(b"\x81\x05hello");
        drop(first);
        server.waits_until("it is idle", |server| server.files() <= server.idle_files);
        server.idle_bytes = server.status("VmRSS");
        server
    }

    /// The most memory that was ever in use, over what was when it was idle.
    pub(crate) fn peak(&self) -> usize {
        self.status("VmHWM").saturating_sub(self.idle_bytes)
    }

    /// The memory in use now, over what was when it was idle.
    pub(crate) fn growth(&self) -> usize {
        self.status("VmRSS").saturating_sub(self.idle_bytes)
    }

    /// Connections that it holds.
    pub(crate) fn connections(&self) -> usize {
        self.files().saturating_sub(self.idle_files)
    }

    /// The most memory that was in use stayed within `bytes` over that of an idle server.
    #[track_caller]
    pub(crate) fn stayed_within(&self, bytes: usize) {
        let peak = self.peak();
        eprintln!("{}: peak of {} KiB, allowed are {} KiB", test(), peak / KIB, bytes / KIB);
        assert!(peak <= bytes, "{peak} bytes at the peak, allowed are {bytes}");
    }

    /// Waits, without knowing how long, for what must come true.
    #[track_caller]
    pub(crate) fn waits_until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is(self) {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}; {} connections", self.connections());
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[track_caller]
    pub(crate) fn waits_for_connections(&self, count: usize) {
        self.waits_until(&format!("there are {count} connections"), |server| server.connections() == count);
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        signal::kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGINT).unwrap();
    }

    /// It ends when it is told to, as if nothing had happened, and nothing in it has ever panicked. Returns what it said
    /// on stderr.
    #[track_caller]
    pub(crate) fn ends_well(self) -> String {
        self.interrupt();
        self.has_ended()
    }

    /// It is ending.
    #[track_caller]
    pub(crate) fn has_ended(mut self) -> String {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(2));
        };
        let said = self.said.take().unwrap().join().unwrap();
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(status.code(), Some(0), "{said}");
        said
    }

    fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    fn status(&self, field: &str) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).expect("a field");
        line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * KIB
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tests with a thousand connections take turns, so that 4,096 open files are enough for all of them.
pub(crate) fn crowd() -> MutexGuard<'static, ()> {
    static CROWD: Mutex<()> = Mutex::new(());
    CROWD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn test() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}
