//! What sessions are given: times and limits, with the defaults and their reasons.

use std::time::Duration;

/// How clients of the Centrifuge protocol are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Whether a client may connect without saying who it is. Default: yes, as in the demo; a configuration says so itself.
    pub anonymous: bool,
    /// A line must connect within this time; over it 3502. Default 10 s, as for a request's head.
    pub connect_timeout: Duration,
    /// A client is pinged this often. Default 25 s: under the 30-60 s after which proxies and NATs forget an idle line.
    pub ping_interval: Duration,
    /// A client that does not answer a ping within this time is given up, with 3012. Default 8 s, what its libraries expect.
    pub pong_timeout: Duration,
    /// Channels of one session; over it error 106. Default 128: enough for a page, and a bound for what one client costs.
    pub max_channels: usize,
    /// Publications that a history answers with at most. Default 300.
    pub max_history: usize,
    /// Calls of a session that wait for the backend at the same time; further commands wait. Default 8.
    pub max_calls: usize,
    /// What has expired is ended this much later, so that there is time for a new token. Default 25 s.
    pub expiry_grace: Duration,
    /// Each user with a name is subscribed to a channel of its own, `<namespace>:#<user>`, or `#<user>` in the namespace
    /// without a name (empty). Default: no.
    pub personal_namespace: Option<String>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            anonymous: true,
            connect_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(25),
            pong_timeout: Duration::from_secs(8),
            max_channels: 128,
            max_history: 300,
            max_calls: 8,
            expiry_grace: Duration::from_secs(25),
            personal_namespace: None,
        }
    }
}
