//! Where to: a WebSocket's URL taken apart, and where a redirect leads from there (RFC 3986 §5).

use http::{HeaderValue, Uri};
use openline_proto::handshake::{UriError, parse_uri};

use super::credentials;

/// A WebSocket's URL, and the credentials that were in it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) uri: Uri,
    /// What to send as `Authorization`.
    pub(super) credentials: Option<HeaderValue>,
}

impl Target {
    /// A `ws` or `wss` URL (or `http`, `https`); unlike those of §3 it may begin with `user:password@`.
    pub(super) fn parse(url: &str) -> Result<Self, UriError> {
        let Some((scheme, rest)) = url.split_once("://") else { return Err(UriError::Scheme) };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        match authority.rsplit_once('@') {
            None => Ok(Self { uri: parse_uri(url)?, credentials: None }),
            Some((user_info, host)) => Ok(Self {
                uri: parse_uri(&format!("{scheme}://{host}{path}"))?,
                credentials: Some(credentials::of_user_info(user_info).ok_or(UriError::Escape)?),
            }),
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        matches!(self.uri.scheme_str(), Some("wss" | "https"))
    }

    /// The name or address, without the brackets of IPv6.
    pub(super) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    pub(super) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_secure() { 443 } else { 80 })
    }

    /// RFC 6454 §5: scheme, host and port; `ws` is `http` here.
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        self.is_secure() == other.is_secure()
            && self.host().eq_ignore_ascii_case(other.host())
            && self.port() == other.port()
    }

    /// Where a `Location` leads (RFC 9110 §10.2.2). Credentials in it are not ours, and a fragment has no meaning here.
    pub(super) fn join(&self, location: &str) -> Result<Self, UriError> {
        let location = location.split('#').next().unwrap_or_default();
        let scheme = if self.is_secure() { "wss" } else { "ws" };
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let path = self.uri.path();
        let is_scheme = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let url = if location.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
            location.to_owned()
        } else if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else if location.starts_with('?') {
            format!("{scheme}://{authority}{path}{location}")
        } else if location.is_empty() {
            self.uri.to_string()
        } else {
            let folder = &path[..=path.rfind('/').unwrap_or(0)];
            format!("{scheme}://{authority}{}", without_dots(&format!("{folder}{location}")))
        };
        Ok(Self { credentials: None, ..Self::parse(&url)? })
    }
}

/// RFC 3986 §5.2.4, of a path that may have a query.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            segment => kept.push(segment),
        }
        if segments.peek().is_none() && matches!(segment, "." | "..") {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3986_5_4_redirects_lead_where_they_say() {
        let from = Target::parse("wss://user:secret@example.com:8443/a/b/c?d=1").unwrap();
        for (location, to) in [
            ("ws://other.example/x", "ws://other.example/x"),
            ("https://other.example", "https://other.example/"),
            ("//other.example/x", "wss://other.example/x"),
            ("/x?y", "wss://example.com:8443/x?y"),
            ("?y=2", "wss://example.com:8443/a/b/c?y=2"),
            ("x", "wss://example.com:8443/a/b/x"),
            ("./x/", "wss://example.com:8443/a/b/x/"),
            ("../x", "wss://example.com:8443/a/x"),
            ("../../../x", "wss://example.com:8443/x"),
            ("..", "wss://example.com:8443/a/"),
            ("", "wss://example.com:8443/a/b/c?d=1"),
            ("x?u=http://a/../b", "wss://example.com:8443/a/b/x?u=http://a/../b"),
            ("/x#fragment", "wss://example.com:8443/x"),
            ("wss://u:p@evil.example/", "wss://evil.example/"),
        ] {
            let joined = from.join(location).unwrap();
            assert_eq!(joined.uri.to_string(), to, "{location}");
            assert!(joined.credentials.is_none());
        }
        assert!(from.join("ftp://example.com/").is_err());
        assert!(from.join("http://").is_err());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let one = Target::parse("wss://example.com/a").unwrap();
        for (url, same) in [
            ("wss://EXAMPLE.com:443/b", true),
            ("https://example.com/", true),
            ("ws://example.com/", false),
            ("wss://example.com:444/", false),
            ("wss://www.example.com/", false),
        ] {
            assert_eq!(one.is_same_origin(&Target::parse(url).unwrap()), same, "{url}");
        }
    }

    #[test]
    fn credentials_are_taken_out_of_a_url() {
        let target = Target::parse("ws://Aladdin:open%20sesame@example.com/chat").unwrap();
        assert_eq!(target.uri, "ws://example.com/chat");
        assert_eq!(target.credentials.unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); // RFC 7617 §2
        let target = Target::parse("ws://example.com/a@b").unwrap();
        assert!(target.credentials.is_none());
        assert_eq!(Target::parse("ws://a%zz@example.com/").map(|target| target.uri), Err(UriError::Escape));
    }
}
