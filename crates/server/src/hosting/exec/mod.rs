//! `exec`: a program, whose lines are messages. What websocketd does.
//!
//! ```text
//!   client ──message──▶ stdin ──▶ program ──▶ stdout ──line──▶ client
//!                                    └──────▶ stderr ──line──▶ our log
//! ```
//!
//! | what happens | what comes of it |
//! |---|---|
//! | the program ends with 0 | the line closes with 1000 |
//! | it ends with another status, or is killed | 1011, with the status or the signal in the reason |
//! | it prints more than the client reads | it waits, as it would for a slow terminal |
//! | it does not read | the client waits; after the line's write timeout 1011 |
//! | it prints a line longer than a message may be | 1011 |
//! | the line ends | its stdin is closed; then TERM, then KILL, to all of its process group |

mod environment;
mod group;
mod process;
mod shared;
mod stderr;
mod stdout;
mod talk;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use http::{Request, StatusCode};
use tokio::sync::Semaphore;

pub(crate) use self::group::Groups;
use self::process::Process;
use self::shared::Shared;
use self::stdout::Cut;
pub(super) use self::talk::Talk;
use super::arrive::Refusal;
use super::place::{Found, Server};
use crate::edge::answer::{self, text};
use crate::edge::visitor::Visitor;
use crate::site::Site;

/// A program.
#[derive(Clone, Debug)]
pub struct Exec {
    /// The program: a path, or a name to look for in `PATH`. No shell reads it.
    pub program: PathBuf,
    /// Its arguments. Nothing of a request gets into them.
    pub arguments: Vec<String>,
    /// The folder that it runs in. Default: the server's.
    pub folder: Option<PathBuf>,
    /// What a message is to it. Default: a line.
    pub frames: Frames,
    /// Whether each line has a program of its own. Default: yes.
    pub sharing: Sharing,
    /// Variables of the server's environment that it gets, where they are set. Default: `PATH`, `LD_LIBRARY_PATH`, `HOME`,
    /// `LANG`, `LC_ALL`, `TZ`: what programs need to find their files and to write for people, and no secrets.
    pub pass_environment: Vec<String>,
    /// Further variables.
    pub environment: Vec<(String, String)>,
    /// Programs of this route at once; over it 503. Default 256: at some 4 MiB each they hold 1 GiB, and each is three of our
    /// file descriptors.
    pub max_programs: usize,
    /// After its stdin was closed it has this long to end by itself. Default 2 s.
    pub stdin_grace: Duration,
    /// After TERM it has this long, then it is killed. Default 5 s.
    pub term_grace: Duration,
}

/// What a message is to a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frames {
    /// A line: what the client sends gets a line feed, and each line that the program prints is a text message without it
    /// (a binary one, where it is not UTF-8).
    #[default]
    Lines,
    /// Bytes as they are: what the client sends is not changed, and whatever the program prints comes in binary messages.
    Binary,
}

/// How many lines a program has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Each line has a program of its own.
    #[default]
    PerLine,
    /// All lines share one, which starts with the first and ends with the last: it reads what any of them sends, and all get
    /// what it prints. Whoever is too slow to read it leaves with 1013.
    All,
}

impl Exec {
    /// This program, without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            folder: None,
            frames: Frames::default(),
            sharing: Sharing::default(),
            pass_environment: ["PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "TZ"].map(str::to_owned).into(),
            environment: Vec::new(),
            max_programs: 256,
            stdin_grace: Duration::from_secs(2),
            term_grace: Duration::from_secs(5),
        }
    }

    /// A program and its arguments, as a shell would take them apart: `./count.sh --from 3 'a b'`. No shell is there: no
    /// variables, no pipes.
    ///
    /// # Errors
    /// What it says is wrong: there is no program, or a quote does not end.
    pub fn parse(command: &str) -> Result<Self, String> {
        let words = shlex::split(command).ok_or("a quote or a backslash has no end")?;
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or("there is no program: ./count.sh")?;
        Ok(Self { arguments: words.collect(), ..Self::new(program) })
    }
}

