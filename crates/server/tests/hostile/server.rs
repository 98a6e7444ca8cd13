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
use crate::witness::Witness;

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

/// What any work may add to an idle server, whatever the peer: code that is touched for the first time, the buffers
/// that two threads keep for the next one, and what the allocator has not given back. 0.2 MiB is usual.
pub(crate) const NOISE: usize = 4 * MIB;

/// `openline serve` on a free port, with two worker threads on any machine. It ends with this.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    said: Option<JoinHandle<String>>,
    witness: Option<Witness>,
    idle: Idle,
}

/// What it had when it had served one line, and had nothing to do.
#[derive(Default)]
struct Idle {
    resident: usize,
    data: usize,
    files: usize,
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
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OPENLINE_")) {
            command.env_remove(name);
        }
        if !flags.contains(&"--ping-interval") {
            // A ping between the bytes that a test expects would only say that this machine is slow today.
            command.args(["--ping-interval", "off"]);
        }
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
        let idle = Idle::default();
        let mut server = Self { address, child, said: Some(said), witness: None, idle };
        server.idle.files = server.files();
        let mut first = Peer::open(&server, "/test");
        first.sends(b"\x81\x85\0\0\0\0hello");
        first.expects(b"\x81\x05hello");
        drop(first);
        server.waits_for_connections(0);
        server.idle.resident = server.status("VmRSS");
        server.idle.data = server.status("VmData");
        server.witness = Some(Witness::of(&server));
        server.idle.files += 1;
        server
    }

    /// The attack is over, and its peers are gone. Nobody else has noticed it, the memory stayed within so many bytes
    /// over that of an idle server, nothing of it is left, and the server ends as if nothing had happened. Returns what
    /// it said on stderr.
    #[track_caller]
    pub(crate) fn endured(mut self, bytes: usize) -> String {
        self.waits_for_connections(0);
        self.disturbed_nobody();
        self.waits_for_connections(0);
        self.stayed_within(bytes);
        self.interrupt();
        self.has_ended()
    }

    /// The good client on another line heard all its echoes, and none late.
    #[track_caller]
    pub(crate) fn disturbed_nobody(&mut self) {
        self.witness.take().expect("asked once").was_not_disturbed();
        self.idle.files -= 1;
    }

    /// The most memory that was in use since the start is within so many bytes over that of an idle server.
    #[track_caller]
    pub(crate) fn stayed_within(&self, bytes: usize) {
        let peak = self.status("VmHWM").saturating_sub(self.idle.resident);
        println!("peak of {} KiB, allowed are {} KiB", peak / KIB, bytes / KIB);
        assert!(peak <= bytes, "{} KiB at the peak, allowed are {} KiB", peak / KIB, bytes / KIB);
    }

    /// The memory in use now, over that of an idle server.
    pub(crate) fn growth(&self) -> usize {
        self.status("VmRSS").saturating_sub(self.idle.resident)
    }

    /// The same, with what is reserved and was never touched.
    pub(crate) fn reserved(&self) -> usize {
        self.status("VmData").saturating_sub(self.idle.data)
    }

    /// Connections that it holds, but for the witness.
    pub(crate) fn connections(&self) -> usize {
        self.files().saturating_sub(self.idle.files)
    }

    #[track_caller]
    pub(crate) fn waits_for_connections(&self, count: usize) {
        self.waits_until(&format!("there are {count} connections"), |server| server.connections() == count);
    }

    /// Waits, without knowing how long, for what must come true.
    #[track_caller]
    pub(crate) fn waits_until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is(self) {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}; there are {}", self.connections());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// It does nothing at all while this is done.
    pub(crate) fn while_it_stands_still<T>(&self, done: impl FnOnce() -> T) -> T {
        self.signal(Signal::SIGSTOP);
        let outcome = done();
        self.signal(Signal::SIGCONT);
        outcome
    }

    /// It was told to end, does so, and nothing in it has ever panicked. Returns what it said on stderr.
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

    fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
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
