//! A WebSocket, and its halves, as what the `futures` crates know: `Stream` and `Sink`.

use futures_util::{SinkExt, StreamExt};
use openline::{Config, Error, Message, Receiver, SendError, Sender};

use crate::peer::client_of;
use crate::wire::masked;

#[tokio::test(start_paused = true)]
async fn a_socket_is_a_stream_of_messages() {
    let (mut peer, mut socket) = client_of(Config::default());
    peer.sends([masked(0x81, b"a"), masked(0x82, b"b"), masked(0x88, b"\x03\xe8")].concat()).await;
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::from("a"));
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::from(b"b".to_vec()));
    drop(tokio::spawn(async move { peer.takes_all().await }));
    assert!(socket.next().await.is_none());
    assert!(socket.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_does_not_hide_how_it_ended() {
    let (mut peer, mut socket) = client_of(Config::default());
    peer.sends(&masked(0x81, b"cut")[..4]).await;
    drop(peer);
    assert!(matches!(socket.next().await, Some(Err(Error::Aborted))));
    assert!(socket.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_socket_is_a_sink_of_messages() {
    let (mut peer, mut socket) = client_of(Config::default());
    SinkExt::feed(&mut socket, "a".into()).await.unwrap();
    SinkExt::feed(&mut socket, vec![7].into()).await.unwrap();
    peer.expects_nothing().await;
    SinkExt::flush(&mut socket).await.unwrap();
    peer.expects(b"\x81\x01a\x82\x01\x07").await;
    SinkExt::send(&mut socket, "b".into()).await.unwrap();
    peer.expects(b"\x81\x01b").await;
    let closing = tokio::spawn(async move {
        SinkExt::close(&mut socket).await.unwrap();
        let late = SinkExt::send(&mut socket, "late".into()).await;
        assert!(matches!(late, Err(Error::Send(SendError::Closed))));
        SinkExt::close(&mut socket).await
    });
    peer.expects(b"\x88\x02\x03\xe8").await;
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.expects_end().await;
    drop(peer);
    closing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn halves_are_a_stream_and_a_sink() {
    let (mut peer, socket) = client_of(Config::default());
    let (sender, receiver): (Sender<_>, Receiver<_>) = socket.split();
    let echoing = tokio::spawn(receiver.forward(sender));
    peer.sends(masked(0x81, b"a")).await;
    peer.expects(b"\x81\x01a").await;
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.expects(b"\x88\x02\x03\xe8").await;
    peer.expects_end().await;
    drop(peer);
    echoing.await.unwrap().unwrap();
}
