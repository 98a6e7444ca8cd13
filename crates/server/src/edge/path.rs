//! A request's path in its normal form (RFC 3986 §6.2.2), so that it can be compared byte for byte.

use std::borrow::Cow;

/// Decodes what needed no encoding (`%74est` is `test`; `%2F` stays, it is no separator) and resolves `.` and `..`.
pub(crate) fn normalise(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    Cow::Owned(without_dot_segments(&decode_unreserved(path)))
}

/// §6.2.2.2, and §6.2.2.1: what stays encoded is in upper case.
fn decode_unreserved(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            // Not an encoding: it cannot become equal to anything of ours.
            decoded.push('%');
            rest = &rest[at + 1..];
            continue;
        };
        match byte {
            // §2.3: `unreserved`
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => decoded.push(byte as char),
            _ => decoded.push_str(&format!("%{byte:02X}")),
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    decoded
}

/// §5.2.4.
fn without_dot_segments(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_directory = false;
    for segment in path.split('/').skip(1) {
        ends_in_directory = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    if ends_in_directory {
        segments.push("");
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3986_6_2_2() {
        for (path, normal) in [
            ("/", "/"),
            ("/test", "/test"),
            ("/Test", "/Test"),
            ("/%74est", "/test"),
            ("/%7Eme", "/~me"),
            ("/a%2fb", "/a%2Fb"),
            ("/%2e%2e/test", "/test"),
            ("/a/./b/../test", "/a/test"),
            ("/..", "/"),
            ("/a/..", "/"),
            ("/a/.", "/a/"),
            ("/../../test", "/test"),
            ("/test/", "/test/"),
            ("//test", "//test"),
            ("/.test", "/.test"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
            ("/%é", "/%é"),
            ("*", "*"),
        ] {
            assert_eq!(normalise(path), normal, "{path}");
        }
    }
}
