//! What can go wrong, by number: errors of commands, ends of subscriptions, ends of sessions, and what a client does then.
//!
//! | number | is | and the client |
//! | --- | --- | --- |
//! | 100 to 399 | an error of a command | tries again if it is temporary, and gives up if not |
//! | 400 to 1999 | the same, of the application | likewise |
//! | 2000 to 2499 | the end of a subscription | stays without |
//! | 2500 to 2999 | the same | subscribes again |
//! | 3000 to 3499, 4000 to 4499 | the end of a session | connects again, after a while |
//! | 3500 to 3999, 4500 to 4999 | the same | does not |

use std::borrow::Cow;

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: u32,
    pub(crate) message: Cow<'static, str>,
    /// It may be done when it is tried again.
    pub(crate) temporary: bool,
}

impl Refused {
    const fn new(code: u32, message: &'static str) -> Self {
        Self { code, message: Cow::Borrowed(message), temporary: false }
    }

    /// Nothing that the client could help.
    pub(crate) const INTERNAL: Self =
        Self { code: 100, message: Cow::Borrowed("internal server error"), temporary: true };
    /// There is no such namespace.
    pub(crate) const UNKNOWN_CHANNEL: Self = Self::new(102, "unknown channel");
    pub(crate) const PERMISSION_DENIED: Self = Self::new(103, "permission denied");
    pub(crate) const METHOD_NOT_FOUND: Self = Self::new(104, "method not found");
    pub(crate) const ALREADY_SUBSCRIBED: Self = Self::new(105, "already subscribed");
    pub(crate) const LIMIT_EXCEEDED: Self = Self::new(106, "limit exceeded");
    pub(crate) const BAD_REQUEST: Self = Self::new(107, "bad request");
    /// The namespace does not have that.
    pub(crate) const NOT_AVAILABLE: Self = Self::new(108, "not available");
    /// Come with another one.
    pub(crate) const TOKEN_EXPIRED: Self = Self::new(109, "token expired");
    /// More than a rate allows.
    pub(crate) const TOO_MANY_REQUESTS: Self =
        Self { code: 111, message: Cow::Borrowed("too many requests"), temporary: true };
    /// A history was asked for from where it does not begin.
    pub(crate) const UNRECOVERABLE_POSITION: Self = Self::new(112, "unrecoverable position");
    /// Something else was published under this idempotency key (of the server's API).
    pub(crate) const CONFLICT: Self = Self::new(113, "conflict");

    /// A text that says more than the usual one.
    pub(crate) fn because(self, why: impl Into<Cow<'static, str>>) -> Self {
        Self { message: why.into(), ..self }
    }
}

/// Why a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsubscribed {
    pub(crate) code: u32,
    pub(crate) reason: &'static str,
}

impl Unsubscribed {
    /// A backend ended it.
    pub(crate) const SERVER: Self = Self { code: 2000, reason: "server unsubscribe" };
    /// Something is missing: subscribe again, and recover it or be told that it cannot be.
    pub(crate) const INSUFFICIENT_STATE: Self = Self { code: 2500, reason: "insufficient state" };
    pub(crate) const EXPIRED: Self = Self { code: 2501, reason: "subscription expired" };
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disconnect {
    pub(crate) code: u16,
    pub(crate) reason: Cow<'static, str>,
}

impl Disconnect {
    const fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason: Cow::Borrowed(reason) }
    }

    /// The server ends.
    pub(crate) const SHUTDOWN: Self = Self::new(3001, "shutdown");
    pub(crate) const SERVER_ERROR: Self = Self::new(3004, "internal server error");
    pub(crate) const EXPIRED: Self = Self::new(3005, "connection expired");
    /// A channel that it did not subscribe to by itself: connect again.
    pub(crate) const SUBSCRIPTION_EXPIRED: Self = Self::new(3006, "subscription expired");
    /// Too much waited to be read.
    pub(crate) const SLOW: Self = Self::new(3008, "slow");
    /// Something is missing of a channel that it did not subscribe to by itself: connect again, and recover it.
    pub(crate) const INSUFFICIENT_STATE: Self = Self::new(3010, "insufficient state");
    pub(crate) const NO_PONG: Self = Self::new(3012, "no pong");
    /// More than a rate allows, of what is not answered.
    pub(crate) const TOO_MANY_REQUESTS: Self = Self::new(3013, "too many requests");
    pub(crate) const INVALID_TOKEN: Self = Self::new(3500, "invalid token");
    /// What it sent is not the protocol.
    pub(crate) const BAD_REQUEST: Self = Self::new(3501, "bad request");
    /// It did not connect in time.
    pub(crate) const STALE: Self = Self::new(3502, "stale");
    /// A backend ended it.
    pub(crate) const FORCED: Self = Self::new(3503, "force disconnect");
    pub(crate) const PERMISSION_DENIED: Self = Self::new(3507, "permission denied");
    pub(crate) const NOT_AVAILABLE: Self = Self::new(3508, "not available");

    /// The longest reason, in bytes: what a Close frame has room for (RFC 6455 §5.5).
    pub(crate) const MAX_REASON_BYTES: usize = 123;

    /// Of the application's making, if the numbers are those that it may use.
    pub(crate) fn custom(code: u32, reason: String) -> Option<Self> {
        let fits = (3000..=4999).contains(&code) && reason.len() <= Self::MAX_REASON_BYTES;
        fits.then(|| Self { code: code as u16, reason: reason.into() })
    }

    /// Whether the client comes back.
    pub(crate) fn reconnects(&self) -> bool {
        matches!(self.code, 3000..=3499 | 4000..=4499)
    }
}
