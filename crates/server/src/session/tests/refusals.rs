//! What is not done, each with its documented code, while everybody else goes on.

use openline_hub::{Namespaces, Settings};

use super::*;
use crate::edge::visitor::ClientAddress;
use crate::identity::{TokenAlgorithm, TokenKey, TokenSettings};
use crate::rates::{Allowance, Rate, Rates, Spending};
use crate::rights::{Policies, Policy};
use crate::session::SessionSettings;

const SECRET: &[u8] = b"thirty-two bytes, and not fewer..";

fn config() -> Config {
    let key = rcgen::KeyPair::generate().unwrap();
    let public = TokenKey::pem(TokenAlgorithm::Es256, key.public_key_pem().as_bytes()).unwrap();
    Config {
        policies: Policies::new(Policy::open()).with("closed", Policy::default()),
        namespaces: Namespaces::new(Settings { max_publication_bytes: 100, ..Settings::default() })
            .with("closed", Settings::default())
            .closed(),
        sessions: SessionSettings { max_channels: 2, anonymous: false, ..SessionSettings::default() },
        tokens: TokenSettings {
            keys: vec![TokenKey::secret(SECRET).unwrap(), public],
            audience: Some("here".into()),
            ..TokenSettings::default()
        },
        ..Config::default()
    }
}

fn token(algorithm: jsonwebtoken::Algorithm, secret: &[u8], claims: Value) -> String {
    let header = jsonwebtoken::Header::new(algorithm);
    jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(secret)).unwrap()
}

