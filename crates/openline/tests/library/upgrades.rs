//! WebSockets from hyper and from axum, whose HTTP is theirs and whose handshake is ours.

use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openline::axum::{WebSocketUpgrade, WebSocketUpgradeRejection};
use openline::handshake::{ClientHandshake, Origin, Origins, Rejection, ServerHandshake, Subprotocol};
use openline::{CloseCode, Config, Error, Message, ProtocolError, Role, WebSocket};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::peer::Peer;
use crate::wire::{masked, unmasked};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const ACCEPT: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// The rest of a proper request.
fn request(extra: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n{KEY}\
         Sec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

/// An axum server; a new peer for each question.
async fn axum_server(router: Router) -> impl AsyncFn() -> Peer<TcpStream> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    async move || Peer::new(TcpStream::connect(address).await.unwrap())
}

/// A hyper server that upgrades every request, on a line of the test's.
fn hyper_server<S>(
    stream: S,
    handshake: ServerHandshake,
) -> mpsc::UnboundedReceiver<WebSocket<openline::UpgradedStream>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, receiver) = mpsc::unbounded_channel();
    let handle = service_fn(move |mut request: Request<Incoming>| {
        let (handshake, sender) = (handshake.clone(), sender.clone());
        async move {
            let (response, upgrade) = match openline::upgrade(&mut request, &handshake) {
                Ok(accepted) => accepted,
                Err(rejection) => return Ok(rejection.response()),
            };
            tokio::spawn(async move { sender.send(upgrade.await.unwrap()).unwrap() });
            Ok::<_, hyper::Error>(response.map(|()| String::new()))
        }
    });
    tokio::spawn(
        async move { http1::Builder::new().serve_connection(TokioIo::new(stream), handle).with_upgrades().await },
    );
    receiver
}

async fn echo(mut socket: openline::axum::WebSocket) {
    while let Ok(Some((message, mut reply))) = socket.recv_ref().await {
        reply.feed(message).unwrap();
    }
}

#[tokio::test]
async fn hyper_gives_back_tcp_and_what_it_read_too_much() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = Peer::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
    let chat = Subprotocol::new("chat").unwrap();
    let handshake = ServerHandshake { subprotocols: vec![chat], ..Default::default() };
    let mut sockets = hyper_server(listener.accept().await.unwrap().0, handshake);
    peer.sends([request("Sec-WebSocket-Protocol: chat\r\n").as_bytes(), &masked(0x81, b"early")].concat()).await;
    let head = peer.takes_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && head.contains(ACCEPT), "{head}");
    assert!(head.contains("sec-websocket-protocol: chat\r\n"), "{head}");
    let mut socket = sockets.recv().await.unwrap();
    assert!(socket.get_ref().as_tcp().expect("TCP itself").nodelay().unwrap());
    assert_eq!(socket.subprotocol(), Some("chat"));
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("early")));
    socket.send("late").await.unwrap();
    peer.expects(b"\x81\x04late").await;
}

#[tokio::test(start_paused = true)]
async fn hyper_upgrades_streams_of_any_kind() {
    let (theirs, ours) = tokio::io::duplex(100);
    let mut peer = Peer::new(theirs);
    let mut sockets = hyper_server(ours, ServerHandshake::default());
    peer.sends([request("").as_bytes(), &masked(0x81, b"early")].concat()).await;
    peer.takes_until("\r\n\r\n").await;
    let mut socket = sockets.recv().await.unwrap();
    assert!(socket.get_ref().as_tcp().is_none());
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("early")));
    let long = vec![7; 100_000];
    let (sent, frame) = tokio::join!(socket.send(long.clone()), async {
        let mut received = Vec::new();
        while received.len() < 100_000 {
            received.extend(peer.takes_frame().await.payload);
        }
        received
    });
    sent.unwrap();
    assert_eq!(frame, long);
    let closing = tokio::spawn(async move { socket.close(CloseCode::NORMAL, "").await });
    peer.expects(b"\x88\x02\x03\xe8").await;
    peer.sends(masked(0x88, b"\x03\xe8")).await;
    peer.expects_end().await;
    drop(peer);
    assert!(closing.await.unwrap().unwrap().is_clean());
}

