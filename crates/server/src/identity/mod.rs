//! Who somebody is: tokens, and the ways in which a request can carry one.

pub(crate) mod crypto;
mod keys;
mod request;
mod ticket;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

pub use self::keys::{KeyError, TokenAlgorithm, TokenKey, TokenSettings};
pub(crate) use self::request::{BEARER, Carried};
pub(crate) use self::ticket::Tickets;
pub(crate) use self::token::{TokenError, Tokens};
use crate::hooks::Granted;
use crate::rights::Identity;
use crate::session::sessions::Admitted;

/// Somebody who may come in, and with what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Admission {
    pub(crate) identity: Identity,
    /// What others may know.
    pub(crate) info: Bytes,
    /// What only the backend may know.
    pub(crate) meta: Bytes,
    /// What the client is told.
    pub(crate) data: Bytes,
    /// In seconds since 1970.
    pub(crate) expire_at: Option<u64>,
    /// Channels to be in from the beginning.
    pub(crate) subs: BTreeMap<String, Admitted>,
}

impl Admission {
    pub(crate) fn from_hook(granted: &Granted) -> Self {
        let mut subs: BTreeMap<String, Admitted> = BTreeMap::new();
        subs.extend(granted.channels.iter().map(|name| (name.clone(), Admitted::default())));
        subs.extend(granted.subs.iter().map(|(name, options)| (name.clone(), Admitted::from_hook(options))));
        Self {
            identity: identity(&granted.user),
            info: granted.info(),
            meta: granted.meta(),
            data: granted.data(),
            expire_at: granted.expire_at(),
            subs,
        }
    }
}

impl Admitted {
    pub(crate) fn from_hook(granted: &Granted) -> Self {
        Self {
            info: granted.info(),
            data: granted.data(),
            expire_at: granted.expire_at(),
            presence: granted.overrides.presence(),
            join_leave: granted.overrides.join_leave(),
            ..Self::default()
        }
    }
}

/// An empty name is nobody's.
pub(crate) fn identity(user: &str) -> Identity {
    match user {
        "" => Identity::Anonymous,
        name => Identity::User(Arc::from(name)),
    }
}
