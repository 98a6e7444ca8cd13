//! `[client]`: sessions of the Centrifuge protocol, at `/connection/…`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::values::{Count, Time};
use crate::session::SessionSettings;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Client {
    /// Let clients connect that do not say who they are. What they may do, `allow` says, as for everybody.
    pub(super) anonymous: bool,
    /// A line must connect within this time; over it 3502.
    connect_timeout: Time,
    /// A client is pinged this often. Proxies commonly give up after 60 s of silence, some after 30 s.
    ping_interval: Time,
    /// A client that does not answer a ping within this time is given up, with 3012.
    pong_timeout: Time,
    /// Channels of one session; over it error 106. Enough for a page, and a bound for what one client costs.
    max_channels: Count,
    /// Publications that one history answers with.
    max_history: Count,
    /// What has expired is ended this much later, so that there is time for a new token.
    expiry_grace: Time,
    /// Subscribe each user with a name to a channel of its own, `NAMESPACE:#USER`; empty: `#USER`, in no namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    personal_namespace: Option<String>,
}

impl Default for Client {
    fn default() -> Self {
        let defaults = SessionSettings::default();
        Self {
            anonymous: false,
            connect_timeout: Time(defaults.connect_timeout),
            ping_interval: Time(defaults.ping_interval),
            pong_timeout: Time(defaults.pong_timeout),
            max_channels: Count(defaults.max_channels),
            max_history: Count(defaults.max_history),
            expiry_grace: Time(defaults.expiry_grace),
            personal_namespace: None,
        }
    }
}

impl Client {
    /// What the keys say together.
    pub(super) fn read(self, wrong: &mut impl FnMut(&str, String)) -> SessionSettings {
        if self.pong_timeout.0 >= self.ping_interval.0 {
            wrong("client.pong_timeout", "it must be shorter than client.ping_interval".to_owned());
        }
        SessionSettings {
            anonymous: self.anonymous,
            connect_timeout: self.connect_timeout.0,
            ping_interval: self.ping_interval.0,
            pong_timeout: self.pong_timeout.0,
            max_channels: self.max_channels.0,
            max_history: self.max_history.0,
            expiry_grace: self.expiry_grace.0,
            personal_namespace: self.personal_namespace,
            ..SessionSettings::default()
        }
    }
}
