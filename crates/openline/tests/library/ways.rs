//! The ways of a client to a server: proxies, redirects, credentials, addresses, Unix sockets.

use std::net::SocketAddr;
use std::time::Duration;

use openline::{Client, ConnectError, Message, Proxy, ProxyError, RedirectReason, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::peer::Peer;

/// Accepts WebSockets, echoes, and gives back the head of each request it had.
async fn echo() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = openline::Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let incoming = listener.accept().await.unwrap();
            let heads = heads.clone();
            tokio::spawn(async move {
                let opening = incoming.request().await?;
                let _ = heads.send(format!("{:?}", opening.request().headers()));
                let mut socket = opening.accept(&Default::default()).await?;
                while let Some(message) = socket.recv().await? {
                    socket.send(message).await?;
                }
                Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
            });
        }
    });
    (address, requests)
}

async fn echoes(client: &Client, url: &str) -> Result<(), ConnectError> {
    let (mut socket, _) = client.connect(url).await?;
    socket.send("hi").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::Text("hi".into())));
    Ok(())
}

/// What a proxy of the test does once it was asked.
#[derive(Clone, Copy, Debug)]
enum Manners {
    Connects,
    Refuses,
    /// Says nothing.
    Hangs,
    HangsUp,
    /// Connects, and is gone in the middle.
    Dies,
    Rambles,
}

/// A proxy for one client; gives what it was asked.
async fn http_proxy(manners: Manners) -> (Proxy, JoinHandle<String>) {
    let (listener, proxy) = listen("http").await;
    let served = tokio::spawn(async move {
        let mut peer = Peer::new(listener.accept().await.unwrap().0);
        let request = peer.takes_until("\r\n\r\n").await;
        let target = request.split(' ').nth(1).unwrap().to_owned();
        match manners {
            Manners::Connects | Manners::Dies => {
                let mut server = TcpStream::connect(target).await.unwrap();
                // RFC 9110 §9.3.6: a length in a 2xx to CONNECT means nothing.
                peer.sends("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Fine\r\nContent-Length: 7\r\n\r\n").await;
                pass(manners, &mut peer.stream, &mut server).await;
            }
            Manners::Refuses => {
                let body = "not with me";
                peer.sends(format!("HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 11\r\n\r\n{body}"))
                    .await;
            }
            Manners::Hangs => std::future::pending().await,
            Manners::HangsUp => {}
            Manners::Rambles => peer.sends("HTTP/1.1 200 Fine\r\n\r\nHTTP/1.1 101 Mine\r\n\r\n").await,
        }
        request
    });
    (proxy, served)
}

async fn listen(scheme: &str) -> (TcpListener, Proxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("{scheme}://{}", listener.local_addr().unwrap()).parse().unwrap();
    (listener, proxy)
}

async fn pass(manners: Manners, client: &mut TcpStream, server: &mut TcpStream) {
    if let Manners::Dies = manners {
        let mut request = [0; 20];
        client.read_exact(&mut request).await.unwrap();
        return;
    }
    let _ = copy_bidirectional(client, server).await;
}

/// RFC 1928, from the other side; gives the bytes of the request.
async fn socks_proxy(
    scheme: &str,
    credentials: Option<(&'static str, &'static str)>,
    manners: Manners,
) -> (Proxy, JoinHandle<Vec<u8>>) {
    let (listener, proxy) = listen(scheme).await;
    let served = tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let mut methods = [0; 2];
        stream.read_exact(&mut methods).await.unwrap();
        let mut offered = vec![0; usize::from(methods[1])];
        stream.read_exact(&mut offered).await.unwrap();
        let method = if credentials.is_some() { 2 } else { 0 };
        if !offered.contains(&method) {
            stream.write_all(b"\x05\xff").await.unwrap();
            return offered;
        }
        stream.write_all(&[5, method]).await.unwrap();
        if let Some((user, password)) = credentials {
            let expected =
                [&[1, user.len() as u8], user.as_bytes(), &[password.len() as u8], password.as_bytes()].concat();
            let mut said = vec![0; expected.len()];
            stream.read_exact(&mut said).await.unwrap();
            stream.write_all(&[1, u8::from(said != expected)]).await.unwrap();
            if said != expected {
                return said;
            }
        }
        let mut request = vec![0; 4];
        stream.read_exact(&mut request).await.unwrap();
        let rest = match request[3] {
            1 => 4,
            4 => 16,
            _ => usize::from(stream.read_u8().await.unwrap()),
        };
        let mut address = vec![0; rest + 2];
        stream.read_exact(&mut address).await.unwrap();
        let port = u16::from_be_bytes([address[rest], address[rest + 1]]);
        request.extend(address);
        match manners {
            Manners::Connects | Manners::Dies => {
                let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                // A reply with a name in it, which must be read to its end and no further.
                stream.write_all(b"\x05\x00\x00\x03\x05proxy\x04\x38").await.unwrap();
                pass(manners, &mut stream, &mut server).await;
            }
            Manners::Refuses => stream.write_all(b"\x05\x05\x00\x01\0\0\0\0\0\0").await.unwrap(),
            Manners::Hangs => std::future::pending().await,
            Manners::HangsUp => {}
            Manners::Rambles => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap(),
        }
        request
    });
    (proxy, served)
}

