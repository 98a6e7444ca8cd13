//! What is otherwise at some hosts than on the rest of the server.

use std::collections::HashMap;
use std::sync::Arc;

use http::Request;
use openline::deflate::Deflate;
use openline::proto::handshake::{Host, Origin};

use crate::config::Config;
use crate::hosting::Compression;
use crate::knock::Knock;
use crate::rates::{Level, RateOverrides};
use crate::routes::host_of;
use crate::session;

/// A host, and what is otherwise there. The server answers for it.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Its name.
    pub name: Host,
    /// Pages that may use it, beside its own. Default: those that may use the server.
    pub origins: Option<Vec<Origin>>,
    /// Limits, deadlines and keepalive of its lines. Default: those of the server.
    pub line: Option<openline::Config>,
    /// Compression of its lines. Default: as on the server.
    pub compression: Compression,
    /// What anybody may do there in a time. Default: as on the server.
    pub rates: RateOverrides,
}

impl HostSettings {
    /// Everything as on the rest of the server.
    pub fn new(name: Host) -> Self {
        Self { name, origins: None, line: None, compression: Compression::default(), rates: RateOverrides::default() }
    }
}

/// The hosts at which something is otherwise, by their names.
#[derive(Debug, Default)]
pub(crate) struct Hosts(HashMap<Box<str>, Arc<HostPlace>>);

/// A host as it runs.
#[derive(Debug)]
pub(crate) struct HostPlace {
    /// Who may knock.
    pub(crate) knock: Knock,
    pub(crate) line: Arc<openline::Config>,
    /// The same for sessions.
    pub(crate) session_line: Arc<openline::Config>,
    pub(crate) deflate: Option<Deflate>,
    pub(crate) rates: Option<Arc<Level>>,
}

impl Hosts {
    /// `knock`: the server's, with all its hosts.
    pub(crate) fn open(config: &Config, knock: &Knock) -> Self {
        let place = |settings: &HostSettings| {
            let line = settings.line.as_ref().unwrap_or(&config.line);
            let mut knock = knock.clone();
            if let Some(origins) = &settings.origins {
                knock.origins.clone_from(origins);
            }
            HostPlace {
                knock,
                session_line: Arc::new(session::line(line)),
                line: Arc::new(line.clone()),
                deflate: settings.compression.over(&config.deflate),
                rates: Level::of(&settings.rates),
            }
        };
        let places = config.hosts.iter().map(|host| (host.name.name().into(), Arc::new(place(host))));
        Self(places.collect())
    }

    /// The host that a request is for, if anything is otherwise there.
    pub(crate) fn of<B>(&self, request: &Request<B>) -> Option<Arc<HostPlace>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(host_of(request)?.name()).cloned()
    }
}
