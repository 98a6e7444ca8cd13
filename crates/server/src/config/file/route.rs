//! `[[route]]`: what is at a path.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use openline::deflate::Deflate;
use openline::proto::handshake::Subprotocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rates;
use crate::config::values::{Count, HostName, Memory, OneOrMany, PageOrigin, Size, Time, TimeOrOff};
use crate::hosting::{
    self, BackendTls, Exec, Files, Frames, Health, HostHeader, Proxy, Redirect, Respond, Sharing, Tcp, What,
};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// A path. Segments may be parameters: `/chat/{room}`; the last may be all the rest: `/files/{*rest}`. Exact goes before
    /// parameter; two routes that answer the same path do not start. `static` and `proxy` have everything below it as well.
    path: String,
    /// Only for requests to this host, which the server then answers for.
    pub(super) host: Option<HostName>,
    /// Whether it is there. On.
    enabled: Option<bool>,

    /// Send every message back.
    echo: Option<bool>,
    /// A channel, by all of its doors. Its name may have parameters of the path in it: `"room-{room}"`.
    channel: Option<String>,
    /// The files of this folder: with their media types, entity tags, ranges, `index.html`, and `.zst`, `.br` and `.gz` beside
    /// them. Nothing outside of it, whatever links say.
    r#static: Option<PathBuf>,
    /// Another server, for plain HTTP and WebSockets, or several that do the same: `"http://127.0.0.1:3000"`, `"wss://app.internal"`,
    /// `"unix:/run/app.sock"`. A path behind the address, even `/`, takes the place of `path`.
    proxy: Option<OneOrMany<String>>,
    /// A program: `"./count.sh --from 3"`, taken apart as a shell would, or its words, `["./count.sh", "a b"]`. No shell is there, and
    /// nothing of a request gets into them.
    exec: Option<OneOrMany<String>>,
    /// A TCP service, or one at a Unix socket: `"127.0.0.1:5900"`, `"unix:/run/db.sock"`. Or a parameter of the path, `"{machine}"`,
    /// that chooses among `targets`.
    tcp: Option<String>,
    /// Another address: `"/new"`, `"https://example.com/{rest}"`.
    redirect: Option<String>,
    /// This text, whatever is asked.
    respond: Option<String>,

    /// Pages that may use it, `["https://app.example"]`, beside its own; or `"any"`. By default as for the rest of the server.
    origins: Option<Pages>,
    /// Subprotocols to agree on: the first one of the client's that is listed. `proxy` leaves the choice to the other server.
    subprotocols: Option<Vec<String>>,
    /// Lines at once; over it 503. By default as many as the server has connections.
    max_lines: Option<Count>,
    /// As in `[rates]`, for this route: what is said here is counted here, and not for the host or the server. A message that is too
    /// much closes the line with 1008, at a channel with 4029.
    #[serde(default)]
    rates: rates::Overrides,
    /// Header fields for every answer that does not have them: `{ "X-Frame-Options" = "DENY" }`.
    headers: Option<BTreeMap<String, String>>,
    /// Whether messages are compressed here. By default as on the rest of the server.
    compression: Option<Compression>,

    /// As in `[limits]`, for this route.
    max_message_bytes: Option<Size>,
    /// As in `[limits]`, for this route.
    max_frame_bytes: Option<Size>,
    /// As in `[limits]`, for this route.
    max_output_bytes: Option<Memory>,
    /// As in `[times]`, for this route.
    ping_interval: Option<TimeOrOff>,
    /// As in `[times]`, for this route.
    pong_timeout: Option<Time>,
    /// As in `[times]`, for this route.
    message_timeout: Option<Time>,
    /// As in `[times]`, for this route; programs and services that take nothing are given up after it, too.
    write_timeout: Option<Time>,
    /// As in `[times]`, for this route.
    close_timeout: Option<Time>,
    /// A line without a message for so long is closed with 1001. By default never: pings tell who is gone.
    idle_timeout: Option<TimeOrOff>,

    /// `redirect` (307) and `respond` (200): the status.
    status: Option<u16>,
    /// `respond`: the media type. Text.
    content_type: Option<String>,
    /// `static`: the file to answer with where there is none, with 200: `"index.html"` of an application whose pages are made in
    /// the browser. By default 404.
    fallback: Option<String>,
    /// `static`: whether files are shown whose names begin with a dot. Off, except `.well-known`.
    hidden: Option<bool>,
    /// `exec`: the folder that it runs in. The server's.
    folder: Option<PathBuf>,
    /// `exec`: what a message is to the program. Lines.
    frames: Option<FramesWord>,
    /// `exec`: whether all lines share one program, which starts with the first and ends with the last. Off: each has its own.
    shared: Option<bool>,
    /// `exec`: further variables of its environment.
    environment: Option<BTreeMap<String, String>>,
    /// `exec`: variables that it gets from the server's environment: `PATH`, `LD_LIBRARY_PATH`, `HOME`, `LANG`, `LC_ALL` and `TZ`.
    pass_environment: Option<Vec<String>>,
    /// `exec`: programs at once; over it 503. 256: at some 4 MiB each they hold 1 GiB.
    max_programs: Option<Count>,
    /// `exec`: how long it has to end by itself once its stdin is closed. 2 s.
    stdin_grace: Option<Time>,
    /// `exec`: how long it has to end after TERM, before it is killed. 5 s.
    term_grace: Option<Time>,
    /// `tcp`: what the parameter of the path may say, and where that is: `{ desk = "10.0.0.5:5900" }`.
    targets: Option<BTreeMap<String, String>>,
    /// `proxy`, `tcp`: how long connecting may take; over it 504. 5 s.
    connect_timeout: Option<Time>,
    /// `proxy`: how long the head of an answer may take; over it 504. 60 s.
    response_timeout: Option<Time>,
    /// `proxy`: the longest body of a request; over it 413. 100 MiB: it passes through without being kept.
    max_body_bytes: Option<Size>,
    /// `proxy`: the `Host` that the other server sees. The client's.
    upstream_host: Option<HostWord>,
    /// `proxy`: what is asked for to see whether a server is well: 200 to 399 is. A connection is enough.
    health_path: Option<String>,
    /// `proxy`: how often it is asked. By default not at all: who cannot be reached gets nothing for ten seconds.
    health_interval: Option<Time>,
    /// `proxy`: whether WebSockets pass as bytes once the other server has said 101. Then keepalive, limits, compression and close
    /// codes are between the two ends. Off.
    tunnel: Option<bool>,
    /// `proxy`: whether messages are compressed on the way to the other server. Off: it is near.
    upstream_compression: Option<bool>,
    /// `proxy`, `tcp`: TLS to the backend. `proxy` uses it for `https` and `wss`.
    backend_tls: Option<bool>,
    /// `proxy`, `tcp`: authorities to trust, in PEM, in place of the platform's.
    backend_ca: Option<PathBuf>,
    /// `proxy`, `tcp`: the name in the backend's certificate, where it is not the host's.
    backend_name: Option<String>,
}

