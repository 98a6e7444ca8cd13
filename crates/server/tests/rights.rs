//! Who may do what at which door: every right, alone, at every door, for whoever comes without a name, for users, and for backends.
#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod support;

use openline_server::hub::{Namespaces, Settings};
use openline_server::{Config, Policies, Policy, Rights, Secret, TokenKey, TokenSettings, Who};

use crate::support::{Answer, Running, close, masked, start, upgrade, upgrade_with};

const KEY: &str = "correct-horse-battery-staple";

const SECRET: &[u8] = b"thirty-two bytes, and not fewer..";

/// What somebody shows who is known.
fn bearer(user: &str) -> String {
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    let claims = serde_json::json!({ "sub": user, "exp": 4_102_444_800_u64 });
    let token = jsonwebtoken::encode(&header, &claims, &jsonwebtoken::EncodingKey::from_secret(SECRET));
    format!("Authorization: Bearer {}\r\n", token.unwrap())
}

/// The right that is given, to whom.
type Given = (&'static str, Who);

async fn server(given: &Given) -> Running {
    let mut rights = Rights::default();
    let place = match given.0 {
        "subscribe" => &mut rights.subscribe,
        "publish" => &mut rights.publish,
        "history" => &mut rights.history,
        "presence" => &mut rights.presence,
        _ => &mut rights.delete,
    };
    *place = given.1.clone();
    let settings = Settings { presence: true, ..Settings::default() };
    start(Config {
        policies: Policies::default().with("chat", Policy { rights, ..Policy::default() }),
        namespaces: Namespaces::default().with("chat", settings).closed(),
        tokens: TokenSettings { keys: vec![TokenKey::secret(SECRET).unwrap()], ..TokenSettings::default() },
        api_keys: vec![Secret::new("another-key-of-another-backend").unwrap(), Secret::new(KEY).unwrap()],
        ..Config::default()
    })
    .await
}

/// Knocks, and says how that is answered.
async fn knock(server: &Running, door: &str, fields: &str) -> Answer {
    let mut raw = server.connect().await;
    let plain = |method: &str, query: &str, fields: &str, body: &str| {
        let length = body.len();
        format!(
            "{method} /c/chat:x{query} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
        )
    };
    raw.send(match door {
        "websocket" => upgrade_with("/c/chat:x", fields),
        "several" => upgrade_with("/c?ch=chat:x", fields),
        "events" => plain("GET", "", &format!("Accept: text/event-stream\r\n{fields}"), ""),
        "poll" => plain("GET", "?wait=0", fields, ""),
        "window" => plain("GET", "", fields, ""),
        "presence" => plain("GET", "?presence", fields, ""),
        // The body of an answer to HEAD is not there, whatever its length says: only the head is read.
        "head" => plain("HEAD", "", fields, ""),
        "post" => plain("POST", "", fields, "hi"),
        _ => plain("DELETE", "", fields, ""),
    })
    .await;
    match door {
        "head" => Answer { status: raw.head().await, head: String::new(), body: String::new() },
        _ => raw.answer().await,
    }
}

const DOORS: [&str; 9] = ["websocket", "several", "events", "poll", "window", "presence", "head", "post", "delete"];

#[tokio::test]
async fn every_right_opens_its_doors_and_no_others() {
    for (right, opened) in [
        ("subscribe", &["websocket", "several", "events", "poll", "head"][..]),
        ("history", &["window", "head"]),
        ("publish", &["post"]),
        ("presence", &["presence"]),
        ("delete", &["delete"]),
    ] {
        for who in [Who::Nobody, Who::Anyone, Who::Known, Who::Users(["ann".into()].into())] {
            let server = server(&(right, who.clone())).await;
            let identities = [("nobody", String::new()), ("ann", bearer("ann")), ("eve", bearer("eve"))];
            for (door, (user, fields)) in DOORS.iter().flat_map(|door| identities.iter().map(move |user| (*door, user)))
            {
                let answer = knock(&server, door, fields).await;
                let is_included = match who {
                    Who::Nobody => false,
                    Who::Anyone => true,
                    Who::Known => *user != "nobody",
                    Who::Users(_) => *user == "ann",
                };
                let is_open = is_included && opened.contains(&door);
                let expected = match door {
                    _ if !is_open => 403,
                    "websocket" | "several" => 101,
                    "post" => 202,
                    "delete" => 204,
                    _ => 200,
                };
                assert_eq!(answer.status, expected, "{right} for {who:?} at {door} by {user}: {answer:?}");
                if !is_open && door != "head" {
                    let says = answer.body.contains("chat:x") && answer.body.contains("namespaces.chat.allow.");
                    assert!(says, "{door}: {}", answer.body);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_backend_with_a_key_may_publish_and_delete_whatever_the_rights() {
    let server = server(&("history", Who::Nobody)).await;
    for shown in [
        format!("Authorization: Bearer {KEY}\r\n"),
        format!("authorization: bearer {KEY}\r\n"),
        format!("X-API-Key: {KEY}\r\n"),
    ] {
        for (door, expected) in
            [("post", 202), ("delete", 204), ("websocket", 403), ("events", 403), ("window", 403), ("presence", 403)]
        {
            assert_eq!(knock(&server, door, &shown).await.status, expected, "{shown} at {door}");
        }
    }
    for wrong in ["Authorization: Bearer correct-horse\r\n", "X-API-Key: x\r\n", "X-API-Key: \r\n"] {
        let answer = knock(&server, "post", wrong).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{wrong}");
        assert!(!answer.body.contains("correct"), "{}", answer.body);
    }
    // Of another scheme, it is for somebody else.
    assert_eq!(knock(&server, "post", "Authorization: Basic YTpi\r\n").await.status, 403);
}

#[tokio::test]
async fn who_may_only_listen_is_closed_when_it_speaks() {
    let server = server(&("subscribe", Who::Anyone)).await;
    let mut line = server.open("/c/chat:x").await;
    line.send(masked(0x81, b"hi")).await;
    line.expects(close(1008, "you may listen here, and not publish")).await;
    // Nothing was published.
    let answer = knock(&server, "events", "").await;
    assert!(answer.header("openline-position").unwrap().ends_with(".0"), "{answer:?}");
}

#[tokio::test]
async fn a_namespace_that_does_not_exist_is_404_at_every_door() {
    let server = server(&("subscribe", Who::Anyone)).await;
    let mut raw = server.connect().await;
    raw.send(upgrade("/c/other:x")).await;
    assert_eq!(raw.answer().await.status, 404);
    for method in ["GET", "POST", "DELETE"] {
        let mut raw = server.connect().await;
        raw.send(format!("{method} /c/other:x HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, 404, "{method}");
        assert!(answer.body.contains("no namespace \"other\""), "{}", answer.body);
    }
}

/// HTML, "Server-sent events": 204 tells a browser that comes back to stop.
#[tokio::test]
async fn an_event_stream_that_comes_back_to_what_is_closed_is_told_to_stop() {
    let server = server(&("history", Who::Anyone)).await;
    let back = "Last-Event-ID: 00c0ffee00c0ffee.1\r\n";
    let answer = knock(&server, "events", back).await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    assert_eq!(knock(&server, "events", "").await.status, 403, "who is new is told why");
    assert_eq!(knock(&server, "poll", back).await.status, 403, "who polls can read");
}

#[tokio::test]
async fn whether_a_socket_hears_itself_is_a_rule_of_the_namespace() {
    for hears_itself in [true, false] {
        let policies = Policies::new(Policy { hears_itself, ..Policy::open() });
        let server = start(Config { policies, ..Config::default() }).await;
        let (mut own, mut other) = (server.open("/c/x").await, server.open("/c/x").await);
        own.send(masked(0x81, b"mine")).await;
        other.expects(b"\x81\x04mine").await;
        other.send(masked(0x81, b"yours")).await;
        if hears_itself {
            own.expects(b"\x81\x04mine").await;
        }
        own.expects(b"\x81\x05yours").await;
    }
}

#[tokio::test]
async fn who_listens_is_seen_and_heard_coming_and_going() {
    let settings = Settings { presence: true, ..Settings::default() };
    let server = start(Config { namespaces: Namespaces::new(settings), ..Config::default() }).await;
    let mut watcher = server.open("/c?ch=x").await;
    let guest = server.open("/c/x").await;
    let joined = watcher.text().await;
    let joined: serde_json::Value = serde_json::from_str(&joined).unwrap();
    assert_eq!(joined["channel"], "x");
    let client = joined["join"]["client"].as_str().unwrap().to_owned();

    let mut raw = server.connect().await;
    raw.send("GET /c/x?presence HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer: serde_json::Value = serde_json::from_str(&raw.answer().await.body).unwrap();
    assert_eq!((&answer["clients"], answer["members"].as_array().unwrap().len()), (&2.into(), 2));
    assert!(answer["members"].as_array().unwrap().iter().any(|member| member["client"] == *client), "{answer}");

    drop(guest);
    let left: serde_json::Value = serde_json::from_str(&watcher.text().await).unwrap();
    assert_eq!(left["leave"]["client"], *client);

    let mut events = server.connect().await;
    events.send("GET /c/x HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await;
    assert_eq!(events.answer().await.status, 200);
    let joined: serde_json::Value = serde_json::from_str(&watcher.text().await).unwrap();
    assert!(joined["join"]["client"].is_string(), "{joined}");
    let _newcomer = server.open("/c/x").await;
    events.until("event: join\ndata: {\"channel\":\"x\",\"join\":{\"client\":").await;

    // Where nobody is seen, there is nothing to see.
    let server = start(Config::default()).await;
    let mut raw = server.connect().await;
    raw.send("GET /c/x?presence HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 404);
}
