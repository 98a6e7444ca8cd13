//! One session, whatever carries it: commands in, replies and pushes out, and time as an argument.
//!
//! ```text
//!            commands ─▶ receive ─┐                        ┌─▶ Out::Replies, Out::Publication
//!   hub's deliveries ─▶ deliver ─┼─▶ Session ─▶ take ────┤
//!    orders of others ─▶ order ───┤                        └─▶ Out::Disconnect, and nothing after it
//!            the time ─▶ handle_timeout                    ┌─▶ Question, for whoever can wait
//!             answers ─▶ answer ──┘         take_question ─┘
//! ```
//!
//! Commands are done in their order. One that needs an answer from elsewhere (a backend's, or a key that must be fetched)
//! holds those behind it, but for calls (`rpc`), which wait beside each other.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use openline_hub::{
    ChannelName, Delivery, Draft, Epoch, Hub, Member, Outbox, Position, Publication, PublishError, ReadError, Recovery,
    Subscribe, SubscribeError, Subscribed, Subscription,
};
use serde_json::json;
use serde_json::value::RawValue;

use super::Realm;
use super::codes::{Disconnect, Refused, Unsubscribed};
use super::push;
use super::sessions::{Admitted, Id, Mailbox, Order};
use super::subscriptions::Subscriptions;
use super::wire::{self, Command, Encoding, Push, Reply};
use crate::doors::Channels;
use crate::doors::encoded::Encoded;
use crate::hooks::{self, Call, Event};
use crate::identity::{Admission, Carried, TokenError};
use crate::rights::{Act, Identity};
use crate::site::Site;

/// What a session works with, and when.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) realm: &'a Realm,
    pub(crate) channels: &'a Channels,
    pub(crate) now: Instant,
    /// The time of day, in milliseconds since 1970.
    pub(crate) unix_ms: u64,
}

impl Context<'_> {
    pub(crate) fn hub(&self) -> &Hub<Encoded> {
        self.channels.hub()
    }

    fn unix(&self) -> u64 {
        self.unix_ms / 1000
    }

    /// When a time of day comes.
    fn at(&self, unix_seconds: u64) -> Instant {
        let left = (unix_seconds.saturating_mul(1000)).saturating_sub(self.unix_ms);
        self.now + Duration::from_millis(left.min(FAR_MS))
    }
}

/// What carries a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    HttpStream,
    Sse,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::HttpStream => "http_stream",
            Self::Sse => "sse",
        }
    }

    /// Whether commands come beside it.
    fn is_emulated(self) -> bool {
        self != Self::WebSocket
    }
}

/// What is known of a client before it connects.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    /// Who the request itself says it is from.
    pub(crate) carried: Carried,
    /// What hooks may be told of the request.
    pub(crate) headers: HeaderMap,
}

impl Arrival {
    /// # Errors
    /// What it carries is not good.
    pub(crate) fn of<B>(request: &Request<B>, site: &Site) -> Result<Self, Box<Response<Bytes>>> {
        let now = site.realm.context(&site.channels).now;
        let cookie = site.config.tokens.cookie.as_deref();
        let carried = Carried::by(request, cookie, &site.realm.tickets, now)?;
        Ok(Self { carried, headers: site.realm.hooks.keep(request.headers()) })
    }
}

/// Something for the client.
#[derive(Debug)]
pub(crate) enum Out {
    /// In the session's encoding.
    Replies(Vec<u8>),
    Publication(Arc<Publication<Encoded>>, ChannelName),
    /// The end; nothing comes after it.
    Disconnect(Disconnect),
}

/// Something to find out, and by what the answer is known.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) ticket: Ticket,
    pub(crate) ask: Ask,
}

#[derive(Debug)]
pub(crate) enum Ask {
    /// Fetch the keys of tokens again.
    Keys,
    Hook(Box<Call>),
}

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// The command that holds the others.
    Command,
    /// A call, by its id.
    Rpc(u32),
    /// Whether the session goes on.
    Refresh,
}

/// What was found out.
#[derive(Debug)]
pub(crate) enum Found {
    Keys,
    Hook(hooks::Answer),
}