/// Pages of some origins, or of any.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
enum Pages {
    Any(Any),
    These(Vec<PageOrigin>),
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Any {
    Any,
}

/// Whether messages are compressed.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Compression {
    Off,
    On,
}

/// What a message is to a program.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FramesWord {
    Lines,
    Binary,
}

/// The `Host` that another server sees.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum HostWord {
    Client,
    Own,
}

impl Route {
    /// What it becomes; `None`: it is not there. `wrong` is told which key, and what about it.
    pub(super) fn read(&self, line: &openline::Config, wrong: &mut dyn FnMut(&str, String)) -> Option<hosting::Route> {
        if self.enabled == Some(false) {
            return None;
        }
        let what = self.what(wrong)?;
        self.misplaced(&what, wrong);
        let mut route = hosting::Route::new(&self.path, what);
        route.host = self.host.as_ref().map(|host| host.0.clone());
        route.origins = match &self.origins {
            None => hosting::Origins::AsServer,
            Some(Pages::Any(Any::Any)) => hosting::Origins::Any,
            Some(Pages::These(these)) => hosting::Origins::These(these.iter().map(|origin| origin.0.clone()).collect()),
        };
        for name in self.subprotocols.iter().flatten() {
            match Subprotocol::new(name) {
                Ok(name) => route.subprotocols.push(name),
                Err(error) => wrong("subprotocols", error.to_string()),
            }
        }
        route.max_lines = self.max_lines.as_ref().map(|count| count.0);
        route.headers = self.fields(wrong);
        route.compression = match self.compression {
            None => hosting::Compression::AsServer,
            Some(Compression::Off) => hosting::Compression::Off,
            Some(Compression::On) => hosting::Compression::On(Deflate::default()),
        };
        route.rates = self.rates.read();
        let own = self.line(line);
        route.line = (own != *line).then_some(own);
        Some(route)
    }

