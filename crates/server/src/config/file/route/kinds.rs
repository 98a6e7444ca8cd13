//! What is at a route: one of the kinds, with the keys that are its own.

use std::collections::BTreeMap;
use std::time::Duration;

use http::uri::PathAndQuery;
use openline::deflate::Deflate;

use super::{FramesWord, HostWord, Route};
use crate::config::values::{OneOrMany, Time};
use crate::hosting::{
    self, BackendTls, Exec, Files, Frames, Health, HostHeader, Proxy, Redirect, Respond, Sharing, Tcp, What,
};

impl Route {
    /// The one thing that is there.
    pub(super) fn what(&self, wrong: &mut dyn FnMut(&str, String)) -> Option<What> {
        let mut said: Vec<(&str, Result<What, String>)> = Vec::new();
        if self.echo == Some(true) {
            said.push(("echo", Ok(What::Echo)));
        }
        if let Some(name) = &self.channel {
            said.push(("channel", Ok(What::Channel(name.clone()))));
        }
        if let Some(folder) = &self.r#static {
            let files =
                Files { fallback: self.fallback.clone(), hidden: self.hidden == Some(true), ..Files::new(folder) };
            said.push(("static", Ok(What::Files(files))));
        }
        if let Some(upstreams) = &self.proxy {
            said.push(("proxy", self.proxy(&upstreams.to_vec())));
        }
        if let Some(command) = &self.exec {
            said.push(("exec", self.exec(command)));
        }
        if let Some(target) = &self.tcp {
            said.push(("tcp", self.tcp(target)));
        }
        if let Some(to) = &self.redirect {
            let redirect = Redirect::new(to).and_then(|redirect| match self.status {
                Some(status) => redirect.status(status),
                None => Ok(redirect),
            });
            said.push(("redirect", redirect.map(What::Redirect)));
        }
        if let Some(text) = &self.respond {
            said.push(("respond", self.respond(text)));
        }
        let keys: Vec<_> = said.iter().map(|(key, _)| *key).collect();
        match (keys.len(), said.pop()) {
            (1, Some((_, Ok(what)))) => Some(what),
            (1, Some((key, Err(why)))) => {
                wrong(key, why);
                None
            }
            (0, _) | (_, None) => {
                wrong("path", format!("nothing is there: say one of {}", KINDS.join(", ")));
                None
            }
            (_, Some((key, _))) => {
                wrong(key, format!("one thing is at a path, and these are several: {}", keys.join(", ")));
                None
            }
        }
    }

    fn proxy(&self, upstreams: &[String]) -> Result<What, String> {
        let upstreams: Result<Vec<_>, _> = upstreams.iter().map(|upstream| upstream.parse()).collect();
        let defaults = Proxy::to_any(upstreams.map_err(|error: hosting::InvalidUpstream| error.to_string())?);
        if let Some(path) = &self.health_path
            && (!path.starts_with('/') || path.parse::<PathAndQuery>().is_err())
        {
            return Err(format!("health_path: {path:?} is no path to ask for: it is like /healthz"));
        }
        let health = match (&self.health_interval, &self.health_path) {
            (Some(interval), path) => Some(Health { path: path.clone(), interval: interval.0 }),
            (None, Some(_)) => {
                return Err("health_path needs health_interval: how often to ask, as in \"10s\"".to_owned());
            }
            (None, None) => None,
        };
        Ok(What::Proxy(Box::new(Proxy {
            user_header: match &self.user_header {
                None => defaults.user_header,
                Some(name) => {
                    name.parse().map_err(|_| format!("user_header: {name:?} is no name of a header field"))?
                }
            },
            host: match self.upstream_host {
                None | Some(HostWord::Client) => HostHeader::Keep,
                Some(HostWord::Own) => HostHeader::Upstream,
            },
            tls: self.backend_tls(),
            health,
            connect_timeout: or(&self.connect_timeout, defaults.connect_timeout),
            response_timeout: or(&self.response_timeout, defaults.response_timeout),
            max_body_bytes: self.max_body_bytes.as_ref().map_or(defaults.max_body_bytes, |bytes| bytes.0),
            tunnel: self.tunnel == Some(true),
            compression: (self.upstream_compression == Some(true)).then(Deflate::default),
            ..defaults
        })))
    }

    fn exec(&self, command: &OneOrMany<String>) -> Result<What, String> {
        let exec = match command {
            OneOrMany::One(command) => Exec::parse(command)?,
            OneOrMany::Many(words) => {
                let (program, arguments) = words.split_first().ok_or("there is no program: [\"./count.sh\"]")?;
                Exec { arguments: arguments.to_vec(), ..Exec::new(program) }
            }
        };
        let set = self.environment.iter().flatten();
        let mut names = set.clone().map(|(name, _)| name).chain(self.pass_environment.iter().flatten());
        // What no system can have would be found out with the first client.
        if let Some(name) = names.find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(format!("environment: {name:?} is no name of a variable"));
        }
        if let Some((name, _)) = set.clone().find(|(_, value)| value.contains('\0')) {
            return Err(format!("environment: the value of {name:?} has a zero byte in it"));
        }
        Ok(What::Exec(Exec {
            folder: self.folder.clone(),
            frames: match self.frames {
                None | Some(FramesWord::Lines) => Frames::Lines,
                Some(FramesWord::Binary) => Frames::Binary,
            },
            sharing: if self.shared == Some(true) { Sharing::All } else { Sharing::PerLine },
            pass_environment: self.pass_environment.clone().unwrap_or(exec.pass_environment),
            environment: self.environment.clone().unwrap_or_default().into_iter().collect(),
            max_programs: self.max_programs.as_ref().map_or(exec.max_programs, |count| count.0),
            stdin_grace: or(&self.stdin_grace, exec.stdin_grace),
            term_grace: or(&self.term_grace, exec.term_grace),
            ..exec
        }))
    }

    fn tcp(&self, target: &str) -> Result<What, String> {
        let read = |text: &str| text.parse().map_err(|error: hosting::InvalidAddress| error.to_string());
        let parameter = target.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let mut tcp = match (parameter, &self.targets) {
            (Some(parameter), Some(targets)) => {
                let targets: Result<BTreeMap<_, _>, String> =
                    targets.iter().map(|(name, target)| Ok((name.clone(), read(target)?))).collect();
                Tcp::named(parameter, targets?)
            }
            (Some(_), None) => {
                return Err("say in targets what it chooses from: { desk = \"10.0.0.5:5900\" }".to_owned());
            }
            (None, Some(_)) => {
                return Err("targets are chosen from by a parameter of the path: \"{machine}\"".to_owned());
            }
            (None, None) => Tcp::to(read(target)?),
        };
        if self.backend_tls == Some(true) {
            tcp = tcp.tls(self.backend_tls());
        }
        if let Some(limit) = &self.connect_timeout {
            tcp = tcp.connect_timeout(limit.0);
        }
        Ok(What::Tcp(tcp))
    }

    fn respond(&self, text: &str) -> Result<What, String> {
        let mut respond = Respond::text(text);
        if let Some(status) = self.status {
            respond = respond.status(status)?;
        }
        if let Some(content_type) = &self.content_type {
            respond = respond.content_type(content_type)?;
        }
        Ok(What::Respond(respond))
    }

    fn backend_tls(&self) -> BackendTls {
        BackendTls { ca: self.backend_ca.clone(), name: self.backend_name.clone(), accept_any_certificate: false }
    }

    /// Keys that mean nothing to what is there.
    pub(super) fn misplaced(&self, what: &What, wrong: &mut dyn FnMut(&str, String)) {
        let here = what.name();
        if self.allow.is_some() && here == "channel" {
            wrong(
                "allow",
                "what may be done with a channel its namespace says: allow in [channels] or [namespaces.NAME]"
                    .to_owned(),
            );
        }
        if self.user_header.is_some() && self.allow.is_none() {
            wrong("user_header", "nobody is asked who they are here: say with allow who may come in".to_owned());
        }
        for (key, is_said, kinds) in [
            ("status", self.status.is_some(), &["redirect", "respond"][..]),
            ("content_type", self.content_type.is_some(), &["respond"]),
            ("fallback", self.fallback.is_some(), &["static"]),
            ("hidden", self.hidden.is_some(), &["static"]),
            ("folder", self.folder.is_some(), &["exec"]),
            ("frames", self.frames.is_some(), &["exec"]),
            ("shared", self.shared.is_some(), &["exec"]),
            ("environment", self.environment.is_some(), &["exec"]),
            ("pass_environment", self.pass_environment.is_some(), &["exec"]),
            ("max_programs", self.max_programs.is_some(), &["exec"]),
            ("stdin_grace", self.stdin_grace.is_some(), &["exec"]),
            ("term_grace", self.term_grace.is_some(), &["exec"]),
            ("targets", self.targets.is_some(), &["tcp"]),
            ("connect_timeout", self.connect_timeout.is_some(), &["proxy", "tcp"]),
            ("response_timeout", self.response_timeout.is_some(), &["proxy"]),
            ("max_body_bytes", self.max_body_bytes.is_some(), &["proxy"]),
            ("user_header", self.user_header.is_some(), &["proxy"]),
            ("upstream_host", self.upstream_host.is_some(), &["proxy"]),
            ("health_path", self.health_path.is_some(), &["proxy"]),
            ("health_interval", self.health_interval.is_some(), &["proxy"]),
            ("tunnel", self.tunnel.is_some(), &["proxy"]),
            ("upstream_compression", self.upstream_compression.is_some(), &["proxy"]),
            ("backend_tls", self.backend_tls.is_some(), &["tcp"]),
            ("backend_ca", self.backend_ca.is_some(), &["proxy", "tcp"]),
            ("backend_name", self.backend_name.is_some(), &["proxy", "tcp"]),
        ] {
            if is_said && !kinds.contains(&here) {
                wrong(key, format!("it is for {}, and this is {here}", kinds.join(" and ")));
            }
        }
    }
}

const KINDS: [&str; 8] = ["static", "proxy", "exec", "tcp", "channel", "redirect", "respond", "echo"];

pub(in crate::config::file) fn or(time: &Option<Time>, default: Duration) -> Duration {
    time.as_ref().map_or(default, |time| time.0)
}
