//! Sessions without a socket: commands in, replies out, and time by hand.

mod expiry;
mod hooks;
mod refusals;
mod rights;

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use openline_hub::Draft;
use serde_json::{Value, json};

use super::codes::{Disconnect, Refused};
use super::session::{Arrival, Ask, Context, Found, Out, Question, Session, Ticket, Transport};
use super::sessions::{Id, Order};
use super::wire::Encoding;
use crate::config::Config;
use crate::hooks::{Answer, Event};
use crate::hosting::Table;
use crate::identity::{Admission, Carried, identity};
use crate::site::Site;

/// A session, its site, and the time.
struct Bench {
    site: Arc<Site>,
    session: Session,
    began: Instant,
    now: Instant,
}

/// When a bench begins, in seconds since 1970.
const BEGAN: u64 = 1_800_000_000;

impl Bench {
    fn new(transport: Transport) -> Self {
        Self::on(Site::new(Config::default(), Table::default(), None).unwrap(), transport, Arrival::default())
    }

    fn on(site: Arc<Site>, transport: Transport, arrival: Arrival) -> Self {
        let now = Instant::now();
        let context = Context { realm: &site.realm, channels: &site.channels, now, unix_ms: BEGAN * 1000 };
        let session = Session::new(Id::of(7), transport, Encoding::Json, arrival, Arc::default(), context);
        Self { site, session, began: now, now }
    }

