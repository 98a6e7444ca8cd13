//! What the API does, each method by its name.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use openline_hub::{ChannelName, Draft, Epoch, Format, Position};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::{Outcome, error};
use super::glob;
use crate::hooks::Overrides;
use crate::session::Context;
use crate::session::codes::{Disconnect, Refused, Unsubscribed};
use crate::session::session::{MAX_MEMBERS, not_published, past, tags_of};
use crate::session::sessions::{Admitted, Id, Order};
use crate::session::wire::{ClientInfo, Encoding, Publication};
use crate::session::{client_info, format_of, written};

const METHODS: [&str; 16] = [
    "publish",
    "broadcast",
    "subscribe",
    "unsubscribe",
    "disconnect",
    "refresh",
    "send",
    "presence",
    "presence_stats",
    "history",
    "history_remove",
    "channels",
    "info",
    "rpc",
    "ticket",
    "batch",
];

/// Commands in one batch.
const MAX_BATCH: usize = 1000;

/// Channels of one broadcast.
const MAX_BROADCAST: usize = 10_000;

/// Publications, or channels, in one answer.
const MAX_LISTED: usize = 10_000;

pub(super) fn exists(method: &str) -> bool {
    METHODS.contains(&method)
}

/// Does it. `parameters` are JSON.
pub(super) fn perform(method: &str, parameters: &str, context: Context<'_>) -> Outcome {
    match method {
        "publish" => publish(&read(parameters)?, context),
        "broadcast" => broadcast(&read(parameters)?, context),
        "subscribe" => subscribe(&read(parameters)?, context),
        "unsubscribe" => {
            let whom: Whom = read(parameters)?;
            let channel = channel(&whom.channel)?;
            whom.tell(&Order::Unsubscribe(channel, Unsubscribed::SERVER), context)
        }
        "disconnect" => disconnect(&read(parameters)?, context),
        "refresh" => {
            let whom: Whom = read(parameters)?;
            let Whom { expire_at, expired, .. } = whom;
            let expire_at = (expire_at > 0).then_some(expire_at);
            let info = whom.info.as_ref().map(|info| info.get().to_owned().into());
            whom.tell(&Order::Refresh { expire_at, expired, info }, context)
        }
        "send" => send(&read(parameters)?, context),
        "presence" => {
            let channel = with_presence(&read(parameters)?, context)?;
            let members = context.hub().presence(&channel, MAX_MEMBERS);
            let of = |member: &std::sync::Arc<_>| client_info(member, Encoding::Json);
            let presence: BTreeMap<String, ClientInfo> =
                members.iter().map(|member| (member.client.to_string(), of(member))).collect();
            written_out(&json!({ "presence": () }), "presence", &presence)
        }
        "presence_stats" => {
            let channel = with_presence(&read(parameters)?, context)?;
            let stats = context.hub().presence_stats(&channel);
            Ok(json!({ "num_clients": stats.clients, "num_users": stats.users }).to_string())
        }
        "history" => history(&read(parameters)?, context),
        "history_remove" => {
            context.hub().clear_history(&known(&read(parameters)?, context)?);
            Ok("{}".to_owned())
        }
        "channels" => channels(&read(parameters)?, context),
        "info" => Ok(info(context)),
        "ticket" => ticket(parameters, context),
        "batch" => batch(&read(parameters)?, context),
        // There is nobody behind it: a backend calls itself.
        _ => Err(Refused::NOT_AVAILABLE),
    }
}

fn read<'a, T: Deserialize<'a>>(parameters: &'a str) -> Result<T, Refused> {
    serde_json::from_str(parameters).map_err(|error| Refused::BAD_REQUEST.because(format!("bad request: {error}")))
}