/// One session. See the module.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) client: Id,
    /// Of an emulated transport.
    pub(super) secret: Option<Id>,
    transport: Transport,
    pub(super) encoding: Encoding,
    stage: Stage,
    identity: Identity,
    /// As others see it, where it has no more to say about itself in a channel. Made when it is needed.
    member: Option<Arc<Member>>,
    /// What few sessions have.
    more: Option<Box<More>>,
    outbox: Arc<Outbox<Encoded>>,
    mailbox: Arc<Mailbox>,
    /// By tag.
    subs: Subscriptions<Sub>,
    /// The first of the subscriptions to expire.
    subs_expire: Option<Instant>,
    ping: Ping,
    expires: Option<Instant>,
    out: VecDeque<Out>,
    /// How much is in it, about.
    out_bytes: usize,
    /// Commands that were not looked at yet.
    rest: Bytes,
    /// A command that waits for an answer.
    waiting: Option<Box<Command>>,
    calls: usize,
    questions: VecDeque<Question>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New { until: Instant },
    Open,
    Ended,
}

#[derive(Clone, Copy, Debug)]
enum Ping {
    Off,
    Next(Instant),
    /// Sent; answered by then.
    Pong(Instant, Instant),
}

#[derive(Debug, Default)]
struct More {
    arrival: Arrival,
    info: Bytes,
    meta: Bytes,
    refreshing: bool,
    /// A backend decides whether the session goes on.
    hooked: bool,
}

#[derive(Debug)]
struct Sub {
    subscription: Subscription<Encoded>,
    /// The client did not ask for it.
    server_side: bool,
    expires: Option<Instant>,
}

/// Replies are made as long as less than this waits to be sent: commands are short, and answers may be long.
const OUT_BYTES: usize = 64 << 10;

enum Fail {
    Refused(Refused),
    Disconnect(Disconnect),
    /// Again, with an answer.
    Wait(Ask),
    /// A call was made, its answer will come.
    Later,
}

impl From<Refused> for Fail {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Disconnect> for Fail {
    fn from(disconnect: Disconnect) -> Self {
        Self::Disconnect(disconnect)
    }
}

impl Session {
    pub(crate) fn new(
        client: Id,
        transport: Transport,
        encoding: Encoding,
        arrival: Arrival,
        mailbox: Arc<Mailbox>,
        context: Context<'_>,
    ) -> Self {
        let more = (!matches!(arrival.carried, Carried::Nothing) || !arrival.headers.is_empty())
            .then(|| Box::new(More { arrival, ..More::default() }));
        Self {
            client,
            secret: transport.is_emulated().then(Id::random),
            transport,
            encoding,
            stage: Stage::New { until: context.now + context.realm.settings.connect_timeout },
            identity: Identity::Anonymous,
            member: None,
            more,
            outbox: context.channels.outbox(),
            mailbox,
            subs: Subscriptions::new(),
            subs_expire: None,
            ping: Ping::Off,
            expires: None,
            out: VecDeque::new(),
            out_bytes: 0,
            rest: Bytes::new(),
            waiting: None,
            calls: 0,
            questions: VecDeque::new(),
        }
    }

    /// Takes a frame of commands. Only while [`takes_commands`](Self::takes_commands).
    pub(crate) fn receive(&mut self, frame: Bytes, context: Context<'_>) {
        if self.stage == Stage::Ended {
            return;
        }
        if frame.is_empty() {
            return self.disconnect(Disconnect::BAD_REQUEST);
        }
        self.rest = frame;
        self.proceed(context);
    }

    /// Whether it can take a frame: the one before is done with.
    pub(crate) fn takes_commands(&self) -> bool {
        self.rest.is_empty() && self.waiting.is_none()
    }

    /// Does what is next, as long as not too much waits to be sent.
    fn proceed(&mut self, context: Context<'_>) {
        while self.waiting.is_none() && self.out_bytes < OUT_BYTES && self.stage != Stage::Ended {
            if self.calls >= context.realm.settings.max_calls {
                return;
            }
            match Command::take(&mut self.rest, self.encoding) {
                Ok(Some(command)) => self.perform(command, None, context),
                Ok(None) => return,
                Err(wire::Malformed) => self.disconnect(Disconnect::BAD_REQUEST),
            }
        }
    }

    /// An answer has come.
    pub(crate) fn answer(&mut self, ticket: Ticket, found: Found, context: Context<'_>) {
        match ticket {
            Ticket::Command => {
                if let Some(command) = self.waiting.take() {
                    self.perform(*command, Some(found), context);
                }
            }
            Ticket::Rpc(id) => {
                self.calls -= 1;
                if let Found::Hook(answer) = found {
                    let result = granted(answer).map(|granted| {
                        let rpc = Some(wire::DataMessage { data: push::value(&granted.data(), self.encoding) });
                        Reply { rpc, ..Reply::default() }
                    });
                    self.reply(id, result);
                }
            }
            Ticket::Refresh => self.refreshed(found, context),
        }
        self.proceed(context);
    }

