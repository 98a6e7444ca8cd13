//! A place: a route as it runs, with what its lines share.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderName};
use openline::deflate::Deflate;
use openline::proto::handshake::{Host, Subprotocol};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::app::App;
use super::exec::{Groups, Programs};
use super::files::Folder;
use super::proxy::{self, Pool};
use super::redirect::Redirect;
use super::respond::Respond;
use super::route::{Origins, Route, What};
use super::table::show;
use super::tcp::Tcp;
use crate::config::Config;
use crate::knock::Knock;
use crate::rates::Level;
use crate::rights::Who;

/// A route as it runs.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its template, as it was written.
    path: Box<str>,
    /// Behind its host's name, if it has one.
    name: Arc<str>,
    /// As people know it, for the log.
    pub(super) shown: Box<str>,
    /// Its template in normal form.
    pub(super) template: Box<str>,
    pub(super) here: Here,
    knock: Knock,
    is_public: bool,
    /// Who may come in, where that is asked.
    pub(super) allow: Option<Who>,
    pub(super) subprotocols: Vec<Subprotocol>,
    pub(crate) line: Arc<openline::Config>,
    pub(crate) deflate: Option<Deflate>,
    /// What anybody may do here in a time, where it is otherwise.
    pub(crate) rates: Option<Arc<Level>>,
    /// Which pages may use it, it says itself.
    pub(crate) has_own_origins: bool,
    slots: Option<Arc<Semaphore>>,
    headers: HeaderMap,
}

/// What is there.
#[derive(Debug)]
pub(super) enum Here {
    Echo,
    Channel(Box<str>),
    Files(Box<Folder>),
    Redirect(Redirect),
    Respond(Respond),
    Exec(Arc<Programs>),
    Tcp(Tcp),
    Proxy(Arc<Pool>),
    App(App),
}

/// What places have from the server.
pub(super) struct Server<'a> {
    config: &'a Config,
    line: Arc<openline::Config>,
    groups: Arc<Groups>,
}

impl<'a> Server<'a> {
    pub(super) fn of(config: &'a Config, groups: Arc<Groups>) -> Self {
        Self { config, line: Arc::new(config.line.clone()), groups }
    }

    /// Of the programs that run.
    pub(super) fn groups(&self) -> Arc<Groups> {
        self.groups.clone()
    }
}

/// A place that a request leads to, and the parameters in its path, percent-encoded as they came.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) place: Arc<Place>,
    pub(crate) parameters: Vec<(Box<str>, Box<str>)>,
}

impl Place {
    pub(super) fn open(route: &Route, template: &str, server: &Server<'_>) -> Result<Self, String> {
        let config = server.config;
        if matches!(route.allow, Some(Who::Known | Who::Users(_))) && !knows_anybody(config) {
            return Err("nobody has a name here, so nobody could come in: say which tokens are believed (in [auth]), give backends keys to \
                        make tickets with (api.keys), or ask for client certificates (tls.client_ca)"
                .to_owned());
        }
        let host = route.host.as_ref().and_then(|own| config.hosts.iter().find(|host| host.name.name() == own.name()));
        let own = route.line.as_ref().or(host.and_then(|host| host.line.as_ref()));
        let mut line = own.map_or_else(|| server.line.clone(), |line| Arc::new(line.clone()));
        let here = match &route.what {
            What::Echo => Here::Echo,
            What::Channel(name) => Here::Channel(name.as_str().into()),
            What::Files(files) => Here::Files(Box::new(Folder::open(files, template)?)),
            What::Redirect(redirect) => Here::Redirect(redirect.clone()),
            What::Respond(respond) => Here::Respond(respond.clone()),
            What::Exec(exec) => Here::Exec(Programs::open(exec, show(route), &line, server)?),
            What::Proxy(proxy) => {
                let pool = Pool::open(proxy, &line, server.groups.endings().clone())?;
                line = Arc::new(proxy::relayed(&line));
                Here::Proxy(Arc::new(pool))
            }
            What::App(app) => Here::App(app.clone()),
            What::Tcp(tcp) => Here::Tcp(tcp.clone().checked()?),
        };
        let mut knock = config.knock.clone();
        knock.hosts.extend(route.host.clone());
        match &route.origins {
            Origins::AsServer => {}
            Origins::These(origins) => knock.origins.clone_from(origins),
            Origins::Any => knock.any_origin = true,
        }
        Ok(Self {
            path: route.path.as_str().into(),
            name: format!("{}{}", route.host.as_ref().map_or("", Host::name), route.path).into(),
            shown: show(route).into(),
            template: template.into(),
            here,
            knock,
            is_public: route.what.is_public() && route.allow.is_none(),
            allow: route.allow.clone(),
            subprotocols: route.subprotocols.clone(),
            line,
            deflate: route
                .compression
                .over(&host.map_or_else(|| config.deflate.clone(), |host| host.compression.over(&config.deflate))),
            rates: Level::of(&route.rates),
            has_own_origins: !matches!(route.origins, Origins::AsServer),
            slots: route.max_lines.map(|lines| Arc::new(Semaphore::new(lines.min(Semaphore::MAX_PERMITS)))),
            headers: route.headers.clone(),
        })
    }

    /// Its template, as it was written.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// What its lines are counted by.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Who may knock here.
    pub(crate) fn knock(&self) -> &Knock {
        &self.knock
    }

    /// Whether any page may use it by plain HTTP.
    pub(crate) fn is_public(&self) -> bool {
        self.is_public
    }

    /// Whether it has a folder's files, whatever their names.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self.here, Here::Files(_))
    }

    /// The channel that a request's parameters name, percent-encoded.
    pub(crate) fn channel(&self, parameters: &[(Box<str>, Box<str>)]) -> Option<String> {
        let Here::Channel(template) = &self.here else { return None };
        let mut name = String::new();
        let mut rest: &str = template;
        while let Some((before, after)) = rest.split_once('{') {
            name.push_str(before);
            let (parameter, after) = after.split_once('}')?;
            name.push_str(&parameters.iter().find(|(name, _)| **name == *parameter)?.1);
            rest = after;
        }
        name.push_str(rest);
        Some(name)
    }

    /// The field in which a server behind is told who came.
    pub(super) fn user_header(&self) -> Option<&HeaderName> {
        self.pool().map(|pool| &pool.user_header)
    }

    /// The servers behind, if there are any.
    pub(super) fn pool(&self) -> Option<&Arc<Pool>> {
        match &self.here {
            Here::Proxy(pool) => Some(pool),
            _ => None,
        }
    }

    /// Room for one more line: `Err`, there is none; `Ok(None)`, nobody counts.
    pub(super) fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, ()> {
        match &self.slots {
            None => Ok(None),
            Some(slots) => slots.clone().try_acquire_owned().map(Some).map_err(drop),
        }
    }

    /// Adds the route's own fields to an answer.
    pub(crate) fn decorate(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            if !headers.contains_key(name) {
                headers.insert(name, value.clone());
            }
        }
    }
}

/// Whether there is any way for somebody to have a name.
fn knows_anybody(config: &Config) -> bool {
    let has_certificates = config.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let believes_tokens = !config.tokens.keys.is_empty() || config.tokens.jwks.is_some();
    has_certificates || believes_tokens || !config.api_keys.is_empty()
}
