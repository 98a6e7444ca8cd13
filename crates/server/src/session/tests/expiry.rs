//! Tokens that end: sessions and subscriptions go on with another one, or are ended.

use super::*;
use crate::identity::{TokenKey, TokenSettings};

const SECRET: &[u8] = b"thirty-two bytes, and not fewer..";

fn token(claims: Value) -> String {
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(SECRET)).unwrap()
}

fn connection(user: &str, expires_in: u64) -> String {
    token(json!({"sub": user, "exp": BEGAN + expires_in}))
}

fn subscription(user: &str, channel: &str, expires_in: u64) -> String {
    token(json!({"sub": user, "channel": channel, "exp": BEGAN + expires_in}))
}

/// Ann's session, by a token that is good for a minute.
fn bench() -> Bench {
    let tokens = TokenSettings { keys: vec![TokenKey::secret(SECRET).unwrap()], ..TokenSettings::default() };
    let config = Config { tokens, ..Config::default() };
    let site = Site::new(config, Table::default(), None).unwrap();
    let mut bench = Bench::on(site, Transport::WebSocket, Arrival::default());
    let said = bench.say(&json!({"id": 1, "connect": {"token": connection("ann", 60)}}).to_string());
    assert_eq!((&said[0]["connect"]["expires"], &said[0]["connect"]["ttl"]), (&json!(true), &json!(60)));
    bench
}

/// Answers pings for so long.
fn wait(bench: &mut Bench, seconds: u64) -> Vec<Value> {
    let mut heard = Vec::new();
    for _ in 0..seconds {
        heard.extend(bench.pass(Duration::from_secs(1)));
        bench.say("{}");
    }
    heard.retain(|said| *said != json!({}));
    heard
}

#[test]
fn a_session_goes_on_with_another_token_or_ends() {
    let mut bench = bench();
    assert!(wait(&mut bench, 70).is_empty(), "there is time for another one");
    let said = bench.say(&json!({"id": 2, "refresh": {"token": connection("ann", 130)}}).to_string());
    assert_eq!((&said[0]["refresh"]["expires"], &said[0]["refresh"]["ttl"]), (&json!(true), &json!(60)));
    assert!(wait(&mut bench, 84).is_empty());
    assert_eq!(wait(&mut bench, 1), [json!({"gone":3005})]);
}

#[test]
fn a_session_stays_whose_it_is() {
    for (token, expected) in [
        (connection("eve", 60), json!({"gone":3500})),
        (subscription("ann", "a", 60), json!({"gone":3500})),
        (String::new(), json!({"gone":3500})),
    ] {
        let mut bench = bench();
        assert_eq!(bench.say(&json!({"id": 2, "refresh": {"token": token}}).to_string()), [expected]);
    }
    let mut bench = bench();
    wait(&mut bench, 70);
    let said = bench.say(&json!({"id": 2, "refresh": {"token": connection("ann", 60)}}).to_string());
    assert_eq!(said[0]["error"]["code"], 109, "fetch another one");
}

#[test]
fn a_subscription_goes_on_with_another_token_or_ends() {
    let mut bench = bench();
    let token = subscription("ann", "a", 10);
    let said = bench.say(&json!({"id": 2, "subscribe": {"channel": "a", "token": token}}).to_string());
    assert_eq!((&said[0]["subscribe"]["expires"], &said[0]["subscribe"]["ttl"]), (&json!(true), &json!(10)));
    assert!(wait(&mut bench, 20).is_empty(), "there is time for another one");
    let renew = |token: String| json!({"id": 3, "sub_refresh": {"channel": "a", "token": token}}).to_string();
    for (token, code) in [
        (subscription("ann", "a", 10), 109),
        (subscription("eve", "a", 60), 103),
        (subscription("ann", "b", 60), 103),
        (connection("ann", 60), 103),
        ("a.b.c".to_owned(), 103),
    ] {
        assert_eq!(bench.say(&renew(token))[0]["error"]["code"], code);
    }
    let said = bench.say(&renew(subscription("ann", "a", 30)));
    assert_eq!(said, [json!({"id":3,"sub_refresh":{"expires":true,"ttl":10}})]);
    assert!(wait(&mut bench, 34).is_empty());
    let over = json!({"push":{"channel":"a","unsubscribe":{"code":2501,"reason":"subscription expired"}}});
    assert_eq!(wait(&mut bench, 1), [over]);
    let said = bench.say(&renew(subscription("ann", "a", 60)));
    assert_eq!(said[0]["error"]["code"], 103, "what has ended is subscribed to, and not refreshed");
    assert_eq!(bench.site.channels.hub().subscribers(&"a".parse().unwrap()), 0);
}

#[test]
fn what_others_gave_an_end_ends() {
    let mut bench = bench();
    let admitted = crate::session::sessions::Admitted {
        channel: Some("a".parse().unwrap()),
        expire_at: Some(BEGAN + 10),
        ..Default::default()
    };
    assert_eq!(bench.order(Order::Subscribe(Box::new(admitted)))[0]["push"]["channel"], "a");
    assert!(wait(&mut bench, 9).is_empty());
    assert_eq!(wait(&mut bench, 1), [json!({"gone":3006})], "no library subscribes again by itself to that");
}

#[test]
fn a_backend_moves_the_end() {
    let mut bench = bench();
    let later = Order::Refresh { expire_at: Some(BEGAN + 100), expired: false, info: None };
    assert_eq!(bench.order(later), [json!({"push":{"refresh":{"expires":true,"ttl":100}}})]);
    assert!(wait(&mut bench, 124).is_empty());
    assert_eq!(wait(&mut bench, 1), [json!({"gone":3005})]);
}
