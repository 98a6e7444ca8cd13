//! What somebody who comes back is told.

use std::fmt;
use std::sync::Arc;

use crate::position::Position;
use crate::publication::Publication;

/// What a subscriber missed.
#[derive(Debug)]
pub enum Recovery<E = ()> {
    /// It did not say from where: only what is published from now on is for it.
    Live,
    /// Everything that it missed, oldest first and without a hole.
    Complete(Vec<Arc<Publication<E>>>),
    /// Something is missing. It should fetch the state of things from where that is kept, and go on from here.
    Gap(Gap),
}

/// Why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Gap {
    /// What came after the position is no longer kept, or not all of it.
    Expired,
    /// The position is of another life of the channel.
    Epoch,
    /// The position is ahead of the channel.
    Future,
}

impl Gap {
    /// One word for it, as in `"gap": "expired"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Epoch => "epoch",
            Self::Future => "future",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "what came after this position is no longer kept",
            Self::Epoch => "this position is of another life of the channel",
            Self::Future => "this position is ahead of the channel",
        })
    }
}

/// Some of a channel's past.
#[derive(Debug)]
pub struct Window<E = ()> {
    /// Publications, oldest first and without a hole.
    pub publications: Vec<Arc<Publication<E>>>,
    /// The place behind the last of them: where to go on.
    pub next: Position,
    /// The newest place in the channel.
    pub top: Position,
    /// Why there is a hole before the first of them, if there is one.
    pub gap: Option<Gap>,
}