    /// Does something with the session, and delivers what the hub has for it.
    fn with(&mut self, act: impl FnOnce(&mut Session, Context<'_>)) -> Vec<Value> {
        let Self { site, session, began, now } = self;
        let unix_ms = BEGAN * 1000 + (*now - *began).as_millis() as u64;
        let context = Context { realm: &site.realm, channels: &site.channels, now: *now, unix_ms };
        act(session, context);
        let mut taken = Vec::new();
        let mut task = Task::from_waker(Waker::noop());
        while let Poll::Ready(Ok(())) = session.outbox().poll_take(&mut task, 1 << 20, &mut taken) {
            taken.drain(..).for_each(|delivery| session.deliver(delivery));
        }
        let mut said = Vec::new();
        while let Some(out) = session.take(context) {
            match out {
                Out::Replies(bytes) => {
                    said.extend(
                        bytes.split(|byte| *byte == b'\n').map(|line| serde_json::from_slice::<Value>(line).unwrap()),
                    );
                }
                Out::Publication(publication, channel) => {
                    let message = super::push::message(&publication, &channel, session.encoding);
                    said.push(serde_json::from_slice(message.as_bytes()).unwrap());
                }
                Out::Disconnect(Disconnect { code, .. }) => said.push(json!({ "gone": code })),
            }
        }
        said
    }

    fn say(&mut self, frame: &str) -> Vec<Value> {
        let frame = Bytes::copy_from_slice(frame.as_bytes());
        self.with(|session, context| session.receive(frame, context))
    }

    fn pass(&mut self, time: Duration) -> Vec<Value> {
        self.now += time;
        self.with(|session, context| {
            if session.next_timeout(context).is_some_and(|at| at <= context.now) {
                session.handle_timeout(context);
            }
        })
    }

    /// What the backend is asked next: for what, with which question.
    fn question(&mut self) -> Option<(Ticket, Event, Value)> {
        let Question { ticket, ask } = self.session.take_question()?;
        let Ask::Hook(call) = ask else { panic!("no key is to be fetched") };
        Some((ticket, call.event, serde_json::from_slice(&call.body).unwrap()))
    }

    /// The backend answers, or says what is no answer.
    fn answer(&mut self, ticket: Ticket, answer: &str) -> Vec<Value> {
        let answer = Answer::read(answer.as_bytes()).unwrap_or(Answer::Refused(Refused::INTERNAL));
        self.with(|session, context| session.answer(ticket, Found::Hook(answer), context))
    }

    fn order(&mut self, order: Order) -> Vec<Value> {
        self.with(|session, context| session.order(order, context))
    }

    fn publish(&mut self, channel: &str, text: &str) -> Vec<Value> {
        let now = self.now;
        let channel = channel.parse().unwrap();
        self.with(|_, context| {
            context.hub().publish(&channel, Draft::text(text), now).unwrap();
        })
    }
}

#[test]
fn a_session_is_in_all_its_channels_or_not_in() {
    let subs = [("a".to_owned(), Default::default()), ("two words".to_owned(), Default::default())].into();
    let admission = Admission { identity: identity("ann"), subs, ..Admission::default() };
    let arrival = Arrival { carried: Carried::Admission(Box::new(admission)), ..Arrival::default() };
    let mut bench =
        Bench::on(Site::new(Config::default(), Table::default(), None).unwrap(), Transport::WebSocket, arrival);
    assert_eq!(bench.say(CONNECT)[0]["error"]["code"], 107);
    assert_eq!(bench.site.channels.hub().subscribers(&"a".parse().unwrap()), 0);
    assert_eq!(bench.say(r#"{"id":2,"ping":{}}"#), [json!({"gone":3501})], "it has not connected");
}

const CONNECT: &str = r#"{"id":1,"connect":{}}"#;

#[test]
fn a_conversation() {
    let mut bench = Bench::new(Transport::WebSocket);
    let said = bench.say(CONNECT);
    let client = "07070707-0707-0707-0707-070707070707";
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(said, [json!({"id":1,"connect":{"client":client,"version":version,"ping":25,"pong":true}})]);
    let said = bench.say(
        "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}\n{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":{\"n\": 1}}}",
    );
    let epoch = said[0]["subscribe"]["epoch"].as_str().unwrap().to_owned();
    assert_eq!(said[0], json!({"id":2,"subscribe":{"recoverable":true,"positioned":true,"epoch":epoch}}));
    assert_eq!(said[1], json!({"id":3,"publish":{}}));
    let info = json!({"user":"","client":client});
    assert_eq!(said[2], json!({"push":{"channel":"a","pub":{"data":{"n":1},"info":info,"offset":1}}}));
    assert_eq!(bench.say(r#"{"id":4,"unsubscribe":{"channel":"a"}}"#), [json!({"id":4,"unsubscribe":{}})]);
    assert!(bench.publish("a", "missed").is_empty());
    let back = format!(r#"{{"id":5,"subscribe":{{"channel":"a","recover":true,"offset":1,"epoch":"{epoch}"}}}}"#);
    let said = bench.say(&back);
    assert_eq!(said[0]["subscribe"]["recovered"], true);
    assert_eq!(said[0]["subscribe"]["publications"], json!([{"data":"missed","offset":2}]));
}

#[test]
fn who_is_not_there_any_more_is_found_out() {
    let mut bench = Bench::new(Transport::WebSocket);
    assert!(bench.pass(Duration::from_secs(9)).is_empty());
    assert_eq!(bench.pass(Duration::from_secs(1)), [json!({"gone":3502})]);

    let mut bench = Bench::new(Transport::WebSocket);
    bench.say(CONNECT);
    assert_eq!(bench.pass(Duration::from_secs(25)), [json!({})]);
    assert!(bench.say("{}").is_empty());
    assert_eq!(bench.pass(Duration::from_secs(25)), [json!({})]);
    assert_eq!(bench.pass(Duration::from_secs(8)), [json!({"gone":3012})]);
}

#[test]
fn streams_say_goodbye_and_are_not_asked_for_an_answer() {
    let mut bench = Bench::new(Transport::Sse);
    let said = bench.say(CONNECT);
    assert_eq!(said[0]["connect"]["pong"], Value::Null);
    assert_ne!(said[0]["connect"]["session"], said[0]["connect"]["client"]);
    assert_eq!(bench.pass(Duration::from_secs(25)), [json!({})]);
    assert_eq!(bench.pass(Duration::from_secs(25)), [json!({})]);
    let last = json!({"push":{"disconnect":{"code":3501,"reason":"bad request"}}});
    assert_eq!(bench.say("x"), [last, json!({"gone":3501})]);
    assert!(bench.say(CONNECT).is_empty(), "nothing comes after the end");
}

#[test]
fn long_answers_are_made_one_after_the_other() {
    let mut bench = Bench::new(Transport::WebSocket);
    bench.say(CONNECT);
    for _ in 0..20 {
        bench.publish("a", &"x".repeat(40_000));
    }
    let history = r#"{"id":2,"history":{"channel":"a","limit":-1}}"#;
    let frame = Bytes::from([history; 100].join("\n"));
    let Bench { site, session, now, .. } = &mut bench;
    let context = Context { realm: &site.realm, channels: &site.channels, now: *now, unix_ms: 0 };
    session.receive(frame, context);
    assert!(!session.takes_commands());
    let mut answers = 0;
    while let Some(out) = session.take(context) {
        let Out::Replies(bytes) = out else { panic!() };
        assert!(bytes.len() < 2 << 20, "one answer at a time");
        answers += bytes.split(|byte| *byte == b'\n').count();
    }
    assert_eq!(answers, 100);
    assert!(session.takes_commands());
}

/// Whatever comes in, what goes out is the protocol: JSON, each id answered once at most, and nothing after the end.
#[test]
fn nonsense_is_answered_in_order() {
    const PIECES: [&str; 22] = [
        CONNECT,
        "{}",
        "\n",
        "{\"id\":",
        "2",
        ",",
        "}",
        "\"",
        "[",
        "null",
        "\u{e9}",
        "{\"id\":3,\"ping\":{}}",
        "{\"id\":4,\"subscribe\":{\"channel\":\"a\"}}\n",
        "{\"id\":5,\"subscribe\":{\"channel\":\"a\",\"recover\":true}}\n",
        "{\"id\":6,\"publish\":{\"channel\":\"a\",\"data\":[1]}}\n",
        "{\"id\":7,\"presence\":{\"channel\":\"a\"}}\n",
        "{\"id\":8,\"history\":{\"channel\":\"a\",\"limit\":-1,\"reverse\":true}}\n",
        "{\"id\":9,\"rpc\":{\"data\":1}}\n",
        "{\"id\":10,\"unsubscribe\":{\"channel\":\"a\"}}\n",
        "{\"id\":11,\"refresh\":{\"token\":\"a.b.c\"}}\n",
        "{\"id\":12,\"sub_refresh\":{\"channel\":\"a\"}}\n",
        "{\"send\":{\"data\":1}}",
    ];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let site = Site::new(Config::default(), Table::default(), None).unwrap();
    let mut connected = 0;
    for _ in 0..3_000 {
        let context = Context { realm: &site.realm, channels: &site.channels, now: Instant::now(), unix_ms: 0 };
        let session = Session::new(
            Id::random(),
            Transport::WebSocket,
            Encoding::Json,
            Arrival::default(),
            Arc::default(),
            context,
        );
        let now = Instant::now();
        let mut bench = Bench { site: site.clone(), session, began: now, now };
        let mut ended = false;
        if next(4) > 0 {
            connected += usize::from(bench.say(CONNECT).len() == 1);
        }
        for _ in 0..next(4) {
            let frame: String = (0..=next(4)).map(|_| PIECES[next(PIECES.len())]).collect();
            let said = bench.say(&frame);
            assert!(!ended || said.is_empty(), "{frame:?} was answered after the end: {said:?}");
            let mut ids = HashSet::new();
            for reply in &said {
                if let Some(id) = reply["id"].as_u64() {
                    let asked = frame.matches(&format!("\"id\":{id}")).count();
                    assert!(ids.insert(id) || asked > 1, "{frame:?}: {said:?}");
                }
                ended |= reply.get("gone").is_some();
            }
        }
    }
    assert!(connected > 1_000);
}
