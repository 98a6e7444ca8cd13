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

mod asking;
mod channels;
mod connecting;
mod paying;
mod subscribing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use openline_hub::{ChannelName, Delivery, Hub, Member, Outbox, Publication, Subscription};
use serde_json::json;

use self::asking::granted;
pub(crate) use self::asking::{Ask, Found, Question, Ticket};
pub(crate) use self::channels::{MAX_MEMBERS, not_published, past, tags_of};
use super::Realm;
use super::codes::{Disconnect, Refused, Unsubscribed};
use super::push;
use super::sessions::{Id, Mailbox, Order};
use super::subscriptions::Subscriptions;
use super::wire::{self, Command, Encoding, Push, Reply};
use crate::doors::Channels;
use crate::doors::encoded::Encoded;
use crate::hooks::Event;
use crate::identity::Carried;
use crate::rates::Spending;
use crate::rights::Identity;
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
    /// What whoever sent the request may do in a time.
    pub(crate) spending: Option<Spending>,
}

impl Arrival {
    /// # Errors
    /// What it carries is not good.
    pub(crate) fn of<B>(request: &Request<B>, site: &Site) -> Result<Self, Box<Response<Bytes>>> {
        let now = site.realm.context(&site.channels).now;
        let cookie = site.config.tokens.cookie.as_deref();
        let carried = Carried::by(request, cookie, &site.realm.tickets, now)?;
        let headers = site.realm.hooks.keep(request.headers());
        Ok(Self { carried, headers, spending: Spending::of(request) })
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
    /// When something is to be done about the first of them that expires.
    subs_due: Option<Instant>,
    ping: Ping,
    /// What it may do in a time; nobody limits who came from nowhere.
    spending: Option<Box<Spending>>,
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
    /// A backend let it in.
    hooked: bool,
}

/// Who sees to it that something does not expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Renewal {
    /// The client, with another token; it has some time for that.
    Client,
    /// The backend is asked.
    Backend,
    /// It was, and has not answered yet.
    Asked,
    /// It ends, and the client comes back for another one.
    Nobody,
}

impl Renewal {
    /// When something is to be done about what expires at a time.
    fn due(self, expires: Instant, context: Context<'_>) -> Instant {
        if self == Self::Client { expires + context.realm.settings.expiry_grace } else { expires }
    }
}

#[derive(Debug)]
struct Sub {
    subscription: Subscription<Encoded>,
    /// The client did not ask for it.
    server_side: bool,
    renewal: Renewal,
    /// When it has expired, and its client has had time enough.
    due: Option<Instant>,
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
        mut arrival: Arrival,
        mailbox: Arc<Mailbox>,
        context: Context<'_>,
    ) -> Self {
        let spending = arrival.spending.take().map(Box::new);
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
            subs_due: None,
            ping: Ping::Off,
            spending,
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
            Ticket::SubRefresh(channel) => self.sub_refreshed(&channel, found, context),
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
        if found.is_none()
            && let Err(fail) = self.pay(&command, context)
        {
            return self.reply(id, Err(fail));
        }
        let result = match &command {
            Command { connect: Some(request), .. } => self.connect(id, request, found, context),
            Command { subscribe: Some(request), .. } => self.subscribe(id, request, found, context),
            Command { unsubscribe: Some(request), .. } => self.unsubscribe(request),
            Command { publish: Some(request), .. } => self.publish(request, found, context),
            Command { presence: Some(request), .. } => self.presence(request, context),
            Command { presence_stats: Some(request), .. } => self.presence_stats(request, context),
            Command { history: Some(request), .. } => self.history(request, context),
            Command { ping: Some(_), .. } => Ok(Reply { ping: Some(wire::Empty {}), ..Reply::default() }),
            Command { send: Some(request), .. } => self.send(request, found, context),
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
            Order::Message(data) => {
                let data = push::value(&data, self.encoding);
                self.push(Push { message: Some(wire::DataMessage { data }), ..Push::default() });
            }
            Order::Refresh { expired: true, .. } => self.disconnect(Disconnect::EXPIRED),
            Order::Refresh { expire_at, info, .. } => {
                self.expires = expire_at.map(|at| context.at(at));
                if let Some(info) = info {
                    self.more().info = info;
                    self.member = None;
                }
                let renews = expire_at.filter(|_| self.renewal(context) == Renewal::Client);
                let (expires, ttl) = (renews.is_some(), renews.map_or(0, |at| seconds_until(at, context)));
                self.push(Push { refresh: Some(wire::ExpiryResult { expires, ttl }), ..Push::default() });
            }
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
        let expires = self.expires.map(|at| self.renewal(context).due(at, context));
        [ping, expires, self.subs_due].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, context: Context<'_>) {
        let now = context.now;
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
        if self.expires.is_some_and(|at| self.renewal(context).due(at, context) <= now) {
            if self.renewal(context) != Renewal::Backend {
                return self.disconnect(Disconnect::EXPIRED);
            }
            self.expires = None;
            let ask = Ask::Hook(self.call(Event::Refresh, json!({}), None));
            self.questions.push_back(Question { ticket: Ticket::Refresh, ask });
        }
        if self.subs_due.is_some_and(|at| at <= now) {
            self.expire_subscriptions(context);
        }
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
}

type PushOf = fn(&ChannelName, &Member, Encoding) -> Push;

/// What expires later than this, a year, may as well never: instants do not reach as far as numbers.
const FAR_MS: u64 = 365 * 24 * 3_600_000;

fn channel(name: &str) -> Result<ChannelName, Refused> {
    name.parse().map_err(|error: openline_hub::NameError| Refused::BAD_REQUEST.because(error.to_string()))
}

/// Until a time of day, in whole seconds; at least one, as 0 is never.
fn seconds_until(unix_seconds: u64, context: Context<'_>) -> u32 {
    let left_ms = unix_seconds.saturating_mul(1000).saturating_sub(context.unix_ms);
    u32::try_from(left_ms / 1000).unwrap_or(u32::MAX).max(1)
}
