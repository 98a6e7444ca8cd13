//! A WebSocket over a WebSocket: one thread's buffers serve both, in the same poll.

use openline::handshake::Negotiated;
use openline::{Close, CloseCode, Config, Message, Role, WebSocket};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

use crate::tunnel::Tunnel;

fn open<S>(stream: S, role: Role) -> WebSocket<S> {
    WebSocket::from_parts(stream, b"", role, &Negotiated::default(), Config::default())
}

fn stack(stream: DuplexStream, role: Role) -> WebSocket<Tunnel<Tunnel<DuplexStream>>> {
    open(Tunnel::new(open(Tunnel::new(open(stream, role)), role)), role)
}

async fn echo(mut socket: WebSocket<impl AsyncRead + AsyncWrite + Unpin>) {
    while let Some((message, mut reply)) = socket.recv_ref().await.unwrap() {
        reply.feed(message).unwrap();
    }
    assert!(socket.closed().unwrap().is_clean());
}

#[tokio::test]
async fn messages_pass_three_layers_and_so_does_the_close() {
    let (ours, theirs) = tokio::io::duplex(1000);
    let echoing = tokio::spawn(echo(stack(ours, Role::Server)));
    let (mut sender, mut receiver) = stack(theirs, Role::Client).split();
    for length in [0, 1, 125, 126, 1000, 65_535, 65_536, 200_000] {
        let message = Message::from((0..length).map(|i| i as u8).collect::<Vec<_>>());
        // The line is shorter than a message, so both directions have to move at once.
        let (sent, received) = tokio::join!(sender.send(&message), receiver.recv());
        sent.unwrap();
        assert_eq!(received.unwrap(), Some(message));
    }
    sender.close(Close::new(CloseCode::NORMAL, "down we go")).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap(), None);
    assert!(receiver.closed().unwrap().is_clean());
    drop((sender, receiver));
    echoing.await.unwrap();
}
