//! RFC 6455 §4.2.2: a server's response, and the Origin and subprotocol that decide it.

use http::{HeaderMap, HeaderName, StatusCode, Version};
use openline_proto::handshake::*;

use crate::messages::{fields, name, request, value};

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
        let server = ServerHandshake { subprotocols: ours.iter().copied().map(name).collect(), ..Default::default() };
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
