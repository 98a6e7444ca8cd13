//! One running program, and its end.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::timeout;

use super::Exec;
use super::group::{Group, Groups, Signal};
use super::stderr;
use crate::hosting::reading::read;

/// A running program. Dropped, it is told to end: by the end of its stdin, then by TERM, then by KILL.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) stdin: Option<ChildStdin>,
    pub(super) stdout: Option<ChildStdout>,
    /// `None` once it is on its way out.
    leader: Option<Leader>,
}

/// The program itself, and what has to be told when it ends.
#[derive(Debug)]
struct Leader {
    child: Child,
    group: Group,
    stderr: AbortHandle,
    stdin_grace: Duration,
    term_grace: Duration,
    _slot: OwnedSemaphorePermit,
}

impl Process {
    pub(super) fn start(
        exec: &Exec,
        shown: &str,
        environment: Vec<(String, String)>,
        slot: OwnedSemaphorePermit,
        groups: Arc<Groups>,
    ) -> io::Result<Self> {
        let mut command = Command::new(&exec.program);
        command.args(&exec.arguments).env_clear();
        for name in &exec.pass_environment {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(environment).envs(exec.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &exec.folder {
            command.current_dir(folder);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0); // of its own: Ctrl-C is for us, and we say when it ends
        let mut child = command.spawn()?;
        let group = groups.enter(child.id().unwrap_or_default());
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let said = child.stderr.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stderr = tokio::spawn(stderr::log(said, shown.to_owned(), child.id())).abort_handle();
        tracing::debug!(route = shown, id = child.id(), "a program started");
        let leader =
            Leader { child, group, stderr, stdin_grace: exec.stdin_grace, term_grace: exec.term_grace, _slot: slot };
        Ok(Self { stdin, stdout, leader: Some(leader) })
    }

    /// What there is to wait for, each by itself.
    pub(super) fn parts(&mut self) -> Parts<'_> {
        Parts { stdin: self.stdin.as_mut(), stdout: self.stdout.as_mut(), leader: Watch(&mut self.leader) }
    }

    /// Tells it to end, and says how it did. It goes on if this is dropped.
    pub(super) fn end(&mut self) -> Option<JoinHandle<Option<ExitStatus>>> {
        let leader = self.leader.take()?;
        let (stdin, stdout) = (self.stdin.take(), self.stdout.take());
        let Ok(runtime) = Handle::try_current() else {
            leader.group.tell(Signal::Kill);
            return None;
        };
        let endings = leader.group.groups().endings.clone();
        Some(endings.spawn_on(leader.end(stdin, stdout), &runtime))
    }
}

/// A program's ends.
pub(super) struct Parts<'a> {
    pub(super) stdin: Option<&'a mut ChildStdin>,
    pub(super) stdout: Option<&'a mut ChildStdout>,
    pub(super) leader: Watch<'a>,
}

/// The program itself.
pub(super) struct Watch<'a>(&'a mut Option<Leader>);

impl Watch<'_> {
    /// Waits until it ends by itself, and then ends what it left behind. Cancel-safe.
    pub(super) async fn ended(self) -> Option<ExitStatus> {
        let Some(leader) = self.0 else { return std::future::pending().await };
        let status = leader.child.wait().await.ok();
        *self.0 = None;
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl Leader {
    async fn end(mut self, stdin: Option<ChildStdin>, stdout: Option<ChildStdout>) -> Option<ExitStatus> {
        drop(stdin);
        // Its last words must not keep it from ending.
        let deafness = async {
            if let Some(mut stdout) = stdout {
                while read(&mut stdout).await.is_ok_and(|said: Bytes| !said.is_empty()) {}
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            status = self.wait() => status,
            () = deafness => None,
        }
    }

    async fn wait(&mut self) -> Option<ExitStatus> {
        if let Ok(status) = timeout(self.stdin_grace, self.child.wait()).await {
            return status.ok();
        }
        self.group.tell(Signal::Terminate);
        if let Ok(status) = timeout(self.term_grace, self.child.wait()).await {
            return status.ok();
        }
        self.group.tell(Signal::Kill);
        self.child.wait().await.ok()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // The group is killed next, as it is dropped: nobody is left to say anything.
        self.stderr.abort();
    }
}
