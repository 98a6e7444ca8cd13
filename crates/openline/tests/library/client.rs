//! A client's way to a WebSocket, and everything that can be in the way.

use std::time::Duration;

use openline::handshake::ResponseError;
use openline::{Client, ConnectError, Message, Setting, Stage};
use tokio::io::DuplexStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::peer::Peer;
use crate::wire::unmasked;

fn line() -> (Peer, DuplexStream) {
    let (theirs, ours) = tokio::io::duplex(64 << 10);
    (Peer::new(theirs), ours)
}

/// The request of a client, which the server of the test has read, and what to accept it with.
pub(crate) async fn takes_request<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    peer: &mut Peer<S>,
) -> (String, String) {
    let request = peer.takes_until("\r\n\r\n").await;
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let accept = openline::handshake::accept_key(key);
    (request, accept)
}

pub(crate) fn accepted(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    )
}

/// A server that answers each request with what `answer` makes of the value that accepts it.
async fn connect_to(client: Client, answer: impl FnOnce(String) -> Vec<u8>) -> Result<(), ConnectError> {
    let (mut peer, stream) = line();
    let connecting = tokio::spawn(async move { client.connect_with(stream, "ws://example.com/").await.map(drop) });
    let (_, accept) = takes_request(&mut peer).await;
    peer.sends(answer(accept)).await;
    drop(peer);
    connecting.await.unwrap()
}

#[tokio::test]
async fn a_client_opens_a_websocket_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::new()
        .subprotocol("chat")
        .subprotocol("superchat")
        .header("Cookie", "a=b")
        .header("Cookie", "c=d")
        .origin("http://example.com");
    let connecting = tokio::spawn(async move { client.connect(&format!("ws://{address}/path?q=1")).await });
    let mut peer = Peer::new(listener.accept().await.unwrap().0);
    let (request, accept) = takes_request(&mut peer).await;
    let lines: Vec<&str> = request.lines().filter(|line| !line.starts_with("Sec-WebSocket-Key")).collect();
    let host = format!("Host: {address}");
    assert_eq!(lines[0], "GET /path?q=1 HTTP/1.1");
    for line in [
        &host,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: chat, superchat",
        "Cookie: a=b",
        "Cookie: c=d",
        "Origin: http://example.com",
    ] {
        assert!(lines.contains(&line), "{line} is missing in {request}");
    }
    peer.sends(format!("{}Sec-WebSocket-Protocol: superchat\r\nX-Own: 1\r\n\r\n", accepted(&accept))).await;
    let (mut socket, response) = connecting.await.unwrap().unwrap();
    assert_eq!(socket.subprotocol(), Some("superchat"));
    assert_eq!(response.headers()["x-own"], "1");
    assert!(socket.get_ref().as_tcp().unwrap().nodelay().unwrap());
    socket.send("hello").await.unwrap();
    let frame = peer.takes_frame().await;
    assert_eq!((frame.first, frame.masked, &frame.payload[..]), (0x81, true, &b"hello"[..]));
}

/// Frames of a server in a hurry, wherever TCP cuts the bytes.
#[tokio::test(start_paused = true)]
async fn frames_glued_to_the_response_are_heard() {
    let frames = [unmasked(0x81, b"early"), unmasked(0x82, &[7; 3000])].concat();
    for at in 0..=(170 + frames.len()) {
        let (mut peer, stream) = line();
        let connecting = tokio::spawn(async move { Client::new().connect_with(stream, "ws://example.com").await });
        let (_, accept) = takes_request(&mut peer).await;
        let wire = [accepted(&accept).as_bytes(), b"\r\n", &frames].concat();
        let (first, second) = wire.split_at(at.min(wire.len()));
        peer.sends(first).await;
        tokio::task::yield_now().await;
        peer.sends(second).await;
        let (mut socket, _) = connecting.await.unwrap().unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from("early")));
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from(vec![7; 3000])));
    }
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_said() {
    // RFC 6761 §6.4: names under "invalid" do not exist.
    let error = openline::connect("ws://nowhere.invalid/").await.unwrap_err();
    let ConnectError::Dns { host, .. } = &error else { panic!("{error:?}") };
    assert_eq!(host, "nowhere.invalid");
    assert!(error.to_string().starts_with("cannot find the host \"nowhere.invalid\": "), "{error}");
}

#[tokio::test]
async fn a_port_that_refuses_is_said() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = openline::connect(&format!("ws://{address}/")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Connect { address: tried, .. } if tried == address), "{error:?}");
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
}

