//! The address of another server, as it is written.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use openline::proto::handshake::Host;

use crate::hosting::dial::Address;

/// `http://127.0.0.1:3000`, `wss://app.internal/base`, `unix:/run/app.sock`.
///
/// `ws` is `http`, and `wss` is `https`: either serves both. With a path, even `/`, that takes the place of the route's own;
/// without, paths stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub(super) address: Address,
    pub(super) is_tls: bool,
    /// What takes the place of the route's path, without a slash at its end.
    pub(super) base: Option<String>,
}

impl Upstream {
    /// What is in a URL between the slashes.
    pub(super) fn authority(&self) -> String {
        match &self.address {
            Address::Unix(_) => "localhost".to_owned(),
            address => address.to_string(),
        }
    }
}

/// No address of another server. `Display` says what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidUpstream {
    /// Neither `http`, `https`, `ws`, `wss` nor `unix`.
    Scheme,
    /// No host, or one that is none. It is written out: nothing of a request gets into it.
    Host,
    /// `user:password@`.
    Credentials,
    /// A query, a fragment, or a parameter of the path.
    Path,
}

impl fmt::Display for InvalidUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "say how to speak to it: http://127.0.0.1:3000, ws://127.0.0.1:3000, https://..., wss://... or unix:/run/app.sock",
            Self::Host => "its host is a name or an address, written out, and a port: http://127.0.0.1:3000",
            Self::Credentials => "no user and password: the application asks its users itself",
            Self::Path => "its path has no query, no fragment and no parameters: http://127.0.0.1:3000/base",
        })
    }
}

impl std::error::Error for InvalidUpstream {}

impl FromStr for Upstream {
    type Err = InvalidUpstream;

    fn from_str(text: &str) -> Result<Self, InvalidUpstream> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.is_empty() {
                true => Err(InvalidUpstream::Host),
                false => Ok(Self { address: Address::Unix(path.into()), is_tls: false, base: None }),
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or(InvalidUpstream::Scheme)?;
        let is_tls = match scheme {
            "http" | "ws" => false,
            "https" | "wss" => true,
            _ => return Err(InvalidUpstream::Scheme),
        };
        let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err(InvalidUpstream::Credentials);
        }
        let host = Host::parse(authority).map_err(|_| InvalidUpstream::Host)?;
        let port = host.port().unwrap_or(if is_tls { 443 } else { 80 });
        let name = host.name().trim_matches(['[', ']']).to_owned();
        if name.is_empty() || port == 0 {
            return Err(InvalidUpstream::Host);
        }
        if path.contains(['?', '#', '{', '}', ' ']) || (!path.is_empty() && path.parse::<Uri>().is_err()) {
            return Err(InvalidUpstream::Path);
        }
        let base = (!path.is_empty()).then(|| path.trim_end_matches('/').to_owned());
        Ok(Self { address: Address::Tcp(name, port), is_tls, base })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Unix(_) => self.address.fmt(f),
            address => write!(
                f,
                "{}://{address}{}",
                if self.is_tls { "https" } else { "http" },
                self.base.as_deref().unwrap_or_default()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_they_are_written() {
        for (text, expected) in [
            ("http://127.0.0.1:3000", Ok("http://127.0.0.1:3000")),
            ("ws://127.0.0.1:3000", Ok("http://127.0.0.1:3000")),
            ("wss://app.internal", Ok("https://app.internal:443")),
            ("https://[::1]:8443/base/", Ok("https://[::1]:8443/base")),
            ("http://app:3000/", Ok("http://app:3000")),
            ("unix:/run/app.sock", Ok("unix:/run/app.sock")),
            ("127.0.0.1:3000", Err(InvalidUpstream::Scheme)),
            ("ftp://x", Err(InvalidUpstream::Scheme)),
            ("", Err(InvalidUpstream::Scheme)),
            ("unix:", Err(InvalidUpstream::Host)),
            ("http://", Err(InvalidUpstream::Host)),
            ("http://{tenant}.internal", Err(InvalidUpstream::Host)),
            ("http://a b", Err(InvalidUpstream::Host)),
            ("http://app:0", Err(InvalidUpstream::Host)),
            ("http://user:secret@app", Err(InvalidUpstream::Credentials)),
            ("http://app/?x", Err(InvalidUpstream::Path)),
            ("http://app#x", Err(InvalidUpstream::Path)),
            ("http://app/{room}", Err(InvalidUpstream::Path)),
        ] {
            let parsed = text.parse::<Upstream>().map(|upstream| upstream.to_string());
            assert_eq!(parsed.as_deref(), expected.as_ref().copied(), "{text:?}");
        }
        assert_eq!("http://a".parse::<Upstream>().unwrap().base, None);
        assert_eq!("http://a/".parse::<Upstream>().unwrap().base.as_deref(), Some(""));
    }
}
