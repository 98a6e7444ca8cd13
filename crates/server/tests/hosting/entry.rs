//! Who may come in at a route, whoever it leads to; and what those behind it are told of them.

use std::time::SystemTime;

use http::StatusCode;
use jsonwebtoken::{EncodingKey, Header, encode};
use openline::{Client, CloseCode, Message, WebSocket};
use openline_server::hosting::{App, Exec, Files, Origins, Proxy, Redirect, Respond, Route, Tcp, What};
use openline_server::{Config, Identity, Listen, Secret, Server, StartError, TokenKey, TokenSettings, Who};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::proxy::behind_us;
use crate::support::{PATIENCE, Running, start, upgrade_with};
use crate::{closes, hear, hears};

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const KEY: &str = "correct-horse-battery-staple";

/// A token of somebody, that ends in so many seconds.
fn token(user: &str, secret: &[u8], ends_in: i64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    let claims = serde_json::json!({ "sub": user, "exp": now + ends_in });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret)).unwrap()
}

fn believing(routes: Vec<Route>) -> Config {
    let tokens = TokenSettings {
        keys: vec![TokenKey::secret(SECRET).unwrap()],
        cookie: Some("session".into()),
        ..TokenSettings::default()
    };
    Config { routes, tokens, api_keys: vec![Secret::new(KEY).unwrap()], ..Config::default() }
}

fn allowed(path: &str, what: What, allow: Who) -> Route {
    Route { allow: Some(allow), ..Route::new(path, what) }
}

/// A service that answers nobody, and a server that echoes.
async fn behind() -> (TcpListener, Running) {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let any = Route { origins: Origins::Any, ..Route::new("/proxy", What::Echo) };
    (service, behind_us(vec![any]).await)
}

/// One of each kind that has lines.
fn lines(service: &TcpListener, server: &Running) -> Vec<(&'static str, What)> {
    let upstream = || format!("ws://{}", server.address).parse().unwrap();
    let router = axum::Router::new().route("/app", axum::routing::any(echo));
    vec![
        ("/echo", What::Echo),
        ("/exec", What::Exec(Exec::new("cat"))),
        ("/tcp", What::Tcp(Tcp::to(service.local_addr().unwrap().to_string().parse().unwrap()))),
        ("/proxy", What::Proxy(Box::new(Proxy::to(upstream())))),
        (
            "/tunnel",
            What::Proxy(Box::new(Proxy {
                tunnel: true,
                ..Proxy::to(format!("ws://{}/proxy", server.address).parse().unwrap())
            })),
        ),
        ("/app", What::App(App::new(router))),
    ]
}

async fn echo(upgrade: openline::axum::WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Ok(Some(message)) = socket.recv().await {
            let _ = socket.send(message).await;
        }
    })
}

/// And of each that answers plain HTTP.
fn pages(server: &Running) -> Vec<(&'static str, What, u16)> {
    let upstream = format!("http://{}", server.address).parse().unwrap();
    let router = axum::Router::new().route("/app", axum::routing::get(async || "app"));
    vec![
        ("/static", What::Files(Files::new(env!("CARGO_MANIFEST_DIR"))), 308),
        ("/respond", What::Respond(Respond::text("hi")), 200),
        ("/redirect", What::Redirect(Redirect::new("/x").unwrap()), 307),
        ("/proxy", What::Proxy(Box::new(Proxy::to(upstream))), 426),
        ("/app", What::App(App::new(router)), 200),
    ]
}

