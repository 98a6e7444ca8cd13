//! A line in TLS: messages of every size, and an end that is one on every layer.

use openline::handshake::Negotiated;
use openline::tls::{Acceptor, ServerTls, TlsStream};
use openline::{CloseCode, Config, Error, Message, Role, WebSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::certificates::Authority;
use crate::server::{echo, open, trusting};

/// Two streams, one in the other's TLS.
async fn pair() -> (TlsStream<DuplexStream>, TlsStream<DuplexStream>) {
    let authority = Authority::new();
    let acceptor = Acceptor::new(&ServerTls::new(authority.issue(["one.test"]))).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let connector = trusting(&authority);
    let (server, client) = tokio::join!(acceptor.accept(ours), connector.connect("one.test", theirs));
    (server.unwrap(), client.unwrap())
}

fn websocket<S>(stream: S, role: Role) -> WebSocket<S> {
    WebSocket::from_parts(stream, b"", role, &Negotiated::default(), Config::default())
}

#[tokio::test]
async fn messages_of_every_size_come_back() {
    let authority = Authority::new();
    let (address, _) = echo(&ServerTls::new(authority.issue(["one.test"]))).await;
    let mut socket = open(trusting(&authority), "one.test", address).await.unwrap();
    for length in [0, 1, 125, 126, 1 << 14, (1 << 14) + 1, 65_535, 65_536, 1 << 20] {
        let message = Message::Binary(vec![7; length].into());
        let (sent, received) = {
            let (mut sender, mut receiver) = socket.split();
            let both = tokio::join!(sender.send(&message), receiver.recv());
            // The halves stay with this line, and the next message has one of its own.
            socket = open(trusting(&authority), "one.test", address).await.unwrap();
            both
        };
        sent.unwrap();
        assert_eq!(received.unwrap().map(|received| received == message), Some(true), "{length}");
    }
}

#[tokio::test]
async fn many_messages_in_one_write_come_back_in_order() {
    let authority = Authority::new();
    let (address, _) = echo(&ServerTls::new(authority.issue(["one.test"]))).await;
    let mut socket = open(trusting(&authority), "one.test", address).await.unwrap();
    for round in 0..20 {
        for number in 0..50 {
            socket.feed(format!("{round}.{number}")).await.unwrap();
        }
        for number in 0..50 {
            let expected = Message::Text(format!("{round}.{number}").into());
            assert_eq!(socket.recv().await.unwrap(), Some(expected));
        }
    }
}

/// RFC 8446 §6.1, and RFC 6455 §7.1.1: whoever began, both Close frames cross, then both close_notify, then both FIN.
#[tokio::test]
async fn closing_a_line_closes_tls_on_both_sides() {
    for client_begins in [true, false] {
        let (server, client) = pair().await;
        let (mut server, mut client) = (websocket(server, Role::Server), websocket(client, Role::Client));
        let (began, heard) = if client_begins {
            let both = tokio::join!(client.close(CloseCode::NORMAL, "done"), server.recv());
            (both.0, both.1)
        } else {
            let both = tokio::join!(server.close(CloseCode::NORMAL, "done"), client.recv());
            (both.0, both.1)
        };
        assert!(began.unwrap().is_clean());
        assert_eq!(heard.unwrap(), None);
    }
}

/// What the client's side says at the end is seen by a peer that is no WebSocket.
#[tokio::test]
async fn a_client_says_close_notify_after_the_servers() {
    let (mut server, client) = pair().await;
    let mut client = websocket(client, Role::Client);
    let closing =
        tokio::spawn(async move { client.close(CloseCode::NORMAL, "").await.map(|closed| closed.is_clean()) });
    let mut frame = [0; 8];
    server.read_exact(&mut frame).await.unwrap();
    server.write_all(b"\x88\x02\x03\xe8").await.unwrap();
    server.shutdown().await.unwrap();
    assert!(closing.await.unwrap().unwrap());
    // A stream that ended without close_notify would be an error here.
    assert_eq!(server.read(&mut frame).await.unwrap(), 0);
}

/// TCP that ends without close_notify may have been cut by anybody: 1006, whatever came before.
#[tokio::test]
async fn a_truncated_line_ended_badly() {
    for (role, cut_politely) in
        [(Role::Client, false), (Role::Server, false), (Role::Client, true), (Role::Server, true)]
    {
        let (server, client) = pair().await;
        let (mine, mut theirs) = if role == Role::Client { (client, server) } else { (server, client) };
        let mut socket = websocket(mine, role);
        let message: &[u8] = if role == Role::Client { b"\x81\x01x" } else { b"\x81\x81\0\0\0\0x" };
        theirs.write_all(message).await.unwrap();
        if cut_politely {
            theirs.shutdown().await.unwrap(); // TLS ends as it should, and the WebSocket does not
        }
        drop(theirs);
        assert_eq!(socket.recv().await.unwrap(), Some(Message::Text("x".into())));
        let error = socket.recv().await.unwrap_err();
        assert!(matches!(error, Error::Aborted), "{error:?}");
    }
}

/// The closing handshake came through: that TLS's own is cut then harms nobody.
#[tokio::test]
async fn a_truncation_after_the_close_is_no_more_than_rude() {
    let (server, client) = pair().await;
    let mut server = websocket(server, Role::Server);
    let mut client = client;
    client.write_all(b"\x88\x82\0\0\0\0\x03\xe8").await.unwrap();
    let closing = tokio::spawn(async move { server.recv().await });
    let mut frame = [0; 4];
    client.read_exact(&mut frame).await.unwrap();
    drop(client);
    assert_eq!(closing.await.unwrap().unwrap(), None);
}

/// The socket itself is one pointer, in TLS as without; and so is the stream below it.
#[test]
fn streams_in_tls_are_small() {
    assert_eq!(size_of::<TlsStream<tokio::net::TcpStream>>(), size_of::<usize>());
    assert!(size_of::<openline::ClientStream>() <= size_of::<tokio::net::TcpStream>() + size_of::<usize>());
}
