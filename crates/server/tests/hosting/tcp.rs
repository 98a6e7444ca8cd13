//! `tcp`: a service's bytes in messages, as noVNC and websockify carry them.

use std::collections::BTreeMap;

use openline::tls::{Acceptor, Identity, ServerTls};
use openline::{Client, CloseCode, ConnectError, Message};
use openline_server::hosting::{Address, BackendTls, Route, Tcp, What};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{PATIENCE, Running};
use crate::{closes, hear, hears, host_one, open};

/// A service, and a route to it.
async fn service() -> (TcpListener, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let server = host_one("/tcp", What::Tcp(Tcp::to(address))).await;
    (listener, server)
}

async fn accepted(listener: &TcpListener) -> TcpStream {
    timeout(PATIENCE, listener.accept()).await.expect("somebody comes").unwrap().0
}

async fn refusal(server: &Running, path: &str) -> (u16, String) {
    match Client::new().connect(&format!("ws://{}{path}", server.address)).await {
        Err(ConnectError::Refused(refused)) => {
            (refused.status.as_u16(), String::from_utf8_lossy(&refused.body).trim().to_owned())
        }
        other => panic!("{other:?}"),
    }
}

/// RFC 6143 §7.1, as noVNC speaks it: version, security types, the choice of none, its result, and the name of the screen.
#[tokio::test]
async fn rfb_as_novnc_speaks_it() {
    let (listener, server) = service().await;
    let mut novnc = open(&server, "/tcp", &["binary"]).await;
    assert_eq!(novnc.subprotocol(), Some("binary"));
    let mut vnc = accepted(&listener).await;
    let binary = |bytes: &[u8]| Some(Message::Binary(bytes.to_vec().into()));

    vnc.write_all(b"RFB 003.008\n").await.unwrap();
    assert_eq!(hear(&mut novnc).await, binary(b"RFB 003.008\n"));
    novnc.send(&b"RFB 003.008\n"[..]).await.unwrap();
    let mut said = [0; 12];
    vnc.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"RFB 003.008\n");
    vnc.write_all(&[1, 1]).await.unwrap(); // one type: none
    assert_eq!(hear(&mut novnc).await, binary(&[1, 1]));
    novnc.send(&[1_u8][..]).await.unwrap();
    assert_eq!(vnc.read_u8().await.unwrap(), 1);
    vnc.write_all(&[0; 4]).await.unwrap(); // it is well
    assert_eq!(hear(&mut novnc).await, binary(&[0; 4]));
    novnc.send(&[1_u8][..]).await.unwrap(); // ClientInit: shared
    assert_eq!(vnc.read_u8().await.unwrap(), 1);
    let init =
        [&[0, 4, 0, 3][..], &[32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0], &[0, 0, 0, 2], b"me"].concat();
    vnc.write_all(&init).await.unwrap();
    assert_eq!(hear(&mut novnc).await, binary(&init));
    novnc.close(CloseCode::NORMAL, "").await.unwrap();
    assert_eq!(vnc.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn old_clients_speak_base64() {
    let (listener, server) = service().await;
    let mut client = open(&server, "/tcp", &["base64"]).await;
    assert_eq!(client.subprotocol(), Some("base64"));
    let mut service = accepted(&listener).await;
    service.write_all(b"RFB 003.008\n").await.unwrap();
    hears(&mut client, "UkZCIDAwMy4wMDgK").await;
    client.send("/wA=").await.unwrap();
    let mut said = [0; 2];
    service.read_exact(&mut said).await.unwrap();
    assert_eq!(said, [0xff, 0]);
    client.send("no base64!").await.unwrap();
    closes(&mut client, 1007, "base64 is spoken here, and that is none").await;
    // Who offers both gets what costs less; who offers none, the same.
    assert_eq!(open(&server, "/tcp", &["base64", "binary"]).await.subprotocol(), Some("binary"));
    assert_eq!(open(&server, "/tcp", &[]).await.subprotocol(), None);
}

#[tokio::test]
async fn text_is_carried_as_well() {
    let (listener, server) = service().await;
    let mut client = open(&server, "/tcp", &[]).await;
    let mut service = accepted(&listener).await;
    client.send("PING\r\n").await.unwrap();
    let mut said = [0; 6];
    service.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"PING\r\n");
}