#[tokio::test]
async fn who_may_come_in_is_asked_at_every_kind_of_route() {
    let (service, server) = behind().await;
    let some = |name: &str| Who::Users([name.into()].into());
    let good = token("ann", SECRET, 60);
    let shown = [
        ("nothing", String::new()),
        ("a token", format!("Authorization: Bearer {good}\r\n")),
        ("a subprotocol", format!("Sec-WebSocket-Protocol: openline.bearer.{good}\r\n")),
        ("a cookie", format!("Cookie: session={good}\r\nOrigin: http://localhost\r\n")),
        ("a page's cookie", format!("Cookie: session={good}\r\nSec-Fetch-Site: same-origin\r\n")),
        ("a cookie of anybody", format!("Cookie: session={good}\r\n")),
        (
            "a forgery",
            format!("Authorization: Bearer {}\r\n", token("ann", b"another secret of more than 32 bytes", 60)),
        ),
        ("an old token", format!("Authorization: Bearer {}\r\n", token("ann", SECRET, -3600))),
        ("a token of nobody", format!("Authorization: Bearer {}\r\n", token("", SECRET, 60))),
    ];
    for (allow, known, unknown) in [
        (None, None, None),
        (Some(Who::Anyone), None, None),
        (Some(Who::Known), None, Some(401)),
        (Some(some("ann")), None, Some(401)),
        (Some(some("bob")), Some(403), Some(401)),
        (Some(Who::Nobody), Some(403), Some(403)),
    ] {
        let route = |path: &str, what| Route { allow: allow.clone(), ..Route::new(path, what) };
        let lines = lines(&service, &server);
        let pages = pages(&server);
        let paths: Vec<&str> = lines.iter().map(|(path, _)| *path).collect();
        let answers: Vec<(&str, u16)> = pages.iter().map(|(path, _, status)| (*path, *status)).collect();
        let for_lines = start(believing(lines.into_iter().map(|(path, what)| route(path, what)).collect())).await;
        let for_pages = start(believing(pages.into_iter().map(|(path, what, _)| route(path, what)).collect())).await;
        for (what, fields) in &shown {
            let verdict = match *what {
                _ if allow.is_none() => None,
                "nothing" | "a token of nobody" => unknown,
                "a cookie of anybody" => Some(403),
                "a forgery" | "an old token" => Some(401),
                _ => known,
            };
            for path in &paths {
                let mut raw = for_lines.connect().await;
                raw.send(upgrade_with(path, fields)).await;
                let answer = raw.answer().await;
                assert_eq!(answer.status, verdict.unwrap_or(101), "{what} at {path} for {allow:?}: {answer:?}");
                let challenged = answer.header("www-authenticate").is_some();
                assert_eq!(challenged, answer.status == 401, "{what} at {path}");
                assert!(allow.is_none() || !answer.head.contains("openline.bearer"), "{answer:?}");
            }
            for (path, status) in &answers {
                let mut raw = for_pages.connect().await;
                raw.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n")).await;
                let status = verdict.unwrap_or(*status);
                assert_eq!(raw.head().await, status, "{what} at {path} for {allow:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_behind_is_told_who_came_and_nobody_else_says_so() {
    let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = || format!("http://{}", behind.local_addr().unwrap()).parse().unwrap();
    let proxy = || Proxy { user_header: "remote-user".parse().unwrap(), ..Proxy::to(upstream()) };
    let server = start(believing(vec![
        allowed("/line", What::Proxy(Box::new(proxy())), Who::Anyone),
        allowed("/tunnel", What::Proxy(Box::new(Proxy { tunnel: true, ..proxy() })), Who::Anyone),
        Route::new("/unasked", What::Proxy(Box::new(proxy()))),
    ]))
    .await;
    let bearer = format!("Sec-WebSocket-Protocol: chat, openline.bearer.{}\r\n", token("Änn", SECRET, 60));
    let lies = "Remote-User: eve\r\nRemote_User: eve\r\n";
    for (path, user) in [
        ("/line?ticket2=x&a=b", Some("%C3%84nn")),
        ("/tunnel", Some("%C3%84nn")),
        ("/line", None),
        ("/tunnel", None),
        ("/unasked", None),
    ] {
        let mut raw = server.connect().await;
        raw.send(upgrade_with(path, &format!("{lies}{}", user.map_or("", |_| &bearer)))).await;
        let mut stream = timeout(PATIENCE, behind.accept()).await.unwrap().unwrap().0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.starts_with(&format!("get {path} ")), "{head}");
        let told: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("remote-user: ")).collect();
        if path == "/unasked" {
            assert_eq!(told, ["eve"], "where nobody is asked, the field is the application's");
        } else {
            assert_eq!(told, user.map(str::to_ascii_lowercase).as_slice(), "{path}");
            assert!(!head.contains("eve") && !head.contains("openline.bearer"), "{head}");
            assert_eq!(head.contains("sec-websocket-protocol: chat\r\n"), user.is_some(), "{head}");
        }
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(raw.answer().await.status, 403);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_program_is_told_who_came() {
    let script = r#"echo "$AUTH_TYPE $REMOTE_USER $HTTP_SEC_WEBSOCKET_PROTOCOL $QUERY_STRING""#;
    let exec = Exec { arguments: vec!["-c".into(), script.into()], ..Exec::new("/bin/sh") };
    let chat = vec![openline::handshake::Subprotocol::new("chat").unwrap()];
    let route = Route { subprotocols: chat, ..allowed("/x", What::Exec(exec), Who::Anyone) };
    let server = start(believing(vec![route])).await;
    let url = format!("ws://{}/x?a=b", server.address);
    let client =
        Client::new().subprotocol("chat").header("Authorization", &format!("Bearer {}", token("ann", SECRET, 60)));
    hears(&mut client.connect(&url).await.unwrap().0, "Bearer ann chat a=b").await;
    hears(&mut Client::new().connect(&url).await.unwrap().0, "   a=b").await;
}

async fn open_as(server: &Running, path: &str, user: &str) -> WebSocket<openline::ClientStream> {
    let client = Client::new().header("Authorization", &format!("Bearer {}", token(user, SECRET, 60)));
    client.connect(&format!("ws://{}{path}", server.address)).await.unwrap().0
}

#[tokio::test]
async fn a_logout_closes_all_lines_of_that_login() {
    let (service, server) = behind().await;
    let kinds = lines(&service, &server);
    let paths: Vec<&str> = kinds.iter().map(|(path, _)| *path).collect();
    let server = start(Config {
        demo: false,
        ..believing(kinds.into_iter().map(|(path, what)| allowed(path, what, Who::Known)).collect())
    })
    .await;
    let ann = Identity::User("ann".into());
    for by in ["the library", "the API"] {
        let (mut anns, mut bobs) = (Vec::new(), Vec::new());
        for path in &paths {
            anns.push(open_as(&server, path, "ann").await);
            anns.push(open_as(&server, path, "ann").await);
            bobs.push(open_as(&server, path, "bob").await);
            assert_eq!(server.lines.count_at(path), 3, "{path}");
        }
        assert_eq!((server.lines.count_of(&ann), server.lines.count_at("/none")), (2 * paths.len(), 0));
        let (code, reason) = match by {
            "the library" => {
                assert_eq!(server.lines.close(&ann, CloseCode::POLICY, "you logged out"), 2 * paths.len());
                (1008, "you logged out")
            }
            _ => {
                let body = r#"{"user":"ann","disconnect":{"code":4001,"reason":"logout"}}"#;
                let mut raw = server.connect().await;
                raw.send(format!(
                    "POST /api/disconnect HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ))
                .await;
                assert_eq!(raw.answer().await.status, 200);
                (4001, "logout")
            }
        };
        for (turn, socket) in anns.iter_mut().enumerate() {
            match paths[turn / 2] {
                // Nobody knows what is said in it.
                "/tunnel" => assert!(timeout(PATIENCE, socket.recv()).await.expect("it ends").is_err()),
                // An application that does not look has its time, and is cut.
                "/app" => assert!(timeout(PATIENCE, socket.recv()).await.expect("it ends").is_err()),
                _ => closes(socket, code, reason).await,
            }
        }
        for (socket, path) in bobs.iter_mut().zip(&paths) {
            socket.send("still here").await.unwrap();
            if *path != "/tcp" {
                assert_eq!(hear(socket).await, Some(Message::Text("still here".into())), "{path}");
            }
        }
        drop((anns, bobs));
        let left = async {
            while server.lines.count() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, left).await.expect("all lines end");
    }
}

#[tokio::test]
async fn what_was_not_made_for_strangers_asks_who_they_are_or_is_not_public() {
    let backend = || What::Exec(Exec::new("cat"));
    let public = |config: Config| Config { listen: vec![Listen::At("0.0.0.0:0".parse().unwrap())], ..config };
    let host = Some(openline::handshake::Host::parse("app.example").unwrap());
    for (allow, believes, told_so, starts) in [
        (None, true, false, "nobody there is asked who they are"),
        (Some(Who::Anyone), true, false, "nobody there is asked who they are"),
        (Some(Who::Known), true, false, ""),
        (Some(Who::Users(["ann".into()].into())), true, false, ""),
        (Some(Who::Known), false, false, "nobody has a name here"),
        (Some(Who::Nobody), false, false, ""),
        (None, false, true, ""),
    ] {
        let route = Route { allow: allow.clone(), host: host.clone(), ..Route::new("/x", backend()) };
        let config =
            if believes { believing(vec![route]) } else { Config { routes: vec![route], ..Config::default() } };
        let started = Server::bind(public(Config { allow_public_backends: told_so, ..config })).await;
        match started {
            Ok(_) => assert_eq!(starts, "", "{allow:?}"),
            Err(error @ (StartError::Unprotected(_) | StartError::Route(_))) => {
                let said = error.to_string();
                assert!(!starts.is_empty() && said.contains(starts), "{allow:?}: {said}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_ticket_opens_a_route_once() {
    let server = start(Config { demo: false, ..believing(vec![allowed("/x", What::Echo, Who::Known)]) }).await;
    let mut raw = server.connect().await;
    let body = r#"{"user":"ann"}"#;
    raw.send(format!(
        "POST /api/ticket HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {KEY}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    let answer = raw.answer().await;
    let ticket =
        answer.body.split('"').skip_while(|word| *word != "ticket").nth(2).unwrap_or_else(|| panic!("{answer:?}"));
    let mut lines = Vec::new();
    for expected in [StatusCode::SWITCHING_PROTOCOLS, StatusCode::UNAUTHORIZED] {
        let mut raw = server.connect().await;
        raw.send(crate::support::upgrade(&format!("/x?ticket={ticket}"))).await;
        assert_eq!(raw.answer().await.status, expected.as_u16());
        lines.push(raw);
    }
    assert_eq!(server.lines.count_of(&Identity::User("ann".into())), 1);
}
