//! A server's opening handshake on a socket: heads that come in pieces, refusals that arrive, bytes that came too early.

use std::time::Duration;

use http::{Response, StatusCode};
use openline::handshake::{Acceptance, Origin, Origins, Rejection, ServerHandshake, Subprotocol};
use openline::http1::HeadLimits;
use openline::{Head, Listener, Message, OpeningError};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::peer::Peer;
use crate::wire::masked;

/// RFC 6455 §1.3, with a subprotocol and an origin.
const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://server.example.com\r\n\
    Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn line() -> (Peer, DuplexStream) {
    let (theirs, ours) = tokio::io::duplex(64 << 10);
    (Peer::new(theirs), ours)
}

fn chat() -> ServerHandshake {
    ServerHandshake { subprotocols: vec![Subprotocol::new("chat").unwrap()], ..Default::default() }
}

/// What a client that is in a hurry sends along belongs to the WebSocket, wherever TCP cuts it.
#[tokio::test(start_paused = true)]
async fn frames_glued_to_the_request_are_heard() {
    let wire = [REQUEST.as_bytes(), &masked(0x81, b"early"), &masked(0x82, &[7; 300])].concat();
    for at in 0..=wire.len() {
        let (mut peer, stream) = line();
        let opening = tokio::spawn(async move {
            let opening = Head::read(stream, &HeadLimits::default()).await.unwrap().into_opening().await.unwrap();
            opening.accept(&chat()).await.unwrap()
        });
        peer.sends(&wire[..at]).await;
        tokio::task::yield_now().await;
        peer.sends(&wire[at..]).await;
        let mut socket = opening.await.unwrap();
        assert_eq!(socket.subprotocol(), Some("chat"));
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from("early")));
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from(vec![7; 300])));
        peer.expects(format!("{ACCEPTED}Sec-WebSocket-Protocol: chat\r\n\r\n")).await;
    }
}

#[tokio::test]
async fn a_listener_opens_websockets() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = Peer::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    let incoming = listener.accept().await.unwrap();
    assert_eq!(incoming.peer_addr(), peer.stream.local_addr().unwrap());
    assert_eq!(incoming.local_addr().unwrap(), listener.local_addr().unwrap());
    peer.sends(REQUEST).await;
    let opening = incoming.request().await.unwrap();
    assert_eq!(opening.request().uri().path(), "/chat");
    assert_eq!(opening.origin(), Some(&Origin::parse("http://server.example.com").unwrap()));
    assert_eq!(opening.subprotocols().iter().map(|name| &**name).collect::<Vec<_>>(), ["chat", "superchat"]);
    assert!(opening.get_ref().nodelay().unwrap());
    let acceptance = Acceptance { subprotocol: Some(opening.subprotocols()[1].clone()), ..Default::default() };
    let mut socket = opening.accept_with(&acceptance).await.unwrap();
    assert_eq!(socket.subprotocol(), Some("superchat"));
    socket.send("welcome").await.unwrap();
    peer.expects(format!("{ACCEPTED}Sec-WebSocket-Protocol: superchat\r\n\r\n\x7f").trim_end_matches('\x7f')).await;
    peer.expects(b"\x81\x07welcome").await;
}

/// No client can hold up the next, whatever it does not say.
#[tokio::test]
async fn a_silent_client_does_not_hold_up_the_next() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut second = Peer::new(TcpStream::connect(address).await.unwrap());
    let first = listener.accept().await.unwrap();
    second.sends(REQUEST).await;
    listener.accept().await.unwrap().request().await.unwrap().accept(&chat()).await.unwrap();
    drop(first);
}