    fn perform(&mut self, command: Command, found: Option<Found>, context: Context<'_>) {
        if self.stage == Stage::Ended {
            return;
        }
        let id = command.id;
        if command == Command::default() {
            // The answer to a ping; one that nobody asked for does no harm.
            if let Ping::Pong(_, next) = self.ping {
                self.ping = Ping::Next(next);
            }
            return;
        }
        let is_connect = command.connect.is_some();
        if (self.stage == Stage::Open) == is_connect || (id == 0 && command.send.is_none()) {
            return self.disconnect(Disconnect::BAD_REQUEST);
        }
        let result = match &command {
            Command { connect: Some(request), .. } => self.connect(request, found, context),
            Command { subscribe: Some(request), .. } => self.subscribe(id, request, found, context),
            Command { unsubscribe: Some(request), .. } => self.unsubscribe(request),
            Command { publish: Some(request), .. } => self.publish(request, found, context),
            Command { presence: Some(request), .. } => self.presence(request, context),
            Command { presence_stats: Some(request), .. } => self.presence_stats(request, context),
            Command { history: Some(request), .. } => self.history(request, context),
            Command { ping: Some(_), .. } => Ok(Reply { ping: Some(wire::Empty {}), ..Reply::default() }),
            // Nobody to hear it: no hook takes messages without an answer.
            Command { send: Some(_), .. } => Err(Disconnect::NOT_AVAILABLE.into()),
            Command { rpc: Some(request), .. } => self.rpc(id, request, context),
            Command { refresh: Some(request), .. } => self.refresh(request, found, context),
            Command { sub_refresh: Some(request), .. } => self.sub_refresh(request, found, context),
            _ => Err(Refused::METHOD_NOT_FOUND.into()),
        };
        match result {
            Err(Fail::Wait(ask)) => {
                self.waiting = Some(Box::new(command));
                self.questions.push_back(Question { ticket: Ticket::Command, ask });
            }
            result => self.reply(id, result),
        }
    }

    fn reply(&mut self, id: u32, result: Result<Reply, Fail>) {
        match result {
            Ok(reply) if reply == Reply::default() => {}
            Ok(reply) => self.say(&Reply { id, ..reply }),
            Err(Fail::Refused(Refused { code, message, temporary })) => {
                let error = Some(wire::Error { code, message: message.into_owned(), temporary });
                self.say(&Reply { error, ..Reply::to(id) });
            }
            Err(Fail::Disconnect(disconnect)) => self.disconnect(disconnect),
            Err(Fail::Wait(_) | Fail::Later) => {}
        }
    }

    fn say(&mut self, reply: &Reply) {
        if self.stage == Stage::Ended {
            return;
        }
        match self.out.back_mut() {
            // What is said together goes in one message.
            Some(Out::Replies(bytes)) if bytes.len() < OUT_BYTES => {
                let before = bytes.len();
                reply.write(self.encoding, bytes);
                self.out_bytes += bytes.len() - before;
            }
            _ => {
                let bytes = reply.encode(self.encoding);
                self.out_bytes += bytes.len();
                self.out.push_back(Out::Replies(bytes));
            }
        }
    }

    fn push(&mut self, push: Push) {
        self.say(&Reply::push(push));
    }

    /// Ends it: what was said before is still sent.
    pub(crate) fn disconnect(&mut self, disconnect: Disconnect) {
        if self.stage == Stage::Ended {
            return;
        }
        if self.transport.is_emulated() {
            // A stream has no other last words.
            let code = disconnect.code.into();
            let reason = disconnect.reason.clone().into_owned();
            let last = wire::Disconnect { code, reason, reconnect: disconnect.reconnects() };
            self.push(Push { disconnect: Some(last), ..Push::default() });
        }
        self.stage = Stage::Ended;
        self.out.push_back(Out::Disconnect(disconnect));
        (self.rest, self.waiting) = (Bytes::new(), None);
        self.questions.clear();
        self.subs.clear();
    }

