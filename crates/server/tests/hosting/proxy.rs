//! `proxy`: other servers behind this one, well and unwell.

use std::net::SocketAddr;
use std::time::Duration;

use openline::deflate::Deflate;
use openline::{Client, Close, CloseCode, Config as LineConfig, ConnectError, Listener, Message};
use openline_server::hosting::{Health, HostHeader, Proxy, Redirect, Respond, Route, Tcp, Upstream, What};
use openline_server::{Config, Order, Proxies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{Answer, PATIENCE, Raw, Running, start, upgrade, upgrade_with};
use crate::{closes, get, hear, hears, host, host_one, open};

/// A server behind, byte by byte.
struct Behind(TcpListener);

impl Behind {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn upstream(&self, path: &str) -> Upstream {
        format!("http://{}{path}", self.0.local_addr().unwrap()).parse().unwrap()
    }

    fn proxy(&self) -> Proxy {
        Proxy::to(self.upstream(""))
    }

    async fn accept(&self) -> TcpStream {
        timeout(PATIENCE, self.0.accept()).await.expect("somebody comes").unwrap().0
    }
}

/// A request's head, in lower case.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("a head comes").unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

fn proxied(proxy: Proxy) -> What {
    What::Proxy(Box::new(proxy))
}

/// A server that echoes, and one in front of it.
async fn echo_behind(change: impl FnOnce(&mut Proxy)) -> (Running, Running) {
    let behind = behind_us(vec![Route::new("/app/echo", What::Echo)]).await;
    let mut proxy = Proxy::to(format!("ws://{}", behind.address).parse().unwrap());
    change(&mut proxy);
    let front = host_one("/app", proxied(proxy)).await;
    (front, behind)
}

/// A server with these routes that takes us for its proxy.
pub(crate) async fn behind_us(routes: Vec<Route>) -> Running {
    let proxies = Proxies { trusted: vec!["127.0.0.1".parse().unwrap()], protocol: false };
    let hosts = ["127.0.0.1", "localhost"].map(|name| openline::handshake::Host::parse(name).unwrap()).into();
    let knock = openline_server::knock::Knock { hosts, ..Default::default() };
    start(Config { routes, proxies, knock, ..Config::default() }).await
}

async fn refusal(server: &Running, path: &str) -> (u16, String) {
    match Client::new().connect(&format!("ws://{}{path}", server.address)).await {
        Err(ConnectError::Refused(refused)) => (refused.status.as_u16(), String::from_utf8_lossy(&refused.body).into()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plain_request_and_its_answer_pass() {
    let behind = Behind::new().await;
    let server = host_one("/", proxied(behind.proxy())).await;
    let mut raw = server.connect().await;
    raw.send(
        "POST /a/%7Eb/../c%2Fd?q=%20 HTTP/1.1\r\nHost: localhost:1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n\
         Upgrade: h2c\r\nX-Kept: 2\r\nCookie: a=b\r\nContent-Length: 5\r\n\r\nhello",
    )
    .await;
    let mut stream = behind.accept().await;
    let head = head(&mut stream).await;
    let mut body = [0; 5];
    stream.read_exact(&mut body).await.unwrap();
    assert_eq!(&body, b"hello");
    assert!(head.starts_with("post /a/c%2fd?q=%20 http/1.1\r\n"), "{head}");
    for field in [
        "host: localhost:1",
        "x-kept: 2",
        "cookie: a=b",
        "content-length: 5",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: http",
        "x-forwarded-host: localhost:1",
        "x-real-ip: 127.0.0.1",
        "via: 1.1 openline",
        "forwarded: for=127.0.0.1;proto=http;host=\"localhost:1\"",
    ] {
        assert!(head.contains(&format!("\r\n{field}\r\n")), "{field}: {head}");
    }
    for field in ["x-hop", "te:", "upgrade:", "http2-settings"] {
        assert!(!head.contains(&format!("\r\n{field}")), "{field}: {head}");
    }
    stream
        .write_all(b"HTTP/1.1 201 Created\r\nConnection: close, X-Own\r\nX-Own: 1\r\nX-Kept: 3\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok")
        .await
        .unwrap();
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.body.as_str()), (201, "ok"));
    assert_eq!(
        (answer.header("x-kept"), answer.header("set-cookie"), answer.header("x-own")),
        (Some("3"), Some("c=d"), None)
    );
}

#[tokio::test]
async fn a_connection_is_used_again_and_a_stale_one_made_anew() {
    let behind = Behind::new().await;
    let server = host_one("/", proxied(behind.proxy())).await;
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (answer, mut stream) = tokio::join!(get(&server, "/1", ""), async {
        let mut stream = behind.accept().await;
        head(&mut stream).await;
        stream.write_all(ok).await.unwrap();
        stream
    });
    assert_eq!(answer.body, "ok");
    let (answer, ()) = tokio::join!(get(&server, "/2", ""), async {
        assert!(head(&mut stream).await.starts_with("get /2 "));
        stream.write_all(ok).await.unwrap();
    });
    assert_eq!(answer.body, "ok");
    // It is closed under the next request: that is sent again, on a new one.
    let (answer, ()) = tokio::join!(get(&server, "/3", ""), async {
        head(&mut stream).await;
        drop(stream);
        let mut stream = behind.accept().await;
        head(&mut stream).await;
        stream.write_all(ok).await.unwrap();
    });
    assert_eq!(answer.body, "ok");
}

#[tokio::test]
async fn a_path_behind_the_address_takes_the_place_of_the_routes() {
    let behind = behind_us(vec![
        Route::new("/app/x", What::Respond(Respond::text("kept"))),
        Route::new("/base/x", What::Respond(Respond::text("replaced"))),
        Route::new("/x", What::Respond(Respond::text("removed"))),
        Route::new("/base", What::Respond(Respond::text("bare"))),
    ])
    .await;
    let to = |path: &str| proxied(Proxy::to(format!("http://{}{path}", behind.address).parse().unwrap()));
    let server =
        host(vec![Route::new("/app", to("")), Route::new("/old", to("/base")), Route::new("/cut", to("/"))]).await;
    for (path, expected) in [("/app/x", "kept"), ("/old/x", "replaced"), ("/cut/x", "removed"), ("/old", "bare")] {
        assert_eq!(get(&server, path, "").await.body, expected, "{path}");
    }
}

#[tokio::test]
async fn bodies_stream_both_ways_and_are_bounded() {
    let behind = Behind::new().await;
    let server = host_one("/", proxied(Proxy { max_body_bytes: 10, ..behind.proxy() })).await;
    // What is announced to be too long does not get through at all.
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 413);
    // What turns out to be is broken off.
    let mut raw = server.connect().await;
    raw.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let mut stream = behind.accept().await;
    assert!(head(&mut stream).await.contains("transfer-encoding: chunked"));
    let mut first = [0; 8];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"5\r\nhello");
    raw.send("6\r\nworld!\r\n").await;
    assert_eq!(raw.answer().await.status, 413);
    // An answer comes as it is made, and breaks off where it breaks off.
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut stream = behind.accept().await;
    head(&mut stream).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
    assert_eq!(raw.answer().await.status, 200);
    raw.expects("3\r\none\r\n").await;
    drop(stream);
    raw.expects_eof().await;
}

