//! Hooks: a backend decides who connects, subscribes and publishes, and answers calls, over HTTP.
//!
//! What is sent and what is answered is the JSON of Centrifugo's proxy, so that backends written for it work unchanged.

mod answer;
mod breaker;
mod client;
mod resume;
mod settings;

use bytes::Bytes;
use http::HeaderMap;

pub(crate) use self::answer::{Answer, Granted, Overrides};
pub(crate) use self::client::Hooks;
pub use self::settings::{Hook, HookSettings};

/// What a backend is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    Connect,
    Refresh,
    Subscribe,
    SubRefresh,
    Publish,
    Rpc,
    Send,
}

/// A question for the backend.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) event: Event,
    /// A JSON object.
    pub(crate) body: Bytes,
    /// What the client sent and the allow-list lets through.
    pub(crate) headers: HeaderMap,
    /// What the client says its headers are, when it connects: libraries in browsers cannot send others.
    pub(crate) emulated: std::collections::BTreeMap<String, String>,
}
