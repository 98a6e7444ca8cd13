//! The opening handshake, clause by clause (RFC 6455 §3, §4, §9.1, §10.2, §11.3; RFC 8441).

#![allow(clippy::unwrap_used)] // in helpers as well as in tests

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use openline_proto::handshake::*;

/// §1.2: the example request, which is in order.
const REQUEST: &str = "\
GET /chat HTTP/1.1
Host: server.example.com
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Origin: http://server.example.com
Sec-WebSocket-Version: 13";

/// §1.2: the example response, which is in order.
const RESPONSE: &str = "\
HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The nonce of both.
const NONCE: [u8; 16] = *b"the sample nonce";

mod section_3_uris {
    use super::*;

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
}

mod section_4_1_the_clients_request {
    use super::*;

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
}

mod section_4_1_the_clients_validation {
    use super::*;

    /// Responses to a client that offered `chat` and `superchat`: changes to the example, and what comes of them.
    #[test]
    fn every_item() {
        use ResponseError::*;
        type Outcome = Result<Option<&'static str>, ResponseError>;
        let table: &[(&[&str], Outcome)] = &[
            (&[], Ok(None)),
            // Item 1: any other status is HTTP's business.
            (&["HTTP/1.1 200 OK"], Err(Status(StatusCode::OK))),
            (&["HTTP/1.1 301 Moved"], Err(Status(StatusCode::MOVED_PERMANENTLY))),
            (&["HTTP/1.1 401 Unauthorized"], Err(Status(StatusCode::UNAUTHORIZED))),
            (&["HTTP/1.1 426 Upgrade Required"], Err(Status(StatusCode::UPGRADE_REQUIRED))),
            (&["HTTP/1.1 100 Continue"], Err(Status(StatusCode::CONTINUE))),
            (&["HTTP/1.0 101 Switching Protocols"], Err(HttpVersion(Version::HTTP_10))),
            // Item 2: Upgrade is `websocket`, in any case; erratum 5453 wanted it exact, and was rejected.
            (&["Upgrade: WebSocket"], Ok(None)),
            (&["Upgrade: WEBSOCKET"], Ok(None)),
            (&["-Upgrade"], Err(MissingUpgrade)),
            (&["Upgrade: h2c"], Err(OtherUpgrade(value("h2c")))),
            (&["Upgrade: websocket/13"], Err(OtherUpgrade(value("websocket/13")))),
            (&["Upgrade: websocket, h2c"], Err(OtherUpgrade(value("websocket, h2c")))),
            (&["+Upgrade: websocket"], Err(OtherUpgrade(value("websocket")))),
            (&["Upgrade: "], Err(OtherUpgrade(value("")))),
            // Item 3: Connection lists `Upgrade`, in any case.
            (&["Connection: upgrade"], Ok(None)),
            (&["Connection: keep-alive, UPGRADE"], Ok(None)),
            (&["Connection: keep-alive", "+Connection: upgrade"], Ok(None)),
            (&["-Connection"], Err(MissingConnection)),
            (&["Connection: keep-alive"], Err(ConnectionWithoutUpgrade)),
            (&["Connection: Upgraded"], Err(ConnectionWithoutUpgrade)),
            (&["Connection: Upgrade please"], Err(InvalidConnection)),
            (&["Connection: "], Err(InvalidConnection)),
            // Item 4: Accept, "ignoring any leading and trailing whitespace"; §11.3.3: once.
            (&["Sec-WebSocket-Accept: \ts3pPLMBiTxaQ9kYGzzhZRbK+xOo= "], Ok(None)),
            (&["-Sec-WebSocket-Accept"], Err(MissingAccept)),
            (&["Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk="], Err(WrongAccept)),
            (&["Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO="], Err(WrongAccept)),
            (&["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo"], Err(WrongAccept)),
            (&["Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ=="], Err(WrongAccept)),
            (&["Sec-WebSocket-Accept: "], Err(WrongAccept)),
            (&["+Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], Err(DuplicateAccept)),
            // Item 5: an extension that was not offered; §9.1: or none at all.
            (&["+Sec-WebSocket-Extensions: permessage-deflate"], Err(UnofferedExtension("permessage-deflate".into()))),
            (&["+Sec-WebSocket-Extensions: a; b=c, d"], Err(UnofferedExtension("a".into()))),
            (&["+Sec-WebSocket-Extensions: "], Err(InvalidExtensions)),
            (&["+Sec-WebSocket-Extensions: a;"], Err(InvalidExtensions)),
            // Item 6: a subprotocol that was offered, or none; §11.3.4: once.
            (&["+Sec-WebSocket-Protocol: chat"], Ok(Some("chat"))),
            (&["+Sec-WebSocket-Protocol:  superchat "], Ok(Some("superchat"))),
            (&["+Sec-WebSocket-Protocol: Chat"], Err(UnofferedSubprotocol(value("Chat")))),
            (&["+Sec-WebSocket-Protocol: other"], Err(UnofferedSubprotocol(value("other")))),
            (&["+Sec-WebSocket-Protocol: "], Err(UnofferedSubprotocol(value("")))),
            (&["+Sec-WebSocket-Protocol: chat, superchat"], Err(UnofferedSubprotocol(value("chat, superchat")))),
            (&["+Sec-WebSocket-Protocol: chat", "+Sec-WebSocket-Protocol: chat"], Err(DuplicateSubprotocol)),
            // What a client need not look at. RFC 9112 §6.3: a 101 has no body, whatever the fields say.
            (&["+Set-Cookie: a=1", "+Sec-WebSocket-Version: 13", "+Content-Length: 0", "+Server: x"], Ok(None)),
        ];
        let client = ClientHandshake::new(&"ws://server.example.com/chat".parse().unwrap(), NONCE)
            .unwrap()
            .subprotocols([name("chat"), name("superchat")]);
        for (changes, outcome) in table {
            let negotiated = client.finish(&response(changes));
            let subprotocol = negotiated.as_ref().map(|negotiated| negotiated.subprotocol().map(Subprotocol::as_str));
            assert_eq!(subprotocol.map_err(Clone::clone), *outcome, "{changes:?}");
        }
    }

    #[test]
    fn a_subprotocol_unasked_for() {
        let client = ClientHandshake::new(&"ws://server.example.com/chat".parse().unwrap(), NONCE).unwrap();
        let error = client.finish(&response(&["+Sec-WebSocket-Protocol: chat"])).unwrap_err();
        assert_eq!(error, ResponseError::UnofferedSubprotocol(value("chat")));
    }

    /// Every handshake has its own key, so an answer to one is none to another.
    #[test]
    fn an_answer_to_another_key() {
        let client = ClientHandshake::new(&"ws://server.example.com/chat".parse().unwrap(), [0; 16]).unwrap();
        assert_eq!(client.finish(&response(&[])), Err(ResponseError::WrongAccept));
    }
}

mod section_4_2_1_reading_the_clients_request {
    use super::*;

    /// Changes to the example request that leave it in order.
    #[test]
    fn in_order() {
        let table: &[&[&str]] = &[
            &[],
            // Item 1: "or an absolute HTTP/HTTPS URI", and "HTTP/1.1 or higher".
            &["GET / HTTP/1.1"],
            &["GET /?a=b HTTP/1.1"],
            &["GET http://server.example.com/chat HTTP/1.1"],
            &["GET HTTPS://server.example.com/chat HTTP/1.1"],
            // Item 2.
            &["Host: server.example.com:80"],
            &["Host: SERVER.example.com"],
            // Item 3: a list, without case, in one field or several; RFC 9110 §5.6.1.2: with empty elements.
            &["Upgrade: WebSocket"],
            &["Upgrade: h2c, websocket"],
            &["Upgrade: HTTP/2.0", "+Upgrade: websocket"],
            &["Upgrade: , websocket ,,"],
            &["Upgrade: websocket", "+Upgrade: websocket"],
            // Item 4: the same.
            &["Connection: upgrade"],
            &["Connection: keep-alive, Upgrade"],
            &["Connection: keep-alive,UPGRADE,close"],
            &["Connection: keep-alive", "+Connection: ", "+Connection: upgrade"],
            // Item 5; erratum 3150: bits after the sixteenth byte do not matter.
            &["Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="],
            &["Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="],
            // Item 6.
            &["Sec-WebSocket-Version: \t13 "],
            // Item 7.
            &["-Origin"],
            // Item 8.
            &["+Sec-WebSocket-Protocol: chat"],
            &["+Sec-WebSocket-Protocol: chat, superchat", "+Sec-WebSocket-Protocol: v12.stomp"],
            &["+Sec-WebSocket-Protocol: chat, Chat"],
            // Item 9.
            &["+Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"],
            &["+Sec-WebSocket-Extensions: x-webkit-deflate-frame, foo", "+Sec-WebSocket-Extensions: foo; bar=\"baz\""],
            // Item 10: "Unknown header fields are ignored"; §11.3.3: Accept is one, in a request.
            &["+Sec-WebSocket-Accept: x", "+Sec-WebSocket-Draft: 17", "+Cookie: a=1", "+Cookie: b=2", "+TE: trailers"],
            // No body: announced as none.
            &["+Content-Length: 0"],
        ];
        for changes in table {
            let read = Offer::read(&request(changes));
            assert!(read.is_ok(), "{changes:?}: {read:?}");
        }
    }

    /// Changes to the example request that break it, and what the server says to each.
    #[test]
    fn out_of_order() {
        use Rejection::*;
        let table: &[(&[&str], u16, Rejection)] = &[
            // Item 1: "HTTP/1.1 or higher", "GET", a resource.
            (&["GET /chat HTTP/1.0"], 400, HttpVersion(Version::HTTP_10)),
            (&["GET /chat HTTP/0.9"], 400, HttpVersion(Version::HTTP_09)),
            (&["POST /chat HTTP/1.1"], 405, Method(http::Method::POST)),
            (&["HEAD /chat HTTP/1.1"], 405, Method(http::Method::HEAD)),
            (&["OPTIONS /chat HTTP/1.1"], 405, Method(http::Method::OPTIONS)),
            (&["CONNECT server.example.com:80 HTTP/1.1"], 405, Method(http::Method::CONNECT)),
            (&["get /chat HTTP/1.1"], 405, Method("get".parse().unwrap())),
            (&["GET * HTTP/1.1"], 400, Target),
            (&["GET server.example.com HTTP/1.1"], 400, Target),
            (&["GET ws://server.example.com/chat HTTP/1.1"], 400, Target),
            (&["GET http://user@server.example.com/chat HTTP/1.1"], 400, Target),
            // RFC 8441: HTTP/2 opens with CONNECT.
            (&["GET /chat HTTP/2.0"], 400, UpgradeOverHttp2),
            (&["GET /chat HTTP/3.0"], 400, UpgradeOverHttp2),
            // Item 2.
            (&["-Host"], 400, MissingHost),
            (&["+Host: server.example.com"], 400, DuplicateHost),
            (&["Host: "], 400, InvalidHost),
            (&["Host: a, b"], 400, InvalidHost),
            (&["Host: server.example.com/chat"], 400, InvalidHost),
            (&["Host: user@server.example.com"], 400, InvalidHost),
            (&["Host: server.example.com:port"], 400, InvalidHost),
            (&["Host: b\u{fc}cher.example"], 400, InvalidHost),
            (&["GET http://server.example.com/ HTTP/1.1", "-Host"], 400, MissingHost),
            // Item 3.
            (&["-Upgrade"], 426, NoUpgrade),
            (&["-Upgrade", "-Connection"], 426, NoUpgrade),
            (&["Upgrade: "], 400, InvalidUpgrade),
            (&["Upgrade: , ,"], 400, InvalidUpgrade),
            (&["Upgrade: web socket"], 400, InvalidUpgrade),
            (&["Upgrade: websocket, (x)"], 400, InvalidUpgrade),
            (&["Upgrade: websocket;q=1"], 400, InvalidUpgrade),
            (&["Upgrade: \"websocket\""], 400, InvalidUpgrade),
            (&["Upgrade: web\tsocket"], 400, InvalidUpgrade),
            (&["Upgrade: websocket/"], 400, InvalidUpgrade),
            (&["Upgrade: websock\u{e9}t"], 400, InvalidUpgrade),
            (&["Upgrade: h2c"], 426, OtherUpgrade),
            (&["Upgrade: websocket/13"], 426, OtherUpgrade),
            (&["Upgrade: websockets"], 426, OtherUpgrade),
            // Item 4.
            (&["-Connection"], 400, ConnectionWithoutUpgrade),
            (&["Connection: keep-alive"], 400, ConnectionWithoutUpgrade),
            (&["Connection: not-upgrade"], 400, ConnectionWithoutUpgrade),
            (&["Connection: "], 400, InvalidConnection),
            (&["Connection: keep alive, Upgrade"], 400, InvalidConnection),
            (&["Connection: Upgrade/1"], 400, InvalidConnection),
            (&["Connection: Upgrade; x"], 400, InvalidConnection),
            // Item 5; §11.3.1: once.
            (&["-Sec-WebSocket-Key"], 400, MissingKey),
            (&["+Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], 400, DuplicateKey),
            (&["Sec-WebSocket-Key: "], 400, InvalidKey),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"], 400, InvalidKey),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"], 400, InvalidKey),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, x"], 400, InvalidKey),
            (&["Sec-WebSocket-Key: d\u{e9}lIHNhbXBsZSBub25jZQ=="], 400, InvalidKey),
            // Item 6; §4.4; §11.3.5: once.
            (&["-Sec-WebSocket-Version"], 400, MissingVersion),
            (&["+Sec-WebSocket-Version: 13"], 400, DuplicateVersion),
            (&["Sec-WebSocket-Version: 8"], 426, OtherVersion(value("8"))),
            (&["Sec-WebSocket-Version: 14"], 426, OtherVersion(value("14"))),
            (&["Sec-WebSocket-Version: 013"], 426, OtherVersion(value("013"))),
            (&["Sec-WebSocket-Version: 13, 8"], 426, OtherVersion(value("13, 8"))),
            (&["Sec-WebSocket-Version: "], 426, OtherVersion(value(""))),
            (&["Sec-WebSocket-Version: 8", "-Sec-WebSocket-Key"], 426, OtherVersion(value("8"))),
            // Item 7; RFC 6454 §7.
            (&["+Origin: http://server.example.com"], 400, DuplicateOrigin),
            (&["Origin: "], 400, InvalidOrigin),
            (&["Origin: server.example.com"], 400, InvalidOrigin),
            (&["Origin: http://server.example.com/"], 400, InvalidOrigin),
            (&["Origin: http://a http://b"], 400, InvalidOrigin),
            // Item 8, by §4.1 item 10: not empty, tokens, unique.
            (&["+Sec-WebSocket-Protocol: "], 400, InvalidSubprotocols),
            (&["+Sec-WebSocket-Protocol: ,"], 400, InvalidSubprotocols),
            (&["+Sec-WebSocket-Protocol: chat room"], 400, InvalidSubprotocols),
            (&["+Sec-WebSocket-Protocol: chat/1"], 400, InvalidSubprotocols),
            (&["+Sec-WebSocket-Protocol: \"chat\""], 400, InvalidSubprotocols),
            (&["+Sec-WebSocket-Protocol: ch\u{e4}t"], 400, InvalidSubprotocols),
            (&["+Sec-WebSocket-Protocol: chat, chat"], 400, DuplicateSubprotocol(name("chat"))),
            (
                &["+Sec-WebSocket-Protocol: chat", "+Sec-WebSocket-Protocol: x, chat"],
                400,
                DuplicateSubprotocol(name("chat")),
            ),
            // Item 9, by §9.1.
            (&["+Sec-WebSocket-Extensions: "], 400, InvalidExtensions),
            (&["+Sec-WebSocket-Extensions: permessage-deflate;"], 400, InvalidExtensions),
            // RFC 9110 §7.8, and what smuggles requests: a body.
            (&["+Content-Length: 1"], 400, Body),
            (&["+Content-Length: x"], 400, Body),
            (&["+Content-Length: 0", "+Content-Length: 5"], 400, Body),
            (&["+Transfer-Encoding: chunked"], 400, Body),
            (&["+Transfer-Encoding: identity"], 400, Body),
        ];
        for (changes, status, rejection) in table {
            let refused = Offer::read(&request(changes)).expect_err(&format!("{changes:?}"));
            assert_eq!(refused, *rejection, "{changes:?}");
            assert_eq!(refused.status(), *status, "{changes:?}");
        }
    }

    #[test]
    fn what_an_offer_holds() {
        let offer = Offer::read(&request(&[
            "+Sec-WebSocket-Protocol: superchat,chat",
            "+Sec-WebSocket-Protocol: v12.stomp",
            "+Sec-WebSocket-Extensions: permessage-deflate; a, other",
        ]))
        .unwrap();
        assert_eq!(offer.subprotocols(), ["superchat", "chat", "v12.stomp"]);
        assert_eq!(
            offer.extensions().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["permessage-deflate; a", "other"]
        );
        assert_eq!(offer.origin().unwrap().to_string(), "http://server.example.com");
        assert_eq!(offer.host().to_string(), "server.example.com");
    }

    /// RFC 9112 §3.2.2: the target's authority, not the `Host` header.
    #[test]
    fn the_host_of_an_absolute_target() {
        let offer = Offer::read(&request(&["GET http://other.example:81/chat HTTP/1.1"])).unwrap();
        assert_eq!(offer.host().to_string(), "other.example:81");
    }

    #[test]
    fn telling_websockets_from_the_rest() {
        for (changes, asks) in [
            (&[][..], true),
            (&["Upgrade: h2c, WebSocket"], true),
            (&["Sec-WebSocket-Version: 8"], true),
            (&["POST /chat HTTP/1.0"], true),
            (&["-Upgrade"], false),
            (&["Upgrade: h2c"], false),
        ] {
            assert_eq!(asks_for_websocket(&request(changes)), asks, "{changes:?}");
        }
    }

    /// As many names as a head of 64 KiB holds: linear work, not quadratic.
    #[test]
    fn thousands_of_subprotocols() {
        let names: Vec<String> = (0..10_000).map(|number| format!("p{number}")).collect();
        let offer = Offer::read(&request(&[&format!("+Sec-WebSocket-Protocol: {}", names.join(","))])).unwrap();
        assert_eq!(offer.subprotocols().len(), 10_000);
    }
}

mod section_4_2_2_the_servers_response {
    use super::*;

    #[test]
    fn it_is_the_example_of_section_1_2() {
        let (response, negotiated) = ServerHandshake::default().accept(&request(&[])).unwrap();
        assert_eq!((response.status(), response.version()), (StatusCode::SWITCHING_PROTOCOLS, Version::HTTP_11));
        assert_eq!(
            fields(response.headers()),
            ["upgrade: websocket", "connection: Upgrade", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
        );
        assert_eq!(negotiated, Negotiated::default());
    }

    #[test]
    fn another_known_answer() {
        let request = request(&["Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=="]);
        let (response, _) = ServerHandshake::default().accept(&request).unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Accept"], "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
    }

    /// /subprotocol/: "either a single value representing the subprotocol the server is ready to use or null", one of
    /// those offered, and the server's preference among them.
    #[test]
    fn one_subprotocol_or_none() {
        for (ours, offered, chosen) in [
            (&["chat"][..], &["+Sec-WebSocket-Protocol: superchat, chat"][..], Some("chat")),
            (
                &["chat", "superchat"],
                &["+Sec-WebSocket-Protocol: superchat", "+Sec-WebSocket-Protocol: chat"],
                Some("chat"),
            ),
            (&["v2", "superchat"], &["+Sec-WebSocket-Protocol: chat, superchat"], Some("superchat")),
            (&["Chat"], &["+Sec-WebSocket-Protocol: chat"], None),
            (&["chat"], &[], None),
            (&[], &["+Sec-WebSocket-Protocol: chat"], None),
        ] {
            let server =
                ServerHandshake { subprotocols: ours.iter().copied().map(name).collect(), ..Default::default() };
            let (response, negotiated) = server.accept(&request(offered)).unwrap();
            assert_eq!(negotiated.subprotocol().map(Subprotocol::as_str), chosen, "{ours:?}, {offered:?}");
            let sent: Vec<_> = response.headers().get_all("Sec-WebSocket-Protocol").iter().collect();
            assert_eq!(sent, chosen.into_iter().collect::<Vec<_>>(), "{ours:?}, {offered:?}");
        }
    }

    #[test]
    fn a_subprotocol_nobody_offered() {
        let offer = Offer::read(&request(&["+Sec-WebSocket-Protocol: chat"])).unwrap();
        let acceptance = Acceptance { subprotocol: Some(name("other")), ..Default::default() };
        assert_eq!(offer.accept(&acceptance).unwrap_err(), AcceptError::UnofferedSubprotocol(name("other")));
    }

    /// /extensions/: "Extensions not listed by the client MUST NOT be listed"; those not spoken are left out.
    #[test]
    fn no_extension_unless_spoken() {
        let (response, _) =
            ServerHandshake::default().accept(&request(&["+Sec-WebSocket-Extensions: permessage-bzip2, x"])).unwrap();
        assert!(!response.headers().contains_key("Sec-WebSocket-Extensions"));
    }

    #[test]
    fn other_fields_are_appended() {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", value("a=1"));
        headers.append("set-cookie", value("b=2"));
        let server = ServerHandshake { headers, ..Default::default() };
        let (response, _) = server.accept(&request(&[])).unwrap();
        assert_eq!(response.headers().get_all("Set-Cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(response.headers().len(), 5);
    }

    #[test]
    fn the_handshakes_own_fields_are_not_the_callers() {
        for own in [
            "upgrade",
            "connection",
            "sec-websocket-accept",
            "sec-websocket-protocol",
            "sec-websocket-extensions",
            "content-length",
            "transfer-encoding",
        ] {
            let own = HeaderName::from_static(own);
            let headers = HeaderMap::from_iter([(own.clone(), value("x"))]);
            let offer = Offer::read(&request(&[])).unwrap();
            let acceptance = Acceptance { headers: headers.clone(), ..Default::default() };
            assert_eq!(offer.accept(&acceptance).unwrap_err(), AcceptError::ReservedHeader(own.clone()));
            let rejection = ServerHandshake { headers, ..Default::default() }.accept(&request(&[])).unwrap_err();
            assert_eq!((rejection.status().as_u16(), rejection), (500, Rejection::ReservedHeader(own)));
        }
    }
}

mod section_4_2_2_refusals {
    use super::*;

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
            [
                "connection: close",
                "content-type: text/plain; charset=utf-8",
                &format!("content-length: {}", body.len())
            ]
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
}

mod section_9_1_extensions {
    use super::*;

    fn parse(fields: &[&str]) -> Result<Vec<ExtensionOffer>, InvalidExtensions> {
        let values: Vec<HeaderValue> = fields.iter().map(|field| value(field)).collect();
        ExtensionOffer::parse_list(&values)
    }

    fn offer(name: &str, params: &[(&str, Option<&str>)]) -> ExtensionOffer {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        ExtensionOffer { name: name.to_owned(), params }
    }

    #[test]
    fn the_grammar() {
        for (fields, offers) in [
            (&[][..], vec![]),
            (&["foo"], vec![offer("foo", &[])]),
            (&["foo", "bar; baz=2"], vec![offer("foo", &[]), offer("bar", &[("baz", Some("2"))])]),
            (&["foo, bar; baz=2"], vec![offer("foo", &[]), offer("bar", &[("baz", Some("2"))])]),
            (&["deflate-stream"], vec![offer("deflate-stream", &[])]),
            (
                &["mux; max-channels=4; flow-control, deflate-stream"],
                vec![
                    offer("mux", &[("max-channels", Some("4")), ("flow-control", None)]),
                    offer("deflate-stream", &[]),
                ],
            ),
            (&["private-extension"], vec![offer("private-extension", &[])]),
            // The same name again is another offer, with other parameters.
            (&["a; x, a"], vec![offer("a", &[("x", None)]), offer("a", &[])]),
            // Repeated parameters are for the extension to judge.
            (&["a; x; x=1"], vec![offer("a", &[("x", None), ("x", Some("1"))])]),
            // RFC 2616 §2.1: white space between words, and empty elements.
            (&[" a\t;b = c ;d , ,e,"], vec![offer("a", &[("b", Some("c")), ("d", None)]), offer("e", &[])]),
            (&["", "a"], vec![offer("a", &[])]),
            // Quoted: a token once unescaped.
            (&["a; b=\"c\""], vec![offer("a", &[("b", Some("c"))])]),
            (&["a; b=\"\\c\\d\""], vec![offer("a", &[("b", Some("cd"))])]),
        ] {
            assert_eq!(parse(fields), Ok(offers), "{fields:?}");
        }
    }

    #[test]
    fn what_breaks_it() {
        for field in [
            "",
            " ",
            ",",
            ";",
            "a;",
            "a; ;b",
            "a;;b",
            "a b",
            "a; b c",
            "a; b=",
            "a; =c",
            "a; b=c d",
            "a; b=c=d",
            "=",
            "a=b",
            "\"a\"",
            "a; \"b\"=c",
            "a; b=\"\"",
            "a; b=\"c d\"",
            "a; b=\"c,d\"",
            "a; b=\"c\\,d\"",
            "a; b=\"c",
            "a; b=\"c\\",
            "a; b=\"c\"d",
            "a; b=\"c\" d",
            "a/b",
            "a; b=(c)",
            "\u{e9}",
            "a; b=\"\u{e9}\"",
        ] {
            assert_eq!(parse(&[field]), Err(InvalidExtensions), "{field:?}");
        }
    }

    #[test]
    fn written_as_read() {
        let text = "permessage-deflate; client_max_window_bits; server_max_window_bits=10";
        assert_eq!(parse(&[text]).unwrap()[0].to_string(), text);
    }
}

mod rfc_8441_extended_connect {
    use super::*;

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
}

mod any_input {
    use super::*;
    use proptest::{collection::vec, option::of, prelude::*, sample::select};

    /// A header value of any bytes that `http` lets pass, with the ones that mean something more often.
    fn any_value() -> impl Strategy<Value = HeaderValue> {
        let byte = prop_oneof![
            4 => select(b" \t,;=\"\\/:-.[]@%13".to_vec()),
            4 => select(b"websocktupgrad".to_vec()),
            1 => any::<u8>(),
        ];
        vec(byte, 0..40).prop_filter_map("no header value", |bytes| HeaderValue::from_bytes(&bytes).ok())
    }

    fn any_subprotocols() -> impl Strategy<Value = Vec<Subprotocol>> {
        vec("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}", 0..5)
            .prop_map(|names| names.iter().map(|name| self::name(name)).collect())
    }

    proptest! {
        /// Whatever a client sends, the answer is an HTTP response, and one that can be sent.
        #[test]
        fn is_answered(name in select(vec![
            "host", "upgrade", "connection", "origin", "content-length", "sec-websocket-key", "sec-websocket-version",
            "sec-websocket-protocol", "sec-websocket-extensions",
        ]), value in any_value(), append in any::<bool>()) {
            let mut request = request(&[]);
            if append {
                request.headers_mut().append(name, value);
            } else {
                request.headers_mut().insert(name, value);
            }
            match ServerHandshake::default().accept(&request) {
                Ok((response, _)) => prop_assert_eq!(response.status(), 101),
                Err(rejection) => {
                    let response = rejection.response();
                    prop_assert!(response.status().is_client_error());
                    prop_assert_eq!(&response.headers()["content-length"], &response.body().len().to_string());
                }
            }
        }

        /// Two sides of this module always agree, and on the server's first choice.
        #[test]
        fn both_sides_agree(nonce: [u8; 16], offered in any_subprotocols(), ours in any_subprotocols()) {
            let client = ClientHandshake::new(&"ws://example.com/".parse().unwrap(), nonce).unwrap();
            let client = client.subprotocols(offered.clone());
            let server = ServerHandshake { subprotocols: ours.clone(), ..Default::default() };
            let (response, negotiated) = server.accept(&client.request()).unwrap();
            prop_assert_eq!(client.finish(&response).unwrap(), negotiated.clone());
            prop_assert_eq!(negotiated.subprotocol(), ours.iter().find(|name| offered.contains(name)));
        }

        /// What is written is read back as it was.
        #[test]
        fn extensions_round_trip(list in vec(
            ("[a-z-]{1,8}", vec(("[a-z_]{1,8}", of("[0-9a-z.]{1,4}")), 0..3)), 1..4,
        )) {
            let offers: Vec<_> = list.into_iter().map(|(name, params)| ExtensionOffer { name, params }).collect();
            let text: Vec<String> = offers.iter().map(ToString::to_string).collect();
            prop_assert_eq!(ExtensionOffer::parse_list([&value(&text.join(", "))]), Ok(offers));
        }

        #[test]
        fn hosts_and_origins_round_trip(
            text in "[a-z]{2,5}://[a-zA-Z0-9.:-]{0,12}|\\[[0-9a-f:]{2,9}\\](:[0-9]{1,5})?",
        ) {
            if let Ok(origin) = Origin::parse(&text) {
                prop_assert_eq!(Origin::parse(&origin.to_string()), Ok(origin));
            }
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
        }
    }
}

/// The example request with changes; see [`edit`].
fn request(changes: &[&str]) -> Request<()> {
    edited_request(REQUEST, changes)
}

fn edited_request(base: &str, changes: &[&str]) -> Request<()> {
    let (line, headers) = edit(base, changes);
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let mut request = Request::new(());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = target.parse().unwrap();
    *request.version_mut() = read_version(version);
    *request.headers_mut() = headers;
    request
}

/// The example response with changes; see [`edit`].
fn response(changes: &[&str]) -> Response<()> {
    let (line, headers) = edit(RESPONSE, changes);
    let mut response = Response::new(());
    *response.version_mut() = read_version(line.split(' ').next().unwrap());
    *response.status_mut() = line.split(' ').nth(1).unwrap().parse().unwrap();
    *response.headers_mut() = headers;
    response
}

/// `Name: value` replaces a field, `+Name: value` adds another, `-Name` removes it, anything else is the first line.
fn edit(base: &str, changes: &[&str]) -> (String, HeaderMap) {
    let (line, fields) = base.split_once('\n').unwrap_or((base, ""));
    let (mut line, mut headers) = (line.to_owned(), HeaderMap::new());
    for field in fields.lines() {
        let (name, text) = field.split_once(": ").unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), value(text));
    }
    for change in changes {
        let header = |field: &str| {
            let (name, text) = field.split_once(": ")?;
            Some((name.parse::<HeaderName>().ok()?, value(text)))
        };
        if let Some(name) = change.strip_prefix('-') {
            headers.remove(name).expect("something to remove");
        } else if let Some((name, value)) = change.strip_prefix('+').and_then(header) {
            headers.append(name, value);
        } else if let Some((name, value)) = header(change) {
            headers.insert(name, value);
        } else {
            line = (*change).to_owned();
        }
    }
    (line, headers)
}

fn read_version(text: &str) -> Version {
    match text {
        "HTTP/0.9" => Version::HTTP_09,
        "HTTP/1.0" => Version::HTTP_10,
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/2.0" => Version::HTTP_2,
        "HTTP/3.0" => Version::HTTP_3,
        _ => panic!("{text}"),
    }
}

/// A header value; letters outside ASCII become the bytes that Latin 1 has for them.
fn value(text: &str) -> HeaderValue {
    let bytes: Vec<u8> = text.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
    HeaderValue::from_bytes(&bytes).unwrap()
}

fn name(text: &str) -> Subprotocol {
    Subprotocol::new(text).unwrap()
}

fn fields(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}
