//! §4.1 item 2: connections to one place are opened one after the other.

use std::time::Duration;

use openline::{Client, ConnectError, Queue, Stage};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{accepted, takes_request};
use crate::peer::Peer;

/// As long as a connection that must not come is waited for.
const A_WHILE: Duration = Duration::from_millis(100);

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn connect(client: &Client, to: &TcpListener) -> JoinHandle<Result<(), ConnectError>> {
    let (client, url) = (client.clone(), format!("ws://{}/", to.local_addr().unwrap()));
    tokio::spawn(async move { client.connect(&url).await.map(drop) })
}

async fn comes(listener: &TcpListener) -> Peer<tokio::net::TcpStream> {
    Peer::new(timeout(Duration::from_secs(10), listener.accept()).await.expect("a connection").unwrap().0)
}

async fn nobody_comes(listener: &TcpListener) {
    assert!(timeout(A_WHILE, listener.accept()).await.is_err(), "two at once");
}

async fn answers(peer: &mut Peer<tokio::net::TcpStream>) {
    let (_, accept) = takes_request(peer).await;
    peer.sends(accepted(&accept) + "\r\n").await;
}

#[tokio::test]
async fn no_more_than_one_connection_to_an_address_is_connecting() {
    let listener = listen().await;
    let client = Client::new().queue(&Queue::new(16));
    let by_name = client.clone().resolve("example.com", listener.local_addr().unwrap().port(), [[127, 0, 0, 1].into()]);
    let url = format!("ws://example.com:{}/", listener.local_addr().unwrap().port());
    let first = connect(&client, &listener);
    let mut peer = comes(&listener).await;
    let second = tokio::spawn(async move { by_name.connect(&url).await.map(drop) });
    nobody_comes(&listener).await;
    answers(&mut peer).await;
    first.await.unwrap().unwrap();
    let mut peer = comes(&listener).await;
    answers(&mut peer).await;
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_failed_makes_room_for_the_next() {
    let listener = listen().await;
    let client = Client::new().queue(&Queue::new(16));
    let first = connect(&client, &listener);
    let peer = comes(&listener).await;
    let second = connect(&client, &listener);
    drop(peer);
    assert!(first.await.unwrap().is_err());
    answers(&mut comes(&listener).await).await;
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn other_places_do_not_wait_unless_there_are_too_many() {
    let (one, other) = (listen().await, listen().await);
    for (most, at_once) in [(2, true), (1, false)] {
        let client = Client::new().queue(&Queue::new(most));
        let first = connect(&client, &one);
        let mut peer = comes(&one).await;
        let second = connect(&client, &other);
        let early = if at_once {
            Some(comes(&other).await)
        } else {
            nobody_comes(&other).await;
            None
        };
        answers(&mut peer).await;
        first.await.unwrap().unwrap();
        let mut peer = match early {
            Some(peer) => peer,
            None => comes(&other).await,
        };
        answers(&mut peer).await;
        second.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_wait_for_a_turn_counts() {
    let listener = listen().await;
    let client = Client::new().queue(&Queue::new(16));
    let first = connect(&client, &listener);
    let _peer = comes(&listener).await;
    let impatient = client.timeout(A_WHILE);
    let error = connect(&impatient, &listener).await.unwrap().unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Turn, .. }), "{error}");
    first.abort();
}
