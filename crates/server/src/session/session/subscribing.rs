//! A session's subscriptions: how they begin, recover, expire and end.

use std::collections::BTreeMap;
use std::sync::Arc;

use openline_hub::{ChannelName, Epoch, Member, Position, Recovery, Subscribe, SubscribeError, Subscribed};
use serde_json::json;

use super::asking::{Ask, Found, Question, Ticket, granted};
use super::{Context, Fail, Renewal, Session, Stage, Sub, channel, seconds_until};
use crate::hooks::{self, Event};
use crate::identity::TokenError;
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
        match self.enter(&channel, admitted, Entry { server_side: true, ..Entry::default() }, context) {
            Ok((result, joined)) => {
                let subscribe = wire::Subscribe {
                    recoverable: result.recoverable,
                    epoch: result.epoch,
                    offset: result.offset,
                    positioned: result.positioned,
                    data: push::value(&data, self.encoding),
                };
                let name = channel.as_str().to_owned();
                self.push(Push { channel: name, subscribe: Some(subscribe), ..Push::default() });
                self.push_joined(&channel, joined);
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
    ) -> Result<(BTreeMap<String, wire::SubscribeResult>, Joined), Refused> {
        let (mut results, mut joined) = (BTreeMap::new(), Joined::new());
        for (name, admitted) in subs {
            let channel = channel(&name)?;
            let wanted = request.subs.get(&name);
            let recovers = wanted.is_some_and(|wanted| wanted.recover);
            let data = push::value(&admitted.data, self.encoding);
            let since = wanted.and_then(|wanted| since(wanted, &channel, context));
            let entry = Entry { server_side: true, recovers, ..Entry::default() };
            let (result, member) = self.enter(&channel, Admitted { since, ..admitted }, entry, context)?;
            results.insert(name, wire::SubscribeResult { data, ..result });
            joined.extend(member.map(|member| (channel, member)));
        }
        Ok((results, joined))
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
        if request.tf.is_some() {
            // Without it, the client would hear what it does not expect.
            return Err(Refused::NOT_AVAILABLE.because("filters by tags are not available").into());
        }
        let by_token = !request.token.is_empty();
        let admitted = match found {
            Some(Found::Hook(answer)) => Admitted::from_hook(&granted(answer)?),
            fetched if by_token => {
                match realm.tokens.subscription(&request.token, context.unix(), context.now) {
                    // Somebody else's, or for elsewhere: it opens nothing here.
                    Ok(token) if !token.is_for(&channel, &self.identity) => {
                        return Err(Refused::PERMISSION_DENIED.into());
                    }
                    Ok(token) => token.admitted,
                    Err(error) => return Err(not_opened(error, fetched.is_some())),
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
        let data = push::value(&admitted.data, self.encoding);
        let expire_at = admitted.expire_at;
        let since = since(request, &channel, context);
        let entry = Entry {
            by_token,
            asks_for_members: request.join_leave,
            recovers: request.recover,
            or_not_at_all: request.recover && request.flag & wire::REJECT_UNRECOVERED != 0,
            ..Entry::default()
        };
        if entry.or_not_at_all && !is_recoverable(&channel, since, context) {
            return Err(Refused::UNRECOVERABLE_POSITION.into()); // nobody hears of its coming and going
        }
        let (result, joined) = self.enter(&channel, Admitted { since, ..admitted }, entry, context)?;
        let renews = expire_at.filter(|_| entry.renewal(&channel, context) == Renewal::Client);
        let (expires, ttl) = (renews.is_some(), renews.map_or(0, |at| seconds_until(at, context)));
        let subscribe = Some(Box::new(wire::SubscribeResult { data, expires, ttl, ..result }));
        self.say(&Reply { subscribe, ..Reply::to(id) });
        self.push_joined(&channel, joined);
        Err(Fail::Later)
    }

    /// One's own coming, of which the others have heard from the hub.
    pub(super) fn push_joined(&mut self, channel: &ChannelName, member: Option<Arc<Member>>) {
        if let Some(member) = member {
            self.push(push::joined(channel, &member, self.encoding));
        }
    }

    /// Takes a place in a channel; with the member, if it is to hear of its own coming.
    fn enter(
        &mut self,
        channel: &ChannelName,
        admitted: Admitted,
        entry: Entry,
        context: Context<'_>,
    ) -> Result<(wire::SubscribeResult, Option<Arc<Member>>), Refused> {
        let settings = context.hub().settings(channel).ok_or(Refused::UNKNOWN_CHANNEL)?;
        if self.subs.len() >= context.realm.settings.max_channels {
            return Err(Refused::LIMIT_EXCEEDED);
        }
        let is_present = settings.presence && admitted.presence.unwrap_or(true);
        let hears_itself = context.channels.hears_itself(channel);
        let member = (is_present || !hears_itself).then(|| self.member(&admitted.info));
        let tells = || context.channels.tells_of_members(channel, entry.asks_for_members, &self.identity);
        let hears_members = settings.presence && admitted.join_leave.unwrap_or_else(tells);
        let tag = self.subs.vacant();
        let subscribe =
            Subscribe { tag: tag as u32, after: admitted.since, member: member.clone(), hears_itself, hears_members };
        let Subscribed { subscription, position, recovery } =
            context.hub().subscribe(channel, &self.outbox, subscribe, context.now).map_err(|error| match error {
                SubscribeError::UnknownNamespace => Refused::UNKNOWN_CHANNEL,
                error => Refused::LIMIT_EXCEEDED.because(error.to_string()),
            })?;
        let (recovered, publications) = match recovery {
            Recovery::Complete(missed) => (true, missed),
            Recovery::Live | Recovery::Gap(_) if entry.or_not_at_all => return Err(Refused::UNRECOVERABLE_POSITION),
            Recovery::Live | Recovery::Gap(_) => (false, Vec::new()),
        };
        let renewal = entry.renewal(channel, context);
        let due = admitted.expire_at.map(|at| renewal.due(context.at(at), context));
        self.subs.insert(Sub { subscription, server_side: entry.server_side, renewal, due });
        self.subs_due = [self.subs_due, due].into_iter().flatten().min();
        let recoverable = settings.history.count > 0;
        let result = wire::SubscribeResult {
            recoverable,
            positioned: recoverable,
            epoch: position.epoch.to_string(),
            offset: position.offset,
            was_recovering: entry.recovers,
            recovered: entry.recovers && recovered,
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
            Err(error) => return Err(not_opened(error, found.is_some())),
        };
        let expire_at = token.admitted.expire_at;
        if let Some(sub) = self.subs.get_mut(tag) {
            sub.due = expire_at.map(|at| sub.renewal.due(context.at(at), context));
        }
        self.note_due();
        let (expires, ttl) = (expire_at.is_some(), expire_at.map_or(0, |at| seconds_until(at, context)));
        Ok(Reply { sub_refresh: Some(wire::ExpiryResult { expires, ttl }), ..Reply::default() })
    }

    pub(super) fn tag(&self, channel: &ChannelName) -> Option<usize> {
        self.subs.iter().find(|(_, sub)| sub.subscription.channel() == channel).map(|(tag, _)| tag)
    }

    pub(super) fn end_subscription(&mut self, tag: usize, why: Option<Unsubscribed>) {
        let Some(sub) = self.subs.remove(tag) else { return };
        self.note_due();
        let channel = sub.subscription.channel().as_str().to_owned();
        drop(sub.subscription);
        let Some(Unsubscribed { code, reason }) = why else { return };
        if sub.server_side && code >= 2500 {
            // Its library subscribes to nothing that it did not ask for: to recover, it must connect again.
            let is_over = code == Unsubscribed::EXPIRED.code;
            let why = if is_over { Disconnect::SUBSCRIPTION_EXPIRED } else { Disconnect::INSUFFICIENT_STATE };
            return self.disconnect(why);
        }
        let unsubscribe = Some(wire::Unsubscribe { code, reason: reason.to_owned() });
        self.push(Push { channel, unsubscribe, ..Push::default() });
    }

    /// Ends what has expired, or asks whether it has.
    pub(super) fn expire_subscriptions(&mut self, context: Context<'_>) {
        let is_over = |sub: &Sub| sub.due.is_some_and(|at| at <= context.now);
        let over: Vec<usize> = self.subs.iter().filter(|(_, sub)| is_over(sub)).map(|(tag, _)| tag).collect();
        for tag in over {
            // The end of one may be the end of all.
            let Some(sub) = self.subs.get_mut(tag) else { return };
            if sub.renewal != Renewal::Backend {
                self.end_subscription(tag, Some(Unsubscribed::EXPIRED));
                continue;
            }
            sub.renewal = Renewal::Asked;
            sub.due = None;
            let channel = sub.subscription.channel().clone();
            let call = self.call(Event::SubRefresh, json!({ "channel": channel.as_str() }), None);
            self.questions.push_back(Question { ticket: Ticket::SubRefresh(channel), ask: Ask::Hook(call) });
        }
        self.note_due();
    }

    /// What a backend says about a subscription that would expire.
    pub(super) fn sub_refreshed(&mut self, channel: &ChannelName, found: Found, context: Context<'_>) {
        let (Some(tag), Found::Hook(answer)) = (self.tag(channel), found) else { return };
        // It may have ended meanwhile, and have begun again.
        let Some(sub) = self.subs.get_mut(tag).filter(|sub| sub.renewal == Renewal::Asked) else { return };
        sub.renewal = Renewal::Backend;
        match answer {
            hooks::Answer::Granted(granted) if !granted.is_over(context.unix()) => {
                sub.due = granted.expire_at().map(|at| context.at(at));
                self.note_due();
            }
            // The backend is away: it is asked again.
            hooks::Answer::Refused(refused) if refused == Refused::INTERNAL => {
                sub.due = Some(context.now + context.realm.settings.expiry_grace);
                self.note_due();
            }
            hooks::Answer::Disconnect(disconnect) => self.disconnect(disconnect),
            _ => self.end_subscription(tag, Some(Unsubscribed::EXPIRED)),
        }
    }

    fn note_due(&mut self) {
        self.subs_due = self.subs.iter().filter_map(|(_, sub)| sub.due).min();
    }
}

/// Where somebody has come that is to hear of its own coming, and as whom.
type Joined = Vec<(ChannelName, Arc<Member>)>;

/// How somebody comes to be in a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The client did not ask for it.
    server_side: bool,
    by_token: bool,
    asks_for_members: bool,
    recovers: bool,
    /// Where it cannot recover, it does not want to be.
    or_not_at_all: bool,
}

impl Entry {
    fn renewal(self, channel: &ChannelName, context: Context<'_>) -> Renewal {
        match () {
            () if context.realm.hooks.asks_about(Event::SubRefresh, channel) => Renewal::Backend,
            () if self.by_token => Renewal::Client,
            () => Renewal::Nobody,
        }
    }
}

/// Why a token does not open a channel. Its session is as good as before.
fn not_opened(error: TokenError, fetched: bool) -> Fail {
    match error {
        TokenError::UnknownKey if !fetched => Fail::Wait(Ask::Keys),
        TokenError::Expired => Refused::TOKEN_EXPIRED.into(),
        TokenError::Unavailable => Refused::INTERNAL.into(),
        TokenError::UnknownKey | TokenError::Invalid(_) => Refused::PERMISSION_DENIED.into(),
    }
}

/// What was seen last, if that can be a place at all; what cannot be recovered then is what has no place. Without an epoch it
/// is a place of whatever epoch there is.
fn since(request: &wire::SubscribeRequest, channel: &ChannelName, context: Context<'_>) -> Option<Position> {
    if !request.recover {
        return None;
    }
    let epoch: Epoch = match request.epoch.as_str() {
        "" => context.hub().history(channel, None, 0, context.now).ok()?.top.epoch,
        epoch => epoch.parse().ok()?,
    };
    Some(Position { epoch, offset: request.offset })
}

fn is_recoverable(channel: &ChannelName, since: Option<Position>, context: Context<'_>) -> bool {
    let window = since.map(|since| context.hub().history(channel, Some(since), 0, context.now));
    window.is_some_and(|window| window.is_ok_and(|window| window.gap.is_none()))
}
