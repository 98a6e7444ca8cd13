//! RFC 6455 §4.1: what a client demands of the response.

use http::{StatusCode, Version};
use openline_proto::handshake::*;

use crate::messages::{NONCE, name, response, value};

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
