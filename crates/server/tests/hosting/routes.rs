//! Routes: which one answers, and what it may be told apart from the server.

use http::HeaderMap;
use openline::proto::handshake::{Host, Origin, Subprotocol};
use openline::{Config as LineConfig, Message};
use openline_server::hosting::{Compression, Origins, Redirect, Respond, Route, What};
use openline_server::{Config, Listen, Server, StartError};

use tokio::io::AsyncReadExt;

use crate::support::{masked, upgrade_with};
use crate::{closes, get, hear, hears, host, host_one, open};

fn respond(path: &str, text: &str) -> Route {
    Route::new(path, What::Respond(Respond::text(text)))
}

#[tokio::test]
async fn paths_are_compared_in_their_normal_form() {
    let server = host(vec![respond("/chat/lobby", "lobby"), respond("/chat/{room}", "room")]).await;
    for (path, expected) in [
        ("/chat/lobby", "lobby"),
        ("/chat/%6Cobby", "lobby"),
        ("/x/../chat/lobby", "lobby"),
        ("/chat/./lobby", "lobby"),
        ("/chat/%2e%2e/chat/lobby", "lobby"),
        ("/chat/lobby?x=/..", "lobby"),
        ("/chat/other", "room"),
        ("/chat/a%2Fb", "room"),
    ] {
        let answer = get(&server, path, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, expected), "{path}");
    }
    for path in ["/chat", "/chat/", "/chat/a/b", "/Chat/lobby", "//chat/lobby", "/test", "/", "/c/news"] {
        assert_eq!(get(&server, path, "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_route_of_a_host_answers_for_that_host() {
    let own = Route { host: Some(Host::parse("app.example").unwrap()), ..respond("/", "own") };
    let server = host(vec![own, respond("/", "any")]).await;
    for (name, status, body) in [
        ("app.example", 200, "own"),
        ("APP.example:8080", 200, "own"),
        ("localhost", 200, "any"),
        ("other.example", 421, ""),
    ] {
        let mut raw = server.connect().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).await;
        let answer = raw.answer().await;
        assert_eq!(answer.status, status, "{name}");
        assert!(status == 421 || answer.body == body, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_route_has_its_own_limits_subprotocols_compression_and_headers() {
    let headers = HeaderMap::from_iter([("x-team".parse().unwrap(), "blue".parse().unwrap())]);
    let own = Route {
        line: Some(LineConfig { max_message_bytes: 10, ..LineConfig::default() }),
        subprotocols: vec![Subprotocol::new("a").unwrap(), Subprotocol::new("b").unwrap()],
        compression: Compression::Off,
        max_lines: Some(1),
        headers,
        ..Route::new("/own", What::Echo)
    };
    let server = host(vec![own, Route::new("/plain", What::Echo)]).await;

    let mut raw = server.connect().await;
    let offer = "Sec-WebSocket-Protocol: x, b, a\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    raw.send(upgrade_with("/own", offer)).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("sec-websocket-protocol"), Some("b"));
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    assert_eq!(answer.header("x-team"), Some("blue"));
    // One line at once, and over it 503.
    let mut second = server.connect().await;
    second.send(upgrade_with("/own", "")).await;
    let answer = second.answer().await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    raw.send(masked(0x82, b"0123456789")).await;
    raw.expects(b"\x82\x0a0123456789").await;
    raw.send(masked(0x82, b"0123456789!")).await;
    let mut frame = [0; 4];
    raw.0.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[..1], [0x88]);
    assert_eq!(u16::from_be_bytes([frame[2], frame[3]]), 1009);

    let mut plain = server.connect().await;
    plain.send(upgrade_with("/plain", offer)).await;
    let answer = plain.answer().await;
    assert_eq!(answer.header("sec-websocket-protocol"), Some("x"));
    assert!(answer.header("sec-websocket-extensions").is_some());
}

#[tokio::test]
async fn a_route_has_its_own_origins() {
    let these = Origins::These(vec![Origin::parse("https://app.example").unwrap()]);
    let server = host(vec![
        Route { origins: these, ..Route::new("/these", What::Echo) },
        Route { origins: Origins::Any, ..Route::new("/any", What::Echo) },
        Route::new("/own", What::Echo),
    ])
    .await;
    for (path, origin, status) in [
        ("/these", "https://app.example", 101),
        ("/these", "https://evil.example", 403),
        ("/any", "https://evil.example", 101),
        ("/own", "https://app.example", 403),
        ("/own", "http://localhost:5173", 101),
    ] {
        let mut raw = server.connect().await;
        raw.send(upgrade_with(path, &format!("Origin: {origin}\r\n"))).await;
        assert_eq!(raw.answer().await.status, status, "{origin} at {path}");
    }
}

#[tokio::test]
async fn any_page_may_use_what_is_the_same_for_everyone() {
    let server = host(vec![respond("/text", "hi"), Route::new("/echo", What::Echo)]).await;
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(get(&server, "/text", foreign).await.status, 200);
    assert_eq!(get(&server, "/echo", foreign).await.status, 403);
    // Not by another name, though: that would be DNS rebinding.
    let mut raw = server.connect().await;
    raw.send("GET /text HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert_eq!(raw.answer().await.status, 421);
}

#[tokio::test]
async fn redirects_keep_the_query_and_take_parameters() {
    let redirect = |to: &str| What::Redirect(Redirect::new(to).unwrap());
    let moved = Redirect::new("https://new.example/").unwrap().status(308).unwrap();
    let server = host(vec![
        Route::new("/old", redirect("/new")),
        Route::new("/rooms/{room}", redirect("/chat?room={room}")),
        Route::new("/files/{*rest}", redirect("/docs/{rest}")),
        Route::new("/gone", What::Redirect(moved)),
    ])
    .await;
    for (path, status, location) in [
        ("/old", 307, "/new"),
        ("/old?a=b", 307, "/new?a=b"),
        ("/rooms/a%20b?x", 307, "/chat?room=a%20b"),
        ("/files/a/b", 307, "/docs/a/b"),
        ("/files//evil.example", 307, "/docs//evil.example"),
        ("/gone", 308, "https://new.example/"),
    ] {
        let answer = get(&server, path, "").await;
        assert_eq!((answer.status, answer.header("location")), (status, Some(location)), "{path}");
    }
    for wrong in ["", "new", "//evil.example", "ftp://x", "/a b", "/a\r\nb"] {
        assert!(Redirect::new(wrong).is_err(), "{wrong:?}");
    }
    assert!(Redirect::new("/a").unwrap().status(200).is_err());
}

#[tokio::test]
async fn a_channel_is_named_by_the_path() {
    let server = host_one("/rooms/{room}", What::Channel("room-{room}".into())).await;
    let mut member = open(&server, "/rooms/a%21b", &[]).await;
    let mut other = open(&server, "/rooms/c", &[]).await;
    let mut raw = server.connect().await;
    raw.send("POST /rooms/a!b HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi")
        .await;
    assert_eq!(raw.answer().await.status / 100, 2);
    hears(&mut member, "hi").await;
    other.send("own").await.unwrap();
    hears(&mut other, "own").await;
}

#[tokio::test]
async fn an_echo_echoes() {
    let server = host_one("/echo", What::Echo).await;
    let mut socket = open(&server, "/echo", &[]).await;
    socket.send(vec![0; 100_000]).await.unwrap();
    assert_eq!(hear(&mut socket).await, Some(Message::Binary(vec![0; 100_000].into())));
    assert_eq!(get(&server, "/echo", "").await.status, 426);
    socket.start_close(openline::CloseCode::NORMAL);
    closes(&mut socket, 1000, "").await;
}

#[tokio::test]
async fn routes_that_cannot_be_do_not_start() {
    let refused = async |routes: Vec<Route>| {
        let listen = vec![Listen::At("127.0.0.1:0".parse().unwrap())];
        match Server::bind(Config { routes, listen, ..Config::default() }).await {
            Err(StartError::Route(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let twice = refused(vec![respond("/a/{x}", ""), Route::new("/a/{y}", What::Echo)]).await;
    assert_eq!(
        twice,
        "the routes /a/{x} (respond) and /a/{y} (echo) answer the same paths: change the path of one of them"
    );
    let template = refused(vec![Route::new("/a-{x}", What::Echo)]).await;
    assert_eq!(
        template,
        "the route /a-{x} (echo): a parameter is a whole segment: /rooms/{room}, and not /room-{room}"
    );
}

#[tokio::test]
async fn backends_are_not_for_strangers() {
    use openline_server::hosting::Tcp;
    use openline_server::knock::Knock;
    let knock = || Knock { hosts: vec![Host::parse("chat.lan").unwrap()], ..Knock::default() };
    let routes = || vec![Route::new("/vnc", What::Tcp(Tcp::to("127.0.0.1:5900".parse().unwrap())))];
    let public = || vec![Listen::At("0.0.0.0:0".parse().unwrap())];
    let config = Config { routes: routes(), knock: knock(), listen: public(), ..Config::default() };
    match Server::bind(config.clone()).await {
        Err(error @ StartError::Unprotected(_)) => {
            assert!(error.to_string().contains("--allow-public-backends"), "{error}")
        }
        other => panic!("{other:?}"),
    }
    assert!(Server::bind(Config { allow_public_backends: true, ..config.clone() }).await.is_ok());
    assert!(Server::bind(Config { routes: vec![Route::new("/echo", What::Echo)], ..config }).await.is_ok());
    // Whoever is behind a proxy is not on this machine, either.
    let mut behind = Config { routes: routes(), ..Config::default() };
    behind.listen = vec![Listen::At("127.0.0.1:0".parse().unwrap())];
    assert!(Server::bind(behind.clone()).await.is_ok());
    behind.proxies.trusted = vec!["127.0.0.1".parse().unwrap()];
    assert!(matches!(Server::bind(behind).await, Err(StartError::Unprotected(_))));
}
