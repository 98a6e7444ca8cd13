//! The RFC's example messages, and changes to them.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use openline_proto::handshake::*;

/// §1.2: the example request, which is in order.
pub(crate) const REQUEST: &str = "\
GET /chat HTTP/1.1
Host: server.example.com
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Origin: http://server.example.com
Sec-WebSocket-Version: 13";

/// §1.2: the example response, which is in order.
pub(crate) const RESPONSE: &str = "\
HTTP/1.1 101 Switching Protocols
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The nonce of both.
pub(crate) const NONCE: [u8; 16] = *b"the sample nonce";

/// The example request with changes; see [`edit`].
pub(crate) fn request(changes: &[&str]) -> Request<()> {
    edited_request(REQUEST, changes)
}

pub(crate) fn edited_request(base: &str, changes: &[&str]) -> Request<()> {
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
pub(crate) fn response(changes: &[&str]) -> Response<()> {
    let (line, headers) = edit(RESPONSE, changes);
    let mut response = Response::new(());
    *response.version_mut() = read_version(line.split(' ').next().unwrap());
    *response.status_mut() = line.split(' ').nth(1).unwrap().parse().unwrap();
    *response.headers_mut() = headers;
    response
}

/// `Name: value` replaces a field, `+Name: value` adds another, `-Name` removes it, anything else is the first line.
pub(crate) fn edit(base: &str, changes: &[&str]) -> (String, HeaderMap) {
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
pub(crate) fn value(text: &str) -> HeaderValue {
    let bytes: Vec<u8> = text.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
    HeaderValue::from_bytes(&bytes).unwrap()
}

pub(crate) fn name(text: &str) -> Subprotocol {
    Subprotocol::new(text).unwrap()
}

pub(crate) fn fields(headers: &HeaderMap) -> Vec<String> {
    headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}
