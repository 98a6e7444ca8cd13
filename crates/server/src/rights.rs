//! Who someone is, and what they may do with a channel.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Who stands behind a request or a line, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Nobody said.
    #[default]
    Anonymous,
    /// This user, by the name that its token, its certificate or the backend gave it. Never empty.
    User(Arc<str>),
}

impl Identity {
    /// The user's name, if it has one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::User(name) => Some(name),
        }
    }
}

/// To whom a right is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Who {
    /// To no client; backends, with their key, do not ask.
    #[default]
    Nobody,
    /// To whoever is let in at all.
    Anyone,
    /// To users with a name, whatever it is.
    Known,
    /// To these users.
    Users(BTreeSet<Box<str>>),
}

impl Who {
    /// Whether that includes someone.
    ///
    /// ```
    /// use openline_server::{Identity, Who};
    ///
    /// let ann = Identity::User("ann".into());
    /// assert!(Who::Known.includes(&ann) && !Who::Known.includes(&Identity::Anonymous));
    /// assert!(!Who::Users(["bob".into()].into()).includes(&ann));
    /// ```
    pub fn includes(&self, identity: &Identity) -> bool {
        match (self, identity) {
            (Self::Nobody, _) | (Self::Known | Self::Users(_), Identity::Anonymous) => false,
            (Self::Anyone, _) | (Self::Known, Identity::User(_)) => true,
            (Self::Users(users), Identity::User(name)) => users.contains(&**name),
        }
    }
}

/// What can be done with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Hear what is published from now on, and what one missed while away.
    Subscribe,
    /// Publish.
    Publish,
    /// Read what was published before.
    History,
    /// See who is there, and hear of their coming and going.
    Presence,
}

/// Who may do what with the channels of a namespace. Default: nobody anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// See [`Act::Subscribe`].
    pub subscribe: Who,
    /// See [`Act::Publish`].
    pub publish: Who,
    /// See [`Act::History`].
    pub history: Who,
    /// See [`Act::Presence`].
    pub presence: Who,
}

impl Rights {
    /// Everyone everything: the demo.
    pub fn open() -> Self {
        Self { subscribe: Who::Anyone, publish: Who::Anyone, history: Who::Anyone, presence: Who::Anyone }
    }

    /// Whether someone may.
    pub fn allow(&self, act: Act, identity: &Identity) -> bool {
        let who = match act {
            Act::Subscribe => &self.subscribe,
            Act::Publish => &self.publish,
            Act::History => &self.history,
            Act::Presence => &self.presence,
        };
        who.includes(identity)
    }
}
