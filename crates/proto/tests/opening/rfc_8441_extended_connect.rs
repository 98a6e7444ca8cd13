//! RFC 8441: the same over HTTP/2, by extended CONNECT.

use http::{Method, Request, StatusCode};
use openline_proto::handshake::*;

use crate::messages::{edited_request, fields, name, value};

/// §5.1: the example, as an HTTP/2 implementation hands it over.
fn connect(protocol: &str, changes: &[&str]) -> Request<()> {
    let mut request = edited_request(
        "CONNECT https://server.example.com/chat HTTP/2.0\n\
         sec-websocket-protocol: chat, superchat\n\
         sec-websocket-extensions: permessage-deflate\n\
         sec-websocket-version: 13\n\
         origin: https://server.example.com",
        changes,
    );
    request.extensions_mut().insert(ConnectProtocol(protocol.to_owned()));
    request
}

#[test]
fn it_is_answered_with_200_and_no_key() {
    let server = ServerHandshake { subprotocols: vec![name("chat")], ..Default::default() };
    for (protocol, version) in [("websocket", "HTTP/2.0"), ("WebSocket", "HTTP/3.0")] {
        let request = connect(protocol, &[&format!("CONNECT https://server.example.com/chat {version}")]);
        assert!(asks_for_websocket(&request));
        let (response, negotiated) = server.accept(&request).unwrap();
        assert_eq!((response.status(), response.version()), (StatusCode::OK, request.version()));
        let deflate = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        let expected = ["sec-websocket-protocol: chat", &format!("sec-websocket-extensions: {deflate}")];
        assert_eq!(fields(response.headers()), expected);
        assert_eq!(negotiated.subprotocol(), Some(&name("chat")));
    }
}

#[test]
fn out_of_order() {
    use Rejection::*;
    let table: &[(&str, &[&str], u16, Rejection)] = &[
        // RFC 9220 §3: an unknown `:protocol`.
        ("connect-udp", &[], 501, ConnectProtocol("connect-udp".into())),
        ("", &[], 501, ConnectProtocol("".into())),
        // §4: `:scheme`, `:path` and `:authority` are there.
        ("websocket", &["CONNECT server.example.com:443 HTTP/2.0"], 400, Target),
        ("websocket", &["CONNECT /chat HTTP/2.0"], 400, Target),
        ("websocket", &["CONNECT wss://server.example.com/ HTTP/2.0"], 400, Target),
        // RFC 9113 §8.2.2.
        ("websocket", &["+Connection: Upgrade"], 400, ConnectionHeader),
        ("websocket", &["+Upgrade: websocket"], 400, ConnectionHeader),
        // §5: the rest is as in RFC 6455.
        ("websocket", &["-Sec-WebSocket-Version"], 400, MissingVersion),
        ("websocket", &["Sec-WebSocket-Version: 8"], 426, OtherVersion(value("8"))),
        ("websocket", &["Sec-WebSocket-Protocol: chat, chat"], 400, DuplicateSubprotocol(name("chat"))),
        ("websocket", &["Sec-WebSocket-Extensions: ;"], 400, InvalidExtensions),
        (
            "websocket",
            &["Origin: https://evil.example"],
            403,
            ForeignOrigin(Origin::parse("https://evil.example").unwrap()),
        ),
        ("websocket", &["+Content-Length: 5"], 400, Body),
        // `:protocol` belongs to CONNECT, and to HTTP/2 and later.
        ("websocket", &["GET https://server.example.com/chat HTTP/2.0"], 400, UpgradeOverHttp2),
        ("websocket", &["CONNECT https://server.example.com/chat HTTP/1.1"], 405, Method(http::Method::CONNECT)),
    ];
    for (protocol, changes, status, rejection) in table {
        let refused =
            ServerHandshake::default().accept(&connect(protocol, changes)).expect_err(&format!("{changes:?}"));
        assert_eq!((refused.status().as_u16(), &refused), (*status, rejection), "{protocol}, {changes:?}");
    }
}

#[test]
fn a_plain_connect_is_no_websocket() {
    let request = edited_request("CONNECT server.example.com:443 HTTP/2.0", &[]);
    assert!(!asks_for_websocket(&request));
    assert_eq!(Offer::read(&request).unwrap_err(), Rejection::Method(Method::CONNECT));
}