/// "localhost" is often ::1 first, and the server often only on 127.0.0.1.
#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connecting = tokio::spawn(async move { openline::connect(&format!("ws://localhost:{port}/")).await });
    let mut peer = Peer::new(listener.accept().await.unwrap().0);
    let (request, accept) = takes_request(&mut peer).await;
    assert!(request.contains(&format!("Host: localhost:{port}\r\n")), "{request}");
    peer.sends(format!("{}\r\n", accepted(&accept))).await;
    connecting.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_ipv6_address_is_a_host() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else { return }; // a machine without IPv6
    let port = listener.local_addr().unwrap().port();
    let connecting = tokio::spawn(async move { openline::connect(&format!("ws://[::1]:{port}/")).await });
    let mut peer = Peer::new(listener.accept().await.unwrap().0);
    let (request, accept) = takes_request(&mut peer).await;
    assert!(request.contains(&format!("Host: [::1]:{port}\r\n")), "{request}");
    peer.sends(format!("{}\r\n", accepted(&accept))).await;
    connecting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_or_too_little_times_out() {
    for (drip, seconds) in [(false, 10), (true, 10), (false, 3)] {
        let (mut peer, stream) = line();
        let client = Client::new().timeout(Duration::from_secs(seconds));
        let began = Instant::now();
        let connecting = tokio::spawn(async move { client.connect_with(stream, "ws://example.com/").await });
        let dripping = tokio::spawn(async move {
            while drip && peer.sends_if_open(b"H").await {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            peer.takes_all().await;
        });
        let error = connecting.await.unwrap().unwrap_err();
        dripping.await.unwrap();
        if drip {
            // Neither is HTTP, and it may be said before the time is up.
            assert!(matches!(error, ConnectError::Timeout { .. } | ConnectError::Head(_)), "{error:?}");
            continue;
        }
        assert!(
            matches!(error, ConnectError::Timeout { after, stage: Stage::Answer } if after.as_secs() == seconds),
            "{error:?}"
        );
        assert_eq!(began.elapsed().as_secs(), seconds);
        assert_eq!(error.to_string(), format!("no WebSocket after {seconds}s: the server had not answered"));
    }
}

/// A listening socket whose server never accepts: TCP connects, and that is all.
#[tokio::test]
async fn a_server_that_never_accepts_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client::new().timeout(Duration::from_millis(50));
    let error = client.connect(&format!("ws://{}/", listener.local_addr().unwrap())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_it_waits_for_ever() {
    let client = Client::new().timeout(Duration::MAX);
    connect_to(client, |accept| format!("{}\r\n", accepted(&accept)).into()).await.unwrap();
}

/// A refusal comes with all that says why.
#[tokio::test(start_paused = true)]
async fn an_http_answer_comes_with_headers_and_body() {
    let long = "x".repeat(20_000);
    for (head, sent, body) in [
        ("Content-Length: 9", "sorry, no", "sorry, no"),
        ("Content-Length: 9", "sorry, no, and more", "sorry, no"),
        ("Content-Length: 100", "sorry, no", "sorry, no"), // the line ends before
        ("X-Other: 1", "sorry, no", "sorry, no"),          // until the line ends
        ("Content-Length: 0", "", ""),
        ("Content-Length: 20000", &long, &long[..16 << 10]),
    ] {
        let answer = format!("HTTP/1.1 403 Forbidden\r\nX-Why: because\r\n{head}\r\n\r\n{sent}");
        let error = connect_to(Client::new(), |_| answer.into()).await.unwrap_err();
        let ConnectError::Refused(refused) = &error else { panic!("{error:?}") };
        assert_eq!((refused.status.as_u16(), &refused.headers["x-why"]), (403, &"because".parse().unwrap()));
        assert_eq!(refused.body, body);
        assert_eq!(error.to_string(), "the server answered 403 Forbidden instead of opening a WebSocket");
    }
}

/// A server that keeps the line open after its answer does not keep the client.
#[tokio::test(start_paused = true)]
async fn a_refusal_whose_body_does_not_end_is_not_waited_for() {
    for head in ["", "Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"] {
        let (mut peer, stream) = line();
        let connecting = tokio::spawn(async move { Client::new().connect_with(stream, "ws://example.com/").await });
        takes_request(&mut peer).await;
        peer.sends(format!("HTTP/1.1 500 Oops\r\n{head}\r\n")).await;
        let began = Instant::now();
        let error = connecting.await.unwrap().unwrap_err();
        assert!(matches!(error, ConnectError::Refused(_)), "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn redirects_are_told_and_not_followed() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n";
    let error = connect_to(Client::new(), |_| answer.into()).await.unwrap_err();
    let ConnectError::Refused(refused) = error else { panic!("{error:?}") };
    assert_eq!((refused.status.as_u16(), &refused.headers["location"]), (302, &"ws://elsewhere/".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn answers_that_break_the_handshake_are_refused() {
    type Judge = fn(&ConnectError) -> bool;
    type Answer = fn(String) -> String;
    let accepted_wrongly: [(Answer, Judge); 5] = [
        (
            |_| format!("{}\r\n", accepted("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
            |error| matches!(error, ConnectError::Response(_)),
        ),
        (
            |accept| format!("{}Sec-WebSocket-Protocol: unasked\r\n\r\n", accepted(&accept)),
            |error| matches!(error, ConnectError::Response(_)),
        ),
        (
            |accept| format!("{}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", accepted(&accept)),
            |error| matches!(error, ConnectError::Response(_)),
        ),
        (|_| "HTTP/1.1 101 Switching Protocols\r\n\r\n".into(), |error| matches!(error, ConnectError::Response(_))),
        (|_| "SSH-2.0-OpenSSH_9.9\r\n\r\n".into(), |error| matches!(error, ConnectError::Head(_))),
    ];
    let mut words = Vec::new();
    for (answer, judge) in accepted_wrongly {
        let error = connect_to(Client::new().subprotocol("chat"), |accept| answer(accept).into()).await.unwrap_err();
        assert!(judge(&error), "{error:?}");
        assert!(!matches!(error, ConnectError::Response(ResponseError::Status(_))), "{error:?}");
        words.push(error.to_string());
    }
    words.dedup();
    assert_eq!(words.len(), 5, "each says what is wrong: {words:#?}");
}

#[tokio::test(start_paused = true)]
async fn an_endless_head_is_refused() {
    let error = connect_to(Client::new(), |_| format!("HTTP/1.1 200 {}", "x".repeat(20_000)).into()).await;
    assert!(matches!(error, Err(ConnectError::Head(_))), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_just_closes_is_said() {
    for answer in ["", "HTTP/1.1 101 Swi"] {
        let error = connect_to(Client::new(), |_| answer.into()).await.unwrap_err();
        assert!(matches!(error, ConnectError::Closed), "{error:?}");
    }
}

#[tokio::test]
async fn settings_that_cannot_be_sent_are_told_by_connect() {
    let url = "ws://127.0.0.1:1/";
    for (client, setting) in [
        (Client::new().subprotocol("two words"), Setting::Subprotocol("two words".into())),
        (Client::new().subprotocol(""), Setting::Subprotocol(String::new())),
        (Client::new().header("X-\r\nEvil", "1").subprotocol("also wrong"), Setting::Header("X-\r\nEvil".into())),
        (Client::new().header("X-Fine", "a\r\nEvil: 1"), Setting::Header("X-Fine".into())),
        (Client::new().origin("http://a\n"), Setting::Header("Origin".into())),
    ] {
        let error = client.connect(url).await.unwrap_err();
        assert!(matches!(&error, ConnectError::Setting(told) if *told == setting), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    for header in ["Upgrade", "Connection", "Sec-WebSocket-Key", "Host", "Sec-WebSocket-Protocol"] {
        let error = Client::new().header(header, "x").connect(url).await.unwrap_err();
        assert!(matches!(error, ConnectError::Reserved(_)), "{header}: {error:?}");
    }
}

#[tokio::test]
async fn urls_are_judged_before_anything_is_opened() {
    for url in
        ["", "example.com", "ftp://example.com/", "ws://", "ws:///path", "ws://example.com/#fragment", "ws://a b/"]
    {
        let error = openline::connect(url).await.unwrap_err();
        assert!(matches!(error, ConnectError::Url(_)), "{url}: {error:?}");
    }
    for url in ["wss://127.0.0.1:1/", "https://127.0.0.1:1/"] {
        let error = openline::connect(url).await.unwrap_err();
        if cfg!(feature = "tls") {
            assert!(matches!(error, ConnectError::Connect { .. }), "{url}: {error:?}");
        } else {
            assert!(matches!(error, ConnectError::TlsMissing) && error.to_string().contains("`ring`"), "{error}");
        }
    }
}

/// Whoever gives up leaves nothing behind.
#[tokio::test]
async fn a_dropped_connect_closes_the_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let connecting = tokio::spawn(async move { openline::connect(&url).await.map(drop) });
    let mut peer: Peer<TcpStream> = Peer::new(listener.accept().await.unwrap().0);
    takes_request(&mut peer).await;
    connecting.abort();
    peer.expects_end().await;
}
