//! Opening handshakes: heads of HTTP/1.1, the requests and responses in them, and URIs.

use http::{Method, Request, Version};
use openline::http1::{
    HeadLimits, RequestReader, ResponseReader, encode_request, encode_response, parse_request, parse_response,
};
use openline::proto::handshake::{
    Acceptance, ClientHandshake, ConnectProtocol, Offer, Origin, Origins, ServerHandshake, Subprotocol, accept_key,
    parse_uri,
};

fn limits() -> HeadLimits {
    HeadLimits { max_bytes: 2048, max_headers: 20, ..HeadLimits::default() }
}

fn subprotocols() -> Vec<Subprotocol> {
    ["chat", "superchat"].into_iter().filter_map(|name| Subprotocol::new(name).ok()).collect()
}

/// Any bytes as a client's request.
pub fn opening_request(bytes: &[u8]) {
    let parsed = parse_request(bytes, &limits());
    let mut reader = RequestReader::new(&limits());
    let slowly = (0..=bytes.len()).find_map(|cut| reader.read(&bytes[..cut]).transpose()).transpose();
    assert_eq!(format!("{slowly:?}"), format!("{parsed:?}"), "how a head is cut does not matter");
    let (request, length) = match parsed {
        Ok(Some(read)) => read,
        Ok(None) => return assert!(bytes.len() <= limits().max_bytes),
        Err(error) => return assert!(error.status().is_client_error() || error.status().is_server_error()),
    };
    assert!(length <= bytes.len() && length <= limits().max_bytes);
    let encoded = encode_request(&request);
    if encoded.len() <= limits().max_bytes {
        let (again, _) = parse_request(&encoded, &limits()).expect("what we write, we read").expect("whole");
        assert_eq!(
            (again.method(), again.uri(), again.headers()),
            (request.method(), request.uri(), request.headers())
        );
    }
    offer(&request);
    let (mut parts, ()) = request.into_parts();
    (parts.method, parts.version) = (Method::CONNECT, Version::HTTP_2);
    parts.extensions.insert(ConnectProtocol("websocket".to_owned()));
    offer(&Request::from_parts(parts, ()));
}

fn offer(request: &Request<()>) {
    let server = ServerHandshake { subprotocols: subprotocols(), origins: Origins::Any, ..ServerHandshake::default() };
    let offer = match Offer::read(request) {
        Ok(offer) => offer,
        Err(rejection) => {
            assert!(rejection.status().is_client_error() || rejection.status().is_server_error());
            let response = rejection.response();
            assert_eq!(response.status(), rejection.status());
            assert!(!response.body().is_empty() && server.accept(request).is_err());
            return;
        }
    };
    if let Some(origin) = offer.origin() {
        assert_eq!(Origin::parse(&origin.to_string()).as_ref(), Ok(origin));
    }
    let (response, negotiated) = server.accept(request).expect("any origin will do");
    let chosen = response.headers().get("sec-websocket-protocol").map(|value| value.as_bytes());
    assert_eq!(chosen, negotiated.subprotocol().map(|subprotocol| subprotocol.as_bytes()));
    assert!(negotiated.subprotocol().is_none_or(|subprotocol| offer.subprotocols().contains(subprotocol)));
    let answers = response.headers().contains_key("sec-websocket-extensions");
    assert_eq!(answers, negotiated.deflate().is_some());
    assert!(!answers || offer.extensions().iter().any(|extension| extension.name == "permessage-deflate"));
    for subprotocol in offer.subprotocols() {
        let acceptance = Acceptance { subprotocol: Some(subprotocol.clone()), ..Acceptance::default() };
        assert!(offer.accept(&acceptance).is_ok());
    }
}

/// Any bytes as a server's response.
pub fn opening_response(bytes: &[u8]) {
    let parsed = parse_response(bytes, &limits());
    let mut reader = ResponseReader::new(&limits());
    let slowly = (0..=bytes.len()).find_map(|cut| reader.read(&bytes[..cut]).transpose()).transpose();
    assert_eq!(format!("{slowly:?}"), format!("{parsed:?}"), "how a head is cut does not matter");
    let Ok(Some((response, length))) = parsed else { return };
    assert!(length <= bytes.len() && length <= limits().max_bytes);
    let encoded = encode_response(&response);
    if encoded.len() <= limits().max_bytes {
        let (again, _) = parse_response(&encoded, &limits()).expect("what we write, we read").expect("whole");
        assert_eq!((again.status(), again.headers()), (response.status(), response.headers()));
    }
    let uri = "ws://example.com/chat".parse().expect("a URI");
    let client =
        ClientHandshake::new(&uri, *b"the sample nonce").expect("a WebSocket URI").subprotocols(subprotocols());
    if let Ok(negotiated) = client.finish(&response) {
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], accept_key("dGhlIHNhbXBsZSBub25jZQ==").as_str());
        assert!(negotiated.subprotocol().is_none_or(|subprotocol| subprotocols().contains(subprotocol)));
    }
}

/// Any text as a URI: what a client makes of it, a server takes.
pub fn uri(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(uri) = parse_uri(text) else { return };
    let client = ClientHandshake::new(&uri, [7; 16]).expect("it was checked").subprotocols(subprotocols());
    let limits = HeadLimits { max_bytes: usize::MAX, ..HeadLimits::default() };
    let encoded = encode_request(&client.request());
    let (request, length) = parse_request(&encoded, &limits).expect("what we write, we read").expect("whole");
    assert_eq!(length, encoded.len());
    let server = ServerHandshake { subprotocols: subprotocols(), ..ServerHandshake::default() };
    let (response, _) = server.accept(&request).expect("what a client asks, a server grants");
    let encoded = encode_response(&response);
    let (response, _) = parse_response(&encoded, &limits).expect("what we write, we read").expect("whole");
    assert_eq!(client.finish(&response).expect("and its client accepts").subprotocol(), subprotocols().first());
}
