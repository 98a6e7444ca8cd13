//! A route's settings: where it is, what is there, and what differs there from the rest of the server.

use std::fmt;

use http::HeaderMap;
use openline::deflate::Deflate;
use openline::proto::handshake::{Host, Origin, Subprotocol};

use super::{App, Exec, Files, Proxy, Redirect, Respond, Tcp};
use crate::rates::RateOverrides;
use crate::rights::Who;

/// Something at a path.
///
/// ```
/// use openline_server::hosting::{Respond, Route, What};
///
/// let route = Route::new("/health", What::Respond(Respond::text("well")));
/// assert!(route.host.is_none() && route.max_lines.is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Route {
    /// Only for requests to this host, which the server then answers for; without, for any host that it answers for.
    pub host: Option<Host>,
    /// A path, of which segments may be templates: `/chat`, `/chat/{room}`, `/files/{*rest}`. Exact goes before template.
    ///
    /// Of [`What::Files`], [`What::Proxy`] and [`What::App`] it is the beginning: they have everything below it as well.
    pub path: String,
    /// What is there.
    pub what: What,
    /// Pages that may use it. Default: as for the rest of the server.
    pub origins: Origins,
    /// Who may come in; then whoever is behind is told who came. Default: nobody is asked, and whoever is answered at all may.
    /// Not for [`What::Channel`], of which the rights are the namespace's.
    pub allow: Option<Who>,
    /// Subprotocols to agree on, the first one that the client offers. Default none: none is agreed on, but that an echo
    /// takes the first one offered, a proxy leaves it to the other server, and `tcp` speaks its own.
    pub subprotocols: Vec<Subprotocol>,
    /// Limits, deadlines and keepalive of its lines. Default: those of the server.
    pub line: Option<openline::Config>,
    /// Compression of its lines.
    pub compression: Compression,
    /// Lines at once; over it 503. Default: as many as the server has connections.
    pub max_lines: Option<usize>,
    /// What anybody may do here in a time; of subscriptions only a channel has any. Default: as for the rest of the server.
    pub rates: RateOverrides,
    /// Fields that every answer gets, the 101 included, unless it has them.
    pub headers: HeaderMap,
}

impl Route {
    /// With everything as it is by default.
    pub fn new(path: impl Into<String>, what: What) -> Self {
        Self {
            host: None,
            path: path.into(),
            what,
            origins: Origins::default(),
            allow: None,
            subprotocols: Vec::new(),
            line: None,
            compression: Compression::default(),
            max_lines: None,
            rates: RateOverrides::default(),
            headers: HeaderMap::new(),
        }
    }
}

/// What is at a path.
#[derive(Clone, Debug)]
pub enum What {
    /// Every message comes back as it came.
    Echo,
    /// A channel, by any of its doors. The name may have the path's parameters in it: `room-{room}`.
    Channel(String),
    /// The files of a folder.
    Files(Files),
    /// Another address.
    Redirect(Redirect),
    /// An answer that is always the same.
    Respond(Respond),
    /// A program: what it prints the client gets, what the client sends it reads.
    Exec(Exec),
    /// Other servers, for plain HTTP and for lines.
    Proxy(Box<Proxy>),
    /// A TCP service, or one at a Unix socket, whose bytes are carried in messages.
    Tcp(Tcp),
    /// An application of this process, for plain HTTP and for lines.
    App(App),
}

impl Route {
    /// Whether a stranger would reach something that was not made for strangers.
    pub(crate) fn is_open_backend(&self) -> bool {
        self.what.is_backend() && matches!(self.allow, None | Some(Who::Anyone))
    }
}

impl What {
    /// Whether it was not made for strangers.
    fn is_backend(&self) -> bool {
        matches!(self, Self::Exec(_) | Self::Tcp(_) | Self::Proxy(_))
    }

    /// Whether it has everything below its path, too.
    pub(crate) fn is_tree(&self) -> bool {
        matches!(self, Self::Files(_) | Self::Proxy(_) | Self::App(_))
    }

    /// Whether any page may use it by plain HTTP, as pages use pictures and scripts of each other: what is there is the
    /// same for everyone.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self, Self::Files(_) | Self::Redirect(_) | Self::Respond(_))
    }

    /// As people call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Channel(_) => "channel",
            Self::Files(_) => "static",
            Self::Redirect(_) => "redirect",
            Self::Respond(_) => "respond",
            Self::Proxy(_) => "proxy",
            Self::Exec(_) => "exec",
            Self::Tcp(_) => "tcp",
            Self::App(_) => "app",
        }
    }
}

/// In a few words, for people.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Channel(name) => write!(f, "   {name}"),
            Self::Files(files) => write!(f, "    {}", files.folder.display()),
            Self::Proxy(proxy) => {
                let upstreams: Vec<_> = proxy.upstreams.iter().map(ToString::to_string).collect();
                write!(f, "     {}", upstreams.join(", "))
            }
            Self::Exec(exec) => write!(f, "      {}", exec.program.display()),
            Self::Tcp(tcp) => write!(f, "       {tcp}"),
            Self::Redirect(redirect) => write!(f, "  {}", redirect.to()),
            Self::Respond(_) | Self::Echo | Self::App(_) => Ok(()),
        }
    }
}

/// Pages that may use a route.
#[derive(Clone, Debug, Default)]
pub enum Origins {
    /// Those that may use the server: its own, and those of `Knock::origins`.
    #[default]
    AsServer,
    /// Its own, and these.
    These(Vec<Origin>),
    /// All.
    Any,
}

/// Compression of a route's lines.
#[derive(Clone, Debug, Default)]
pub enum Compression {
    /// As on the rest of the server.
    #[default]
    AsServer,
    /// None.
    Off,
    /// Like this, for those who offer it.
    On(Deflate),
}

impl Compression {
    /// What comes of it, where that of the level above is `above`.
    pub(crate) fn over(&self, above: &Option<Deflate>) -> Option<Deflate> {
        match self {
            Self::AsServer => above.clone(),
            Self::Off => None,
            Self::On(deflate) => Some(deflate.clone()),
        }
    }
}
