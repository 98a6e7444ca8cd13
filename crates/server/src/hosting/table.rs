//! The route table: which place a host and a path lead to.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use matchit::Router;
use tokio_util::sync::CancellationToken;

use super::exec::Groups;
use super::place::{Found, Place, Server};
use super::route::{Route, What};
use super::template::{self, InvalidTemplate};
use crate::config::Config;

/// All places of a server.
#[derive(Debug, Default)]
pub(crate) struct Table {
    places: Vec<Arc<Place>>,
    /// By a host's name, in lower case.
    hosts: HashMap<Box<str>, Paths>,
    /// For every other host.
    any: Paths,
    /// Of the programs that run.
    groups: Arc<Groups>,
}

/// By path; the values are indexes into `places`.
#[derive(Debug, Default)]
struct Paths(Router<usize>);

impl Table {
    /// Opens every route of the configuration.
    pub(crate) fn open(config: &Config) -> Result<Self, RouteError> {
        let mut table = Self::default();
        let server = Server::of(config, table.groups.clone());
        for route in &config.routes {
            let shown = show(route);
            let path = template::parse(&route.path);
            let path = path.map_err(|error| RouteError::Template { route: shown.clone(), error })?;
            if let What::Channel(name) = &route.what
                && let Some(missing) = parameters(name).find(|name| template::names(&path).all(|own| own != *name))
            {
                return Err(RouteError::Parameter { route: shown, name: missing.to_owned() });
            }
            if let What::Tcp(tcp) = &route.what
                && let Some(missing) = tcp.parameter().filter(|name| template::names(&path).all(|own| own != *name))
            {
                return Err(RouteError::Parameter { route: shown, name: missing.to_owned() });
            }
            let index = table.places.len();
            let paths = match &route.host {
                Some(host) => table.hosts.entry(host.name().into()).or_default(),
                None => &mut table.any,
            };
            for path in spread(&path, route.what.is_tree()) {
                if let Err(error) = paths.0.insert(path.clone(), index) {
                    let other = other(&error, paths, &path).and_then(|index| config.routes.get(index)).map(show);
                    return Err(RouteError::Conflict { route: shown, other });
                }
            }
            let place = Place::open(route, &path, &server);
            let place = place.map_err(|reason| RouteError::Unusable { route: shown, reason })?;
            table.places.push(Arc::new(place));
        }
        Ok(table)
    }

    /// Whether there is any route: without, the server is the demo.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Of the programs that run.
    pub(crate) fn programs(&self) -> &Arc<Groups> {
        &self.groups
    }

    /// Asks the servers behind how they are, where that is wanted, until then.
    pub(crate) fn watch(&self, until: &CancellationToken) {
        for pool in self.places.iter().filter_map(|place| place.pool()) {
            tokio::spawn(pool.clone().watch(until.clone()));
        }
    }

    /// Whether routes differ by host.
    pub(crate) fn asks_for_host(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// What is at a host's path, which is in its normal form. What the host itself has goes before what all have.
    pub(crate) fn find(&self, host: Option<&str>, path: &str) -> Option<Found> {
        let own = host.and_then(|host| self.hosts.get(host)).and_then(|paths| self.find_in(paths, path));
        own.or_else(|| self.find_in(&self.any, path))
    }

    fn find_in(&self, paths: &Paths, path: &str) -> Option<Found> {
        let found = paths.0.at(path).ok()?;
        let parameters = found.params.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Some(Found { place: self.places.get(*found.value)?.clone(), parameters })
    }
}

/// The templates that a route takes: its own, and for a tree everything below it.
fn spread(path: &str, is_tree: bool) -> Vec<String> {
    if !is_tree || path.contains("{*") {
        return vec![path.to_owned()];
    }
    let root = path.trim_end_matches('/');
    let mut all = vec![format!("{root}/"), format!("{root}/{{*{REST}}}")];
    if !root.is_empty() {
        all.push(root.to_owned());
    }
    all
}

/// No name that a template can have.
pub(super) const REST: &str = "-";

/// `{room}` in a channel's name.
pub(super) fn parameters(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

/// Whose path it is that is in the way.
fn other(error: &matchit::InsertError, paths: &Paths, path: &str) -> Option<usize> {
    let with = match error {
        matchit::InsertError::Conflict { with } => with.as_str(),
        _ => path,
    };
    // Any path that fits the other's template leads to it.
    let sample = with.replace(['{', '}', '*'], "x");
    paths.0.at(&sample).ok().map(|found| *found.value)
}

/// `chat.example/chat/{room} (echo)`.
pub(super) fn show(route: &Route) -> String {
    let host = route.host.as_ref().map_or("", |host| host.name());
    format!("{host}{} ({})", route.path, route.what.name())
}

/// A route that cannot be. `Display` says which, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteError {
    /// Its path is none.
    Template {
        /// Its path, and what is there.
        route: String,
        /// What is wrong with it.
        error: InvalidTemplate,
    },
    /// Two routes answer the same path.
    Conflict {
        /// The later one.
        route: String,
        /// The earlier one.
        other: Option<String>,
    },
    /// It refers to a parameter that its path does not have.
    Parameter {
        /// Its path, and what is there.
        route: String,
        /// The parameter's name.
        name: String,
    },
    /// What is to be there cannot be used.
    Unusable {
        /// Its path, and what is there.
        route: String,
        /// Why, and what to do.
        reason: String,
    },
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template { route, error } => write!(f, "the route {route}: {error}"),
            Self::Conflict { route, other: Some(other) } => {
                write!(f, "the routes {other} and {route} answer the same paths: change the path of one of them")
            }
            Self::Conflict { route, other: None } => {
                write!(f, "the route {route} answers the same paths as one before it: change its path")
            }
            Self::Parameter { route, name } => {
                write!(f, "the route {route} refers to {{{name}}}, which its path does not have: add it to the path")
            }
            Self::Unusable { route, reason } => write!(f, "the route {route}: {reason}"),
        }
    }
}

