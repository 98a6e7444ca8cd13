//! A session's subscriptions: how they begin, recover, expire and end.

use std::collections::BTreeMap;
use std::sync::Arc;

use openline_hub::{ChannelName, Epoch, Member, Position, Recovery, Subscribe, SubscribeError, Subscribed};
use serde_json::json;

use super::asking::{Ask, Found, granted};
use super::{Context, Fail, Session, Stage, Sub, channel, seconds_until};
use crate::hooks::Event;
use crate::rights::Act;
use crate::session::codes::{Disconnect, Refused, Unsubscribed};
use crate::session::push;
use crate::session::sessions::Admitted;
use crate::session::wire::{self, Push, Reply};

impl Session {
    pub(super) fn subscribed_by_server(&mut self, admitted: Admitted, context: Context<'_>) {
        let Some(channel) = admitted.channel.clone() else { return };
        if self.stage != Stage::Open || self.tag(&channel).is_some() {
            return;
        }
        let data = admitted.data.clone();
        match self.enter(&channel, admitted, true, false, context) {
            Ok((result, _)) => {
                let subscribe = wire::Subscribe {
                    recoverable: result.recoverable,
                    epoch: result.epoch,
                    offset: result.offset,
                    positioned: result.positioned,
                    data: push::value(&data, self.encoding),
                };
                let channel = channel.as_str().to_owned();
                self.push(Push { channel, subscribe: Some(subscribe), ..Push::default() });
            }
            Err(refused) => tracing::debug!(%channel, code = refused.code, "a backend's subscription did not begin"),
        }
    }

    /// Takes the places that it has from the beginning.
    pub(super) fn enter_all(
        &mut self,
        subs: BTreeMap<String, Admitted>,
        request: &wire::ConnectRequest,
        context: Context<'_>,
    ) -> Result<BTreeMap<String, wire::SubscribeResult>, Refused> {
        let mut results = BTreeMap::new();
        for (name, admitted) in subs {
            let channel = channel(&name)?;
            let wanted = request.subs.get(&name);
            let recovers = wanted.is_some_and(|wanted| wanted.recover);
            let data = push::value(&admitted.data, self.encoding);
            let admitted = Admitted { since: wanted.and_then(since), ..admitted };
            let (result, _) = self.enter(&channel, admitted, true, recovers, context)?;
            results.insert(name, wire::SubscribeResult { data, ..result });
        }
        Ok(results)
    }

    pub(super) fn subscribe(
        &mut self,
        id: u32,
        request: &wire::SubscribeRequest,
        found: Option<Found>,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        let realm = context.realm;
        let channel = channel(&request.channel)?;
        if self.tag(&channel).is_some() {
            return Err(Refused::ALREADY_SUBSCRIBED.into());
        }
        let admitted = match found {
            Some(Found::Hook(answer)) => {
                let granted = granted(answer)?;
                Admitted {
                    info: granted.info(),
                    data: granted.data(),
                    expire_at: granted.expire_at(),
                    presence: granted.overrides.presence(),
                    join_leave: granted.overrides.join_leave(),
                    ..Admitted::default()
                }
            }
            fetched if !request.token.is_empty() => {
                match realm.tokens.subscription(&request.token, context.unix(), context.now) {
                    // Somebody else's, or for elsewhere: it opens nothing here.
                    Ok(token) if !token.is_for(&channel, &self.identity) => {
                        return Err(Refused::PERMISSION_DENIED.into());
                    }
                    Ok(token) => token.admitted,
                    Err(error) => return Err(self.not_admitted(error, fetched.is_some())),
                }
            }
            _ if realm.hooks.asks_about(Event::Subscribe, &channel) && !channel.as_str().contains('#') => {
                let call = self.call(Event::Subscribe, json!({ "channel": channel.as_str() }), Some(&request.data));
                return Err(Fail::Wait(Ask::Hook(call)));
            }
            _ if context.channels.allows(Act::Subscribe, &channel, &self.identity) => Admitted::default(),
            _ if context.hub().settings(&channel).is_none() => return Err(Refused::UNKNOWN_CHANNEL.into()),
            _ => return Err(Refused::PERMISSION_DENIED.into()),
        };
        let may_see = admitted
            .join_leave
            .unwrap_or_else(|| request.join_leave && context.channels.allows(Act::Presence, &channel, &self.identity));
        let data = push::value(&admitted.data, self.encoding);
        let expire_at = admitted.expire_at;
        let admitted = Admitted { since: since(request), join_leave: Some(may_see), ..admitted };
        let (result, joined) = self.enter(&channel, admitted, false, request.recover, context)?;
        let (expires, ttl) = (expire_at.is_some(), expire_at.map_or(0, |at| seconds_until(at, context)));
        let subscribe = Some(Box::new(wire::SubscribeResult { data, expires, ttl, ..result }));
        self.say(&Reply { subscribe, ..Reply::to(id) });
        if let Some(member) = joined {
            // The others have heard it from the hub.
            self.push(push::joined(&channel, &member, self.encoding));
        }
        Err(Fail::Later)
    }