#[tokio::test]
async fn messages_pass_both_ways_with_subprotocol_and_compression_of_each_side() {
    let (front, _behind) = echo_behind(|_| {}).await;
    let mut socket = open(&front, "/app/echo", &["x", "y"]).await;
    assert_eq!(socket.subprotocol(), Some("x"));
    let long = "ä".repeat(300_000);
    for message in [
        Message::Text("hi".into()),
        Message::Binary(vec![0, 255].into()),
        Message::Text(long.into()),
        Message::Text("".into()),
    ] {
        socket.send(&message).await.unwrap();
        assert_eq!(hear(&mut socket).await, Some(message));
    }
    // The client's side is compressed, the other is not.
    let mut raw = front.connect().await;
    raw.send(upgrade_with("/app/echo", "Sec-WebSocket-Extensions: permessage-deflate\r\n")).await;
    assert!(raw.answer().await.header("sec-websocket-extensions").is_some());
    let behind = Behind::new().await;
    let server = host_one("/", proxied(behind.proxy())).await;
    let mut raw = server.connect().await;
    raw.send(upgrade_with(
        "/",
        "Sec-WebSocket-Extensions: permessage-deflate\r\nOrigin: http://localhost\r\nX-Forwarded-Host: a\r\n",
    ))
    .await;
    let head = head(&mut behind.accept().await).await;
    assert!(!head.contains("sec-websocket-extensions") && head.contains("\r\norigin: http://localhost\r\n"), "{head}");
    assert_eq!(head.matches("sec-websocket-key").count(), 1);
    assert!(!head.contains("dghlihnhbxbszsbub25jzq"), "the client's own key: {head}");
    assert!(head.contains("x-forwarded-for: 127.0.0.1") && head.contains("x-forwarded-host: localhost"), "{head}");
    // Where it is wanted, both are.
    let (front, _behind) = echo_behind(|proxy| proxy.compression = Some(Deflate::default())).await;
    let mut socket = open(&front, "/app/echo", &[]).await;
    let text = "again and ".repeat(1000);
    socket.send(&text[..]).await.unwrap();
    hears(&mut socket, &text).await;
}

