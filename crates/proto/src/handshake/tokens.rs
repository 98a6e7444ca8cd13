//! Tokens, and the comma-separated lists that header fields make of them (RFC 9110 §5.6).

use http::HeaderValue;

/// What a list header says about one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    /// No such header field at all.
    Absent,
    /// The field is there and breaks its grammar: empty, or an element that is none.
    Malformed,
    /// A proper list that lacks the word.
    Without,
    /// A proper list with the word in it, in any case.
    With,
}

/// Looks for `word` in a header that may be split over several fields (RFC 9110 §5.3: they are one list).
pub(super) fn look_for<'a>(
    values: impl IntoIterator<Item = &'a HeaderValue>,
    word: &str,
    is_element: fn(&[u8]) -> bool,
) -> Listed {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Listed::Absent;
    }
    let (mut any, mut found) = (false, false);
    for element in elements(values) {
        if !is_element(element) {
            return Listed::Malformed;
        }
        any = true;
        found |= element.eq_ignore_ascii_case(word.as_bytes());
    }
    match (any, found) {
        (false, _) => Listed::Malformed, // `1#token`: a list has at least one element
        (true, false) => Listed::Without,
        (true, true) => Listed::With,
    }
}

/// The elements of a list, in order, over all its fields. §5.6.1.2: empty ones are skipped ("`a, , b`").
///
/// Only for lists whose elements cannot contain a comma, that is, which have no quoted strings.
pub(super) fn elements<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    values
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// §5.6.2: `token = 1*tchar`. The same set as RFC 2616's, which RFC 6455 cites: visible ASCII without separators.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// §7.8: `protocol = protocol-name ["/" protocol-version]`, the elements of `Upgrade`.
pub(super) fn is_protocol(bytes: &[u8]) -> bool {
    match bytes.iter().position(|&byte| byte == b'/') {
        None => is_token(bytes),
        Some(slash) => is_token(&bytes[..slash]) && is_token(&bytes[slash + 1..]),
    }
}

/// §5.6.2: `tchar`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