/// The answer arrives although the client sent more than was read: nothing is reset under it.
#[tokio::test]
async fn refusals_arrive_whatever_the_client_still_sends() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests: [(&str, &str); 5] = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "426 Upgrade Required"),
        ("POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", "405 Method Not Allowed"),
        ("nonsense\r\n\r\n", "400 Bad Request"),
        (&REQUEST.replace("http://server", "http://evil"), "403 Forbidden"),
        (&format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000)), "4"),
    ];
    for (request, status) in requests {
        let mut peer = Peer::new(TcpStream::connect(address).await.unwrap());
        let incoming = listener.accept().await.unwrap();
        let serving = tokio::spawn(async move { incoming.request().await?.accept(&chat()).await });
        peer.sends([request.as_bytes(), &[b'x'; 50_000]].concat()).await;
        peer.stream.shutdown().await.unwrap();
        let answer = String::from_utf8(peer.takes_all().await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.to_lowercase().contains("connection: "), "{answer}");
        let error = serving.await.unwrap().unwrap_err();
        assert!(matches!(error, OpeningError::Rejected(_) | OpeningError::Head(_)), "{error:?}");
        if let OpeningError::Rejected(rejection) = error {
            assert!(answer.ends_with(rejection.response().body()), "{answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_answered_with_408() {
    for drip in [false, true] {
        let (mut peer, stream) = line();
        let reading = tokio::spawn(async move { Head::read(stream, &HeadLimits::default()).await });
        let began = Instant::now();
        peer.sends(&REQUEST[..10]).await;
        if drip {
            // A byte a second is no excuse: the deadline is for the whole.
            for byte in REQUEST[10..19].bytes() {
                sleep(Duration::from_secs(1)).await;
                peer.sends([byte]).await;
            }
        }
        peer.expects("HTTP/1.1 408 Request Timeout\r\n").await;
        assert_eq!(began.elapsed().as_secs(), 10);
        let rest = tokio::spawn(async move { peer.takes_all().await });
        assert!(matches!(reading.await.unwrap(), Err(OpeningError::Timeout)));
        assert!(rest.await.unwrap().ends_with(b"send its head at once.\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_no_error_to_answer() {
    for sent in ["", "GET / HT"] {
        let (mut peer, stream) = line();
        peer.sends(sent).await;
        peer.stream.shutdown().await.unwrap();
        let read = Head::read(stream, &HeadLimits::default()).await;
        assert!(matches!(read, Err(OpeningError::Closed)), "{read:?}");
        peer.expects_end().await;
    }
}

/// A refused client that does not read, and does not go, is let go of.
#[tokio::test(start_paused = true)]
async fn a_refusal_waits_two_seconds_at_most() {
    let (theirs, ours) = tokio::io::duplex(16);
    let mut peer = Peer::new(theirs);
    let reading = tokio::spawn(async move { Head::read(ours, &HeadLimits::default()).await });
    peer.sends("\0\0\0\0\r\n\r\n").await;
    let began = Instant::now();
    assert!(matches!(reading.await.unwrap(), Err(OpeningError::Head(_))));
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_may_refuse_for_reasons_of_its_own() {
    let own = Response::builder().status(401).header("WWW-Authenticate", "Bearer").body("who are you?").unwrap();
    let refusals: [(openline::Refusal, &str); 2] = [
        (
            StatusCode::NOT_FOUND.into(),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 14\r\n\
             Connection: close\r\n\r\n404 Not Found\n",
        ),
        (
            own.into(),
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 12\r\nConnection: close\r\n\r\n\
             who are you?",
        ),
    ];
    for (refusal, answer) in refusals {
        let (mut peer, stream) = line();
        peer.sends(REQUEST).await;
        let opening = Head::read(stream, &HeadLimits::default()).await.unwrap().into_opening().await.unwrap();
        let rejecting = tokio::spawn(opening.reject(refusal));
        peer.expects(answer).await;
        peer.expects_end().await;
        drop(peer);
        rejecting.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_what_was_not_offered_is_told() {
    let (mut peer, stream) = line();
    peer.sends(REQUEST).await;
    let opening = Head::read(stream, &HeadLimits::default()).await.unwrap().into_opening().await.unwrap();
    let acceptance = Acceptance { subprotocol: Some(Subprotocol::new("mqtt").unwrap()), ..Default::default() };
    let accepting = tokio::spawn(async move { opening.accept_with(&acceptance).await });
    peer.expects("HTTP/1.1 500 ").await;
    drop(peer);
    let error = accepting.await.unwrap().unwrap_err();
    assert!(matches!(error, OpeningError::Rejected(Rejection::UnofferedSubprotocol(_))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn other_requests_can_be_answered_or_handed_on() {
    let (mut peer, stream) = line();
    let request = "HEAD /page?a=b HTTP/1.1\r\nHost: a\r\n\r\n";
    peer.sends(format!("{request}and more")).await;
    let head = Head::read(stream, &HeadLimits::default()).await.unwrap();
    assert!(!head.is_upgrade());
    assert_eq!(head.request().uri(), "/page?a=b");
    let (parsed, bytes, stream) = head.into_parts();
    assert_eq!((parsed.method().as_str(), &bytes[..]), ("HEAD", format!("{request}and more").as_bytes()));
    drop((peer, stream));

    for (method, body) in [("GET", "hello"), ("HEAD", "")] {
        let (mut peer, stream) = line();
        peer.sends(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let head = Head::read(stream, &HeadLimits::default()).await.unwrap();
        let responding = tokio::spawn(head.respond(Response::new("hello")));
        peer.expects(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n{body}")).await;
        peer.expects_end().await;
        drop(peer);
        responding.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn any_origin_may_be_let_in() {
    let (mut peer, stream) = line();
    peer.sends(REQUEST.replace("http://server", "http://elsewhere")).await;
    let opening = Head::read(stream, &HeadLimits::default()).await.unwrap().into_opening().await.unwrap();
    let handshake = ServerHandshake { origins: Origins::Any, ..Default::default() };
    let socket = opening.accept(&handshake).await.unwrap();
    assert_eq!(socket.subprotocol(), None);
    peer.expects(format!("{ACCEPTED}\r\n")).await;
}