#[tokio::test]
async fn who_sends_much_and_reads_late_stops_nobody() {
    let (front, _behind) = echo_behind(|_| {}).await;
    let (mut sender, mut receiver) = open(&front, "/app/echo", &[]).await.split();
    let sending = tokio::spawn(async move {
        for number in 0..200_u32 {
            let message = vec![number as u8; 200_000];
            sender.send(&message[..]).await.unwrap();
        }
        sender
    });
    for number in 0..200_u32 {
        let message = timeout(PATIENCE, receiver.recv()).await.expect("it passes").unwrap().unwrap();
        assert!(message.len() == 200_000 && message.as_bytes()[0] == number as u8, "{number}");
    }
    drop(sending.await.unwrap());
}

/// A server behind that speaks WebSocket, and a line to it through us.
async fn line() -> (openline::WebSocket<openline::ClientStream>, openline::WebSocket, Running) {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::to(format!("ws://{}", listener.local_addr().unwrap()).parse().unwrap());
    let server = host_one("/", proxied(proxy)).await;
    let (client, behind) = tokio::join!(open(&server, "/", &[]), async {
        let opening = listener.accept().await.unwrap().request().await.unwrap();
        opening.accept(&openline::handshake::ServerHandshake::default()).await.unwrap()
    });
    (client, behind, server)
}

#[tokio::test]
async fn close_codes_pass_and_reserved_ones_do_not() {
    for (code, reason) in [(1000, ""), (1001, "bye"), (3000, "log in"), (4999, "own")] {
        let close = || Close::new(CloseCode::try_from(code).unwrap(), reason);
        let (mut client, mut behind, _server) = line().await;
        behind.start_close(close());
        let (_, ()) = tokio::join!(behind.recv(), closes(&mut client, code, reason));
        let (mut client, mut behind, _server) = line().await;
        client.start_close(close());
        let (heard, _) = tokio::join!(behind.recv(), client.recv());
        assert_eq!(heard.unwrap(), None);
        let closed = behind.closed().unwrap();
        assert_eq!((closed.code(), closed.reason()), (code, reason));
    }
    // No code: none.
    let (mut client, mut behind, _server) = line().await;
    behind.start_close(Close::empty());
    let (_, ()) = tokio::join!(behind.recv(), closes(&mut client, 1005, ""));
    // No close at all.
    let (mut client, behind, _server) = line().await;
    drop(behind);
    closes(&mut client, 1014, "the server behind is gone").await;
    let (client, mut behind, _server) = line().await;
    drop(client);
    assert_eq!(timeout(PATIENCE, behind.recv()).await.unwrap().unwrap(), None);
    assert_eq!(behind.closed().unwrap().code(), 1001);
    // The server in the middle ends.
    let (mut client, mut behind, mut server) = line().await;
    server.order(Order::Drain);
    let (heard, ()) = tokio::join!(behind.recv(), closes(&mut client, 1012, "the server is restarting"));
    assert_eq!((heard.unwrap(), behind.closed().unwrap().code()), (None, 1001));
}

