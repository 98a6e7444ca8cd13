//! What a configuration file may say: one section per file, each with what it becomes in a running server.
//!
//! The doc comments are the reference (docs/configuration.md) and the descriptions of the schema: they say what a key does,
//! and why its default is what it is.

mod admin;
mod api;
mod auth;
mod channels;
mod client;
mod compression;
mod hooks;
mod host;
mod limits;
mod proxies;
mod rates;
mod route;
mod server;
mod times;
mod tls;

use std::collections::BTreeMap;

use openline::http1::HeadLimits;
use openline_hub::Namespaces;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use self::channels::Channels;
use super::check::Problem;
use super::tree::Node;
use super::values::HostName;
use super::{Config, Proxies};
use crate::hosts::HostSettings;
use crate::knock::Knock;
use crate::rights::Policies;

/// All sections.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct File {
    /// Where the server listens, and for whom.
    pub(crate) server: server::Server,
    /// TLS: `https` and `wss` instead of `http` and `ws`, on every address.
    pub(crate) tls: tls::Tls,
    /// Proxies in front of the server.
    pub(crate) proxies: proxies::Proxies,
    /// What all channels keep and allow. A namespace's own section overrides it key by key; channels without a namespace have
    /// exactly this.
    pub(crate) channels: Channels,
    /// A namespace, `[namespaces.chat]` for the channels `chat:…`: the keys of `[channels]`, of which it has its own. Namespaces
    /// without a section do not exist (but see `server.any_namespace`).
    pub(crate) namespaces: BTreeMap<String, Channels>,
    /// What is at a path: files, another server, a program, a service, a channel. See [hosting](hosting.md). One of `static`, `proxy`,
    /// `exec`, `tcp`, `channel`, `redirect`, `respond` and `echo` is there; the rest says how.
    pub(crate) route: Vec<route::Route>,
    /// What is otherwise at one host than on the rest of the server, `[hosts."chat.example"]`; the server answers for it. A route's and
    /// a namespace's own settings go before those of the host. Routes without a `host` are for all: there only the host's
    /// `allowed_origins` and `rates` hold, and its limits, times and compression do not.
    pub(crate) hosts: BTreeMap<String, host::Host>,
    /// Keys of backends.
    pub(crate) api: api::Api,
    /// Tokens, by which clients say who they are.
    pub(crate) auth: auth::Auth,
    /// Sessions of the Centrifuge protocol, at `/connection/…`.
    pub(crate) client: client::Client,
    /// What a backend is asked about: see docs/centrifuge.md.
    pub(crate) hooks: hooks::Hooks,
    /// The internal address: metrics and health, for whoever runs the server.
    pub(crate) admin: admin::Admin,
    /// How much anybody may do in a time, as `"100/s"`, `"6000/m"` (a minute) or `"10000/h"`, or `"off"`. A whole time's worth may come at
    /// once. An address of IPv6 is its /64: whoever has one has all of them. Backends with a key are not held.
    pub(crate) rates: rates::Limits,
    /// Compression of messages (RFC 7692), for clients that offer it.
    pub(crate) compression: compression::Compression,
    /// How much of everything there may be.
    pub(crate) limits: limits::Limits,
    /// How long everything may take.
    pub(crate) times: times::Times,
}

