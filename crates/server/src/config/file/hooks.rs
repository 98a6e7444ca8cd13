//! `[hooks]`: what a backend is asked about.

use std::time::Duration;

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::url;
use crate::config::values::{Count, Secret, Time};
use crate::hooks::{Hook, HookSettings};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Hooks {
    /// Ask this URL who somebody is who connects without a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    connect: Option<String>,
    /// Ask this URL whether a session that expires may go on. Without it, those that `connect` gave an end connect again, and those
    /// with a token come with a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh: Option<String>,
    /// Ask this URL whether a client may subscribe, instead of `allow.subscribe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    subscribe: Option<String>,
    /// Ask this URL whether a subscription that expires may go on. Without it, those that `subscribe` gave an end subscribe again,
    /// and those with a token come with a new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_refresh: Option<String>,
    /// Ask this URL whether a client may publish, and what, instead of `allow.publish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    publish: Option<String>,
    /// Ask this URL what clients call (`rpc`).
    #[serde(skip_serializing_if = "Option::is_none")]
    rpc: Option<String>,
    /// Tell this URL what clients send without waiting for an answer (`send`). Without it, who sends something is disconnected.
    #[serde(skip_serializing_if = "Option::is_none")]
    send: Option<String>,
    /// Ask about the channels of these namespaces only (`""` is the one without a name). Without this key, about all.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespaces: Option<Vec<String>>,
    /// The answer must be there within this time: a person waits.
    timeout: Time,
    /// Questions at the same time, of each kind; more are refused with error 100, which clients repeat.
    concurrency: Count,
    /// Headers of the client's request that the backend is told, such as `Cookie`.
    headers: Vec<String>,
    /// The same of what the client says its headers are. Anybody can say anything there.
    emulated_headers: Vec<String>,
    /// Let a client that `connect` let in come back within this time without another question, so that a restart is no storm for
    /// the backend: the reply to its connecting has a ticket in `data.resume`, to be sent as the header `openline-resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Time>,
    /// Signs these tickets. Without one they end with the server that gave them.
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_secret: Option<Secret>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            connect: None,
            refresh: None,
            subscribe: None,
            sub_refresh: None,
            publish: None,
            rpc: None,
            send: None,
            namespaces: None,
            timeout: Time(Duration::from_secs(1)),
            concurrency: Count(256),
            headers: Vec::new(),
            emulated_headers: Vec::new(),
            resume: None,
            resume_secret: None,
        }
    }
}

impl Hooks {
    /// What the keys say together.
    pub(super) fn read(self, wrong: &mut impl FnMut(&str, String)) -> HookSettings {
        let mut names = |path: &str, names: &[String]| -> Vec<HeaderName> {
            let read = |name: &String| name.parse::<HeaderName>().ok();
            if let Some(bad) = names.iter().find(|name| read(name).is_none()) {
                wrong(path, format!("{bad:?} is not the name of a header"));
            }
            names.iter().filter_map(read).collect()
        };
        let headers = names("hooks.headers", &self.headers);
        let emulated_headers = names("hooks.emulated_headers", &self.emulated_headers);
        let mut hook = |path: &str, text: &Option<String>| {
            let url = match url(text.as_ref()?, false) {
                Ok(url) => url,
                Err(why) => {
                    wrong(path, why);
                    return None;
                }
            };
            Some(Hook {
                timeout: self.timeout.0,
                concurrency: self.concurrency.0,
                headers: headers.clone(),
                emulated_headers: emulated_headers.clone(),
                namespaces: self.namespaces.clone(),
                ..Hook::new(url)
            })
        };
        HookSettings {
            connect: hook("hooks.connect", &self.connect),
            refresh: hook("hooks.refresh", &self.refresh),
            subscribe: hook("hooks.subscribe", &self.subscribe),
            sub_refresh: hook("hooks.sub_refresh", &self.sub_refresh),
            publish: hook("hooks.publish", &self.publish),
            rpc: hook("hooks.rpc", &self.rpc),
            send: hook("hooks.send", &self.send),
            resume: self.resume.map(|within| within.0),
            resume_secret: self.resume_secret.map(|secret| secret.expose().as_bytes().to_vec()),
        }
    }
}
