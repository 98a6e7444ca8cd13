//! What is at a path.

use http::{Request, Uri};
use openline::proto::handshake::Host;

use crate::demo::page::Asset;
use crate::demo::{self, Socket};
use crate::doors::{Target, TargetError};
use crate::hosting::{Found, Table};
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
    /// What is not ours: files, programs, services, other servers.
    Hosted,
}

/// What there is: the demo, or what the configuration says.
#[derive(Debug)]
pub(crate) struct Routes {
    table: Table,
    is_demo: bool,
}

impl Routes {
    pub(crate) fn new(table: Table, is_demo: bool) -> Self {
        Self { table, is_demo }
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// The route that a request's host and path, which is in its normal form, lead to.
    pub(crate) fn find<B>(&self, request: &Request<B>, path: &str) -> Option<Found> {
        let host = if self.table.asks_for_host() { host_of(request) } else { None };
        self.table.find(host.as_ref().map(Host::name), path)
    }

    /// What is at `path`, which is `uri`'s in its normal form. Exactly there: `/test/` is somewhere else.
    ///
    /// Routes go before what is ours, but that a folder's files do not hide it.
    pub(crate) fn at(&self, found: Option<&Found>, path: &str, uri: &Uri) -> Option<Result<Endpoint, TargetError>> {
        let own = || self.own(path, uri);
        let Some(Found { place, parameters }) = found else { return own() };
        if place.has_files()
            && let Some(own) = own()
        {
            return Some(own);
        }
        Some(match place.channel(parameters) {
            Some(name) => Target::named(&name, uri).map(Endpoint::Channels),
            None => Ok(Endpoint::Hosted),
        })
    }

    /// What is ours.
    fn own(&self, path: &str, uri: &Uri) -> Option<Result<Endpoint, TargetError>> {
        // With routes and without a file nobody said whose the channels are.
        if self.is_demo && !self.table.is_empty() {
            return None;
        }
        if let Some(target) = Target::of(path, uri) {
            return Some(target.map(Endpoint::Channels));
        }
        match path {
            "/connection/websocket" => return Some(Ok(Endpoint::Session(Transport::WebSocket))),
            "/connection/http_stream" => return Some(Ok(Endpoint::Session(Transport::HttpStream))),
            "/connection/sse" => return Some(Ok(Endpoint::Session(Transport::Sse))),
            "/emulation" => return Some(Ok(Endpoint::Beside)),
            "/api" => return Some(Ok(Endpoint::Api("".into()))),
            _ => {}
        }
        if let Some(method) = path.strip_prefix("/api/") {
            return Some(Ok(Endpoint::Api(method.into())));
        }
        if !self.is_demo {
            return None;
        }
        let endpoint = Socket::at(path).map(Endpoint::Demo).or_else(|| Asset::at(path).map(Endpoint::Page));
        endpoint.map(Ok)
    }

    /// What a 404 says there is instead.
    pub(crate) fn overview(&self) -> &'static str {
        match (self.table.is_empty(), self.is_demo) {
            (true, true) => demo::OVERVIEW,
            (true, false) => "There are channels at /c/NAME.",
            (false, _) => "",
        }
    }
}

/// RFC 9112 §3.2.2: an absolute target's host counts, whatever the Host header says.
pub(crate) fn host_of<B>(request: &Request<B>) -> Option<Host> {
    let named = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => request.headers().get(http::header::HOST)?.to_str().ok()?,
    };
    Host::parse(named).ok()
}
