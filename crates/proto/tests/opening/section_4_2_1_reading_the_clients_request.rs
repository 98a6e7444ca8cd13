//! RFC 6455 §4.2.1: which requests a server takes.

use http::Version;
use openline_proto::handshake::*;

use crate::messages::{name, request, value};

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
