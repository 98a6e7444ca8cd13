//! The key that backends come with.

use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use subtle::ConstantTimeEq;

use crate::config::values::Secret;
use crate::edge::answer::text;

/// A key of 128 random bits.
///
/// # Panics
/// When the system has no entropy.
pub(crate) fn random() -> Secret {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the system has entropy");
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Secret::new(&text).expect("32 digits are a key")
}

/// Whether a request has one of the keys: `X-API-Key: KEY`, `Authorization: apikey KEY` or `Bearer KEY`. Not in the URL, where
/// it would be seen by every log on the way.
pub(super) fn lets_in(keys: &[Secret], headers: &HeaderMap) -> bool {
    let named = headers.get("x-api-key").map(HeaderValue::as_bytes);
    let Some(given) = named.or_else(|| authorization(headers)) else { return false };
    // Every key is compared, and each in the same time wherever it differs.
    keys.iter().fold(false, |found, key| found | bool::from(key.expose().as_bytes().ct_eq(given)))
}

fn authorization(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"apikey ") || scheme.eq_ignore_ascii_case(b"bearer ")).then(|| key.trim_ascii())
}

pub(super) fn missing() -> Box<Response<Bytes>> {
    let why = "The API is for who has its key: send X-API-Key: KEY, or Authorization: apikey KEY.";
    let mut refusal = text(StatusCode::UNAUTHORIZED, why);
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("apikey"));
    Box::new(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "0123456789abcdef0";
    const NEW: &str = "0123456789abcdef1";

    fn passes(keys: &[&str], name: &'static str, value: &str) -> bool {
        let keys: Vec<Secret> = keys.iter().map(|key| Secret::new(key).unwrap()).collect();
        lets_in(&keys, &HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]))
    }

    #[test]
    fn only_a_key_opens() {
        assert!(passes(&[OLD, NEW], "x-api-key", NEW));
        assert!(passes(&[OLD, NEW], "authorization", &format!("apikey {OLD}")));
        assert!(passes(&[OLD], "authorization", &format!("ApiKey  {OLD}")));
        for (keys, name, value) in [
            (&[OLD][..], "x-api-key", NEW),
            (&[OLD], "x-api-key", "0123456789abcdef"),
            (&[OLD], "x-api-key", ""),
            (&[], "x-api-key", ""),
            (&[OLD], "authorization", "basic 0123456789abcdef0"),
            (&[OLD], "authorization", "apikey"),
        ] {
            assert!(!passes(keys, name, value), "{keys:?} {name}: {value}");
        }
        assert_ne!(random().expose(), random().expose());
    }
}
