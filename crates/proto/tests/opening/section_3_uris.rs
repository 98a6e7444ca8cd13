//! RFC 6455 §3: WebSocket URIs.

use http::Uri;
use openline_proto::handshake::*;

use crate::messages::NONCE;

#[test]
fn host_port_and_resource_name() {
    for (uri, host, resource) in [
        ("ws://example.com", "example.com", "/"),
        ("ws://example.com/", "example.com", "/"),
        ("ws://example.com?x=1", "example.com", "/?x=1"),
        ("ws://example.com/a/b?x=1&y=?/", "example.com", "/a/b?x=1&y=?/"),
        ("ws://example.com/?", "example.com", "/?"),
        ("WS://EXAMPLE.com/A", "example.com", "/A"),
        ("ws://example.com:80/", "example.com", "/"),
        ("wss://example.com:443/", "example.com", "/"),
        ("wss://example.com:80/", "example.com:80", "/"),
        ("ws://example.com:443/", "example.com:443", "/"),
        ("ws://example.com:/", "example.com", "/"),
        ("http://example.com:8080/", "example.com:8080", "/"),
        ("https://example.com/", "example.com", "/"),
        ("ws://127.0.0.1:9001/", "127.0.0.1:9001", "/"),
        ("ws://[::1]:9001/", "[::1]:9001", "/"),
        ("wss://[2001:DB8::1]/", "[2001:db8::1]", "/"),
        ("ws://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("ws://example.com/%23", "example.com", "/%23"),
    ] {
        let request = ClientHandshake::new(&parse_uri(uri).unwrap(), NONCE).unwrap().request();
        assert_eq!(request.uri(), resource, "{uri}");
        assert_eq!(request.headers()["Host"], host, "{uri}");
    }
}

/// §11.1.1: "by first encoding the characters as UTF-8 and then replacing the corresponding bytes using their
/// percent-encoded form".
#[test]
fn what_a_uri_cannot_hold_is_percent_encoded() {
    for (uri, resource) in [
        ("ws://example.com/bücher?q=ü", "/b%C3%BCcher?q=%C3%BC"),
        ("ws://example.com/%C3%BC", "/%C3%BC"),
        ("ws://example.com/{a}|b", "/%7Ba%7D%7Cb"),
        ("ws://example.com/🍕", "/%F0%9F%8D%95"),
    ] {
        assert_eq!(ClientHandshake::new(&parse_uri(uri).unwrap(), NONCE).unwrap().request().uri(), resource);
    }
}

/// §4.1: the components of the URI "MUST be valid".
#[test]
fn anything_else_is_refused() {
    for (uri, error) in [
        ("", UriError::Scheme),
        ("/chat", UriError::Scheme),
        ("example.com/chat", UriError::Scheme),
        ("ftp://example.com/", UriError::Scheme),
        ("ws:/example.com", UriError::Scheme),
        ("ws://", UriError::MissingHost),
        ("ws:///chat", UriError::MissingHost),
        ("ws://:80/", UriError::MissingHost),
        ("ws://?x", UriError::MissingHost),
        ("ws://example.com:65536/", UriError::InvalidHost),
        ("ws://example.com:x/", UriError::InvalidHost),
        ("ws://::1/", UriError::InvalidHost),
        ("ws://[::1/", UriError::InvalidHost),
        ("ws://exa mple.com/", UriError::InvalidHost),
        ("ws://bücher.example/", UriError::NonAsciiHost),
        ("ws://user:secret@example.com/", UriError::UserInfo),
        ("ws://example.com/chat#room", UriError::Fragment),
        ("ws://example.com#", UriError::Fragment),
        ("ws://example.com/100%", UriError::Escape),
        ("ws://example.com/?q=%2x", UriError::Escape),
        ("ws://example.com/a b", UriError::Syntax),
        ("ws://example.com/a\r\nb", UriError::Syntax),
    ] {
        assert_eq!(parse_uri(uri), Err(error), "{uri:?}");
    }
    let long: Uri = format!("ws://example.com/{}", "ü".repeat(20_000)).parse().unwrap();
    assert_eq!(ClientHandshake::new(&long, NONCE).unwrap_err(), UriError::TooLong);
}

/// `http::Uri` checks less than §3, so a URI made elsewhere is checked as well.
#[test]
fn a_parsed_uri_is_checked_again() {
    for (uri, error) in [
        ("/chat", UriError::Scheme),
        ("example.com", UriError::Scheme),
        ("gopher://example.com/", UriError::Scheme),
        ("ws://user@example.com/", UriError::UserInfo),
        ("ws://example.com/%", UriError::Escape),
    ] {
        let uri: Uri = uri.parse().unwrap();
        assert_eq!(ClientHandshake::new(&uri, NONCE).unwrap_err(), error, "{uri}");
    }
}