/// Requests that are not in order, and what is said about them: the same from hyper, axum and our own listener.
#[tokio::test]
async fn refusals_are_those_of_the_handshake() {
    let connect =
        axum_server(Router::new().route("/ws", any(async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo)))).await;
    let requests = [
        "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        request("").replace("GET", "PUT"),
        request("").replace("13", "8"),
        request("").replace(KEY, ""),
        request("").replace(KEY, "Sec-WebSocket-Key: short\r\n"),
        request("").replace("keep-alive, Upgrade", "keep-alive"),
        request("").replace("Upgrade: websocket", "Upgrade: h2c"),
        request("Sec-WebSocket-Protocol: a, a\r\n"),
        request("Origin: http://evil.example\r\n"),
    ];
    for request in requests {
        let mut headers = [httparse::EMPTY_HEADER; 20];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(request.as_bytes()).unwrap();
        let mut head = Request::builder().method(parsed.method.unwrap()).uri(parsed.path.unwrap());
        for header in parsed.headers.iter() {
            head = head.header(header.name, header.value);
        }
        let rejection = ServerHandshake::default().accept(&head.body(()).unwrap()).unwrap_err();
        let expected = rejection.response();

        let mut axum = connect().await;
        let (line, ours) = tokio::io::duplex(10_000);
        let (mut hyper, _sockets) = (Peer::new(line), hyper_server(ours, ServerHandshake::default()));
        axum.sends(&request).await;
        hyper.sends(&request).await;
        for answer in [axum.takes_all().await, hyper.takes_all().await] {
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {}", expected.status())), "{head}");
            for (name, value) in expected.headers() {
                let line = format!("\r\n{name}: {}", value.to_str().unwrap());
                assert!(head.contains(&line), "{line} is missing in {head}");
            }
            assert_eq!(body, expected.body());
        }
    }
}

#[tokio::test]
async fn axum_serves_websockets_with_get_and_any() {
    let handler = async |upgrade: WebSocketUpgrade| {
        let upgrade = upgrade.protocols(["v2", "v1"]);
        assert_eq!(upgrade.requested_protocols().collect::<Vec<_>>(), ["v0", "v1", "v2"]);
        assert_eq!(upgrade.selected_protocol(), Some("v2"));
        upgrade.on_upgrade(|socket| async {
            assert_eq!(socket.subprotocol(), Some("v2"));
            assert!(socket.get_ref().as_tcp().expect("TCP itself").nodelay().unwrap());
            echo(socket).await;
        })
    };
    for route in [get(handler), any(handler)] {
        let connect = axum_server(Router::new().route("/ws", route)).await;
        let mut peer = connect().await;
        let early = masked(0x81, b"early");
        peer.sends([request("Sec-WebSocket-Protocol: v0, v1, v2\r\n").as_bytes(), &early].concat()).await;
        let head = peer.takes_until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && head.contains(ACCEPT), "{head}");
        assert!(head.contains("sec-websocket-protocol: v2\r\n"), "{head}");
        peer.expects(unmasked(0x81, b"early")).await;
        peer.sends(masked(0x88, b"\x03\xe8")).await;
        peer.expects(b"\x88\x02\x03\xe8").await;
        peer.expects_end().await;
    }
}

#[tokio::test]
async fn axum_opens_without_a_subprotocol_in_common() {
    let handler = async |upgrade: WebSocketUpgrade| {
        let upgrade = upgrade.protocols(["ours", "not a token"]);
        assert_eq!(upgrade.selected_protocol(), None);
        upgrade.on_upgrade(echo)
    };
    let connect = axum_server(Router::new().route("/ws", any(handler))).await;
    for offer in ["", "Sec-WebSocket-Protocol: theirs\r\n"] {
        let mut peer = connect().await;
        peer.sends(request(offer)).await;
        let head = peer.takes_until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 ") && !head.contains("sec-websocket-protocol"), "{head}");
    }
}

