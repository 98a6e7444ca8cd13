//! Heads, written (RFC 9112 §3, §4).

use http::{HeaderMap, HeaderName, Method, Request, Response, Version};

/// The bytes of a request's head, its blank line included.
///
/// The target is written in origin form, as it is when the URI has a scheme (for proxies, §3.2.2), and as `host:port`
/// for `CONNECT` (§3.2.3); what is not ASCII in it is percent-encoded. The version is HTTP/1.1 unless the request
/// says HTTP/1.0.
///
/// ```
/// let request = http::Request::get("/chat?room=1").header("host", "example.com").body(())?;
/// assert_eq!(openline::http1::encode_request(&request), b"GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\n\r\n");
/// # Ok::<(), http::Error>(())
/// ```
pub fn encode_request(request: &Request<()>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512); // a browser's opening handshake fits
    let uri = request.uri();
    out.extend(request.method().as_str().as_bytes());
    out.push(b' ');
    match (uri.scheme(), uri.authority(), uri.path_and_query()) {
        (_, Some(authority), _) if request.method() == Method::CONNECT => push_target(authority.as_str(), &mut out),
        (Some(_), _, _) => push_target(&uri.to_string(), &mut out),
        (None, _, Some(path)) => push_target(path.as_str(), &mut out),
        (None, _, None) => out.push(b'/'),
    }
    out.push(b' ');
    out.extend(version(request.version()));
    out.extend(b"\r\n");
    push_fields(request.headers(), &mut out);
    out
}

/// The bytes of a response's head, its blank line included. The body, if any, is the caller's to send.
pub fn encode_response<B>(response: &Response<B>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend(version(response.version()));
    out.push(b' ');
    out.extend(response.status().as_str().as_bytes());
    out.push(b' '); // §4: "A server MUST send the space […] even when the reason-phrase is absent"
    out.extend(response.status().canonical_reason().unwrap_or_default().as_bytes());
    out.extend(b"\r\n");
    push_fields(response.headers(), &mut out);
    out
}

fn push_target(target: &str, out: &mut Vec<u8>) {
    for byte in target.bytes() {
        if byte.is_ascii_graphic() {
            out.push(byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
}

fn version(version: Version) -> &'static [u8] {
    if version == Version::HTTP_10 { b"HTTP/1.0" } else { b"HTTP/1.1" }
}

fn push_fields(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        push_name(name, out);
        out.extend(b": ");
        out.extend(value.as_bytes());
        out.extend(b"\r\n");
    }
    out.extend(b"\r\n");
}

/// Names are compared without case; the capitals are for people who read them.
fn push_name(name: &HeaderName, out: &mut Vec<u8>) {
    for (at, word) in name.as_str().split('-').enumerate() {
        if at > 0 {
            out.push(b'-');
        }
        match SPELLINGS.iter().find(|spelling| spelling.eq_ignore_ascii_case(word)) {
            Some(spelling) => out.extend(spelling.as_bytes()),
            None => {
                let start = out.len();
                out.extend(word.as_bytes());
                out[start..].iter_mut().take(1).for_each(|first| first.make_ascii_uppercase());
            }
        }
    }
}

/// Words that have capitals elsewhere than at the front.
const SPELLINGS: [&str; 5] = ["WebSocket", "WWW", "ETag", "TE", "ID"];
