//! SNI: each name gets its certificate, and a certificate can be changed while lines are open.

use std::sync::Arc;

use openline::tls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use openline::tls::{Acceptor, ClientTls, Connector, Fingerprint, Identity, ServerTls, TlsError};
use openline::{ClientStream, ConnectError, Message, WebSocket};

use crate::certificates::Authority;
use crate::server::{echo, open, trusting};

fn shown(socket: &WebSocket<ClientStream>) -> Fingerprint {
    let tls = socket.get_ref().as_tls().expect("wss");
    Fingerprint::of(&tls.peer_certificates().expect("servers have certificates")[0])
}

#[tokio::test]
async fn each_name_gets_its_certificate() {
    let authority = Authority::new();
    let [one, two, wild] = [&["one.test"], &["two.test"], &["*.wild.test"]].map(|names| authority.issue(*names));
    let tls = ServerTls::new(one.clone()).identity(wild.clone()).identity(two.clone());
    let (address, _) = echo(&tls).await;
    for (name, identity) in [("one.test", &one), ("TWO.test", &two), ("a.wild.test", &wild)] {
        let socket = open(trusting(&authority), name, address).await.unwrap();
        assert_eq!(shown(&socket), identity.fingerprint(), "{name}");
    }
    // A wildcard stands for one label, and the first certificate for everybody else: whose client says what is wrong.
    for name in ["a.b.wild.test", "three.test"] {
        let error = open(trusting(&authority), name, address).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the server's certificate is not for {name}, but for DnsName(\"one.test\")"),
        );
    }
}

#[tokio::test]
async fn addresses_have_certificates_too() {
    let authority = Authority::new();
    let (address, _) = echo(&ServerTls::new(authority.issue(["127.0.0.1"]))).await;
    let mut socket = open(trusting(&authority), "127.0.0.1", address).await.unwrap();
    socket.send("hi").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::Text("hi".into())));
}

#[tokio::test]
async fn both_versions_are_spoken() {
    let authority = Authority::new();
    let (address, _) = echo(&ServerTls::new(authority.issue(["one.test"]))).await;
    for version in [&version::TLS12, &version::TLS13] {
        let socket = open(speaking(&authority, version), "one.test", address).await.unwrap();
        assert_eq!(socket.get_ref().as_tls().unwrap().version(), Some(version.version));
        assert_eq!(socket.get_ref().as_tls().unwrap().alpn(), Some(&b"http/1.1"[..]));
    }
}

/// A client that an application configures itself.
fn speaking(authority: &Authority, version: &'static SupportedProtocolVersion) -> Connector {
    #[cfg(feature = "ring")]
    let provider = openline::tls::rustls::crypto::ring::default_provider();
    #[cfg(not(feature = "ring"))]
    let provider = openline::tls::rustls::crypto::aws_lc_rs::default_provider();
    let mut roots = RootCertStore::empty();
    for certificate in openline::tls::Identity::from_pem(authority.pem().as_bytes(), KEY).unwrap().certificates() {
        roots.add(certificate.clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[version]).unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config).into()
}

/// Some key: only the certificates are of interest.
const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";

#[tokio::test]
async fn a_new_certificate_is_for_newcomers_and_closes_nobody() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(["one.test"]), authority.issue(["one.test"]));
    let (address, acceptor) = echo(&ServerTls::new(old.clone())).await;
    let connector = trusting(&authority); // one for all, so that sessions could be resumed
    let mut before = open(connector.clone(), "one.test", address).await.unwrap();
    before.send("hi").await.unwrap();
    assert!(before.recv().await.unwrap().is_some());

    acceptor.replace(&ServerTls::new(new.clone())).unwrap();
    let after = open(connector, "one.test", address).await.unwrap();
    assert_eq!((shown(&before), shown(&after)), (old.fingerprint(), new.fingerprint()));
    before.send("still there").await.unwrap();
    assert_eq!(before.recv().await.unwrap(), Some(Message::Text("still there".into())));

    // What cannot be used changes nothing.
    let mismatched = Identity::from_pem(&pem(&old), rcgen::KeyPair::generate().unwrap().serialize_pem().as_bytes());
    let error = acceptor.replace(&ServerTls::new(mismatched.unwrap())).unwrap_err();
    assert_eq!(error.to_string(), "the private key is not that of the certificate");
    assert_eq!(shown(&open(trusting(&authority), "one.test", address).await.unwrap()), new.fingerprint());
}

fn pem(identity: &Identity) -> Vec<u8> {
    use base64_of_pem as base64;
    let body = base64(identity.certificates()[0].as_ref());
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n").into_bytes()
}

/// RFC 4648 §4; a line may be of any length to our reader.
fn base64_of_pem(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let shown = DIGITS[(bits >> (18 - 6 * digit) & 63) as usize];
            text.push(if digit <= chunk.len() { shown.into() } else { '=' });
        }
    }
    text
}

#[tokio::test]
async fn a_fingerprint_is_enough_to_trust_one_server() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (mine, other) = (ours.issue_expired(["else.test"]), theirs.issue(["one.test"]));
    let pinned = ClientTls::new().only_certificate(mine.fingerprint()).build().unwrap();
    let (address, acceptor) = echo(&ServerTls::new(mine)).await;
    open(pinned.clone(), "one.test", address).await.unwrap();
    acceptor.replace(&ServerTls::new(other)).unwrap();
    let error = open(pinned, "one.test", address).await.unwrap_err();
    assert_eq!(error.to_string(), "the server's certificate is not the one with the fingerprint that is trusted");
    let anybody = ClientTls::new().dangerously_accept_any_certificate().build().unwrap();
    open(anybody, "one.test", address).await.unwrap();
}

/// Nobody's secret: an acceptor takes its provider from its feature, and leaves the process without one.
#[tokio::test]
async fn no_provider_is_installed_for_the_process() {
    let authority = Authority::new();
    let acceptor = Acceptor::new(&ServerTls::new(authority.issue(["one.test"])));
    assert!(acceptor.is_ok() && trusting_is_ok(&authority));
    assert!(openline::tls::rustls::crypto::CryptoProvider::get_default().is_none());
}

fn trusting_is_ok(authority: &Authority) -> bool {
    ClientTls::new().add_ca_pem(authority.pem().as_bytes()).unwrap().build().is_ok()
}

#[tokio::test]
async fn the_platforms_roots_are_trusted_without_a_word() {
    let (address, _) = echo(&ServerTls::new(Authority::new().issue(["one.test"]))).await;
    let client = openline::Client::new().no_proxy().resolve("one.test", address.port(), [address.ip()]);
    let error = client.connect(&format!("wss://one.test:{}/", address.port())).await.unwrap_err();
    // On a machine without any roots, that is what is wrong.
    assert!(matches!(error, ConnectError::Tls(TlsError::Certificate(_) | TlsError::Unusable(_))), "{error:?}");
}
