//! Who a session is of, from its first command on, and for how long that holds.

use std::sync::Arc;

use serde_json::json;

use super::asking::{Ask, Found, granted};
use super::{Context, Fail, Ping, Renewal, Session, Stage, seconds_until};
use crate::hooks::{self, Call, Event};
use crate::identity::{Admission, Carried, TokenError};
use crate::session::codes::{Disconnect, Refused};
use crate::session::push;
use crate::session::wire::{self, Reply};

impl Session {
    /// What a backend says about a session that would expire.
    pub(super) fn refreshed(&mut self, found: Found, context: Context<'_>) {
        let Found::Hook(answer) = found else { return };
        match answer {
            hooks::Answer::Granted(granted) if !granted.is_over(context.unix()) => {
                self.expires = granted.expire_at().map(|at| context.at(at));
                let info = granted.info();
                if !info.is_empty() {
                    self.more().info = info;
                    self.member = None;
                }
            }
            // Nobody is thrown out because the backend is away: it is asked again.
            hooks::Answer::Refused(refused) if refused == Refused::INTERNAL => {
                self.expires = Some(context.now + context.realm.settings.expiry_grace);
            }
            hooks::Answer::Disconnect(disconnect) => self.disconnect(disconnect),
            _ => self.disconnect(Disconnect::EXPIRED),
        }
    }

    /// Who sees to it that it does not expire, if it does.
    pub(super) fn renewal(&self, context: Context<'_>) -> Renewal {
        match () {
            () if context.realm.hooks.has(Event::Refresh) => Renewal::Backend,
            () if self.more.as_deref().is_some_and(|more| more.hooked) => Renewal::Nobody,
            () => Renewal::Client,
        }
    }

    pub(super) fn connect(
        &mut self,
        id: u32,
        request: &wire::ConnectRequest,
        found: Option<Found>,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        let realm = context.realm;
        let admission = match found {
            Some(Found::Hook(answer)) => {
                let granted = granted(answer)?;
                self.more().hooked = true;
                realm.hooks.with_ticket(Admission::from_hook(&granted), context.unix())
            }
            fetched => {
                let resumed = realm.hooks.resumed(request, context.unix());
                let carried = self.more.as_deref().map(|more| &more.arrival.carried);
                // What is said last counts: a library that has a token sends it in its first message.
                let token = match carried {
                    _ if !request.token.is_empty() => Some(request.token.as_str()),
                    Some(Carried::Token(token)) => Some(token.as_str()),
                    _ => None,
                };
                if let Some(token) = token {
                    match realm.tokens.connection(token, context.unix(), context.now) {
                        Ok(admission) => admission,
                        Err(error) => return Err(self.not_admitted(error, fetched.is_some())),
                    }
                } else if let Some(resumed) = resumed {
                    self.more().hooked = true;
                    resumed
                } else if let Some(Carried::Admission(admission)) = carried {
                    (**admission).clone()
                } else if realm.hooks.has(Event::Connect) {
                    return Err(Fail::Wait(Ask::Hook(self.connect_call(request))));
                } else if realm.settings.anonymous {
                    Admission::default()
                } else {
                    return Err(Disconnect::PERMISSION_DENIED.into());
                }
            }
        };
        self.admit(id, request, admission, context)
    }

    fn connect_call(&self, request: &wire::ConnectRequest) -> Box<Call> {
        let mut fields = json!({});
        for (name, value) in [("name", &request.name), ("version", &request.version)] {
            if !value.is_empty() {
                fields[name] = value.as_str().into();
            }
        }
        if !request.subs.is_empty() {
            fields["channels"] = request.subs.keys().cloned().collect::<Vec<_>>().into();
        }
        let mut call = self.call(Event::Connect, fields, Some(&request.data));
        // What the client itself says its headers are: the allow-list of those is another one.
        call.emulated = request.headers.clone();
        call
    }

    pub(super) fn not_admitted(&self, error: TokenError, fetched: bool) -> Fail {
        match error {
            TokenError::UnknownKey if !fetched => Fail::Wait(Ask::Keys),
            TokenError::Expired => Refused::TOKEN_EXPIRED.into(),
            TokenError::Unavailable => Refused::INTERNAL.into(),
            TokenError::UnknownKey | TokenError::Invalid(_) => Disconnect::INVALID_TOKEN.into(),
        }
    }

    fn admit(
        &mut self,
        id: u32,
        request: &wire::ConnectRequest,
        admission: Admission,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        let realm = context.realm;
        let Admission { identity, info, meta, data, expire_at, mut subs } = admission;
        self.identity = identity;
        if !info.is_empty() || !meta.is_empty() {
            let more = self.more();
            (more.info, more.meta) = (info, meta);
        }
        if let (Some(namespace), Some(user)) = (&realm.settings.personal_namespace, self.identity.user()) {
            let colon = if namespace.is_empty() { "" } else { ":" };
            subs.entry(format!("{namespace}{colon}#{user}")).or_default();
        }
        let (results, joined) = match self.enter_all(subs, request, context) {
            Ok(entered) => entered,
            // It is in altogether, or not at all.
            Err(refused) => {
                self.subs.clear();
                return Err(refused.into());
            }
        };
        self.stage = Stage::Open;
        realm.sessions.enter(self.client, self.identity.user().map(Arc::from), self.mailbox.clone());
        let interval = realm.settings.ping_interval;
        // From half an interval on, so that those who came together are not pinged together.
        self.ping = Ping::Next(context.now + interval / 2 + interval * self.client.spread() / 512);
        self.expires = expire_at.map(|at| context.at(at));
        let renews = expire_at.filter(|_| self.renewal(context) == Renewal::Client);
        self.say(&Reply {
            connect: Some(Box::new(wire::ConnectResult {
                client: self.client.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                expires: renews.is_some(),
                ttl: renews.map_or(0, |at| seconds_until(at, context)),
                data: push::value(&data, self.encoding),
                subs: results,
                ping: interval.as_secs().max(1) as u32,
                pong: !self.transport.is_emulated(),
                session: self.secret.map_or_else(String::new, |secret| secret.to_string()),
                node: self.secret.map_or_else(String::new, |_| realm.sessions.node.to_string()),
            })),
            ..Reply::to(id)
        });
        for (channel, member) in joined {
            self.push_joined(&channel, Some(member));
        }
        Err(Fail::Later)
    }

    pub(super) fn refresh(
        &mut self,
        request: &wire::RefreshRequest,
        found: Option<Found>,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        let admission = match context.realm.tokens.connection(&request.token, context.unix(), context.now) {
            Ok(admission) => admission,
            Err(error) => return Err(self.not_admitted(error, found.is_some())),
        };
        if admission.identity != self.identity {
            return Err(Disconnect::INVALID_TOKEN.into());
        }
        self.expires = admission.expire_at.map(|at| context.at(at));
        if let Some(more) = &mut self.more {
            more.hooked = false; // from now on its tokens say how long it may stay
        }
        let renews = admission.expire_at.filter(|_| self.renewal(context) == Renewal::Client);
        Ok(Reply {
            refresh: Some(wire::RefreshResult {
                client: self.client.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                expires: renews.is_some(),
                ttl: renews.map_or(0, |at| seconds_until(at, context)),
            }),
            ..Reply::default()
        })
    }
}