impl std::error::Error for RouteError {}

#[cfg(test)]
mod tests {
    use openline::proto::handshake::Host;

    use super::*;
    use crate::hosting::{Files, Respond};

    fn respond(path: &str, text: &str) -> Route {
        Route::new(path, What::Respond(Respond::text(text)))
    }

    fn table(routes: Vec<Route>) -> Result<Table, RouteError> {
        Table::open(&Config { routes, ..Config::default() })
    }

    /// The template that answers, and the parameters.
    fn find(table: &Table, host: Option<&str>, path: &str) -> Option<String> {
        let found = table.find(host, path)?;
        let parameters: Vec<_> = found.parameters.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        Some(format!("{}{}", found.place.path(), parameters.concat()))
    }

    #[test]
    fn exact_goes_before_template_and_template_before_rest() {
        let routes = ["/chat/{room}", "/chat/lobby", "/{*rest}", "/a/{b}/c/{d}", "/"].map(|path| respond(path, ""));
        let table = table(routes.into()).unwrap();
        for (path, expected) in [
            ("/", "/"),
            ("/chat/lobby", "/chat/lobby"),
            ("/chat/x", "/chat/{room} room=x"),
            ("/chat/x%2Fy", "/chat/{room} room=x%2Fy"),
            ("/chat/x/y", "/{*rest} rest=chat/x/y"),
            ("/chat", "/{*rest} rest=chat"),
            ("/a/1/c/2", "/a/{b}/c/{d} b=1 d=2"),
            ("/a/1/c", "/{*rest} rest=a/1/c"),
        ] {
            assert_eq!(find(&table, None, path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_tree_has_everything_below_it() {
        let folder = Files::new(env!("CARGO_MANIFEST_DIR"));
        let table = table(vec![Route::new("/docs", What::Files(folder)), respond("/docs/exact", "")]).unwrap();
        for (path, expected) in [
            ("/docs", Some("/docs")),
            ("/docs/", Some("/docs")),
            ("/docs/a", Some("/docs -=a")),
            ("/docs/a/b", Some("/docs -=a/b")),
            ("/docs/exact", Some("/docs/exact")),
            ("/docsy", None),
            ("/", None),
        ] {
            assert_eq!(find(&table, None, path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_host_has_its_own_and_what_all_have() {
        let own = Route { host: Some(Host::parse("A.example").unwrap()), ..respond("/{own}", "") };
        let table = table(vec![own, respond("/all", ""), respond("/{all}", "")]).unwrap();
        assert_eq!(find(&table, Some("a.example"), "/x").as_deref(), Some("/{own} own=x"));
        assert_eq!(find(&table, Some("b.example"), "/x").as_deref(), Some("/{all} all=x"));
        assert_eq!(find(&table, None, "/all").as_deref(), Some("/all"));
    }

    #[test]
    fn routes_in_conflict_are_both_named() {
        for (first, second) in [
            ("/a", "/a"),
            ("/a", "/%61"),
            ("/{x}", "/{y}"),
            ("/a/{x}", "/a/{*rest}"),
            ("/a/{x}/b", "/a/{y}/b"),
            ("/{*rest}", "/{x}"),
        ] {
            let error = table(vec![respond(first, ""), respond(second, "")]).unwrap_err();
            let (route, other) = (format!("{second} (respond)"), Some(format!("{first} (respond)")));
            assert_eq!(error, RouteError::Conflict { route, other }, "{first} {second}");
        }
        let host = |name| Route { host: Some(Host::parse(name).unwrap()), ..respond("/a", "") };
        assert!(table(vec![host("a.example"), host("b.example"), respond("/a", "")]).is_ok());
        assert!(table(vec![host("a.example"), host("A.Example")]).is_err());
    }

    #[test]
    fn a_channel_is_named_by_parameters_of_its_path() {
        let channel = |path: &str, name: &str| table(vec![Route::new(path, What::Channel(name.into()))]);
        assert!(channel("/rooms/{room}", "room-{room}").is_ok());
        assert!(channel("/rooms", "lobby").is_ok());
        let error = channel("/rooms/{room}", "room-{name}").unwrap_err();
        assert_eq!(error, RouteError::Parameter { route: "/rooms/{room} (channel)".into(), name: "name".into() });
    }
}
