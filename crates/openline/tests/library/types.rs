//! What the compiler promises: what may move between tasks, and how large a socket is.

use openline::{
    BinaryWriter, Client, Listener, Message, Opening, Receiver, Sender, SharedMessage, TextWriter, WebSocket,
};
use tokio::net::TcpStream;

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

const _: () = {
    is_send::<WebSocket>();
    is_send::<Sender<TcpStream>>();
    is_send::<Receiver<TcpStream>>();
    is_send::<BinaryWriter<'_, TcpStream>>();
    is_send::<TextWriter<'_, TcpStream>>();
    is_send::<Opening>();
    is_send::<openline::Error>();
    is_send::<openline::ConnectError>();
    is_sync::<WebSocket>();
    is_sync::<Sender<TcpStream>>();
    is_sync::<openline::Error>();
    is_sync::<Client>();
    is_sync::<Listener>();
    is_sync::<Message>();
    is_sync::<SharedMessage>();
};

// A socket is moved into tasks and through futures, each of which grows with it: as documented, it is one pointer.
const _: () = {
    assert!(size_of::<WebSocket>() == size_of::<usize>());
    assert!(size_of::<Option<WebSocket>>() == size_of::<usize>());
    assert!(size_of::<Opening>() <= 2 * size_of::<usize>());
    assert!(size_of::<Sender<TcpStream>>() <= 2 * size_of::<usize>());
    assert!(size_of::<Receiver<TcpStream>>() <= 2 * size_of::<usize>());
    assert!(size_of::<Message>() <= 6 * size_of::<usize>());
    assert!(size_of::<openline::Error>() <= 6 * size_of::<usize>());
};

/// The futures may live in spawned tasks.
#[tokio::test(start_paused = true)]
async fn futures_are_send() {
    fn send<F: Send>(future: F) -> F {
        future
    }
    let (_peer, mut socket) = crate::peer::client_of(openline::Config::default());
    drop(send(socket.recv()));
    drop(send(socket.recv_part()));
    drop(send(async { socket.recv_ref().await.map(|lent| lent.is_some()) }));
    drop(send(socket.send("a")));
    drop(send(socket.feed(vec![1])));
    drop(send(socket.close(openline::CloseCode::NORMAL, "")));
    drop(send(socket.start_binary().write(b"a")));
    let (mut sender, mut receiver) = socket.split();
    drop(send(sender.send("a")));
    drop(send(receiver.recv()));
    drop(send(openline::connect("ws://localhost")));
}