#[tokio::test]
async fn a_tunnel_passes_bytes_and_only_after_a_checked_101() {
    let behind = behind_us(vec![Route::new("/echo", What::Echo)]).await;
    let upstream = format!("http://{}", behind.address).parse().unwrap();
    let server = host_one("/", proxied(Proxy { tunnel: true, ..Proxy::to(upstream) })).await;
    let client = Client::new().subprotocol("x");
    let (mut socket, response) = client.connect(&format!("ws://{}/echo", server.address)).await.unwrap();
    assert_eq!(socket.subprotocol(), Some("x"));
    assert!(response.headers().contains_key("sec-websocket-extensions"), "what the ends agree on is theirs");
    for message in ["hi".to_owned(), "again and ".repeat(100_000)] {
        socket.send(&message[..]).await.unwrap();
        hears(&mut socket, &message).await;
    }
    let closed = socket.close(CloseCode::try_from(4001).unwrap(), "own").await.unwrap();
    assert_eq!(closed.code(), 4001);
    assert_eq!(refusal(&server, "/none").await.0, 404);
    // A refusal has its body, in however many pieces it comes.
    let login = Behind::new().await;
    let asks = host_one("/", proxied(Proxy { tunnel: true, ..login.proxy() })).await;
    let (refused, ()) = tokio::join!(refusal(&asks, "/"), async {
        let mut stream = login.accept().await;
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\nlog").await.unwrap();
        stream.write_all(b" in and more").await.unwrap();
    });
    assert_eq!(refused, (401, "log in".to_owned()));
    for wrong in [
        &b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ] {
        let behind = Behind::new().await;
        let server = host_one("/", proxied(Proxy { tunnel: true, ..behind.proxy() })).await;
        let (answer, ()) = tokio::join!(refusal(&server, "/"), async {
            let mut stream = behind.accept().await;
            head(&mut stream).await;
            stream.write_all(wrong).await.unwrap();
        });
        assert_eq!(answer.0, 502, "{}", wrong.escape_ascii());
    }
}

/// Nobody here knows what is said in a tunnel; whether it is taken, the system knows (`TCP_USER_TIMEOUT`).
#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_takes_nothing_out_of_a_tunnel_is_given_up_by_the_system() {
    let behind = Behind::new().await;
    let line = LineConfig { write_timeout: Duration::from_secs(1), ..LineConfig::default() };
    let routes = vec![Route::new("/", proxied(Proxy { tunnel: true, ..behind.proxy() }))];
    let server = start(Config { routes, line, ..Config::default() }).await;
    let mut deaf = server.connect().await;
    deaf.send(upgrade("/")).await;
    let mut stream = behind.accept().await;
    head(&mut stream).await;
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(deaf.answer().await.status, 101);
    let flood = async { while stream.write_all(&[0x82; 64 << 10]).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("it is given up");
}

