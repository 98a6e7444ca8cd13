//! Who someone is, and what they may do with a channel.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use openline_hub::ChannelName;

use crate::rates::RateOverrides;

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

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Anyone => f.write_str("anyone"),
            Self::Known => f.write_str("known"),
            Self::Users(users) => f.write_str(&users.iter().map(|name| &**name).collect::<Vec<_>>().join(" ")),
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
    /// Drop what was published before.
    Delete,
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
    /// See [`Act::Delete`].
    pub delete: Who,
}

impl Rights {
    /// Everyone everything: the demo.
    pub fn open() -> Self {
        let [subscribe, publish, history, presence, delete] = [const { Who::Anyone }; 5];
        Self { subscribe, publish, history, presence, delete }
    }

    /// Whether someone may.
    pub fn allow(&self, act: Act, identity: &Identity) -> bool {
        let who = match act {
            Act::Subscribe => &self.subscribe,
            Act::Publish => &self.publish,
            Act::History => &self.history,
            Act::Presence => &self.presence,
            Act::Delete => &self.delete,
        };
        who.includes(identity)
    }
}

/// The rules of a namespace for those who knock at its channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Who may do what.
    pub rights: Rights,
    /// Whether a client hears what it publishes itself. Default: yes.
    pub hears_itself: bool,
    /// Whether whoever subscribes by a session, and may see who is there, hears of coming and going without asking for it. Default: no.
    pub pushes_join_leave: bool,
    /// What anybody may do in a time, where it is otherwise than on the rest of the server.
    pub rates: RateOverrides,
}

impl Default for Policy {
    fn default() -> Self {
        let (rights, rates) = Default::default();
        Self { rights, hears_itself: true, pushes_join_leave: false, rates }
    }
}

impl Policy {
    /// Everyone everything: the demo.
    pub fn open() -> Self {
        Self { rights: Rights::open(), ..Self::default() }
    }
}

/// The rules of every namespace that has its own, and those of all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    default: Policy,
    named: HashMap<Box<str>, Policy>,
}

impl Policies {
    /// Channels without a namespace have these, and those of namespaces that are not [`named`](Self::with).
    pub fn new(default: Policy) -> Self {
        Self { default, named: HashMap::new() }
    }

    /// A namespace with rules of its own.
    pub fn with(mut self, namespace: &str, policy: Policy) -> Self {
        self.named.insert(namespace.into(), policy);
        self
    }

    /// All of them, by namespace; the default ones have no name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Policy)> {
        self.named.iter().map(|(name, policy)| (&**name, policy)).chain([("", &self.default)])
    }

    /// Those of a channel.
    pub fn of(&self, channel: &ChannelName) -> &Policy {
        self.named.get(channel.namespace()).unwrap_or(&self.default)
    }
}
