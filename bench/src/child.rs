//! Processes that this one starts, and that never outlive it.

use std::{
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio, exit},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::unistd::Pid;

/// A running child process and the lines it prints. Dropping it kills the process.
pub(crate) struct Running {
    name: String,
    child: Shared,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Running {
    /// Starts `command`, unless the program is being ended.
    pub(crate) fn start(command: &mut Command) -> Result<Running> {
        let name = command.get_program().to_string_lossy().into_owned();
        // Held while the child is born, so that an interrupt kills it too or comes first.
        let mut running = lock(&RUNNING);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a child's output is piped")?;
        let child = Arc::new(Mutex::new(child));
        running.push(child.clone());
        drop(running);

        let (send, lines) = channel();
        thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| send.send(line)).ok();
        });
        Ok(Running { name, child, stdin, lines })
    }

    /// Starts a server, and waits until it listens.
    pub(crate) fn server(command: &[OsString]) -> Result<(Running, SocketAddr)> {
        let (program, arguments) = command.split_first().context("no command")?;
        let server = Running::start(Command::new(program).args(arguments))?;
        let line = server.line()?;
        let address = line
            .strip_prefix("listening on ")
            .map(|address| {
                address.trim().trim_start_matches("ws://").trim_start_matches("http://").trim_start_matches("https://")
            })
            .and_then(|address| address.parse().ok())
            .filter(|address: &SocketAddr| address.port() != 0)
            .ok_or_else(|| {
                anyhow!("{} should print `listening on ADDR` with the port it got, not {line:?}", server.name)
            })?;
        Ok((server, address))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(lock(&self.child).id().cast_signed())
    }

    /// Its next line of output, which is due soon.
    pub(crate) fn line(&self) -> Result<String> {
        self.lines.recv_timeout(LINE_TIMEOUT).map_err(|error| match error {
            RecvTimeoutError::Timeout => anyhow!("{} printed nothing for {LINE_TIMEOUT:?}", self.name),
            RecvTimeoutError::Disconnected => anyhow!("{} ended", self.name),
        })
    }

    /// Sends it a line of input and returns the line it prints in answer.
    pub(crate) fn ask(&mut self, question: &str) -> Result<String> {
        let Some(stdin) = &mut self.stdin else { bail!("{} has no input", self.name) };
        writeln!(stdin, "{question}").with_context(|| format!("{} ended", self.name))?;
        self.line()
    }

    /// All that it prints until it ends by itself, however long that takes.
    pub(crate) fn finish(mut self) -> Result<(Vec<String>, ExitStatus)> {
        self.stdin = None;
        let lines = self.lines.iter().collect();
        let status = lock(&self.child).wait()?;
        Ok((lines, status))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&self.child);
        lock(&RUNNING).retain(|child| !Arc::ptr_eq(child, &self.child));
    }
}

/// On Ctrl-C, SIGTERM and SIGHUP: kills every child and exits, wherever the program is.
pub(crate) fn end_all_when_interrupted() -> Result<()> {
    ctrlc::set_handler(|| {
        // Kept locked until the end: no child is started after this.
        let running = lock(&RUNNING);
        running.iter().for_each(end);
        exit(INTERRUPTED);
    })
    .context("cannot handle Ctrl-C")
}

/// An error here means that it has ended already.
fn end(child: &Shared) {
    let mut child = lock(child);
    child.kill().ok();
    child.wait().ok();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Shared = Arc<Mutex<Child>>;

/// Every child that has not been dropped.
static RUNNING: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// A server listens, and answers about its memory, in milliseconds; ten seconds allow for a machine that is building something.
const LINE_TIMEOUT: Duration = Duration::from_secs(10);

/// What shells report for SIGINT.
const INTERRUPTED: i32 = 130;
