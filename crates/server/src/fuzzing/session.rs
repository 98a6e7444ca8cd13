//! A session, whatever its client, its backend, others and the clock do.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, LazyLock};
use std::task::{Context as Task, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Uri;
use openline_hub::{ChannelName, Draft};
use prost::Message as _;
use serde_json::json;

use super::script::Script;
use crate::config::Config;
use crate::doors::Channels;
use crate::hooks::{Answer, Hook, HookSettings};
use crate::identity::{TokenKey, TokenSettings};
use crate::session::codes::{Disconnect, Refused, Unsubscribed};
use crate::session::session::{Arrival, Ask, Context, Found, Out, Question, Session, Ticket, Transport};
use crate::session::sessions::{Admitted, Id, Mailbox, Order};
use crate::session::wire::{Command, Encoding, Reply};
use crate::session::{Realm, SessionSettings};

/// Any bytes as the life of a session: what carries it, and then one thing after the other.
///
/// Whatever happens, what goes out is the protocol, nothing comes after the end, no command is answered twice, offsets step by one,
/// the clock does not stand still, and nobody is left behind in a channel.
///
/// # Panics
/// When a promise is broken.
pub fn session(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut life = Life::new(script.byte());
    while let Some(what) = script.next() {
        match what % 10 {
            0 => {
                life.frame.extend_from_slice(script.some());
                life.is_ours = false;
            }
            1 | 2 => {
                let (which, channel, flags) = (script.byte(), script.byte(), script.byte());
                life.write(which, channel, flags);
            }
            3 => life.send(),
            4 => life.pass(Duration::from_millis(500) * u32::from(script.byte())),
            5 => {
                let answer = ANSWERS[usize::from(script.byte()) % ANSWERS.len()];
                life.answer(answer.as_bytes());
            }
            6 => life.answer(script.some()),
            7 => life.order(script.byte(), script.byte()),
            8 => life.publish(script.byte(), script.some()),
            _ => life.is_read = !life.is_read,
        }
        if life.is_read {
            life.read();
        }
    }
    life.end();
}

const CHANNELS: [&str; 6] = ["a", "chat:b", "#ann", "#", "two words", ""];

/// What a backend may answer, and what none should.
const ANSWERS: [&str; 12] = [
    r#"{"result":{}}"#,
    r#"{"result":{"user":"ann","expire_at":1800000030,"channels":["a","chat:b"],"data":{"x":1}}}"#,
    r#"{"result":{"user":"ann","channels":["two words"],"subs":{"a":{"expire_at":1}}}}"#,
    r#"{"result":{"expired":true}}"#,
    r#"{"result":{"expire_at":1800000060,"b64data":"AP8="}}"#,
    r#"{"result":{"expire_at":18446744073709551615}}"#,
    r#"{"result":{"skip_history":true,"idempotency_key":"k","tags":{"a":"b"}}}"#,
    r#"{"error":{"code":400,"message":"no","temporary":true}}"#,
    r#"{"error":{"code":100}}"#,
    r#"{"disconnect":{"code":4000,"reason":"later"}}"#,
    r#"{"disconnect":{"code":9,"reason":"x"}}"#,
    "<html>",
];

const BEGAN: u64 = 1_800_000_000;

const SECRET: &[u8] = b"thirty-two bytes, and not fewer..";

/// Good, over, and for a channel.
static TOKENS: LazyLock<[String; 4]> = LazyLock::new(|| {
    let sign = |claims| {
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
        jsonwebtoken::encode(&header, &claims, &key).unwrap_or_default()
    };
    let exp = BEGAN + 20;
    [
        sign(json!({"sub": "ann", "exp": exp, "channels": ["a"]})),
        sign(json!({"sub": "ann", "exp": BEGAN - 60})),
        sign(json!({"sub": "ann", "exp": exp, "channel": "a"})),
        sign(json!({"exp": BEGAN + 3600, "expire_at": exp, "channel": "chat:b"})),
    ]
});

/// Without a backend, and with one that is asked about everything.
static REALMS: LazyLock<[Arc<Realm>; 2]> = LazyLock::new(|| {
    let hook = || {
        let hook = Hook::new(Uri::from_static("http://backend.example/"));
        Some(Hook { namespaces: Some(vec!["chat".to_owned()]), ..hook })
    };
    let asked = HookSettings {
        connect: hook(),
        refresh: hook(),
        subscribe: hook(),
        sub_refresh: hook(),
        publish: hook(),
        rpc: hook(),
        send: hook(),
        resume: Some(Duration::from_secs(60)),
        resume_secret: Some(SECRET.to_vec()),
    };
    [HookSettings::default(), asked].map(|hooks| {
        let keys = TokenKey::secret(SECRET).into_iter().collect();
        let tokens = TokenSettings { keys, ..TokenSettings::default() };
        let settings = SessionSettings { max_channels: 3, ..SessionSettings::default() };
        Realm::new(settings, tokens, hooks, &openline::Config::default()).expect("a trust store")
    })
});

struct Life {
    realm: Arc<Realm>,
    channels: Channels,
    session: Session,
    client: Id,
    encoding: Encoding,
    began: Instant,
    now: Instant,
    /// What the client is about to send.
    frame: Vec<u8>,
    /// Whether all that it ever sent were commands of ours, each with an id of its own.
    is_ours: bool,
    is_read: bool,
    last_id: u32,
    /// What was asked about a channel, by id.
    asked: HashMap<u32, String>,
    answered: HashSet<u32>,
    /// The last offset that was heard of each channel.
    heard: HashMap<String, u64>,
    questions: VecDeque<Ticket>,
    is_over: bool,
}

impl Life {
    fn new(how: u8) -> Self {
        let realm = REALMS[usize::from(how & 1)].clone();
        let channels = Channels::new(&Config::default());
        let transport = match how >> 1 & 3 {
            0 => Transport::HttpStream,
            1 => Transport::Sse,
            _ => Transport::WebSocket,
        };
        let encoding = if how & 8 == 0 { Encoding::Json } else { Encoding::Protobuf };
        let (client, now) = (Id::random(), Instant::now());
        let context = Context { realm: &realm, channels: &channels, now, unix_ms: BEGAN * 1000 };
        let session = Session::new(client, transport, encoding, Arrival::default(), Arc::<Mailbox>::default(), context);
        Self {
            session,
            realm,
            channels,
            client,
            encoding,
            began: now,
            now,
            frame: Vec::new(),
            is_ours: true,
            is_read: true,
            last_id: 0,
            asked: HashMap::new(),
            answered: HashSet::new(),
            heard: HashMap::new(),
            questions: VecDeque::new(),
            is_over: false,
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Session, Context<'_>) -> T) -> T {
        let unix_ms = BEGAN * 1000 + (self.now - self.began).as_millis() as u64;
        let context = Context { realm: &self.realm, channels: &self.channels, now: self.now, unix_ms };
        act(&mut self.session, context)
    }

    /// Adds a command to what is about to be sent.
    fn write(&mut self, which: u8, channel: u8, flags: u8) {
        let channel = CHANNELS[usize::from(channel) % CHANNELS.len()];
        let token = match flags & 4 {
            0 => "",
            _ => TOKENS[usize::from(flags & 3)].as_str(),
        };
        let bit = |bit: u8| flags >> bit & 1 == 1;
        let epoch = self.channels.hub().position(&"a".parse().expect("a name")).map(|at| at.epoch.to_string());
        let epoch = if bit(6) { epoch.unwrap_or_default() } else { String::new() };
        let offset = u64::from(flags >> 5);
        let mut command = match which % 13 {
            0 | 1 => {
                json!({"connect": {"token": token, "data": {"n": flags}, "subs": {"a": {"recover": bit(3), "offset": offset, "epoch": epoch}}}})
            }
            2 | 3 => {
                json!({"subscribe": {"channel": channel, "token": token, "recover": bit(3), "offset": offset, "epoch": epoch, "join_leave": bit(4), "flag": flags & 2}})
            }
            4 => json!({"unsubscribe": {"channel": channel}}),
            5 => json!({"publish": {"channel": channel, "data": {"n": flags}}}),
            6 => json!({"presence": {"channel": channel}}),
            7 => json!({"history": {"channel": channel, "limit": i32::from(flags) - 2, "reverse": bit(0)}}),
            8 => json!({"rpc": {"method": "m", "data": flags}}),
            9 => json!({"refresh": {"token": token}}),
            10 => json!({"sub_refresh": {"channel": channel, "token": token}}),
            11 => json!({"send": {"data": flags}}),
            _ => json!({}),
        };
        if which % 13 < 11 {
            self.last_id += 1;
            command["id"] = self.last_id.into();
            self.asked.insert(self.last_id, channel.to_owned());
        }
        let mut text = Bytes::from(command.to_string());
        match self.encoding {
            Encoding::Json => {
                self.frame.extend_from_slice(&text);
                self.frame.push(b'\n');
            }
            Encoding::Protobuf => {
                let command = Command::take(&mut text, Encoding::Json).ok().flatten().expect("a command");
                self.frame.extend_from_slice(&command.encode_length_delimited_to_vec());
            }
        }
    }

    fn send(&mut self) {
        if self.session.takes_commands() {
            let frame = Bytes::from(std::mem::take(&mut self.frame));
            self.with(|session, context| session.receive(frame, context));
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        for _ in 0..1000 {
            let now = self.now;
            if self.with(|session, context| session.next_timeout(context)).is_none_or(|at| at > now) {
                return;
            }
            self.with(|session, context| session.handle_timeout(context));
        }
        panic!("the clock stands still");
    }

    fn answer(&mut self, answer: &[u8]) {
        while let Some(Question { ticket, ask }) = self.session.take_question() {
            let Ask::Hook(call) = ask else { panic!("there is no set of keys") };
            assert!(serde_json::from_slice::<BTreeMap<String, serde_json::Value>>(&call.body).is_ok(), "{call:?}");
            self.questions.push_back(ticket);
        }
        let Some(ticket) = self.questions.pop_front() else { return };
        let answer = Answer::read(answer).unwrap_or(Answer::Refused(Refused::INTERNAL));
        self.with(|session, context| session.answer(ticket, Found::Hook(answer), context));
    }

    fn order(&mut self, which: u8, channel: u8) {
        let channel = CHANNELS[usize::from(channel) % 3].parse().ok();
        let soon = BEGAN + u64::from(which);
        let order = match (which % 6, channel) {
            (0, Some(channel)) => Order::Unsubscribe(channel, Unsubscribed::SERVER),
            (1, channel @ Some(_)) => {
                let expire_at = Some(soon).filter(|_| which > 100);
                Order::Subscribe(Box::new(Admitted { channel, expire_at, ..Admitted::default() }))
            }
            (2, _) => {
                Order::Refresh { expire_at: Some(soon), expired: which > 200, info: Some(Bytes::from_static(b"{}")) }
            }
            (3, _) => Order::Message(Bytes::from_static(b"\xff no JSON \n")),
            (4, _) if which > 200 => Order::Disconnect(Disconnect::FORCED),
            _ => Order::Message(Bytes::from_static(b"{\"a\":\n[1]}")),
        };
        self.with(|session, context| session.order(order, context));
    }

    fn publish(&mut self, channel: u8, bytes: &[u8]) {
        let now = self.now;
        if let Ok(channel) = CHANNELS[usize::from(channel) % 3].parse() {
            let draft = Draft::new(crate::session::format_of(bytes), Bytes::copy_from_slice(bytes));
            // What cannot be published there is not.
            let _ = self.channels.hub().publish(&channel, draft, now);
        }
    }

    /// Delivers what the hub has, and reads all that there is to send.
    fn read(&mut self) {
        let mut task = Task::from_waker(Waker::noop());
        let mut taken = Vec::new();
        while let Poll::Ready(Ok(())) = self.session.outbox().poll_take(&mut task, 1 << 20, &mut taken) {
            taken.drain(..).for_each(|delivery| self.session.deliver(delivery));
        }
        while let Some(out) = self.with(Session::take) {
            assert!(!self.is_over, "nothing comes after the end: {out:?}");
            match out {
                Out::Disconnect(_) => self.is_over = true,
                Out::Publication(publication, channel) => self.hear(channel.as_str(), publication.offset),
                Out::Replies(bytes) => self.replies(&bytes),
            }
        }
    }

    fn replies(&mut self, bytes: &[u8]) {
        let mut rest = Bytes::copy_from_slice(bytes);
        match self.encoding {
            Encoding::Json => {
                for line in bytes.split(|byte| *byte == b'\n') {
                    let reply = serde_json::from_slice(line);
                    self.reply(reply.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes))));
                }
            }
            Encoding::Protobuf => {
                while !rest.is_empty() {
                    self.reply(Reply::decode_length_delimited(&mut rest).expect("a reply"));
                }
            }
        }
    }

    fn reply(&mut self, reply: Reply) {
        let Reply { id, push, connect, subscribe, unsubscribe, .. } = reply;
        let is_first = id == 0 || self.answered.insert(id);
        assert!(is_first || !self.is_ours, "{id} is answered once");
        for (channel, result) in connect.into_iter().flat_map(|connect| connect.subs) {
            self.subscribed(&channel, result.offset, result.publications.iter().map(|one| one.offset));
        }
        let asked = self.asked.get(&id).cloned().unwrap_or_default();
        if let Some(result) = subscribe {
            self.subscribed(&asked, result.offset, result.publications.iter().map(|one| one.offset));
        }
        if unsubscribe.is_some() {
            self.heard.remove(&asked);
        }
        if let Some(push) = push {
            if let Some(subscribe) = push.subscribe {
                self.subscribed(&push.channel, subscribe.offset, std::iter::empty());
            } else if push.unsubscribe.is_some() {
                self.heard.remove(&push.channel);
            }
        }
    }

    fn subscribed(&mut self, channel: &str, top: u64, missed: impl Iterator<Item = u64>) {
        let missed: Vec<u64> = missed.collect();
        assert!(missed.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{missed:?}");
        assert!(missed.last().is_none_or(|last| *last == top), "{missed:?} ends before {top}");
        self.heard.insert(channel.to_owned(), top);
    }

    fn hear(&mut self, channel: &str, offset: u64) {
        let before = self.heard.insert(channel.to_owned(), offset);
        assert!(!self.is_ours || before == Some(offset - 1), "{channel}: {offset} after {before:?}");
    }

    fn end(mut self) {
        self.is_read = true;
        self.read();
        self.realm.sessions.leave(self.client);
        drop(self.session);
        for channel in CHANNELS.iter().filter_map(|name| name.parse::<ChannelName>().ok()) {
            assert_eq!(self.channels.hub().subscribers(&channel), 0, "somebody is left in {channel}");
        }
    }
}