/// A route's programs.
#[derive(Debug)]
pub(super) struct Programs {
    exec: Exec,
    shown: String,
    line: Arc<openline::Config>,
    slots: Arc<Semaphore>,
    groups: Arc<Groups>,
    /// The program that all share, while there is one.
    shared: Mutex<Weak<Shared>>,
}

impl Programs {
    pub(super) fn open(
        exec: &Exec,
        shown: String,
        line: &Arc<openline::Config>,
        server: &Server<'_>,
    ) -> Result<Arc<Self>, String> {
        if let Some(folder) = &exec.folder
            && !folder.is_dir()
        {
            return Err(format!("there is no folder {} to run it in", folder.display()));
        }
        check(&exec.program, exec.folder.as_deref())?;
        Ok(Arc::new(Self {
            slots: Arc::new(Semaphore::new(exec.max_programs.min(Semaphore::MAX_PERMITS))),
            exec: exec.clone(),
            shown,
            line: line.clone(),
            groups: server.groups(),
            shared: Mutex::default(),
        }))
    }

    /// Starts a program for a line, or has it join the one that is there; before the handshake is answered.
    pub(super) fn start(
        self: &Arc<Self>,
        request: &Request<()>,
        found: &Found,
        visitor: &Visitor,
        site: &Site,
    ) -> Result<Talk, Refusal> {
        match self.exec.sharing {
            Sharing::PerLine => {
                let environment = environment::of(request, found, visitor, site);
                Ok(Talk::alone(self.spawn(environment)?, self.cut(), self.line.write_timeout))
            }
            Sharing::All => Shared::join(self).map(Talk::shared),
        }
    }

    fn cut(&self) -> Cut {
        match self.exec.frames {
            Frames::Lines => {
                Cut::Lines { max_bytes: usize::try_from(self.line.max_message_bytes).unwrap_or(usize::MAX) }
            }
            Frames::Binary => Cut::Anywhere,
        }
    }

    fn spawn(&self, environment: Vec<(String, String)>) -> Result<Process, Refusal> {
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| {
            tracing::warn!(route = %self.shown, "{} programs run already: somebody was refused", self.exec.max_programs);
            Box::new(answer::try_later("As many programs run as may. Try again later."))
        })?;
        Process::start(&self.exec, &self.shown, environment, slot, self.groups.clone()).map_err(|error| {
            tracing::error!(route = %self.shown, program = %self.exec.program.display(), %error, "cannot start the program");
            Box::new(text(StatusCode::INTERNAL_SERVER_ERROR, "The program that is to answer here cannot be started."))
        })
    }
}

/// A program with a path is there before the server starts; one with a name alone is looked for in `PATH`.
fn check(program: &Path, folder: Option<&Path>) -> Result<(), String> {
    let shown = program.display();
    if program.components().count() > 1 || program.is_absolute() || program.starts_with(".") {
        let path = folder.map_or_else(|| program.to_owned(), |folder| folder.join(program));
        return match path.metadata() {
            Ok(metadata) if !metadata.is_file() => Err(format!("{shown} is no program")),
            Ok(metadata) if !may_run(&metadata) => Err(format!("{shown} may not be run: chmod +x {shown}")),
            Ok(_) => Ok(()),
            Err(error) => Err(format!("cannot find the program {shown}: {error}")),
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if is_there {
        Ok(())
    } else {
        Err(format!("there is no program {shown} in PATH; if it is a file here, say ./{shown}"))
    }
}

#[cfg(unix)]
fn may_run(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn may_run(_: &std::fs::Metadata) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words_and_no_shell() {
        let exec = Exec::parse("./count.sh --from 3 'a b' $HOME ; x | y").unwrap();
        assert_eq!(exec.program, Path::new("./count.sh"));
        assert_eq!(exec.arguments, ["--from", "3", "a b", "$HOME", ";", "x", "|", "y"]);
        for wrong in ["", "  ", "''", "./a 'b"] {
            assert!(Exec::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
