//! RFC 6455 §4.2.2, §4.4: how a server refuses.

use http::Response;
use openline_proto::handshake::*;

use crate::messages::{fields, request, value};

fn refusal(changes: &[&str]) -> Response<String> {
    ServerHandshake::default().accept(&request(changes)).unwrap_err().response()
}

#[test]
fn a_refusal_says_what_to_do() {
    let response = refusal(&["-Sec-WebSocket-Key"]);
    assert_eq!(response.status(), 400);
    let body = "The Sec-WebSocket-Key header is missing: send one with 16 random bytes in base64.\n";
    assert_eq!(response.body(), body);
    assert_eq!(
        fields(response.headers()),
        ["connection: close", "content-type: text/plain; charset=utf-8", &format!("content-length: {}", body.len())]
    );
}

/// §4.4: "a |Sec-WebSocket-Version| header field indicating the version(s) the server is capable of understanding".
#[test]
fn the_version_we_speak() {
    for (changes, status) in [
        (["Sec-WebSocket-Version: 8"], 426),
        (["Sec-WebSocket-Version: 255"], 426),
        (["-Upgrade"], 426),
        (["Upgrade: h2c"], 426),
        (["-Sec-WebSocket-Version"], 400),
        (["+Sec-WebSocket-Version: 13"], 400),
    ] {
        let response = refusal(&changes);
        assert_eq!(response.status(), status, "{changes:?}");
        assert_eq!(response.headers()["Sec-WebSocket-Version"], "13", "{changes:?}");
        // RFC 9110 §15.5.22 and §7.8.
        if status == 426 {
            assert_eq!(response.headers()["Upgrade"], "websocket", "{changes:?}");
            assert_eq!(response.headers()["Connection"], "Upgrade, close", "{changes:?}");
        }
    }
}

/// RFC 9110 §15.5.6: the server "MUST generate an Allow header field".
#[test]
fn the_method_we_take() {
    let response = refusal(&["POST /chat HTTP/1.1"]);
    assert_eq!((response.status().as_u16(), &response.headers()["Allow"]), (405, &value("GET")));
}

/// §10.2: "If the origin indicated is unacceptable to the server, then it SHOULD respond […] with a
/// reply containing HTTP 403 Forbidden status code".
#[test]
fn a_foreign_page() {
    let response = refusal(&["Origin: http://evil.example"]);
    assert_eq!(response.status(), 403);
    assert!(response.body().contains("http://evil.example"));
    assert_eq!(refusal(&["Origin: null"]).status(), 403);
}

#[test]
fn pages_by_policy() {
    let only = Origins::Only(vec![Origin::parse("https://app.example").unwrap()]);
    for (origins, origin, accepted) in [
        (Origins::SameHost, "Origin: http://server.example.com", true),
        (Origins::SameHost, "Origin: https://server.example.com", true), // TLS may end before us
        (Origins::SameHost, "Origin: http://server.example.com:81", false),
        (Origins::SameHost, "-Origin", true),
        (Origins::Any, "Origin: http://evil.example", true),
        (Origins::Any, "Origin: null", true),
        (only.clone(), "Origin: https://app.example", true),
        (only.clone(), "Origin: http://server.example.com", false),
        (only, "-Origin", true),
    ] {
        let server = ServerHandshake { origins, ..Default::default() };
        assert_eq!(server.accept(&request(&[origin])).is_ok(), accepted, "{server:?}, {origin}");
    }
}

/// A request-target names another host than `Host`: it is the one that a page has to come from.
#[test]
fn the_same_host_is_the_targets() {
    let target = "GET http://other.example/ HTTP/1.1";
    assert_eq!(refusal(&[target]).status(), 403);
    assert!(ServerHandshake::default().accept(&request(&[target, "Origin: http://other.example"])).is_ok());
}