/// An end that has said all still hears the other one.
#[tokio::test]
async fn a_tunnel_ends_one_way_at_a_time() {
    let behind = Behind::new().await;
    let server = host_one("/", proxied(Proxy { tunnel: true, ..behind.proxy() })).await;
    let mut client = server.connect().await;
    // What follows the request at once passes, too.
    client.send(format!("{}early", upgrade("/"))).await;
    let mut stream = behind.accept().await;
    head(&mut stream).await;
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nsoon";
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(client.answer().await.status, 101);
    client.expects("soon").await;
    client.send("last").await;
    client.0.shutdown().await.unwrap();
    let mut said = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut said)).await.expect("it ends").unwrap();
    assert_eq!(said, "earlylast");
    // More than fits anywhere, to somebody who is not listening yet.
    let much = vec![b'x'; 8 << 20];
    let saying = tokio::spawn(async move {
        stream.write_all(&much).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let mut heard = Vec::new();
    timeout(PATIENCE, client.0.read_to_end(&mut heard)).await.expect("it ends").unwrap();
    assert_eq!(heard.len(), 8 << 20);
    saying.await.unwrap();
}

#[tokio::test]
async fn a_server_that_resets_in_the_middle_of_a_message_is_1014() {
    let behind = Behind::new().await;
    let server = host_one("/", proxied(behind.proxy())).await;
    let mut raw = server.connect().await;
    raw.send(upgrade("/")).await;
    let mut stream = behind.accept().await;
    let head = head_as_sent(&mut stream).await;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = openline::handshake::accept_key(key);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nSet-Cookie: a=b\r\n\r\n\x01\x05he"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    let answer = raw.answer().await;
    assert_eq!((answer.status, answer.header("set-cookie")), (101, Some("a=b")));
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    raw.expects(crate::support::close(1014, "the server behind is gone")).await;
}

async fn head_as_sent(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, stream.read_u8()).await.expect("a head comes").unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// What a client hears of a server behind that answers everything like this.
async fn through(answer: &'static [u8]) -> ((u16, String), Answer) {
    let behind = Behind::new().await;
    let proxy = Proxy { response_timeout: Duration::from_millis(500), ..behind.proxy() };
    let server = host_one("/", proxied(proxy)).await;
    let answering = async {
        loop {
            let mut stream = behind.accept().await;
            let _ = stream.write_all(answer).await;
            tokio::spawn(async move { while stream.read_u8().await.is_ok() {} });
        }
    };
    let asking = async { (refusal(&server, "/").await, get(&server, "/", "").await) };
    tokio::select! {
        answers = asking => answers,
        () = answering => unreachable!("it answers for ever"),
    }
}

#[tokio::test]
async fn servers_that_answer_wrongly_have_their_status() {
    for (says, upgrade, plain) in [
        (&b""[..], 504, 504),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502, 200),
        (b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 6\r\n\r\nlog in", 401, 401),
        (b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 307, 307),
        (b"\x15\x03\x01\0\x02\x02\x28", 502, 502),
        (b"SSH-2.0-OpenSSH_9\r\n", 502, 502),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n", 502, 502),
    ] {
        let (refused, answer) = through(says).await;
        assert_eq!((refused.0, answer.status), (upgrade, plain), "{}", says.escape_ascii());
        assert!(refused.0 != 401 || refused.1 == "log in");
    }
    // Nobody there.
    let behind = Behind::new().await;
    let server = host_one("/", proxied(behind.proxy())).await;
    drop(behind);
    assert_eq!((refusal(&server, "/").await.0, get(&server, "/", "").await.status), (502, 502));
}

/// Where connections are neither taken nor refused: as many wait as may.
async fn unanswered() -> (SocketAddr, socket2::Socket, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    (address, socket, waiting)
}

#[tokio::test]
async fn who_does_not_take_a_connection_in_time_is_504() {
    let (address, _socket, _waiting) = unanswered().await;
    let limit = Duration::from_millis(300);
    let proxy = |tunnel| {
        let upstream = format!("http://{address}").parse().unwrap();
        proxied(Proxy { connect_timeout: limit, tunnel, ..Proxy::to(upstream) })
    };
    let tcp = Tcp::to(address.to_string().parse().unwrap()).connect_timeout(limit);
    let server = host(vec![
        Route::new("/proxy", proxy(false)),
        Route::new("/tunnel", proxy(true)),
        Route::new("/tcp", What::Tcp(tcp)),
        Route::new("/echo", What::Echo),
    ])
    .await;
    for path in ["/proxy", "/tunnel", "/tcp"] {
        assert_eq!(refusal(&server, path).await.0, 504, "{path}");
    }
    assert_eq!(get(&server, "/proxy", "").await.status, 504);
    let mut others = open(&server, "/echo", &[]).await;
    others.send("hi").await.unwrap();
    hears(&mut others, "hi").await;
}

#[tokio::test]
async fn of_several_the_next_one_is_asked() {
    let gone = Behind::new().await;
    let well =
        behind_us(vec![Route::new("/e", What::Echo), Route::new("/t", What::Respond(Respond::text("well")))]).await;
    let upstreams = vec![gone.upstream(""), format!("http://{}", well.address).parse().unwrap()];
    drop(gone);
    let server = host_one("/", proxied(Proxy::to_any(upstreams))).await;
    for _ in 0..4 {
        assert_eq!(get(&server, "/t", "").await.body, "well");
        let mut raw = server.connect().await;
        raw.send("POST /t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!(raw.answer().await.body, "well");
        let mut socket = open(&server, "/e", &[]).await;
        socket.send("hi").await.unwrap();
        hears(&mut socket, "hi").await;
    }
}

#[tokio::test]
async fn lines_are_shared_out_and_the_unwell_get_none() {
    let first =
        behind_us(vec![Route::new("/e", What::Echo), Route::new("/health", What::Respond(Respond::text("")))]).await;
    let ill = Respond::text("").status(503).unwrap();
    let second = behind_us(vec![Route::new("/e", What::Echo), Route::new("/health", What::Respond(ill))]).await;
    let upstreams = || -> Vec<Upstream> {
        [&first, &second].map(|server| format!("http://{}", server.address).parse().unwrap()).into()
    };
    let shared = host_one("/", proxied(Proxy::to_any(upstreams()))).await;
    let mut lines = Vec::new();
    for _ in 0..6 {
        lines.push(open(&shared, "/e", &[]).await);
    }
    assert_eq!((first.lines.count(), second.lines.count()), (3, 3));
    drop(lines);
    let health = Health { path: Some("/health".into()), interval: Duration::from_millis(20) };
    let watched = host_one("/", proxied(Proxy { health: Some(health), ..Proxy::to_any(upstreams()) })).await;
    let known = async {
        loop {
            let lines = [open(&watched, "/e", &[]).await, open(&watched, "/e", &[]).await];
            if second.lines.count() == 0 && first.lines.count() >= 2 {
                return drop(lines);
            }
            drop(lines);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, known).await.expect("who is ill gets nothing");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_a_server_too() {
    let folder = crate::files::Folder::new("proxy-unix");
    let path = folder.0.join("s.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let proxy = Proxy { host: HostHeader::Upstream, ..Proxy::to(format!("unix:{}", path.display()).parse().unwrap()) };
    let server = host_one("/", proxied(proxy)).await;
    let (answer, ()) = tokio::join!(get(&server, "/", ""), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = vec![0; 1000];
        let bytes = stream.read(&mut said).await.unwrap();
        let said = String::from_utf8_lossy(&said[..bytes]).to_ascii_lowercase();
        assert!(said.contains("\r\nhost: localhost\r\n"), "{said}");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    });
    assert_eq!(answer.body, "ok");
}

#[tokio::test]
async fn strange_targets_lead_nowhere_else() {
    let behind = behind_us(vec![Route::new("/", What::Respond(Respond::text("behind")))]).await;
    let server = host_one("/", proxied(Proxy::to(format!("http://{}", behind.address).parse().unwrap()))).await;
    let ask = async |request: String| {
        let mut raw = Raw::connect(server.address).await;
        raw.send(request).await;
        raw.answer().await
    };
    // An absolute target's host is judged as a Host, and goes nowhere else.
    assert_eq!(ask("GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n".into()).await.body, "behind");
    assert_eq!(ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n".into()).await.status, 421);
    let connect = ask("CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n\r\n".into()).await;
    assert!(matches!(connect.status, 400 | 404 | 405), "{connect:?}");
    assert_eq!(ask("TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n".into()).await.status, 405);
}

#[tokio::test]
async fn only_trusted_proxies_say_who_asks() {
    let behind = Behind::new().await;
    let routes = vec![Route::new("/", proxied(behind.proxy()))];
    let proxies = Proxies { trusted: vec!["127.0.0.1".parse().unwrap()], protocol: false };
    let knock = openline_server::knock::Knock {
        hosts: vec![openline::handshake::Host::parse("app.example").unwrap()],
        ..Default::default()
    };
    let server = start(Config { routes, proxies, knock, allow_public_backends: true, ..Config::default() }).await;
    let mut raw = server.connect().await;
    raw.send("GET / HTTP/1.1\r\nHost: app.example\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n")
        .await;
    let head = head(&mut behind.accept().await).await;
    assert!(head.contains("x-forwarded-for: 192.0.2.7, 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("x-forwarded-proto: https\r\n") && head.contains("x-real-ip: 192.0.2.7\r\n"), "{head}");
}

#[tokio::test]
async fn a_route_beside_it_is_not_passed_on() {
    let behind = behind_us(vec![Route::new("/", What::Respond(Respond::text("behind")))]).await;
    let server = host(vec![
        Route::new("/", proxied(Proxy::to(format!("http://{}", behind.address).parse().unwrap()))),
        Route::new("/own", What::Respond(Respond::text("own"))),
        Route::new("/old", What::Redirect(Redirect::new("/own").unwrap())),
        Route {
            line: Some(LineConfig { max_message_bytes: 5, ..LineConfig::default() }),
            ..Route::new("/echo", What::Echo)
        },
    ])
    .await;
    assert_eq!(get(&server, "/own", "").await.body, "own");
    assert_eq!(get(&server, "/old", "").await.status, 307);
    assert_eq!(get(&server, "/", "").await.body, "behind");
}