#[test]
fn each_has_its_code_and_nobody_else_is_disturbed() {
    use jsonwebtoken::Algorithm::{HS256, HS512};
    let site = Site::new(config(), Table::default(), None).unwrap();
    let session = |user: &str| {
        let admission = Admission { identity: identity(user), ..Admission::default() };
        let arrival = Arrival { carried: Carried::Admission(Box::new(admission)), ..Arrival::default() };
        Bench::on(site.clone(), Transport::WebSocket, arrival)
    };
    let mut other = session("bob");
    other.say(CONNECT);
    other.say(r#"{"id":2,"subscribe":{"channel":"a"}}"#);

    let claims = |exp: u64| json!({"sub": "ann", "exp": exp, "aud": "here"});
    let connect = |token: String| json!({"id": 1, "connect": {"token": token}}).to_string();
    let base64 = |value: Value| {
        use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
        BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let unsigned = format!("{}.{}.", base64(json!({"alg": "none", "typ": "JWT"})), base64(claims(BEGAN + 60)));
    let named = format!("{}.{}.c2ln", base64(json!({"alg": "RS256", "typ": "JWT"})), base64(claims(BEGAN + 60)));
    let foreign = json!({"sub": "ann", "exp": BEGAN + 60, "aud": "there"});
    let second = |command: &str| format!("{CONNECT}\n{command}");
    let long = "x".repeat(300);
    let (gone, error) = (|code: u32| json!({ "gone": code }), |code: u32| json!({"error": {"code": code}}));
    for (what, frame, expected) in [
        ("no JSON", "hello".to_owned(), gone(3501)),
        ("half a command", r#"{"id":1,"#.to_owned(), gone(3501)),
        ("no object", "[1]".to_owned(), gone(3501)),
        ("nothing", String::new(), gone(3501)),
        ("before connecting", r#"{"id":1,"subscribe":{"channel":"a"}}"#.to_owned(), gone(3501)),
        ("a message before connecting", r#"{"send":{"data":1}}"#.to_owned(), gone(3501)),
        ("connecting twice", second(r#"{"id":2,"connect":{}}"#), gone(3501)),
        ("no id", second(r#"{"ping":{}}"#), gone(3501)),
        ("an unknown command", second(r#"{"id":2,"dance":{}}"#), error(104)),
        (
            "subscribing twice",
            second("{\"id\":2,\"subscribe\":{\"channel\":\"b\"}}\n{\"id\":3,\"subscribe\":{\"channel\":\"b\"}}"),
            error(105),
        ),
        (
            "too many channels",
            second(
                "{\"id\":2,\"subscribe\":{\"channel\":\"b\"}}\n{\"id\":3,\"subscribe\":{\"channel\":\"c\"}}\n{\"id\":4,\"subscribe\":{\"channel\":\"d\"}}",
            ),
            error(106),
        ),
        ("oversize", second(&json!({"id": 2, "publish": {"channel": "a", "data": long}}).to_string()), error(106)),
        ("no channel", second(r#"{"id":2,"subscribe":{"channel":""}}"#), error(107)),
        ("a name too long", second(&json!({"id": 2, "subscribe": {"channel": long}}).to_string()), error(107)),
        ("nothing to publish", second(r#"{"id":2,"publish":{"channel":"a"}}"#), error(107)),
        ("no such namespace", second(r#"{"id":2,"subscribe":{"channel":"nowhere:a"}}"#), error(102)),
        ("not theirs", second(r#"{"id":2,"subscribe":{"channel":"closed:a"}}"#), error(103)),
        ("another one's", second(r##"{"id":2,"subscribe":{"channel":"#bob"}}"##), error(103)),
        ("no presence there", second(r#"{"id":2,"presence":{"channel":"a"}}"#), error(108)),
        ("nobody to call", second(r#"{"id":2,"rpc":{"data":1}}"#), error(108)),
        ("a filter", second(r#"{"id":2,"subscribe":{"channel":"a","tf":{"key":"x"}}}"#), error(108)),
        (
            "a past that is not",
            second(r#"{"id":2,"history":{"channel":"a","limit":1,"since":{"offset":9,"epoch":"x"}}}"#),
            error(112),
        ),
        (
            "a place that is none, or not at all",
            second(r#"{"id":2,"subscribe":{"channel":"b","recover":true,"epoch":"_","offset":1,"flag":3}}"#),
            error(112),
        ),
        ("a message for nobody", second(r#"{"send":{"data":1}}"#), gone(3508)),
        ("refreshing with nothing", second(r#"{"id":2,"refresh":{}}"#), gone(3500)),
        (
            "a channel's token that is none",
            second(r#"{"id":2,"subscribe":{"channel":"b","token":"a.b.c"}}"#),
            error(103),
        ),
        ("a token that is none", connect("a.b.c".into()), gone(3500)),
        ("alg: none", connect(unsigned), gone(3500)),
        ("an algorithm of no key", connect(named), gone(3500)),
        ("another algorithm of the key", connect(token(HS512, SECRET, claims(BEGAN + 60))), gone(3500)),
        ("another one's signature", connect(token(HS256, &[7; 32], claims(BEGAN + 60))), gone(3500)),
        ("a token for others", connect(token(HS256, SECRET, foreign)), gone(3500)),
        ("a token without end", connect(token(HS256, SECRET, json!({"sub": "ann", "aud": "here"}))), gone(3500)),
        ("a token that is over", connect(token(HS256, SECRET, claims(BEGAN - 60))), error(109)),
    ] {
        let mut bench = session("ann");
        let said = bench.say(&frame);
        let last = said.last().unwrap_or(&Value::Null);
        assert_eq!(
            (&last["gone"], &last["error"]["code"]),
            (&expected["gone"], &expected["error"]["code"]),
            "{what}: {frame} was answered {said:?}"
        );
        drop(bench);
        let heard = other.publish("a", what);
        assert_eq!(heard[0]["push"]["pub"]["data"], what, "nobody else is disturbed");
    }

    let mut nobody = Bench::on(site, Transport::WebSocket, Arrival::default());
    assert_eq!(nobody.say(CONNECT), [gone(3507)], "who must say who it is");
}

/// With an RSA key, or another one that is public, a secret made of it is none.
#[test]
fn a_public_key_is_no_secret() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let pem = pair.public_key_pem();
    let keys = vec![TokenKey::pem(TokenAlgorithm::Es256, pem.as_bytes()).unwrap()];
    let config = Config { tokens: TokenSettings { keys, ..TokenSettings::default() }, ..Config::default() };
    let mut bench =
        Bench::on(Site::new(config, Table::default(), None).unwrap(), Transport::WebSocket, Arrival::default());
    let forged = token(jsonwebtoken::Algorithm::HS256, pem.as_bytes(), json!({"sub": "root", "exp": BEGAN + 60}));
    assert_eq!(bench.say(&json!({"id": 1, "connect": {"token": forged}}).to_string()), [json!({"gone":3500})]);
}

#[test]
fn what_is_too_much_is_refused_for_a_while() {
    let hourly = |amount| Some(Rate { amount, per: Duration::from_secs(3600) });
    let rates = Rates { messages_per_connection: hourly(2), subscriptions_per_address: hourly(1), ..Rates::default() };
    let request = http::Request::builder()
        .extension(Allowance::new(&rates, Default::default()))
        .extension(ClientAddress([192, 0, 2, 1].into()));
    let spending = Spending::of(&request.body(()).unwrap());
    assert!(spending.is_some());
    let site = Site::new(Config::default(), Table::default(), None).unwrap();
    let mut bench = Bench::on(site, Transport::WebSocket, Arrival { spending, ..Arrival::default() });
    bench.say(CONNECT);
    let subscribe = |id: u32, channel: &str| json!({"id": id, "subscribe": {"channel": channel}}).to_string();
    let publish = |id: u32| json!({"id": id, "publish": {"channel": "a", "data": id}}).to_string();
    assert_eq!(bench.say(&subscribe(2, "a"))[0]["error"], Value::Null);
    let refused = bench.say(&subscribe(3, "b"));
    assert_eq!((&refused[0]["error"]["code"], &refused[0]["error"]["temporary"]), (&json!(111), &json!(true)));
    for id in [4, 5] {
        assert_eq!(bench.say(&publish(id))[0], json!({"id": id, "publish": {}}));
    }
    for command in [publish(6), json!({"id": 6, "history": {"channel": "a", "limit": 1}}).to_string()] {
        let refused = bench.say(&command);
        let said = refused[0]["error"]["message"].as_str().unwrap();
        assert!(refused[0]["error"]["code"] == 111 && said.contains("2/h for one connection; wait"), "{refused:?}");
    }
    assert!(bench.say("{}").is_empty(), "an answer to a ping costs nothing");
    assert_eq!(bench.say(r#"{"send":{"data":1}}"#), [json!({"gone":3013})], "nobody waits for an answer");
}