#[tokio::test]
async fn axum_lets_in_the_origins_that_it_is_told() {
    let own = async |upgrade: WebSocketUpgrade| {
        let origins = Origins::Only(vec![Origin::parse("https://app.example").unwrap()]);
        upgrade.origins(origins).on_upgrade(echo)
    };
    let any_origin = async |upgrade: WebSocketUpgrade| upgrade.origins(Origins::Any).on_upgrade(echo);
    let same = async |upgrade: WebSocketUpgrade| upgrade.on_upgrade(echo);
    for (route, app, local, evil) in
        [(any(own), 101, 403, 403), (any(any_origin), 101, 101, 101), (any(same), 403, 101, 403)]
    {
        let connect = axum_server(Router::new().route("/ws", route)).await;
        for (origin, status) in
            [("https://app.example", app), ("http://localhost", local), ("http://evil.example", evil)]
        {
            let mut peer = connect().await;
            peer.sends(request(&format!("Origin: {origin}\r\n"))).await;
            let head = peer.takes_until("\r\n\r\n").await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{origin}: {head}");
        }
    }
}

#[tokio::test]
async fn axum_sets_limits_and_adds_headers() {
    let (sender, mut errors) = mpsc::unbounded_channel();
    let handler = async move |upgrade: WebSocketUpgrade| {
        let response = upgrade.max_message_size(10).max_frame_size(8).max_write_buffer_size(99).on_upgrade(
            move |mut socket| async move {
                assert_eq!(socket.config().max_output_bytes, 99);
                sender.send(socket.recv().await).unwrap();
            },
        );
        ([("x-room", "kitchen")], response)
    };
    let connect = axum_server(Router::new().route("/ws", any(handler))).await;
    for (wire, error) in [
        (masked(0x82, &[0; 9]), ProtocolError::FrameTooBig { bytes: 9, max: 8 }),
        ([masked(0x02, &[0; 8]), masked(0x80, &[0; 3])].concat(), ProtocolError::MessageTooBig { max: 10 }),
    ] {
        let mut peer = connect().await;
        peer.sends([request("").into_bytes(), wire].concat()).await;
        let head = peer.takes_until("\r\n\r\n").await;
        assert!(head.contains("x-room: kitchen\r\n"), "{head}");
        peer.expects_close(1009).await;
        drop(peer);
        let received = errors.recv().await.unwrap();
        assert!(matches!(&received, Err(Error::Protocol(told)) if *told == error), "{received:?}");
    }
}

/// A server that serves without upgrades.
#[tokio::test]
async fn an_upgrade_that_fails_is_told() {
    let (theirs, ours) = tokio::io::duplex(1000);
    let (sender, mut failures) = mpsc::unbounded_channel();
    let handle = service_fn(move |mut request: Request<Incoming>| {
        let sender = sender.clone();
        async move {
            let (response, upgrade) = openline::upgrade(&mut request, &ServerHandshake::default()).unwrap();
            tokio::spawn(async move { sender.send(upgrade.await.unwrap_err()).unwrap() });
            Ok::<Response<String>, hyper::Error>(response.map(|()| String::new()))
        }
    });
    let mut peer = Peer::new(theirs);
    peer.sends(request("")).await;
    let serving = http1::Builder::new().serve_connection(TokioIo::new(ours), handle); // without upgrades
    let _ = timeout(Duration::from_secs(10), serving).await;
    assert!(!failures.recv().await.unwrap().to_string().is_empty());
}

#[tokio::test]
async fn axum_says_that_an_upgrade_failed() {
    let (sender, mut failures) = mpsc::unbounded_channel();
    let handler = async move |upgrade: WebSocketUpgrade| {
        upgrade
            .on_failed_upgrade(move |error: hyper::Error| sender.send(error.to_string()).unwrap())
            .on_upgrade(async |_| unreachable!())
    };
    let (theirs, ours) = tokio::io::duplex(1000);
    let service = hyper_util::service::TowerToHyperService::new(Router::new().route("/ws", any(handler)));
    let mut peer = Peer::new(theirs);
    peer.sends(request("")).await;
    let serving = http1::Builder::new().serve_connection(TokioIo::new(ours), service); // without upgrades
    let _ = timeout(Duration::from_secs(10), serving).await;
    assert!(!failures.recv().await.unwrap().is_empty());
}