    /// The next thing to send.
    pub(crate) fn take(&mut self, context: Context<'_>) -> Option<Out> {
        if self.out.is_empty() {
            self.proceed(context);
        }
        let out = self.out.pop_front()?;
        if let Out::Replies(bytes) = &out {
            self.out_bytes -= bytes.len();
        }
        if self.out.is_empty() {
            self.out = VecDeque::new();
        }
        Some(out)
    }

    /// The next thing to find out.
    pub(crate) fn take_question(&mut self) -> Option<Question> {
        let question = self.questions.pop_front();
        if self.questions.is_empty() {
            self.questions = VecDeque::new();
        }
        question
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox<Encoded>> {
        &self.outbox
    }

    // What the hub delivers.

    /// Something came through the outbox.
    pub(crate) fn deliver(&mut self, delivery: Delivery<Encoded>) {
        let (tag, push) = match delivery {
            Delivery::Publication { tag, skipped, .. } if skipped > 0 => {
                // Offsets step by one, or the client is told: it subscribes again, and recovers what it can.
                return self.end_subscription(tag as usize, Some(Unsubscribed::INSUFFICIENT_STATE));
            }
            Delivery::Publication { tag, publication, .. } => {
                if let Some(sub) = self.subs.get(tag as usize) {
                    let channel = sub.subscription.channel().clone();
                    self.out.push_back(Out::Publication(publication, channel));
                }
                return;
            }
            Delivery::Joined { tag, member } => (tag, (push::joined as PushOf, member)),
            Delivery::Left { tag, member } => (tag, (push::left as PushOf, member)),
            _ => return,
        };
        if let Some(sub) = self.subs.get(tag as usize) {
            let (of, member) = push;
            let push = of(sub.subscription.channel(), &member, self.encoding);
            self.push(push);
        }
    }

    // What others tell it.

    pub(crate) fn order(&mut self, order: Order, context: Context<'_>) {
        match order {
            Order::Commands(frame) => self.receive(frame, context),
            Order::Disconnect(disconnect) => self.disconnect(disconnect),
            Order::Unsubscribe(channel, why) => {
                if let Some(tag) = self.tag(&channel) {
                    self.end_subscription(tag, Some(why));
                }
            }
            Order::Subscribe(admitted) => self.subscribed_by_server(*admitted, context),
            Order::Refresh { expired: true, .. } => self.disconnect(Disconnect::EXPIRED),
            Order::Refresh { expire_at, info, .. } => {
                self.expires = expire_at.map(|at| context.at(at));
                if let Some(info) = info {
                    self.more().info = info;
                    self.member = None;
                }
                let expires = expire_at.is_some();
                let ttl = expire_at.map_or(0, |at| seconds_until(at, context));
                self.push(Push { refresh: Some(wire::ExpiryResult { expires, ttl }), ..Push::default() });
            }
        }
    }

    fn subscribed_by_server(&mut self, admitted: Admitted, context: Context<'_>) {
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

    // The clock.

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn next_timeout(&self, context: Context<'_>) -> Option<Instant> {
        let ping = match (self.stage, self.ping) {
            (Stage::Ended, _) => return None,
            (Stage::New { until }, _) => Some(until),
            (Stage::Open, Ping::Next(at)) => Some(at),
            (Stage::Open, Ping::Pong(until, next)) => Some(until.min(next)),
            (Stage::Open, Ping::Off) => None,
        };
        let hooked = self.more.as_deref().is_some_and(|more| more.hooked);
        let refreshing = self.more.as_deref().is_some_and(|more| more.refreshing);
        let grace = context.realm.settings.expiry_grace;
        let expires = self.expires.filter(|_| !refreshing).map(|at| if hooked { at } else { at + grace });
        let subs = self.subs_expire.map(|at| at + grace);
        [ping, expires, subs].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, context: Context<'_>) {
        let now = context.now;
        let grace = context.realm.settings.expiry_grace;
        match (self.stage, self.ping) {
            (Stage::Ended, _) => return,
            (Stage::New { until }, _) if until <= now => return self.disconnect(Disconnect::STALE),
            (Stage::Open, Ping::Pong(until, _)) if until <= now => return self.disconnect(Disconnect::NO_PONG),
            (Stage::Open, Ping::Next(at)) if at <= now => {
                let settings = &context.realm.settings;
                let next = now + settings.ping_interval;
                self.ping = match self.transport.is_emulated() {
                    true => Ping::Next(next),
                    false => Ping::Pong(now + settings.pong_timeout, next),
                };
                self.say(&Reply::default());
            }
            _ => {}
        }
        if self.expires.is_some_and(|at| at <= now) && !self.more.as_deref().is_some_and(|more| more.refreshing) {
            if self.more.as_deref().is_some_and(|more| more.hooked) && context.realm.hooks.has(Event::Refresh) {
                self.more().refreshing = true;
                let ask = Ask::Hook(self.call(Event::Refresh, json!({}), None));
                self.questions.push_back(Question { ticket: Ticket::Refresh, ask });
            } else if self.expires.is_some_and(|at| at + grace <= now) || self.more.as_deref().is_some_and(|m| m.hooked)
            {
                return self.disconnect(Disconnect::EXPIRED);
            }
        }
        if self.subs_expire.is_some_and(|at| at + grace <= now) {
            let is_over = |sub: &Sub| sub.expires.is_some_and(|at| at + grace <= now);
            let over: Vec<usize> = self.subs.iter().filter(|(_, sub)| is_over(sub)).map(|(tag, _)| tag).collect();
            for tag in over {
                self.end_subscription(tag, Some(Unsubscribed::EXPIRED));
            }
        }
    }

    /// What a backend says about a session that would expire.
    fn refreshed(&mut self, found: Found, context: Context<'_>) {
        self.more().refreshing = false;
        let Found::Hook(answer) = found else { return };
        match answer {
            hooks::Answer::Granted(granted) if !granted.expired => {
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
            _ => self.disconnect(Disconnect::EXPIRED),
        }
    }

    // Commands.

    fn connect(
        &mut self,
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
        self.admit(request, admission, context)
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

    fn not_admitted(&self, error: TokenError, fetched: bool) -> Fail {
        match error {
            TokenError::UnknownKey if !fetched => Fail::Wait(Ask::Keys),
            TokenError::Expired => Refused::TOKEN_EXPIRED.into(),
            TokenError::Unavailable => Refused::INTERNAL.into(),
            TokenError::UnknownKey | TokenError::Invalid(_) => Disconnect::INVALID_TOKEN.into(),
        }
    }

    fn admit(
        &mut self,
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
        let results = match self.enter_all(subs, request, context) {
            Ok(results) => results,
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
        // Where a backend decides whether it goes on, the client need not come with anything.
        let renews = expire_at.filter(|_| !self.more.as_deref().is_some_and(|more| more.hooked));
        Ok(Reply {
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
            ..Reply::default()
        })
    }

    /// Takes the places that it has from the beginning.
    fn enter_all(
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

    fn subscribe(
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

    fn unsubscribe(&mut self, request: &wire::UnsubscribeRequest) -> Result<Reply, Fail> {
        let channel = channel(&request.channel)?;
        if let Some(tag) = self.tag(&channel) {
            self.end_subscription(tag, None);
        }
        Ok(Reply { unsubscribe: Some(wire::Empty {}), ..Reply::default() })
    }

    fn publish(
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
            Encoding::Json => openline_hub::Format::Json,
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

    fn presence(&mut self, request: &wire::ChannelRequest, context: Context<'_>) -> Result<Reply, Fail> {
        let channel = self.present(request, context)?;
        let members = context.hub().presence(&channel, MAX_MEMBERS);
        let info = |member: &Arc<Member>| (member.client.to_string(), push::client_info(member, self.encoding));
        let presence = members.iter().map(info).collect();
        Ok(Reply { presence: Some(wire::PresenceResult { presence }), ..Reply::default() })
    }

    fn presence_stats(&mut self, request: &wire::ChannelRequest, context: Context<'_>) -> Result<Reply, Fail> {
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

    fn history(&mut self, request: &wire::HistoryRequest, context: Context<'_>) -> Result<Reply, Fail> {
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

    fn rpc(&mut self, id: u32, request: &wire::RpcRequest, context: Context<'_>) -> Result<Reply, Fail> {
        if !context.realm.hooks.has(Event::Rpc) {
            return Err(Refused::NOT_AVAILABLE.into());
        }
        let fields = match request.method.as_str() {
            "" => json!({}),
            method => json!({ "method": method }),
        };
        let call = self.call(Event::Rpc, fields, Some(&request.data));
        self.calls += 1;
        self.questions.push_back(Question { ticket: Ticket::Rpc(id), ask: Ask::Hook(call) });
        Err(Fail::Later)
    }

    fn refresh(
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
        Ok(Reply {
            refresh: Some(wire::RefreshResult {
                client: self.client.to_string(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                expires: self.expires.is_some(),
                ttl: admission.expire_at.map_or(0, |at| seconds_until(at, context)),
            }),
            ..Reply::default()
        })
    }

    fn sub_refresh(
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

    // What they share.

    fn tag(&self, channel: &ChannelName) -> Option<usize> {
        self.subs.iter().find(|(_, sub)| sub.subscription.channel() == channel).map(|(tag, _)| tag)
    }

    fn end_subscription(&mut self, tag: usize, why: Option<Unsubscribed>) {
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

    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// As others see it.
    fn member(&mut self, channel_info: &Bytes) -> Arc<Member> {
        let client = self.client;
        let make = |identity: &Identity, more: &Option<Box<More>>| {
            let info = more.as_deref().map(|more| more.info.clone()).unwrap_or_default();
            Member::new(client.to_string(), identity.user().unwrap_or_default()).with_info(info)
        };
        if !channel_info.is_empty() {
            return Arc::new(make(&self.identity, &self.more).with_channel_info(channel_info.clone()));
        }
        let made = self.member.get_or_insert_with(|| Arc::new(make(&self.identity, &self.more)));
        made.clone()
    }

    /// A question for the backend, with what every one says.
    fn call(&self, event: Event, mut fields: serde_json::Value, data: Option<&Bytes>) -> Box<Call> {
        fields["client"] = self.client.to_string().into();
        fields["transport"] = self.transport.name().into();
        let (protocol, encoding) = match self.encoding {
            Encoding::Json => ("json", "json"),
            Encoding::Protobuf => ("protobuf", "binary"),
        };
        fields["protocol"] = protocol.into();
        fields["encoding"] = encoding.into();
        if event != Event::Connect {
            fields["user"] = self.identity.user().unwrap_or_default().into();
        }
        let mut body = fields.to_string();
        let mut add = |name: &str, value: &Bytes| {
            if value.is_empty() {
                return;
            }
            body.pop();
            match serde_json::from_slice::<&RawValue>(value) {
                Ok(value) => body.push_str(&format!(",\"{name}\":{}}}", value.get())),
                Err(_) => {
                    use base64::prelude::{BASE64_STANDARD, Engine as _};
                    body.push_str(&format!(",\"b64{name}\":\"{}\"}}", BASE64_STANDARD.encode(value)));
                }
            }
        };
        if let Some(data) = data {
            add("data", data);
        }
        let more = self.more.as_deref();
        if let Some(more) = more {
            add("meta", &more.meta);
        }
        let headers = more.map(|more| more.arrival.headers.clone()).unwrap_or_default();
        Box::new(Call { event, body: body.into(), headers, emulated: BTreeMap::new() })
    }
}

type PushOf = fn(&ChannelName, &Member, Encoding) -> Push;

/// What expires later than this, a year, may as well never: instants do not reach as far as numbers.
const FAR_MS: u64 = 365 * 24 * 3_600_000;

/// Members that one answer lists at most. A library that wants more of them wants their number.
pub(crate) const MAX_MEMBERS: usize = 10_000;

fn channel(name: &str) -> Result<ChannelName, Refused> {
    name.parse().map_err(|error: openline_hub::NameError| Refused::BAD_REQUEST.because(error.to_string()))
}

/// What was seen last, if that can be a place at all; what cannot be recovered then is what has no place.
fn since(request: &wire::SubscribeRequest) -> Option<Position> {
    let epoch: Epoch = request.epoch.parse().ok()?;
    request.recover.then_some(Position { epoch, offset: request.offset })
}

fn granted(answer: hooks::Answer) -> Result<hooks::Granted, Fail> {
    match answer {
        hooks::Answer::Granted(granted) => Ok(*granted),
        hooks::Answer::Refused(refused) => Err(refused.into()),
        hooks::Answer::Disconnect(disconnect) => Err(disconnect.into()),
    }
}

pub(crate) fn tags_of(tags: &BTreeMap<String, String>) -> Option<openline_hub::Tags> {
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

/// Until a time of day, in whole seconds; at least one, as 0 is never.
fn seconds_until(unix_seconds: u64, context: Context<'_>) -> u32 {
    let left_ms = unix_seconds.saturating_mul(1000).saturating_sub(context.unix_ms);
    u32::try_from(left_ms / 1000).unwrap_or(u32::MAX).max(1)
}
