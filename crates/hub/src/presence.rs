//! Who is there.

use bytes::Bytes;

/// A client as others in a channel see it. A client may be subscribed several times; it is one member by its `client`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Member {
    /// This connection or session, unlike any other.
    pub client: Box<str>,
    /// The person or program behind it; empty when nobody knows.
    pub user: Box<str>,
    /// What the client, or whoever let it in, wants others to know.
    pub info: Bytes,
    /// The same about this one channel.
    pub channel_info: Bytes,
}

impl Member {
    /// A member with nothing to know about it.
    pub fn new(client: impl Into<Box<str>>, user: impl Into<Box<str>>) -> Self {
        Self { client: client.into(), user: user.into(), info: Bytes::new(), channel_info: Bytes::new() }
    }

    /// With something to know about it.
    pub fn with_info(self, info: impl Into<Bytes>) -> Self {
        Self { info: info.into(), ..self }
    }

    /// With something to know about it in this one channel.
    pub fn with_channel_info(self, channel_info: impl Into<Bytes>) -> Self {
        Self { channel_info: channel_info.into(), ..self }
    }
}

/// How many are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceStats {
    /// Subscriptions that are present.
    pub clients: usize,
    /// Different users among them.
    pub users: usize,
}
