//! Which questions go to a backend, and how long it has for them.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

/// What a backend is asked about.
#[derive(Clone, Debug, Default)]
pub struct HookSettings {
    /// Who somebody is who connects without a token, and what it gets.
    pub connect: Option<Hook>,
    /// Whether a session that would end may go on, whoever gave it its end. Its client is not asked for a token then.
    pub refresh: Option<Hook>,
    /// Whether a client may subscribe, in the namespaces named.
    pub subscribe: Option<Hook>,
    /// Whether a subscription that would end may go on, in the namespaces named, whoever gave it its end.
    pub sub_refresh: Option<Hook>,
    /// Whether a client may publish, in the namespaces named, and what.
    pub publish: Option<Hook>,
    /// What clients call.
    pub rpc: Option<Hook>,
    /// What clients send without waiting for an answer: each message once at most, those of a session one after the other.
    pub send: Option<Hook>,
    /// A client that was let in by `connect` may come back within this time without another question. Default: no.
    pub resume: Option<Duration>,
    /// Signs what it comes back with. Default: a random one, so that nobody comes back to another life of the server.
    pub resume_secret: Option<Vec<u8>>,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Where it goes, by POST.
    pub url: Uri,
    /// The answer must be there within this time. Default 1 s: a person waits.
    pub timeout: Duration,
    /// Questions at the same time; more are refused at once with error 100, which clients repeat. Default 256.
    pub concurrency: usize,
    /// Headers of the client's request that the backend is told. Default: none.
    pub headers: Vec<HeaderName>,
    /// The same of what the client says its headers are: anybody can say anything there. Default: none.
    pub emulated_headers: Vec<HeaderName>,
    /// Headers that every question has.
    pub static_headers: Vec<(HeaderName, HeaderValue)>,
    /// Of channels: only in these namespaces (empty: the one without a name). `None`: in all.
    pub namespaces: Option<Vec<String>>,
}

impl Hook {
    /// With the defaults.
    pub fn new(url: Uri) -> Self {
        Self {
            url,
            timeout: Duration::from_secs(1),
            concurrency: 256,
            headers: Vec::new(),
            emulated_headers: Vec::new(),
            static_headers: Vec::new(),
            namespaces: None,
        }
    }
}