    /// Takes a place in a channel; with the member, if it is to hear of its own coming.
    fn enter(
        &mut self,
        channel: &ChannelName,
        admitted: Admitted,
        server_side: bool,
        recovers: bool,
        context: Context<'_>,
    ) -> Result<(wire::SubscribeResult, Option<Arc<Member>>), Refused> {
        let settings = context.hub().settings(channel).ok_or(Refused::UNKNOWN_CHANNEL)?;
        if self.subs.len() >= context.realm.settings.max_channels {
            return Err(Refused::LIMIT_EXCEEDED);
        }
        let is_present = settings.presence && admitted.presence.unwrap_or(true);
        let hears_itself = context.channels.hears_itself(channel);
        let member = (is_present || !hears_itself).then(|| self.member(&admitted.info));
        let hears_members = settings.presence && admitted.join_leave.unwrap_or(false);
        let tag = self.subs.vacant();
        let subscribe =
            Subscribe { tag: tag as u32, after: admitted.since, member: member.clone(), hears_itself, hears_members };
        let Subscribed { subscription, position, recovery } =
            context.hub().subscribe(channel, &self.outbox, subscribe, context.now).map_err(|error| match error {
                SubscribeError::UnknownNamespace => Refused::UNKNOWN_CHANNEL,
                error => Refused::LIMIT_EXCEEDED.because(error.to_string()),
            })?;
        let expires = admitted.expire_at.map(|at| context.at(at));
        self.subs.insert(Sub { subscription, server_side, expires });
        self.subs_expire = [self.subs_expire, expires].into_iter().flatten().min();
        let (recovered, publications) = match recovery {
            Recovery::Complete(missed) => (true, missed),
            Recovery::Live | Recovery::Gap(_) => (false, Vec::new()),
        };
        let recoverable = settings.history.count > 0;
        let result = wire::SubscribeResult {
            recoverable,
            positioned: recoverable,
            epoch: position.epoch.to_string(),
            offset: position.offset,
            was_recovering: recovers,
            recovered: recovers && recovered,
            publications: publications.iter().map(|one| push::written(one, self.encoding)).collect(),
            ..wire::SubscribeResult::default()
        };
        Ok((result, member.filter(|_| hears_members)))
    }

    pub(super) fn unsubscribe(&mut self, request: &wire::UnsubscribeRequest) -> Result<Reply, Fail> {
        let channel = channel(&request.channel)?;
        if let Some(tag) = self.tag(&channel) {
            self.end_subscription(tag, None);
        }
        Ok(Reply { unsubscribe: Some(wire::Empty {}), ..Reply::default() })
    }

    pub(super) fn sub_refresh(
        &mut self,
        request: &wire::SubRefreshRequest,
        found: Option<Found>,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        let channel = channel(&request.channel)?;
        let Some(tag) = self.tag(&channel) else { return Err(Refused::PERMISSION_DENIED.into()) };
        let token = match context.realm.tokens.subscription(&request.token, context.unix(), context.now) {
            Ok(token) if token.is_for(&channel, &self.identity) => token,
            Ok(_) => return Err(Refused::PERMISSION_DENIED.into()),
            Err(error) => return Err(self.not_admitted(error, found.is_some())),
        };
        let expire_at = token.admitted.expire_at;
        if let Some(sub) = self.subs.get_mut(tag) {
            sub.expires = expire_at.map(|at| context.at(at));
        }
        self.note_expiry();
        let (expires, ttl) = (expire_at.is_some(), expire_at.map_or(0, |at| seconds_until(at, context)));
        Ok(Reply { sub_refresh: Some(wire::ExpiryResult { expires, ttl }), ..Reply::default() })
    }

    pub(super) fn tag(&self, channel: &ChannelName) -> Option<usize> {
        self.subs.iter().find(|(_, sub)| sub.subscription.channel() == channel).map(|(tag, _)| tag)
    }

    pub(super) fn end_subscription(&mut self, tag: usize, why: Option<Unsubscribed>) {
        let Some(sub) = self.subs.remove(tag) else { return };
        self.note_expiry();
        let channel = sub.subscription.channel().as_str().to_owned();
        drop(sub.subscription);
        let Some(Unsubscribed { code, reason }) = why else { return };
        if sub.server_side && code >= 2500 {
            // Its library subscribes to nothing that it did not ask for: to recover, it must connect again.
            return self.disconnect(Disconnect::INSUFFICIENT_STATE);
        }
        let unsubscribe = Some(wire::Unsubscribe { code, reason: reason.to_owned() });
        self.push(Push { channel, unsubscribe, ..Push::default() });
    }

    fn note_expiry(&mut self) {
        self.subs_expire = self.subs.iter().filter_map(|(_, sub)| sub.expires).min();
    }
}

/// What was seen last, if that can be a place at all; what cannot be recovered then is what has no place.
fn since(request: &wire::SubscribeRequest) -> Option<Position> {
    let epoch: Epoch = request.epoch.parse().ok()?;
    request.recover.then_some(Position { epoch, offset: request.offset })
}
