//! RFC 6455 §4.1: the request that a client sends.

use http::{HeaderName, HeaderValue, Method, Version};
use openline_proto::handshake::*;

use crate::messages::{NONCE, fields, name};

fn client() -> ClientHandshake {
    ClientHandshake::new(&"ws://server.example.com/chat".parse().unwrap(), NONCE).unwrap()
}

#[test]
fn it_is_the_example_of_section_1_2() {
    let request = client()
        .subprotocols([name("chat"), name("superchat")])
        .header(http::header::ORIGIN, HeaderValue::from_static("http://example.com"))
        .unwrap()
        .request();
    assert_eq!((request.method(), request.version()), (&Method::GET, Version::HTTP_11));
    assert_eq!(
        fields(request.headers()),
        [
            "host: server.example.com",
            "upgrade: websocket",
            "connection: Upgrade",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-version: 13",
            "sec-websocket-protocol: chat, superchat",
            "origin: http://example.com",
        ]
    );
}

#[test]
fn nothing_is_offered_unasked() {
    let request = client().request();
    for absent in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin"] {
        assert!(!request.headers().contains_key(absent), "{absent}");
    }
}

/// Item 10: "MUST all be unique strings".
#[test]
fn subprotocols_are_unique() {
    let request =
        client().subprotocols([name("a"), name("b"), name("a")]).subprotocols([name("b"), name("A")]).request();
    assert_eq!(request.headers()["Sec-WebSocket-Protocol"], "a, b, A");
}

/// Item 12: any other header field, as often as wanted.
#[test]
fn other_fields_are_appended() {
    let cookie = HeaderName::from_static("cookie");
    let request = client()
        .header(cookie.clone(), HeaderValue::from_static("a=1"))
        .and_then(|client| client.header(cookie, HeaderValue::from_static("b=2")))
        .unwrap()
        .request();
    assert_eq!(request.headers().get_all("Cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
}

#[test]
fn the_handshakes_own_fields_are_not_the_callers() {
    for own in [
        "host",
        "upgrade",
        "connection",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "sec-websocket-accept",
        "sec-websocket-anything",
        "content-length",
        "transfer-encoding",
    ] {
        let own = HeaderName::from_static(own);
        let refused = client().header(own.clone(), HeaderValue::from_static("x")).unwrap_err();
        assert_eq!(refused, ReservedHeader(own));
    }
}

#[test]
fn the_host_can_be_another() {
    let request = client().host(Host::parse("other.example:81").unwrap()).request();
    assert_eq!(request.headers()["Host"], "other.example:81");
}