/// Whatever called the router did not come from a connection.
#[tokio::test]
async fn axum_says_that_a_request_cannot_be_upgraded() {
    use axum::extract::FromRequestParts;
    let (mut parts, ()) = http::Request::builder()
        .uri("/ws")
        .header("Host", "localhost")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .unwrap()
        .into_parts();
    let rejection = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.unwrap_err();
    assert_eq!(rejection, WebSocketUpgradeRejection::NotUpgradable);
    assert_eq!(axum::response::IntoResponse::into_response(rejection).status(), 500);
    parts.headers.remove("upgrade");
    let rejection = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.unwrap_err();
    assert_eq!(rejection, Rejection::NoUpgrade.into());
    assert_eq!(axum::response::IntoResponse::into_response(rejection).status(), 426);
}

/// The client's end: any of hyper's clients, our handshake, our WebSocket.
#[tokio::test]
async fn a_client_of_hyper_becomes_a_websocket() {
    let (theirs, ours) = tokio::io::duplex(1000);
    let mut peer = Peer::new(theirs);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let handshake = ClientHandshake::new(&"ws://localhost/ws".parse().unwrap(), [7; 16]).unwrap();
    let asking = tokio::spawn(sender.send_request(handshake.request().map(|()| String::new())));
    let request = peer.takes_until("\r\n\r\n").await;
    let key = request.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
    let accept = openline::handshake::accept_key(key);
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    peer.sends([response.as_bytes(), &unmasked(0x81, b"early")].concat()).await;
    let response = asking.await.unwrap().unwrap().map(drop);
    let negotiated = handshake.finish(&response).unwrap();
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    let mut socket = WebSocket::from_upgraded(upgraded, Role::Client, &negotiated, Config::default());
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("early")));
    socket.send("late").await.unwrap();
    let frame = peer.takes_frame().await;
    assert_eq!((frame.first, frame.masked, &frame.payload[..]), (0x81, true, &b"late"[..]));
}

/// RFC 8441: a stream of an HTTP/2 connection.
#[cfg(feature = "http2")]
#[tokio::test]
async fn axum_and_hyper_serve_websockets_over_http2() {
    use hyper_util::rt::TokioExecutor;
    use hyper_util::server::conn::auto;

    let handler = async |upgrade: WebSocketUpgrade| upgrade.protocols(["chat"]).on_upgrade(echo);
    let router = Router::new().route("/ws", any(handler));
    let (theirs, ours) = tokio::io::duplex(64 << 10);
    tokio::spawn(async move {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http2().enable_connect_protocol();
        let service = hyper_util::service::TowerToHyperService::new(router);
        http.serve_connection_with_upgrades(TokioIo::new(ours), service).await.unwrap();
    });
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(theirs)).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap();
    // §3 of RFC 8441: not before the server's settings have come; any answer comes behind them.
    let plain = Request::get("http://localhost/ws").body(String::new()).unwrap();
    let refused = sender.send_request(plain).await.unwrap();
    assert_eq!(refused.status(), 400);

    let ask = |protocol: &'static str, origin: &'static str| {
        let mut request = Request::connect("http://localhost/ws")
            .version(http::Version::HTTP_2)
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Protocol", "chat")
            .header("Origin", origin)
            .body(String::new())
            .unwrap();
        request.extensions_mut().insert(hyper::ext::Protocol::from_static(protocol));
        request
    };
    let refused = sender.send_request(ask("websocket", "http://evil.example")).await.unwrap();
    assert_eq!(refused.status(), 403);
    let refused = sender.send_request(ask("connect-udp", "http://localhost")).await.unwrap();
    assert_eq!(refused.status(), 501);

    let response = sender.send_request(ask("websocket", "http://localhost")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert!(!response.headers().contains_key("sec-websocket-accept"));
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    let mut socket = WebSocket::from_upgraded(upgraded, Role::Client, &Default::default(), Config::default());
    for message in [Message::from("hello"), Message::from(vec![7; 100_000])] {
        socket.feed(&message).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(message));
    }
    assert!(socket.close(CloseCode::NORMAL, "").await.unwrap().is_clean());
}
