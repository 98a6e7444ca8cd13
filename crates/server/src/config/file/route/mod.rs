//! `[[route]]`: what is at a path.

mod kinds;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::{HeaderMap, HeaderName, HeaderValue};
use openline::deflate::Deflate;
use openline::proto::handshake::Subprotocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use self::kinds::or;
use super::rates;
use crate::config::values::{Count, HostName, Memory, OneOrMany, PageOrigin, Size, Time, TimeOrOff, Whom};
use crate::hosting;

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
    /// Who may come in: `"anyone"`, `"known"` (whoever has a name, by a token of `[auth]`, a ticket or a client certificate), or a list
    /// of names. Nobody is asked. With it, the program or the server behind is told who came: `REMOTE_USER`, and `user_header`. What
    /// may be done with a `channel` its namespace says.
    allow: Option<Whom>,
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
    /// `proxy`, with `allow`: the field in which the other server is told who came. Whatever a client says in it is dropped. Names are
    /// percent-encoded but for visible ASCII. `X-Forwarded-User`.
    user_header: Option<String>,
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
        route.allow = self.allow.as_ref().map(|whom| whom.0.clone());
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