    /// The one thing that is there.
    fn what(&self, wrong: &mut dyn FnMut(&str, String)) -> Option<What> {
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
        let health = match (&self.health_interval, &self.health_path) {
            (Some(interval), path) => Some(Health { path: path.clone(), interval: interval.0 }),
            (None, Some(_)) => {
                return Err("health_path needs health_interval: how often to ask, as in \"10s\"".to_owned());
            }
            (None, None) => None,
        };
        Ok(What::Proxy(Box::new(Proxy {
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
    fn misplaced(&self, what: &What, wrong: &mut dyn FnMut(&str, String)) {
        let here = what.name();
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

    fn fields(&self, wrong: &mut dyn FnMut(&str, String)) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in self.headers.iter().flatten() {
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => drop(fields.insert(name, value)),
                _ => wrong("headers", format!("{name:?} or its value has characters that no header field has")),
            }
        }
        fields
    }

    fn line(&self, line: &openline::Config) -> openline::Config {
        openline::Config {
            max_message_bytes: self.max_message_bytes.as_ref().map_or(line.max_message_bytes, |bytes| bytes.0),
            max_frame_bytes: self.max_frame_bytes.as_ref().map_or(line.max_frame_bytes, |bytes| bytes.0),
            max_output_bytes: self.max_output_bytes.as_ref().map_or(line.max_output_bytes, |bytes| bytes.0),
            ping_interval: self.ping_interval.as_ref().map_or(line.ping_interval, |time| time.0),
            pong_timeout: or(&self.pong_timeout, line.pong_timeout),
            message_timeout: or(&self.message_timeout, line.message_timeout),
            write_timeout: or(&self.write_timeout, line.write_timeout),
            close_timeout: or(&self.close_timeout, line.close_timeout),
            idle_timeout: self.idle_timeout.as_ref().map_or(line.idle_timeout, |time| time.0),
            ..line.clone()
        }
    }
}

const KINDS: [&str; 8] = ["static", "proxy", "exec", "tcp", "channel", "redirect", "respond", "echo"];

pub(super) fn or(time: &Option<Time>, default: Duration) -> Duration {
    time.as_ref().map_or(default, |time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load_text;
    use crate::config::{Config, schema};

    fn load(text: &str) -> Result<Config, String> {
        let loaded = load_text(Some("openline.toml".into()), Some(text), &Vec::new(), &[]);
        loaded.map(|loaded| loaded.config).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_route_becomes_what_it_says() {
        let config = load(
            r#"
            [times]
            ping_interval = "7s"
            [[route]]
            path = "/app"
            host = "app.example"
            proxy = ["http://a:1", "wss://b/base"]
            health_interval = "1s"
            health_path = "/well"
            upstream_host = "own"
            origins = "any"
            compression = "off"
            max_lines = 9
            headers = { X-Team = "blue" }
            max_message_bytes = "2MiB"
            [[route]]
            path = "/gone"
            enabled = false
            exec = "./none"
            [[route]]
            path = "/count"
            exec = ["./count.sh", "a b"]
            frames = "binary"
            shared = true
            environment = { A = "b" }
            max_programs = 3
            stdin_grace = "1s"
            [[route]]
            path = "/vnc/{machine}"
            tcp = "{machine}"
            targets = { desk = "10.0.0.5:5900" }
            subprotocols = ["binary"]
            [[route]]
            path = "/old"
            redirect = "/new"
            status = 308
            "#,
        )
        .unwrap();
        let names: Vec<_> = config.routes.iter().map(|route| (route.path.as_str(), route.what.name())).collect();
        assert_eq!(names, [("/app", "proxy"), ("/count", "exec"), ("/vnc/{machine}", "tcp"), ("/old", "redirect")]);
        let app = &config.routes[0];
        let What::Proxy(proxy) = &app.what else { panic!("{app:?}") };
        assert_eq!((proxy.upstreams.len(), &proxy.host), (2, &HostHeader::Upstream));
        assert_eq!(proxy.health, Some(Health { path: Some("/well".into()), interval: Duration::from_secs(1) }));
        assert!(matches!((&app.origins, &app.compression), (hosting::Origins::Any, hosting::Compression::Off)));
        assert_eq!((app.max_lines, app.headers["x-team"].to_str().unwrap()), (Some(9), "blue"));
        let line = app.line.as_ref().unwrap();
        assert_eq!((line.max_message_bytes, line.ping_interval), (2 << 20, Some(Duration::from_secs(7))));
        let What::Exec(exec) = &config.routes[1].what else { panic!("{config:?}") };
        assert_eq!(
            (&exec.arguments[..], exec.frames, exec.sharing),
            (&["a b".to_owned()][..], Frames::Binary, Sharing::All)
        );
        assert_eq!(
            (exec.max_programs, exec.stdin_grace, exec.term_grace),
            (3, Duration::from_secs(1), Duration::from_secs(5))
        );
        assert!(config.routes[1].line.is_none(), "what differs from nothing is nothing");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("echo = true", "openline.toml:1:1: route[0].path is missing: it has to be said"),
            (
                "path = \"/a\"",
                "openline.toml:2:8: route[0].path: nothing is there: say one of static, proxy, exec, tcp, channel, redirect, respond, echo",
            ),
            (
                "path = \"/a\"\necho = true\nexec = \"cat\"",
                "openline.toml:4:8: route[0].exec: one thing is at a path, and these are several: echo, exec",
            ),
            (
                "path = \"/a\"\nproxy = \"127.0.0.1:3000\"",
                "openline.toml:3:9: route[0].proxy: say how to speak to it: http://127.0.0.1:3000, ws://127.0.0.1:3000, https://..., wss://... or unix:/run/app.sock",
            ),
            (
                "path = \"/a\"\ntcp = \"127.0.0.1\"",
                "openline.toml:3:7: route[0].tcp: a backend is a host and a port, 127.0.0.1:5900, or a Unix socket, unix:/run/app.sock",
            ),
            ("path = \"/a\"\nexec = \"./a 'b\"", "openline.toml:3:8: route[0].exec: a quote or a backslash has no end"),
            (
                "path = \"/a\"\nredirect = \"b\"",
                "openline.toml:3:12: route[0].redirect: \"b\" is no address to redirect to: use /path or https://host/path",
            ),
            (
                "path = \"/a\"\nrespond = \"b\"\nstatus = 99",
                "openline.toml:3:11: route[0].respond: 99 is no answer: use 200 to 599",
            ),
            (
                "path = \"/a\"\nrespond = \"b\"\nframes = \"lines\"",
                "openline.toml:4:10: route[0].frames: it is for exec, and this is respond",
            ),
            (
                "path = \"/a\"\nexec = \"cat\"\nframes = \"line\"",
                "openline.toml:4:10: route[0].frames: it is one of \"lines\", \"binary\" (did you mean \"lines\"?), and not \"line\"",
            ),
            (
                "path = \"/a\"\nexec = \"cat\"\nmax_programs = 0",
                "openline.toml:4:16: route[0].max_programs: it must be at least 1",
            ),
            ("path = \"/a\"\necho = true\nsubprotocols = [\"a b\"]", "openline.toml:4:16: route[0].subprotocols: "),
            (
                "path = \"/a\"\nproxy = \"http://a\"\nhealth_path = \"/\"",
                "openline.toml:3:9: route[0].proxy: health_path needs health_interval: how often to ask, as in \"10s\"",
            ),
            ("path = \"/a\"\necho = true\norigins = \"all\"", "openline.toml:4:11: route[0].origins: "),
        ] {
            let said = load(&format!("[[route]]\n{text}")).unwrap_err();
            assert!(said.starts_with(expected), "{text}\n{said}\n{expected}");
        }
    }

    /// Every key, with a value of no type that any has, and with a name that it does not have.
    #[test]
    fn every_key_has_its_type_and_its_spelling() {
        let keys = schema::SCHEMA["properties"]["route"]["items"]["properties"].as_object().unwrap();
        assert!(keys.len() > 40);
        for (key, schema) in keys {
            let said = load(&format!(
                "[[route]]\npath = \"/a\"\necho = true\n[[route]]\npath = \"/b\"\nrespond = \"\"\n{key} = 1979-05-27"
            ))
            .unwrap_err();
            let place = if matches!(&key[..], "path" | "respond") {
                "duplicate key".to_owned()
            } else {
                format!("route[1].{key}: ")
            };
            assert!(said.contains(&place) && said.contains("openline.toml:7:"), "{key}: {said}");
            let said = load(&format!("[[route]]\npath = \"/a\"\necho = true\n{key}s_ = 1")).unwrap_err();
            assert!(said.contains("openline.toml:4:1: there is no key"), "{key}: {said}");
            let described = schema["description"].as_str().unwrap_or_default();
            assert!(described.len() > 20 && described.ends_with('.'), "{key}: {described:?}");
        }
    }
}