/// The error of a proxy, and that it names the proxy.
fn of_proxy(error: ConnectError) -> ProxyError {
    assert!(error.to_string().starts_with("the proxy 127.0.0.1:"), "{error}");
    match error {
        ConnectError::Proxy { error, .. } => error,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_a_tunnel() {
    let (address, _) = echo().await;
    let (proxy, served) = http_proxy(Manners::Connects).await;
    let client = Client::new().proxy(proxy.credentials("Aladdin", "open sesame"));
    echoes(&client, &format!("ws://{address}/")).await.unwrap();
    let request = served.await.unwrap();
    assert_eq!(
        request,
        format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
        )
    );
}

#[tokio::test]
async fn an_http_proxy_that_does_not_connect_is_told_by_name() {
    let connect = |proxy| async {
        let client = Client::new().proxy(proxy).timeout(Duration::from_millis(300));
        echoes(&client, "ws://127.0.0.1:9/").await.unwrap_err()
    };
    let error = of_proxy(connect(http_proxy(Manners::Refuses).await.0).await);
    let ProxyError::Refused(refused) = &error else { panic!("{error:?}") };
    assert_eq!((refused.status.as_u16(), &refused.body[..]), (407, &b"not with me"[..]));
    assert_eq!(error.to_string(), "it wants credentials, or other ones (407)");
    let error = of_proxy(connect(http_proxy(Manners::HangsUp).await.0).await);
    assert!(matches!(error, ProxyError::Closed), "{error:?}");
    let error = of_proxy(connect(http_proxy(Manners::Rambles).await.0).await);
    assert!(matches!(error, ProxyError::TooEarly), "{error:?}");
    let error = connect(http_proxy(Manners::Hangs).await.0).await;
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Proxy, .. }), "{error:?}");
    assert_eq!(error.to_string(), "no WebSocket after 300ms: the proxy had not connected us to the server");
    let error = of_proxy(connect("http://127.0.0.1:1".parse().unwrap()).await);
    assert!(matches!(error, ProxyError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_tunnel_that_ends_in_the_middle_is_the_end_of_the_line() {
    let (address, _) = echo().await;
    for proxy in [http_proxy(Manners::Dies).await.0, socks_proxy("socks5h", None, Manners::Dies).await.0] {
        let error = echoes(&Client::new().proxy(proxy), &format!("ws://{address}/")).await.unwrap_err();
        assert!(matches!(error, ConnectError::Closed | ConnectError::Io(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_socks_proxy_is_asked_by_name_or_by_address() {
    let (address, _) = echo().await;
    let port = address.port();
    let name = [b"\x05\x01\x00\x03localhost".as_slice(), &port.to_be_bytes()].concat();
    let ipv4 = [b"\x05\x01\x00\x01\x7f\0\0\x01".as_slice(), &port.to_be_bytes()].concat();
    for (scheme, url, asked) in [
        ("socks5h", format!("ws://localhost:{port}/"), &name),
        ("socks5", format!("ws://127.0.0.1:{port}/"), &ipv4),
        ("socks5h", format!("ws://127.0.0.1:{port}/"), &ipv4),
    ] {
        let (proxy, served) = socks_proxy(scheme, None, Manners::Connects).await;
        echoes(&Client::new().proxy(proxy), &url).await.unwrap();
        // The name's length is not among what the proxy of the test keeps.
        assert_eq!(&served.await.unwrap(), asked, "{scheme} {url}");
    }
    // socks5: what is asked for is what the name is here.
    let (proxy, served) = socks_proxy("socks5", None, Manners::Connects).await;
    let client = Client::new().proxy(proxy).resolve("somewhere.test", port, [address.ip()]);
    echoes(&client, &format!("ws://somewhere.test:{port}/")).await.unwrap();
    assert_eq!(served.await.unwrap(), ipv4);
}

#[tokio::test]
async fn a_socks_proxy_is_logged_in_to() {
    let (address, _) = echo().await;
    let url = format!("ws://{address}/");
    let credentials = Some(("me", "secret"));
    let (proxy, _) = socks_proxy("socks5h", credentials, Manners::Connects).await;
    echoes(&Client::new().proxy(proxy.credentials("me", "secret")), &url).await.unwrap();
    let (proxy, _) = socks_proxy("socks5h", credentials, Manners::Connects).await;
    let error = of_proxy(echoes(&Client::new().proxy(proxy.credentials("me", "SECRET")), &url).await.unwrap_err());
    assert!(matches!(error, ProxyError::CredentialsRefused), "{error:?}");
    let (proxy, _) = socks_proxy("socks5h", credentials, Manners::Connects).await;
    let error = of_proxy(echoes(&Client::new().proxy(proxy), &url).await.unwrap_err());
    assert!(matches!(error, ProxyError::CredentialsMissing), "{error:?}");
    let (proxy, _) = socks_proxy("socks5h", None, Manners::Connects).await;
    let long = "x".repeat(256);
    let error = echoes(&Client::new().proxy(proxy), &format!("ws://{long}.test/")).await.unwrap_err();
    assert!(matches!(of_proxy(error), ProxyError::TooLong));
}

#[tokio::test]
async fn a_socks_proxy_that_does_not_connect_is_told_by_name() {
    let connect = |proxy| async {
        let client = Client::new().proxy(proxy).timeout(Duration::from_millis(300));
        echoes(&client, "ws://127.0.0.1:9/").await.unwrap_err()
    };
    let error = of_proxy(connect(socks_proxy("socks5h", None, Manners::Refuses).await.0).await);
    assert!(matches!(error, ProxyError::Reply(5)) && error.to_string().contains("the server refused"), "{error:?}");
    let error = of_proxy(connect(socks_proxy("socks5h", None, Manners::HangsUp).await.0).await);
    assert!(matches!(error, ProxyError::Closed), "{error:?}");
    let error = of_proxy(connect(socks_proxy("socks5h", None, Manners::Rambles).await.0).await);
    assert!(matches!(error, ProxyError::NotSocks), "{error:?}");
    let error = connect(socks_proxy("socks5h", None, Manners::Hangs).await.0).await;
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Proxy, .. }), "{error:?}");
}

/// A server that answers each request with the next of these, and gives the requests.
async fn answers(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let mut peer = Peer::new(listener.accept().await.unwrap().0);
            requests.push(peer.takes_until("\r\n\r\n").await);
            peer.sends(answer).await;
        }
        requests
    });
    (address, served)
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn redirects_are_followed_when_asked_and_credentials_stay_at_home() {
    let (there, mut requests) = echo().await;
    let home = redirect("/second?x=1");
    let (address, served) = answers(vec![home, redirect(&format!("http://{there}/third"))]).await;
    let client = Client::new().follow_redirects(2).bearer("secret").header("Cookie", "a=b").header("X-Kept", "kept");
    echoes(&client, &format!("ws://{address}/first")).await.unwrap();
    let asked = served.await.unwrap();
    for (request, line) in asked.iter().zip(["GET /first HTTP/1.1", "GET /second?x=1 HTTP/1.1"]) {
        assert!(request.starts_with(line), "{request}");
        for header in ["Authorization: Bearer secret", "Cookie: a=b", "X-Kept: kept"] {
            assert!(request.contains(header), "{request}");
        }
    }
    let keys: Vec<_> =
        asked.iter().map(|request| request.lines().find(|line| line.starts_with("Sec-WebSocket-Key"))).collect();
    assert_ne!(keys[0], keys[1], "§4.1: a fresh nonce for each connection");
    let elsewhere = requests.recv().await.unwrap();
    assert!(elsewhere.contains("x-kept"), "{elsewhere}");
    assert!(!elsewhere.contains("authorization") && !elsewhere.contains("cookie"), "{elsewhere}");
}

#[tokio::test]
async fn redirects_end_where_they_should() {
    let client = Client::new().follow_redirects(2);
    // More than was asked for: the last answer is told.
    let (address, served) = answers(vec![redirect("/a"), redirect("/b"), redirect("/c")]).await;
    let error = echoes(&client, &format!("ws://{address}/")).await.unwrap_err();
    let ConnectError::Refused(refused) = error else { panic!("{error:?}") };
    assert_eq!(refused.headers["location"], "/c");
    assert_eq!(served.await.unwrap().len(), 3);
    // Nowhere.
    for (location, shown) in [("ftp://a/", "ftp://a/"), ("ws://", "ws://")] {
        let (address, _) = answers(vec![redirect(location)]).await;
        let error = echoes(&client, &format!("ws://{address}/")).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Redirect { location, reason: RedirectReason::Unreadable } if location == shown),
            "{error:?}"
        );
    }
    let (address, _) = answers(vec!["HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n".into()]).await;
    let error = echoes(&client, &format!("ws://{address}/")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Redirect { reason: RedirectReason::Unreadable, .. }), "{error:?}");
    // In a circle: as many times as was asked for.
    let circle = vec![redirect("/"); 3];
    let (address, served) = answers(circle).await;
    assert!(echoes(&client, &format!("ws://{address}/")).await.is_err());
    assert_eq!(served.await.unwrap().len(), 3);
}

