//! A registry, as an endpoint in Rust uses it.

use openline::{CloseCode, Listener, WebSocket};
use openline_server::{Identity, Registry};
use serde::{Deserialize, Serialize};

use crate::{closes, hears};

#[derive(Serialize, Deserialize)]
struct Say {
    text: String,
}

/// Somebody's line to an endpoint that tells all what each says.
async fn join(registry: &Registry, who: &'static str) -> WebSocket<openline::ClientStream> {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (client, mut socket) = tokio::join!(openline::connect(&url), async {
        let opening = listener.accept().await.unwrap().request().await.unwrap();
        opening.accept(&openline::handshake::ServerHandshake::default()).await.unwrap()
    });
    let registry = registry.clone();
    let seat = registry.enter(Identity::User(who.into()));
    tokio::spawn(async move { seat.serve(&mut socket, |say: Say| registry.broadcast(&say).unwrap()).await });
    client.unwrap()
}

#[tokio::test]
async fn lines_are_counted_told_and_closed_by_identity() {
    let registry = Registry::new();
    let (mut ann, mut other, mut bob) =
        (join(&registry, "ann").await, join(&registry, "ann").await, join(&registry, "bob").await);
    let identity = |name: &str| Identity::User(name.into());
    assert_eq!((registry.count(), registry.count_of(&identity("ann"))), (3, 2));
    ann.send(r#"{"text":"hi"}"#).await.unwrap();
    for socket in [&mut ann, &mut other, &mut bob] {
        hears(socket, r#"{"text":"hi"}"#).await;
    }
    // A logout closes all lines of that login, and no others.
    assert_eq!(registry.close(&identity("ann"), CloseCode::POLICY, "you logged out"), 2);
    closes(&mut ann, 1008, "you logged out").await;
    closes(&mut other, 1008, "you logged out").await;
    bob.send(r#"{"text":"still here"}"#).await.unwrap();
    hears(&mut bob, r#"{"text":"still here"}"#).await;
    // What does not decode has its code.
    bob.send(r#"{"txt":1}"#).await.unwrap();
    closes(&mut bob, 1007, "missing field `text` at line 1 column 9").await;
    let mut eve = join(&registry, "eve").await;
    eve.send(&b"\0"[..]).await.unwrap();
    closes(&mut eve, 1003, "JSON in text messages is spoken here").await;
}
