//! A backend decides: what it is asked, and what becomes of its answers.

use super::*;
use crate::hooks::{Hook, HookSettings};

fn hook() -> Option<Hook> {
    Some(Hook::new("http://backend.example/".parse().unwrap()))
}

/// A session that was let in by its backend, as Ann, until `expire_at`.
fn hooked(hooks: HookSettings, expire_at: u64) -> Bench {
    let config = Config { hooks: HookSettings { connect: hook(), ..hooks }, ..Config::default() };
    let site = Site::new(config, Table::default(), None).unwrap();
    let mut bench = Bench::on(site, Transport::WebSocket, Arrival::default());
    assert!(bench.say(CONNECT).is_empty());
    let (ticket, event, question) = bench.question().unwrap();
    assert_eq!((event, &question["transport"], &question["user"]), (Event::Connect, &json!("websocket"), &Value::Null));
    let said = bench.answer(ticket, &json!({"result": {"user": "ann", "expire_at": expire_at}}).to_string());
    assert_eq!((&said[0]["id"], &said[0]["connect"]["expires"]), (&json!(1), &Value::Null), "it need not do anything");
    bench
}

#[test]
fn a_session_goes_on_as_long_as_its_backend_says() {
    let mut bench = hooked(HookSettings { refresh: hook(), ..HookSettings::default() }, BEGAN + 10);
    bench.pass(Duration::from_secs(9));
    assert!(bench.question().is_none());
    assert!(bench.pass(Duration::from_secs(1)).is_empty());
    let (ticket, event, question) = bench.question().unwrap();
    assert_eq!((event, &question["user"]), (Event::Refresh, &json!("ann")));
    assert!(bench.answer(ticket, &json!({"result": {"expire_at": BEGAN + 20}}).to_string()).is_empty());

    // It is away: nobody is thrown out for that, and it is asked again.
    bench.pass(Duration::from_secs(10));
    let (ticket, ..) = bench.question().unwrap();
    assert!(bench.answer(ticket, "no JSON").is_empty());
    bench.say("{}");
    bench.pass(Duration::from_secs(25));
    let (ticket, event, _) = bench.question().unwrap();
    assert_eq!(event, Event::Refresh);
    assert_eq!(bench.answer(ticket, r#"{"result":{"expired":true}}"#), [json!({"gone":3005})]);
}

#[test]
fn a_backend_that_is_asked_about_it_refreshes_whoever_let_the_session_in() {
    let config = Config { hooks: HookSettings { refresh: hook(), ..HookSettings::default() }, ..Config::default() };
    let admission = Admission { identity: identity("ann"), expire_at: Some(BEGAN + 5), ..Admission::default() };
    let arrival = Arrival { carried: Carried::Admission(Box::new(admission)), ..Arrival::default() };
    let mut bench = Bench::on(Site::new(config, Table::default(), None).unwrap(), Transport::WebSocket, arrival);
    assert_eq!(bench.say(CONNECT)[0]["connect"]["expires"], Value::Null);
    bench.pass(Duration::from_secs(5));
    let (ticket, event, _) = bench.question().unwrap();
    assert_eq!(event, Event::Refresh);
    let stay_away = r#"{"disconnect":{"code":4501,"reason":"logged out"}}"#;
    assert_eq!(bench.answer(ticket, stay_away), [json!({"gone":4501})]);
}

#[test]
fn without_a_hook_for_it_a_session_of_a_backend_comes_back_for_another_one() {
    let mut bench = hooked(HookSettings::default(), BEGAN + 10);
    assert!(bench.pass(Duration::from_secs(9)).is_empty());
    assert_eq!(bench.pass(Duration::from_secs(1)), [json!({"gone":3005})]);
}

#[test]
fn a_subscription_goes_on_as_long_as_its_backend_says() {
    let hooks = HookSettings { subscribe: hook(), sub_refresh: hook(), ..HookSettings::default() };
    let mut bench = hooked(hooks, 0);
    let subscribe = |bench: &mut Bench, id: u32, seconds: u64| {
        bench.say(&json!({"id": id, "subscribe": {"channel": "a"}}).to_string());
        let (ticket, event, _) = bench.question().unwrap();
        assert_eq!(event, Event::Subscribe);
        let said = bench.answer(ticket, &json!({"result": {"expire_at": BEGAN + seconds}}).to_string());
        assert_eq!(said[0]["subscribe"]["expires"], Value::Null, "it need not do anything: {said:?}");
    };
    subscribe(&mut bench, 2, 5);
    bench.pass(Duration::from_secs(5));
    let (ticket, event, question) = bench.question().unwrap();
    assert_eq!((event, &question["channel"], &question["user"]), (Event::SubRefresh, &json!("a"), &json!("ann")));
    // While it waits for the answer, the client goes and comes back: the answer is for what is no more.
    bench.say(r#"{"id":3,"unsubscribe":{"channel":"a"}}"#);
    subscribe(&mut bench, 4, 9);
    assert!(bench.answer(ticket, r#"{"result":{"expired":true}}"#).is_empty());
    bench.pass(Duration::from_secs(4));
    let (ticket, ..) = bench.question().unwrap();
    assert!(bench.answer(ticket, &json!({"result": {"expire_at": BEGAN + 11}}).to_string()).is_empty());
    bench.pass(Duration::from_secs(2));
    let (ticket, ..) = bench.question().unwrap();
    assert!(bench.question().is_none(), "once");
    let over = json!({"push":{"channel":"a","unsubscribe":{"code":2501,"reason":"subscription expired"}}});
    assert_eq!(bench.answer(ticket, r#"{"result":{"expired":true}}"#), [over]);
}

#[test]
fn messages_reach_the_backend_in_their_order() {
    let mut bench = hooked(HookSettings { send: hook(), ..HookSettings::default() }, 0);
    let said = bench.say("{\"send\":{\"data\":1}}\n{\"send\":{\"data\":2}}\n{\"id\":2,\"ping\":{}}");
    assert!(said.is_empty());
    let (ticket, event, question) = bench.question().unwrap();
    assert_eq!((event, &question["data"], &question["user"]), (Event::Send, &json!(1), &json!("ann")));
    assert!(bench.question().is_none() && !bench.session.takes_commands(), "one after the other");
    assert!(bench.answer(ticket, "no JSON").is_empty(), "nobody is told what becomes of it");
    let (ticket, _, question) = bench.question().unwrap();
    assert_eq!(question["data"], 2);
    assert_eq!(bench.answer(ticket, r#"{"result":{}}"#), [json!({"id":2,"ping":{}})]);
    bench.say(r#"{"send":{"data":3}}"#);
    let (ticket, ..) = bench.question().unwrap();
    let enough = r#"{"disconnect":{"code":4000,"reason":"enough"}}"#;
    assert_eq!(bench.answer(ticket, enough), [json!({"gone":4000})]);
}

#[test]
fn a_backend_says_something_in_no_channel() {
    let mut bench = Bench::new(Transport::WebSocket);
    bench.say(CONNECT);
    let said = bench.order(Order::Message(Bytes::from_static(b"{\"a\":\n1}")));
    assert_eq!(said, [json!({"push":{"message":{"data":{"a":1}}}})]);
}

/// Whatever a backend answers to whatever question: an error that is documented, to whoever asked.
#[test]
fn every_trouble_of_a_backend_has_its_code() {
    const COMMANDS: [&str; 3] = [
        r#"{"id":2,"subscribe":{"channel":"a"}}"#,
        r#"{"id":2,"publish":{"channel":"a","data":1}}"#,
        r#"{"id":2,"rpc":{"data":1}}"#,
    ];
    let error = |code: u32, message: &str| json!({"id":2,"error":{"code":code,"message":message}});
    let internal = json!({"id":2,"error":{"code":100,"message":"internal server error","temporary":true}});
    let nowhere = "a name that no channel has";
    for (answer, expected) in [
        ("", internal.clone()),
        ("no JSON", internal.clone()),
        ("{}", internal.clone()),
        ("[]", internal.clone()),
        ("null", internal.clone()),
        (r#"{"result":7}"#, internal.clone()),
        (r#"{"result":{"expire_at":-1}}"#, internal.clone()),
        (r#"{"error":{"code":100,"message":"ours"}}"#, internal.clone()),
        (r#"{"error":{"code":2000,"message":"too high"}}"#, internal.clone()),
        (r#"{"disconnect":{"code":3500,"reason":"ours"}}"#, internal.clone()),
        (&format!(r#"{{"disconnect":{{"code":4500,"reason":"{}"}}}}"#, "x".repeat(124)), internal.clone()),
        (r#"{"error":{"code":403,"message":"no"}}"#, error(403, "no")),
        (r#"{"error":{"code":1999,"message":"no"}}"#, error(1999, "no")),
        (r#"{"disconnect":{"code":4999,"reason":"no"}}"#, json!({"gone":4999})),
    ] {
        for command in COMMANDS {
            let mut bench =
                hooked(HookSettings { subscribe: hook(), publish: hook(), rpc: hook(), ..HookSettings::default() }, 0);
            bench.say(command);
            let (ticket, ..) = bench.question().unwrap();
            assert_eq!(bench.answer(ticket, answer), std::slice::from_ref(&expected), "{command} is answered {answer}");
            if expected["gone"].is_null() {
                assert_eq!(bench.say(r#"{"id":3,"ping":{}}"#), [json!({"id":3,"ping":{}})], "and all goes on");
            }
        }
        // The same where it is asked who comes; and where it names a channel that cannot be, nobody is half in.
        for (answer, expected) in [(answer, expected.clone()), (nowhere, error(107, ""))] {
            let config =
                Config { hooks: HookSettings { connect: hook(), ..HookSettings::default() }, ..Config::default() };
            let site = Site::new(config, Table::default(), None).unwrap();
            let mut bench = Bench::on(site, Transport::WebSocket, Arrival::default());
            bench.say(&CONNECT.replace("1", "2"));
            let (ticket, ..) = bench.question().unwrap();
            let lie = json!({"result": {"user": "ann", "channels": ["b", nowhere]}}).to_string();
            let said = bench.answer(ticket, if answer == nowhere { &lie } else { answer });
            assert_eq!(
                (&said[0]["error"]["code"], &said[0]["gone"]),
                (&expected["error"]["code"], &expected["gone"]),
                "{answer}"
            );
            assert_eq!(bench.site.channels.hub().subscribers(&"b".parse().unwrap()), 0);
        }
    }
}