fn channel(name: &str) -> Result<ChannelName, Refused> {
    name.parse().map_err(|error: openline_hub::NameError| Refused::BAD_REQUEST.because(error.to_string()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Publish {
    channel: String,
    channels: Vec<String>,
    data: Option<Box<RawValue>>,
    b64data: Option<String>,
    tags: BTreeMap<String, String>,
    idempotency_key: String,
    skip_history: bool,
    version: u64,
}

impl Publish {
    fn payload(&self) -> Result<(Format, Bytes), Refused> {
        if self.skip_history || self.version > 0 {
            return Err(Refused::NOT_AVAILABLE.because("skip_history and version are not available"));
        }
        match (&self.data, &self.b64data) {
            (_, Some(text)) => {
                let decoded = BASE64_STANDARD.decode(text);
                let bytes = decoded.map_err(|_| Refused::BAD_REQUEST.because("b64data is not base64"))?;
                Ok((format_of(&bytes), bytes.into()))
            }
            (Some(json), None) => Ok((Format::Json, json.get().to_owned().into())),
            (None, None) => Err(Refused::BAD_REQUEST.because("bad request: there is no data")),
        }
    }

    fn into(&self, name: &str, format: Format, data: Bytes, context: Context<'_>) -> Outcome {
        let draft = Draft {
            tags: tags_of(&self.tags),
            idempotency_key: (!self.idempotency_key.is_empty()).then_some(&self.idempotency_key),
            unix_ms: context.unix_ms,
            ..Draft::new(format, data)
        };
        let published = context.hub().publish(&channel(name)?, draft, context.now).map_err(not_published)?;
        let Position { epoch, offset } = published.position;
        Ok(json!({ "offset": offset, "epoch": epoch.to_string() }).to_string())
    }
}

fn publish(request: &Publish, context: Context<'_>) -> Outcome {
    let (format, data) = request.payload()?;
    request.into(&request.channel, format, data, context)
}

fn broadcast(request: &Publish, context: Context<'_>) -> Outcome {
    let (format, data) = request.payload()?;
    if request.channels.is_empty() || request.channels.len() > MAX_BROADCAST {
        return Err(Refused::BAD_REQUEST.because(format!("name 1 to {MAX_BROADCAST} channels")));
    }
    let one = |name: &String| super::answer::object(&request.into(name, format, data.clone(), context));
    let responses: Vec<String> = request.channels.iter().map(one).collect();
    Ok(format!("{{\"responses\":[{}]}}", responses.join(",")))
}

/// Which sessions, and what for.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Whom {
    user: String,
    client: String,
    session: String,
    channel: String,
    whitelist: Vec<String>,
    info: Option<Box<RawValue>>,
    b64info: Option<String>,
    data: Option<Box<RawValue>>,
    b64data: Option<String>,
    expire_at: u64,
    expired: bool,
    recover_since: Option<Since>,
    #[serde(rename = "override")]
    overrides: Overrides,
    disconnect: Option<Custom>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Since {
    offset: u64,
    epoch: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Custom {
    code: u32,
    reason: String,
}

impl Whom {
    fn tell(&self, order: &Order, context: Context<'_>) -> Outcome {
        self.tell_all(order, context).map(|_| "{}".to_owned())
    }

    /// To how many.
    fn tell_all(&self, order: &Order, context: Context<'_>) -> Result<usize, Refused> {
        let id = |text: &String| Id::parse(text).ok_or(Refused::BAD_REQUEST.because("that is no client"));
        if !self.session.is_empty() && self.client.is_empty() {
            return Err(Refused::NOT_AVAILABLE.because("name the client, and not the session"));
        }
        if self.user.is_empty() && self.client.is_empty() {
            return Err(Refused::BAD_REQUEST.because("bad request: name the user"));
        }
        let only = (!self.client.is_empty()).then(|| id(&self.client)).transpose()?;
        let except = self.whitelist.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        Ok(context.realm.sessions.tell(&self.user, only, &except, order))
    }
}

/// Says something to the sessions of a user, in no channel: to those that are there now, and once.
fn send(whom: &Whom, context: Context<'_>) -> Outcome {
    let data = bytes(&whom.data, &whom.b64data);
    if data.is_empty() {
        return Err(Refused::BAD_REQUEST.because("bad request: there is no data"));
    }
    let sessions = whom.tell_all(&Order::Message(data), context)?;
    Ok(json!({ "sessions": sessions }).to_string())
}

fn subscribe(whom: &Whom, context: Context<'_>) -> Outcome {
    let channel = channel(&whom.channel)?;
    context.hub().settings(&channel).ok_or(Refused::UNKNOWN_CHANNEL)?;
    let since = whom.recover_since.as_ref().map(|since| position(&since.epoch, since.offset)).transpose()?;
    let admitted = Admitted {
        channel: Some(channel),
        info: bytes(&whom.info, &whom.b64info),
        data: bytes(&whom.data, &whom.b64data),
        expire_at: (whom.expire_at > 0).then_some(whom.expire_at),
        since,
        presence: whom.overrides.presence(),
        join_leave: whom.overrides.join_leave(),
    };
    whom.tell(&Order::Subscribe(Box::new(admitted)), context)
}

fn disconnect(whom: &Whom, context: Context<'_>) -> Outcome {
    let disconnect = match &whom.disconnect {
        Some(Custom { code: 1.., reason }) => {
            let code = whom.disconnect.as_ref().map_or(0, |custom| custom.code);
            let why = "a disconnect has a code from 3000 to 4999, and a reason of 123 bytes at most";
            Disconnect::custom(code, reason.clone()).ok_or(Refused::BAD_REQUEST.because(why))?
        }
        _ => Disconnect::FORCED,
    };
    let outcome = whom.tell(&Order::Disconnect(disconnect.clone()), context)?;
    if whom.client.is_empty() && whom.whitelist.is_empty() {
        // A logout is one everywhere: also of programs, services and other servers at routes that ask for names.
        let code = crate::session::websocket::code(disconnect.code);
        context.realm.lines.close(&crate::identity::identity(&whom.user), code, &disconnect.reason);
    }
    Ok(outcome)
}

fn bytes(json: &Option<Box<RawValue>>, base64: &Option<String>) -> Bytes {
    let decoded = base64.as_ref().and_then(|text| BASE64_STANDARD.decode(text).ok()).map(Bytes::from);
    decoded.or_else(|| json.as_ref().map(|json| json.get().to_owned().into())).unwrap_or_default()
}

fn position(epoch: &str, offset: u64) -> Result<Position, Refused> {
    let epoch: Epoch = epoch.parse().map_err(|_| Refused::UNRECOVERABLE_POSITION)?;
    Ok(Position { epoch, offset })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Read {
    channel: String,
    limit: i64,
    since: Option<Since>,
    reverse: bool,
    pattern: String,
}

/// The channel, if its namespace exists.
fn known(request: &Read, context: Context<'_>) -> Result<ChannelName, Refused> {
    let channel = channel(&request.channel)?;
    context.hub().settings(&channel).map(|_| channel).ok_or(Refused::UNKNOWN_CHANNEL)
}

fn with_presence(request: &Read, context: Context<'_>) -> Result<ChannelName, Refused> {
    let channel = known(request, context)?;
    let has = context.hub().settings(&channel).is_some_and(|settings| settings.presence);
    if has { Ok(channel) } else { Err(Refused::NOT_AVAILABLE) }
}

fn history(request: &Read, context: Context<'_>) -> Outcome {
    let channel = known(request, context)?;
    if context.hub().settings(&channel).is_none_or(|settings| settings.history.count == 0) {
        return Err(Refused::NOT_AVAILABLE);
    }
    let since = request.since.as_ref().map(|since| (since.epoch.as_str(), since.offset));
    let limit = usize::try_from(request.limit).map_or(MAX_LISTED, |limit| limit.min(MAX_LISTED));
    let (publications, top) = past(&channel, since, limit, request.reverse, context)?;
    let publications: Vec<Publication> = publications.iter().map(|one| written(one, Encoding::Json)).collect();
    let place = json!({ "epoch": top.epoch.to_string(), "offset": top.offset });
    written_out(&place, "publications", &publications)
}

/// A JSON object with one more member, which may have raw JSON in it.
fn written_out(object: &Value, name: &str, value: &impl serde::Serialize) -> Outcome {
    let mut fields = object.as_object().cloned().unwrap_or_default();
    fields.remove(name);
    let value = serde_json::to_string(value).map_err(|_| Refused::INTERNAL)?;
    let rest = Value::Object(fields).to_string();
    let comma = if rest == "{}" { "" } else { "," };
    Ok(format!("{}{comma}\"{name}\":{value}}}", &rest[..rest.len() - 1]))
}

fn channels(request: &Read, context: Context<'_>) -> Outcome {
    let matches = |name: &ChannelName| request.pattern.is_empty() || glob::matches(&request.pattern, name.as_str());
    let mut found = Map::new();
    for (name, subscribers) in context.hub().channels(matches, usize::MAX) {
        if subscribers > 0 && found.len() < MAX_LISTED {
            found.insert(name.as_str().to_owned(), json!({ "num_clients": subscribers }));
        }
    }
    Ok(json!({ "channels": found }).to_string())
}

fn info(context: Context<'_>) -> String {
    let (clients, users) = context.realm.sessions.count();
    let stats = context.hub().stats();
    let node = json!({
        "uid": context.realm.sessions.node.to_string(),
        "name": "openline",
        "version": env!("CARGO_PKG_VERSION"),
        "num_clients": clients,
        "num_users": users,
        "num_subs": stats.subscriptions,
        "num_channels": stats.channels,
        "uptime": context.now.saturating_duration_since(context.realm.began).as_secs(),
    });
    json!({ "nodes": [node] }).to_string()
}

/// A ticket to connect with, once and soon, for a user that the backend knows.
fn ticket(parameters: &str, context: Context<'_>) -> Outcome {
    let granted = read(parameters)?;
    let admission = crate::identity::Admission::from_hook(&granted);
    if admission.identity == crate::rights::Identity::Anonymous {
        return Err(Refused::BAD_REQUEST.because("bad request: name the user"));
    }
    let ticket = context.realm.tickets.issue(admission, context.now).ok_or(Refused::LIMIT_EXCEEDED)?;
    Ok(json!({ "ticket": ticket, "expires_in": crate::identity::Tickets::LIFE.as_secs() }).to_string())
}

#[derive(Deserialize)]
struct Batch {
    commands: Vec<BTreeMap<String, Box<RawValue>>>,
}

fn batch(batch: &Batch, context: Context<'_>) -> Outcome {
    if batch.commands.len() > MAX_BATCH {
        return Err(Refused::BAD_REQUEST.because(format!("a batch has {MAX_BATCH} commands at most")));
    }
    let one = |command: &BTreeMap<String, Box<RawValue>>| {
        let Some((method, parameters)) = command.first_key_value() else {
            return format!("{{\"error\":{}}}", error(&Refused::BAD_REQUEST));
        };
        let outcome = match method.as_str() {
            "batch" => Err(Refused::BAD_REQUEST),
            method if !exists(method) => Err(Refused::METHOD_NOT_FOUND),
            method => perform(method, parameters.get(), context),
        };
        match outcome {
            Ok(result) => format!("{{{}:{result}}}", Value::from(method.as_str())),
            Err(refused) => format!("{{\"error\":{}}}", error(&refused)),
        }
    };
    let replies: Vec<String> = batch.commands.iter().map(one).collect();
    Ok(format!("{{\"replies\":[{}]}}", replies.join(",")))
}