#[tokio::test]
async fn either_end_ends_it() {
    let (listener, server) = service().await;
    // The service has said all; the client still hears it.
    let mut client = open(&server, "/tcp", &[]).await;
    let mut service = accepted(&listener).await;
    service.write_all(b"bye").await.unwrap();
    service.shutdown().await.unwrap();
    assert_eq!(hear(&mut client).await, Some(Message::Binary(b"bye".to_vec().into())));
    closes(&mut client, 1000, "").await;
    // The service resets.
    let mut client = open(&server, "/tcp", &[]).await;
    let service = accepted(&listener).await;
    socket2::SockRef::from(&service).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(service);
    closes(&mut client, 1014, "the service broke the connection").await;
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_before_the_upgrade() {
    let (listener, server) = service().await;
    drop(listener);
    assert_eq!(refusal(&server, "/tcp").await, (502, "What is behind this address cannot be reached.".to_owned()));
}

#[tokio::test]
async fn a_name_chooses_among_those_that_are_listed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let targets = BTreeMap::from([("desk".to_owned(), address)]);
    let server = host_one("/vnc/{machine}", What::Tcp(Tcp::named("machine", targets))).await;
    let _line = open(&server, "/vnc/desk", &[]).await;
    accepted(&listener).await;
    for path in ["/vnc/other", "/vnc/127.0.0.1:22", "/vnc/desk%00", "/vnc/DESK"] {
        assert_eq!(refusal(&server, path).await.0, 404, "{path}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_a_service_too() {
    let folder = crate::files::Folder::new("unix");
    let path = folder.0.join("s.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let address = format!("unix:{}", path.display()).parse().unwrap();
    let server = host_one("/s", What::Tcp(Tcp::to(address))).await;
    let mut client = open(&server, "/s", &[]).await;
    let (mut service, _) = listener.accept().await.unwrap();
    service.write_all(b"hi").await.unwrap();
    assert_eq!(hear(&mut client).await, Some(Message::Binary(b"hi".to_vec().into())));
}

#[tokio::test]
async fn a_service_may_speak_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = crate::files::Folder::new("tcp-tls");
    folder.put("ca.pem", &made.cert.pem());
    let (ca, name) = (Some(folder.0.join("ca.pem")), Some("localhost".to_owned()));
    let identity = Identity::from_pem(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let acceptor = Acceptor::new(&ServerTls::new(identity)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = || Tcp::to(listener.local_addr().unwrap().to_string().parse().unwrap());
    let trusting = BackendTls { ca, name, ..BackendTls::default() };
    let server = crate::host(vec![
        Route::new("/tls", What::Tcp(to().tls(trusting))),
        Route::new("/nobody", What::Tcp(to().tls(BackendTls::default()))),
        Route::new("/plain", What::Tcp(to())),
    ])
    .await;
    let serving = async {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept_tcp(stream).await?;
                // It says more than fits anywhere, and hears nothing before that is read.
                stream.write_all(&vec![7; 4 << 20]).await.ok();
                let mut said = vec![0; 1 << 20];
                stream.read_exact(&mut said).await.ok();
                stream.write_all(b"heard").await.ok();
                stream.shutdown().await.ok();
                Ok::<_, openline::tls::TlsError>(())
            });
        }
    };
    let asking = async {
        // A certificate that nobody vouches for.
        assert_eq!(refusal(&server, "/nobody").await.0, 502);
        let (mut sender, mut client) = open(&server, "/tls", &["binary"]).await.split();
        let sending = tokio::spawn(async move { sender.send(vec![9; 1 << 20]).await.map(|()| sender) });
        let mut heard = Vec::new();
        while let Some(message) = timeout(PATIENCE, client.recv()).await.expect("something comes").unwrap() {
            heard.extend_from_slice(message.as_bytes());
        }
        assert!(heard.len() == (4 << 20) + 5 && heard.ends_with(b"heard"), "{}", heard.len());
        drop(sending.await);
        // Without TLS to it, a service that speaks TLS says nothing that anybody could read.
        let mut client = open(&server, "/plain", &[]).await;
        client.send("hello").await.unwrap();
        while hear(&mut client).await.is_some() {}
        assert!(matches!(client.closed().unwrap().code(), 1000 | 1014));
    };
    tokio::select! {
        () = serving => {}
        () = asking => {}
    }
}

#[tokio::test]
async fn a_service_that_does_not_read_stalls_its_client() {
    let (listener, _server) = service().await;
    let line = openline::Config { write_timeout: std::time::Duration::from_secs(1), ..openline::Config::default() };
    let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let route = Route { line: Some(line), ..Route::new("/tcp", What::Tcp(Tcp::to(address))) };
    let server = crate::host(vec![route]).await;
    let mut client = open(&server, "/tcp", &[]).await;
    let _deaf = accepted(&listener).await;
    let flood = async {
        let message = vec![0; 256 << 10];
        while client.send(&message[..]).await.is_ok() {}
    };
    timeout(PATIENCE, flood).await.expect("it is closed");
    while let Ok(Some(_)) = client.recv().await {}
    assert_eq!(client.closed().unwrap().code(), 1014);
}
