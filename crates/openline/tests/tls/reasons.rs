//! TLS that goes wrong gives the reason, to whom it concerns.

use std::net::SocketAddr;
use std::time::Duration;

use openline::tls::{Acceptor, ClientTls, Identity, ServerTls, TlsError};
use openline::{Client, ConnectError, Listener, OpeningError, RedirectReason, Stage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::certificates::Authority;
use crate::server::{echo, open, trusting};

/// A server for one client, and what its handshake came to.
async fn accept_one(tls: &ServerTls) -> (SocketAddr, JoinHandle<Result<(), TlsError>>) {
    let acceptor = Acceptor::new(tls).unwrap();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = tokio::spawn(async move {
        let incoming = listener.accept().await.unwrap().tls(&acceptor).await?;
        let _ = incoming.request().await;
        Ok(())
    });
    (address, accepted)
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_says_why_to_both_sides() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let not_yet = |params: &mut rcgen::CertificateParams| params.not_before = rcgen::date_time_ymd(2999, 1, 1);
    for (identity, to_the_client, to_the_server) in [
        (ours.issue_expired(["one.test"]), "the peer's certificate expired ", "certificate expired"),
        (ours.issue_as(["one.test"], not_yet), "the peer's certificate becomes valid only in ", "certificate expired"),
        (ours.issue(["two.test"]), "the server's certificate is not for one.test, but for ", "bad certificate"),
        (theirs.issue(["one.test"]), "nobody whom we trust has issued the peer's certificate", "unknown CA"),
    ] {
        let (address, accepted) = accept_one(&ServerTls::new(identity)).await;
        let error = open(trusting(&ours), "one.test", address).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls(TlsError::Certificate(_))), "{error:?}");
        assert!(error.to_string().starts_with(to_the_client), "{error}");
        let heard = accepted.await.unwrap().unwrap_err();
        assert!(matches!(heard, TlsError::Refused(_)), "{heard:?}");
        assert!(heard.to_string().contains(to_the_server), "{heard}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_demanded_checked_and_shown() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let me = ours.issue(["me.test"]);
    let tls = ServerTls::new(ours.issue(["one.test"])).client_ca_pem(ours.pem().as_bytes()).unwrap();
    let with = |identity: Option<Identity>| {
        let tls = ClientTls::new().only_ca_pem(ours.pem().as_bytes()).unwrap();
        identity.into_iter().fold(tls, ClientTls::identity).build().unwrap()
    };

    let (address, accepted) = accept_one(&tls).await;
    let error = open(with(None), "one.test", address).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(TlsError::CertificateRequired)), "{error:?}");
    assert!(error.to_string().contains("demands a client certificate"), "{error}");
    assert!(matches!(accepted.await.unwrap(), Err(TlsError::CertificateRequired)));

    let (address, accepted) = accept_one(&tls).await;
    let error = open(with(Some(theirs.issue(["me.test"]))), "one.test", address).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(TlsError::Refused(_))), "{error:?}");
    assert!(error.to_string().starts_with("the peer does not accept our certificate: unknown CA"), "{error}");
    assert!(matches!(accepted.await.unwrap(), Err(TlsError::Certificate(_))));

    let acceptor = Acceptor::new(&tls).unwrap();
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let opening = listener.accept().await.unwrap().tls(&acceptor).await.unwrap().request().await.unwrap();
        let certificate = opening.get_ref().peer_certificates().unwrap()[0].clone();
        assert_eq!(opening.get_ref().server_name(), Some("one.test"));
        opening.accept(&Default::default()).await.map(drop).unwrap();
        certificate
    });
    open(with(Some(me.clone())), "one.test", address).await.unwrap();
    assert_eq!(seen.await.unwrap(), me.certificates()[0]);
}

