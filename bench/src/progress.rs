//! One line that says how far we are, rewritten in place; silent unless a person watches.

use std::io::{IsTerminal as _, stderr};

pub(crate) struct Progress {
    done: usize,
    total: usize,
    watched: bool,
}

impl Progress {
    pub(crate) fn new(total: usize) -> Progress {
        Progress { done: 0, total, watched: stderr().is_terminal() }
    }

    /// The next step begins.
    pub(crate) fn step(&mut self, what: &str) {
        self.done += 1;
        if self.watched {
            eprint!("{CLEAR_LINE}{}/{} {what}", self.done, self.total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.watched {
            eprint!("{CLEAR_LINE}");
        }
    }
}

const CLEAR_LINE: &str = "\r\x1b[K";