impl File {
    /// What it becomes in a running server; `said` to say where something is wrong.
    pub(crate) fn into_config(self, said: &Node) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |path: &str, why: String| {
            let mut known = path;
            let node = loop {
                match (said.get(known), known.rsplit_once('.')) {
                    (Some(node), _) => break node,
                    (None, Some((section, _))) => known = section,
                    (None, None) => break said,
                }
            };
            problems.push(Problem::at(node, path, why));
        };
        let mut hosts: Vec<_> = self.server.hosts.iter().map(|host| host.0.clone()).collect();
        for name in self.hosts.keys() {
            match serde_json::from_value::<HostName>(name.as_str().into()) {
                Ok(HostName(name)) => hosts.push(name),
                Err(error) => wrong("hosts", format!("{name:?} is none: {error}")),
            }
        }
        let tls = self.tls.read(&hosts, &mut wrong);
        if self.proxies.protocol && self.proxies.trusted.is_empty() {
            wrong("proxies.protocol", "it needs to know which proxies: name them in proxies.trusted".to_owned());
        }
        let mut namespaces = Namespaces::new(self.channels.settings());
        let mut policies = Policies::new(self.channels.policy());
        if let Some((key, why)) = self.channels.misplaced() {
            wrong(&format!("channels.{key}"), why);
        }
        for (name, section) in &self.namespaces {
            if let Some((key, why)) = section.misplaced().filter(|_| self.channels.misplaced().is_none()) {
                wrong(&format!("namespaces.{name}.{key}"), why);
            }
            if format!("{name}:x").parse::<openline_hub::ChannelName>().is_err() {
                wrong(
                    &format!("namespaces.{name}"),
                    "the name of a namespace has 1 to 32 letters, digits, - and _".to_owned(),
                );
                continue;
            }
            namespaces = namespaces.with(name, section.settings());
            policies = policies.with(name, section.policy());
        }
        if !self.server.any_namespace {
            namespaces = namespaces.closed();
        }
        let tokens = self.auth.read(&mut wrong);
        let sessions = self.client.read(&mut wrong);
        let hooks = self.hooks.read(&mut wrong);
        let line = openline::Config {
            max_frame_bytes: self.limits.max_frame_bytes.0,
            max_message_bytes: self.limits.max_message_bytes.0,
            max_output_bytes: self.limits.max_output_bytes.0,
            ping_interval: self.times.ping_interval.0,
            pong_timeout: self.times.pong_timeout.0,
            message_timeout: self.times.message_timeout.0,
            write_timeout: self.times.write_timeout.0,
            close_timeout: self.times.close_timeout.0,
            ..openline::Config::default()
        };
        let names = hosts.iter().skip(self.server.hosts.len()).cloned();
        let own_hosts: Vec<HostSettings> =
            names.zip(self.hosts.values()).map(|(name, host)| host.read(name, &line)).collect();
        let mut routes = Vec::new();
        for (index, route) in self.route.iter().enumerate() {
            let host =
                route.host.as_ref().and_then(|own| own_hosts.iter().find(|host| host.name.name() == own.0.name()));
            let line = host.and_then(|host| host.line.as_ref()).unwrap_or(&line);
            routes.extend(route.read(line, &mut |key, why| wrong(&format!("route[{index}].{key}"), why)));
        }
        let config = Config {
            listen: self.server.listen.iter().map(|address| address.0).collect(),
            knock: Knock {
                hosts,
                origins: self.server.allowed_origins.iter().map(|origin| origin.0.clone()).collect(),
                any_origin: false,
            },
            routes,
            allow_public_backends: self.server.allow_public_backends,
            demo: self.server.demo,
            tls,
            proxies: Proxies {
                trusted: self.proxies.trusted.iter().map(|network| network.0).collect(),
                protocol: self.proxies.protocol,
            },
            max_connections: self.limits.max_connections.0,
            head: HeadLimits {
                max_bytes: self.limits.max_head_bytes.0,
                max_headers: self.limits.max_headers.0,
                timeout: self.times.head_timeout.0,
            },
            line,
            deflate: self.compression.deflate(),
            namespaces,
            policies,
            channels: openline_hub::Limits {
                max_channels: self.limits.max_channels.0,
                max_outbox_bytes: self.limits.max_outbox_bytes.0,
                max_queued_bytes: self.limits.max_queued_bytes.0,
                ..openline_hub::Limits::default()
            },
            api_keys: self.api.keys,
            sessions,
            tokens,
            hooks,
            admin: self.admin.read(said.get("admin.listen").is_some()),
            rates: self.rates.read(),
            hosts: own_hosts,
            shutdown_timeout: self.times.shutdown_timeout.0,
            drain_window: self.times.drain_window.0,
        };
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }
}
