//! What a session does with channels that it need not be subscribed to: publish, and read what was and who is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use openline_hub::{ChannelName, Draft, Format, Member, Position, Publication, PublishError, ReadError, Tags};
use serde_json::json;

use super::asking::{Ask, Found, granted};
use super::{Context, Fail, Session, channel};
use crate::doors::encoded::Encoded;
use crate::hooks::Event;
use crate::rights::Act;
use crate::session::codes::Refused;
use crate::session::push;
use crate::session::wire::{self, Encoding, Reply};

impl Session {
    pub(super) fn publish(
        &mut self,
        request: &wire::PublishRequest,
        found: Option<Found>,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        let channel = channel(&request.channel)?;
        if request.data.is_empty() {
            return Err(Refused::BAD_REQUEST.into());
        }
        let (mut data, mut tags, mut key) = (request.data.clone(), None, String::new());
        match found {
            Some(Found::Hook(answer)) => {
                let granted = granted(answer)?;
                if granted.skip_history {
                    return Err(Refused::NOT_AVAILABLE.into());
                }
                let instead = granted.data();
                data = if instead.is_empty() { data } else { instead };
                tags = tags_of(&granted.tags);
                key = granted.idempotency_key;
            }
            _ if context.realm.hooks.asks_about(Event::Publish, &channel) => {
                // Nobody is asked about a channel that is another one's.
                if !context.channels.is_within(&channel, &self.identity) {
                    return Err(Refused::PERMISSION_DENIED.into());
                }
                let call = self.call(Event::Publish, json!({ "channel": channel.as_str() }), Some(&data));
                return Err(Fail::Wait(Ask::Hook(call)));
            }
            _ if context.channels.allows(Act::Publish, &channel, &self.identity) => {}
            _ if context.hub().settings(&channel).is_none() => return Err(Refused::UNKNOWN_CHANNEL.into()),
            _ => return Err(Refused::PERMISSION_DENIED.into()),
        }
        let publisher = self.member(&Bytes::new());
        let format = match self.encoding {
            Encoding::Json => Format::Json,
            Encoding::Protobuf => push::format_of(&data),
        };
        let draft = Draft {
            publisher: Some(publisher),
            unix_ms: context.unix_ms,
            tags,
            idempotency_key: (!key.is_empty()).then_some(key.as_str()),
            ..Draft::new(format, data)
        };
        context.hub().publish(&channel, draft, context.now).map_err(not_published)?;
        Ok(Reply { publish: Some(wire::Empty {}), ..Reply::default() })
    }

    pub(super) fn presence(&mut self, request: &wire::ChannelRequest, context: Context<'_>) -> Result<Reply, Fail> {
        let channel = self.present(request, context)?;
        let members = context.hub().presence(&channel, MAX_MEMBERS);
        let info = |member: &Arc<Member>| (member.client.to_string(), push::client_info(member, self.encoding));
        let presence = members.iter().map(info).collect();
        Ok(Reply { presence: Some(wire::PresenceResult { presence }), ..Reply::default() })
    }

    pub(super) fn presence_stats(
        &mut self,
        request: &wire::ChannelRequest,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        let channel = self.present(request, context)?;
        let stats = context.hub().presence_stats(&channel);
        let result = wire::PresenceStatsResult { num_clients: stats.clients as u32, num_users: stats.users as u32 };
        Ok(Reply { presence_stats: Some(result), ..Reply::default() })
    }

    /// The channel, if its members may be seen.
    fn present(&self, request: &wire::ChannelRequest, context: Context<'_>) -> Result<ChannelName, Refused> {
        let channel = channel(&request.channel)?;
        let settings = context.hub().settings(&channel).ok_or(Refused::UNKNOWN_CHANNEL)?;
        match () {
            () if !context.channels.allows(Act::Presence, &channel, &self.identity) => Err(Refused::PERMISSION_DENIED),
            () if !settings.presence => Err(Refused::NOT_AVAILABLE),
            () => Ok(channel),
        }
    }

    pub(super) fn history(&mut self, request: &wire::HistoryRequest, context: Context<'_>) -> Result<Reply, Fail> {
        let channel = channel(&request.channel)?;
        let settings = context.hub().settings(&channel).ok_or(Refused::UNKNOWN_CHANNEL)?;
        if !context.channels.allows(Act::History, &channel, &self.identity) {
            return Err(Refused::PERMISSION_DENIED.into());
        }
        if settings.history.count == 0 {
            return Err(Refused::NOT_AVAILABLE.into());
        }
        let most = context.realm.settings.max_history;
        let limit = usize::try_from(request.limit).map_or(most, |limit| limit.min(most));
        let since = request.since.as_ref().map(|since| (since.epoch.as_str(), since.offset));
        let (publications, top) = past(&channel, since, limit, request.reverse, context)?;
        let publications = publications.iter().map(|one| push::written(one, self.encoding)).collect();
        let history = wire::HistoryResult { publications, epoch: top.epoch.to_string(), offset: top.offset };
        Ok(Reply { history: Some(history), ..Reply::default() })
    }
}

/// Members that one answer lists at most. A library that wants more of them wants their number.
pub(crate) const MAX_MEMBERS: usize = 10_000;

pub(crate) fn tags_of(tags: &BTreeMap<String, String>) -> Option<Tags> {
    let tag = |(name, value): (&String, &String)| (name.as_str().into(), value.as_str().into());
    (!tags.is_empty()).then(|| tags.iter().map(tag).collect())
}

pub(crate) fn not_published(error: PublishError) -> Refused {
    match error {
        PublishError::UnknownNamespace => Refused::UNKNOWN_CHANNEL,
        PublishError::TooManyChannels | PublishError::TooBig { .. } => {
            Refused::LIMIT_EXCEEDED.because(error.to_string())
        }
        PublishError::IdempotencyKeyReused => Refused::CONFLICT.because(error.to_string()),
        error => Refused::BAD_REQUEST.because(error.to_string()),
    }
}

/// Publications of a channel, and its newest place.
pub(crate) type Past = (Vec<Arc<Publication<Encoded>>>, Position);

/// Some of a channel's past: from its beginning or from `since` on, or backwards.
pub(crate) fn past(
    channel: &ChannelName,
    since: Option<(&str, u64)>,
    limit: usize,
    reverse: bool,
    context: Context<'_>,
) -> Result<Past, Refused> {
    let read = |after, limit| {
        context.hub().history(channel, after, limit, context.now).map_err(|error| match error {
            ReadError::UnknownNamespace => Refused::UNKNOWN_CHANNEL,
            error => Refused::LIMIT_EXCEEDED.because(error.to_string()),
        })
    };
    let position = |(epoch, offset): (&str, u64)| match epoch.parse() {
        Ok(epoch) => Ok(Position { epoch, offset }),
        Err(_) => Err(Refused::UNRECOVERABLE_POSITION),
    };
    let since = since.map(position).transpose()?;
    match (since, reverse) {
        (Some(since), false) => {
            let window = read(Some(since), limit)?;
            match window.gap {
                Some(_) => Err(Refused::UNRECOVERABLE_POSITION),
                None => Ok((window.publications, window.top)),
            }
        }
        (since, reverse) => {
            let window = read(None, usize::MAX)?;
            if since.is_some_and(|since| since.epoch != window.top.epoch) {
                return Err(Refused::UNRECOVERABLE_POSITION);
            }
            let mut publications = window.publications;
            if reverse {
                publications.reverse();
                publications.retain(|one| since.is_none_or(|since| one.offset < since.offset));
            }
            publications.truncate(limit);
            Ok((publications, window.top))
        }
    }
}
