//! Credentials: what `Authorization` and `Proxy-Authorization` say (RFC 7617, RFC 6750), and which headers are one's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, header};

/// RFC 7617. `Debug` does not show it.
pub(super) fn basic(user: &[u8], password: &[u8]) -> HeaderValue {
    let pair = [user, b":", password].concat();
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    value
}

/// RFC 6750 §2.1; `None`: no token.
pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `user:password`, percent-encoded, as in a URL; `None` where it is not encoded rightly.
pub(super) fn of_user_info(user_info: &str) -> Option<HeaderValue> {
    let (user, password) = pair_of(user_info)?;
    Some(basic(&user, &password))
}

/// User and password of a URL.
pub(super) fn pair_of(user_info: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    Some((decode(user)?, decode(password)?))
}

/// RFC 3986 §2.1.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let part = part.as_bytes();
        let digit = |at: usize| (*part.get(at)? as char).to_digit(16);
        bytes.push((digit(0)? << 4 | digit(1)?) as u8); // two digits of four bits
        bytes.extend(&part[2..]);
    }
    Some(bytes)
}

/// What is meant for one server, and must not follow a redirect to another.
pub(super) fn belongs_to_origin(name: &HeaderName) -> bool {
    [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION].contains(name)
}