#[tokio::test]
async fn credentials_of_a_url_are_sent_where_nothing_else_is_said() {
    let (address, mut requests) = echo().await;
    let basic = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="; // RFC 7617 §2
    let url = format!("ws://Aladdin:open%20sesame@{address}/");
    let (plain, host) = (format!("ws://{address}/"), format!("\"host\": \"{address}\""));
    for (client, url, sent) in [
        (Client::new(), &url, Some(basic)),
        (Client::new().basic_auth("Aladdin", "open sesame"), &plain, Some(basic)),
        (Client::new().basic_auth("else", ""), &url, Some("Basic ZWxzZTo=")),
        (Client::new().bearer("old").bearer("new"), &url, Some("Bearer new")),
        (Client::new().header("Authorization", "Digest x"), &url, Some("Digest x")),
        (Client::new(), &plain, None),
    ] {
        assert!(!format!("{client:?}").contains("Bearer") && !format!("{client:?}").contains("ZWxz"), "{client:?}");
        echoes(&client, url).await.unwrap();
        let head = requests.recv().await.unwrap();
        assert!(head.contains(&host) && !head.contains('@'), "{head}");
        match sent {
            Some(sent) => assert!(head.contains(&format!("\"authorization\": \"{sent}\"")), "{head}"),
            None => assert!(!head.contains("authorization"), "{head}"),
        }
    }
}

