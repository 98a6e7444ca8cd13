//! What is at a path.

use http::Uri;

use crate::demo::Socket;
use crate::demo::page::Asset;
use crate::doors::{Target, TargetError};
use crate::session::Transport;

/// What answers a request.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// A file of the start page.
    Page(&'static Asset),
    /// A WebSocket of the demo.
    Demo(Socket),
    /// Channels, by any of their doors.
    Channels(Target),
    /// A session, by what carries it.
    Session(Transport),
    /// Commands for a session that is carried by a stream.
    Beside,
    /// The API, with the method that is called; empty: the body names it.
    Api(Box<str>),
}

impl Endpoint {
    /// What is at `path`, which is `uri`'s in its normal form. Exactly there: `/test/` is somewhere else.
    pub(crate) fn at(path: &str, uri: &Uri, demo: bool) -> Option<Result<Self, TargetError>> {
        if let Some(target) = Target::of(path, uri) {
            return Some(target.map(Self::Channels));
        }
        match path {
            "/connection/websocket" => return Some(Ok(Self::Session(Transport::WebSocket))),
            "/connection/http_stream" => return Some(Ok(Self::Session(Transport::HttpStream))),
            "/connection/sse" => return Some(Ok(Self::Session(Transport::Sse))),
            "/emulation" => return Some(Ok(Self::Beside)),
            "/api" => return Some(Ok(Self::Api("".into()))),
            _ => {}
        }
        if let Some(method) = path.strip_prefix("/api/") {
            return Some(Ok(Self::Api(method.into())));
        }
        if !demo {
            return None;
        }
        let endpoint = Socket::at(path).map(Self::Demo).or_else(|| Asset::at(path).map(Self::Page));
        endpoint.map(Ok)
    }
}