/// A server of TLS 1.0, by its bytes: a ServerHello that says so.
#[tokio::test]
async fn no_version_in_common_is_said() {
    for (answer, reason) in [
        // An alert: fatal, protocol_version.
        (&b"\x15\x03\x01\x00\x02\x02\x46"[..], "no version of TLS in common"),
        // A ServerHello of TLS 1.0, with an empty session and TLS_RSA_WITH_AES_128_CBC_SHA.
        (
            &[b"\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01", &[7; 32][..], b"\x00\x00\x2f\x00"].concat(),
            "no version of TLS in common",
        ),
        // An alert: fatal, handshake_failure.
        (b"\x15\x03\x03\x00\x02\x02\x28", "nothing to agree on"),
    ] {
        let (address, _) = say(answer.to_vec()).await;
        let error = open(ClientTls::new().build().unwrap(), "one.test", address).await.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }

    // And a client of TLS 1.0, to our server: §4.1.2 of RFC 5246.
    let (address, accepted) = accept_one(&ServerTls::new(Authority::new().issue(["one.test"]))).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let hello = [b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x01", &[7; 32][..], b"\x00\x00\x02\x00\x2f\x01\x00"];
    stream.write_all(&hello.concat()).await.unwrap();
    let mut alert = [0; 7];
    stream.read_exact(&mut alert).await.unwrap();
    assert_eq!((alert[0], alert[5]), (0x15, 2), "a fatal alert: {alert:x?}");
    let error = accepted.await.unwrap().unwrap_err();
    assert!(matches!(error, TlsError::NoSharedVersion), "{error:?}");
}

/// A server that reads something, says this, and hangs up.
async fn say(bytes: Vec<u8>) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 4096];
        let length = stream.read(&mut heard).await.unwrap();
        heard.truncate(length);
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        heard
    });
    (address, served)
}

#[tokio::test]
async fn a_plain_peer_on_a_tls_port_is_said() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n", "220 ready\r\n"] {
        let (address, _) = say(answer.into()).await;
        let error = open(ClientTls::new().build().unwrap(), "one.test", address).await.unwrap_err();
        assert!(matches!(error, ConnectError::Tls(TlsError::NotTls)), "{answer}: {error:?}");
        assert_eq!(error.to_string(), "the peer does not speak TLS on this port");
    }
    let (address, _) = say(Vec::new()).await;
    let error = open(ClientTls::new().build().unwrap(), "one.test", address).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(TlsError::Closed)), "{error:?}");
}

#[tokio::test]
async fn a_tls_server_tells_a_plain_client_that_it_is_one() {
    let (address, accepted) = accept_one(&ServerTls::new(Authority::new().issue(["one.test"]))).await;
    let error = Client::new().connect(&format!("ws://{address}/")).await.unwrap_err();
    let ConnectError::Refused(refused) = &error else { panic!("{error:?}") };
    assert_eq!(
        (refused.status.as_u16(), &refused.body[..]),
        (400, &b"This port speaks TLS: use wss:// or https://.\n"[..])
    );
    assert!(matches!(accepted.await.unwrap(), Err(TlsError::NotTls)));
}

/// Other servers answer a plain request with an alert, or not at all.
#[tokio::test]
async fn a_plain_client_recognises_a_tls_server() {
    let (address, _) = say(b"\x15\x03\x03\x00\x02\x02\x0a".to_vec()).await;
    let error = Client::new().connect(&format!("ws://{address}/")).await.unwrap_err();
    assert!(matches!(error, ConnectError::PeerSpeaksTls), "{error:?}");
    assert_eq!(error.to_string(), "the server speaks TLS on this port: use wss://");
}

#[tokio::test]
async fn a_tls_client_at_a_plain_server_is_answered_and_told() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move { listener.accept().await.unwrap().request().await.map(drop) });
    let error = open(ClientTls::new().build().unwrap(), "one.test", address).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(TlsError::NotTls)), "{error:?}");
    assert!(matches!(served.await.unwrap(), Err(OpeningError::Head(_))));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_a_deadline_on_either_side() {
    // A client that connects and says nothing, or half of a hello.
    for said in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let (mut theirs, ours) = tokio::io::duplex(1 << 16);
        theirs.write_all(said).await.unwrap();
        let tls = ServerTls::new(Authority::new().issue(["one.test"])).timeout(Duration::from_secs(3));
        let began = tokio::time::Instant::now();
        let error = Acceptor::new(&tls).unwrap().accept(ours).await.unwrap_err();
        assert!(matches!(error, TlsError::TimedOut(limit) if limit.as_secs() == 3), "{error:?}");
        assert_eq!(began.elapsed().as_secs(), 3);
    }
}