#[tokio::test]
async fn a_name_and_a_port_can_be_somewhere_else() {
    let (address, mut requests) = echo().await;
    let (port, ip) = (address.port(), address.ip());
    let url = format!("ws://somewhere.test:{port}/");
    for client in [
        Client::new().resolve("SOMEWHERE.test", port, [ip]),
        // RFC 8305: a dead address first.
        Client::new().resolve("somewhere.test", port, ["::1".parse().unwrap(), ip]),
        Client::new().connect_to((Some("somewhere.test"), None), (Some("127.0.0.1"), None)),
        Client::new().connect_to((None, None), (Some("127.0.0.1"), Some(port))),
    ] {
        echoes(&client, &url).await.unwrap();
        assert!(requests.recv().await.unwrap().contains(&format!("\"somewhere.test:{port}\"")));
    }
    let client = Client::new().connect_to((Some("somewhere.test"), Some(80)), (Some("127.0.0.1"), Some(port)));
    echoes(&client, "ws://somewhere.test/").await.unwrap();
    assert!(requests.recv().await.unwrap().contains("\"somewhere.test\""));
    let nowhere = Client::new().resolve("somewhere.test", port, []);
    let error = echoes(&nowhere, &url).await.unwrap_err();
    assert!(matches!(error, ConnectError::Dns { .. }), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_takes_the_place_of_the_network() {
    let path = std::env::temp_dir().join(format!("openline-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let served = tokio::spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        let head = openline::Head::read(stream, &Default::default()).await.unwrap();
        let host = head.request().headers()["host"].clone();
        let mut socket = head.into_opening().await.unwrap().accept(&Default::default()).await.unwrap();
        while let Some(message) = socket.recv().await.unwrap() {
            socket.send(message).await.unwrap();
        }
        host
    });
    let client = Client::new().unix_socket(&path);
    let (mut socket, _) = client.connect("ws://app.test/path").await.unwrap();
    socket.send("hi").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::Text("hi".into())));
    socket.close(openline::CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(served.await.unwrap(), "app.test");
    std::fs::remove_file(&path).unwrap();
    let error = client.connect("ws://app.test/").await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot connect to {}: ", path.display())), "{error}");
}
