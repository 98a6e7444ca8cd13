//! Process groups: whatever a program starts ends with it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::task::TaskTracker;

/// The groups of the programs that run, so that none outlives the server.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    alive: Mutex<BTreeSet<i32>>,
    /// Programs on their way out.
    pub(super) endings: TaskTracker,
}

impl Groups {
    /// Enters the group that a program leads.
    pub(super) fn enter(self: &Arc<Self>, leader: u32) -> Group {
        let id = i32::try_from(leader).unwrap_or_default();
        self.alive().insert(id);
        Group { id, groups: self.clone() }
    }

    /// What is on its way out, and is waited for at the end.
    pub(crate) fn endings(&self) -> &TaskTracker {
        &self.endings
    }

    /// Waits until no program is on its way out.
    pub(crate) async fn ended(&self) {
        self.endings.close();
        self.endings.wait().await;
    }

    /// Kills every program that is still there, and what it started.
    pub(crate) fn kill_all(&self) {
        for id in std::mem::take(&mut *self.alive()) {
            signal(id, Signal::Kill);
        }
    }

    fn alive(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program's group. Dropped, it is killed: after its leader ended, that is what the leader left behind.
#[derive(Debug)]
pub(super) struct Group {
    id: i32,
    groups: Arc<Groups>,
}

/// What a group is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Terminate,
    Kill,
}

impl Group {
    pub(super) fn tell(&self, what: Signal) {
        signal(self.id, what);
    }

    pub(super) fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.groups.alive().remove(&self.id) {
            signal(self.id, Signal::Kill);
        }
    }
}

#[cfg(unix)]
fn signal(id: i32, what: Signal) {
    use rustix::process::{Pid, Signal as Number, kill_process_group};
    let number = match what {
        Signal::Terminate => Number::TERM,
        Signal::Kill => Number::KILL,
    };
    // No group any more: then there is nobody to tell.
    if let Some(id) = Pid::from_raw(id) {
        let _ = kill_process_group(id, number);
    }
}

/// Without process groups the program alone is killed, by tokio, when it is dropped.
#[cfg(not(unix))]
fn signal(_: i32, _: Signal) {}