#[tokio::test]
async fn a_server_that_never_shakes_hands_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new().timeout(Duration::from_millis(50)).tls(ClientTls::new().build().unwrap());
    let error = client.connect(&format!("wss://{}/", listener.local_addr().unwrap())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { stage: Stage::Tls, .. }), "{error:?}");
    assert_eq!(error.to_string(), "no WebSocket after 50ms: the TLS handshake was not done");
}

#[test]
fn files_that_are_of_no_use_are_named() {
    let authority = Authority::new();
    let certificate = authority.pem();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for (pem, key, reason) in [
        ("", key.as_str(), "there is no certificate in the PEM"),
        (key.as_str(), key.as_str(), "there is no certificate in the PEM"),
        (certificate.as_str(), "", "there is no private key in the PEM"),
        (certificate.as_str(), certificate.as_str(), "there is no private key in the PEM"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", key.as_str(), "the PEM cannot be read"),
    ] {
        let error = Identity::from_pem(pem.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(reason), "{error}");
    }
    let error = Identity::from_pem_files("/nowhere/cert.pem", "/nowhere/key.pem").unwrap_err();
    assert!(error.to_string().starts_with("cannot read /nowhere/cert.pem: "), "{error}");
    let debug = format!("{:?}", authority.issue(["one.test"]));
    assert!(debug.starts_with("Identity(") && debug.len() == "Identity()".len() + 95, "{debug}");
}

/// The echo server of the other tests, so that this file's own is not all that is ever seen.
#[tokio::test]
async fn a_connection_that_is_cut_in_the_handshake_harms_nobody() {
    let authority = Authority::new();
    let (address, _) = echo(&ServerTls::new(authority.issue(["one.test"]))).await;
    for cut in [&b""[..], b"\x16", b"\x16\x03\x01\x00\x05\x01\x00", b"\x16\x03\x01\xff\xff"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(cut).await.unwrap();
        drop(stream);
    }
    open(trusting(&authority), "one.test", address).await.unwrap();
}

/// What was to be secret would not be any more.
#[tokio::test]
async fn no_redirect_leads_from_wss_to_ws() {
    let authority = Authority::new();
    let acceptor = Acceptor::new(&ServerTls::new(authority.issue(["one.test"]))).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(b"HTTP/1.1 307 There\r\nLocation: ws://one.test/\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        stream.flush().await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    });
    let client = Client::new().no_proxy().follow_redirects(5).tls(trusting(&authority));
    let client = client.resolve("one.test", address.port(), [address.ip()]);
    let error = client.connect(&format!("wss://one.test:{}/", address.port())).await.unwrap_err();
    assert!(matches!(error, ConnectError::Redirect { reason: RedirectReason::Downgrade, .. }), "{error:?}");
    assert!(error.to_string().contains("which is not encrypted"), "{error}");
}

/// TLS goes through a tunnel to the server itself: the proxy sees nothing.
#[tokio::test]
async fn wss_goes_through_a_tunnel_and_to_the_proxy_by_tls_if_it_likes() {
    let authority = Authority::new();
    let (address, _) = echo(&ServerTls::new(authority.issue(["one.test"]))).await;
    let proxy_tls = Acceptor::new(&ServerTls::new(authority.issue(["proxy.test"]))).unwrap();
    for scheme in ["http", "https"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let acceptor = proxy_tls.clone();
        tokio::spawn(async move {
            let stream = listener.accept().await.unwrap().0;
            let mut stream: Box<dyn Stream> =
                if scheme == "https" { Box::new(acceptor.accept(stream).await.unwrap()) } else { Box::new(stream) };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            assert!(request.starts_with("CONNECT one.test:"), "{request}");
            stream.write_all(b"HTTP/1.1 200 Fine\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
            let mut server = TcpStream::connect(address).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
        });
        let client = Client::new()
            .tls(trusting(&authority))
            .proxy(format!("{scheme}://proxy.test:{}", at.port()).parse().unwrap())
            .resolve("proxy.test", at.port(), [at.ip()]);
        let (mut socket, _) = client.connect(&format!("wss://one.test:{}/", address.port())).await.unwrap();
        socket.send("hi").await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(openline::Message::Text("hi".into())));
        assert!(socket.close(openline::CloseCode::NORMAL, "").await.unwrap().is_clean());
    }
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for S {}
