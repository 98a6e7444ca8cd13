//! What is at a path.

use http::Uri;

use crate::demo::Socket;
use crate::demo::page::Asset;
use crate::doors::{Target, TargetError};

/// What answers a request.
#[derive(Clone, Debug)]
pub(crate) enum Endpoint {
    /// A file of the start page.
    Page(&'static Asset),
    /// A WebSocket of the demo.
    Demo(Socket),
    /// Channels, by any of their doors.
    Channels(Target),
}

impl Endpoint {
    /// What is at `path`, which is `uri`'s in its normal form. Exactly there: `/test/` is somewhere else.
    pub(crate) fn at(path: &str, uri: &Uri, demo: bool) -> Option<Result<Self, TargetError>> {
        if let Some(target) = Target::of(path, uri) {
            return Some(target.map(Self::Channels));
        }
        if !demo {
            return None;
        }
        let endpoint = Socket::at(path).map(Self::Demo).or_else(|| Asset::at(path).map(Self::Page));
        endpoint.map(Ok)
    }
}
