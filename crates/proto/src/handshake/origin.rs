//! Origins: which page's script asked (RFC 6455 §10.2, RFC 6454).

use std::{error, fmt, str::FromStr};

use super::host::{self, Host};

/// The origin of a web page: scheme, host and port (RFC 6454 §4), or the opaque `null`.
///
/// Two origins are the same when all three are; there are no patterns, so `https://example.com` lets in neither
/// `https://example.com.evil.example` nor `http://example.com`. Schemes and hosts are compared in lower case, default
/// ports filled in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Opaque,
    /// `port`: the default one of the scheme unless another was given; `None` for a scheme that has none that we know.
    Tuple {
        scheme: String,
        host: String,
        port: Option<u16>,
    },
}

impl Origin {
    /// The origin that serialises to `null`: a sandboxed frame, a `data:` page. All of them look the same.
    pub const OPAQUE: Self = Self(Repr::Opaque);

    /// Reads an origin's ASCII serialisation (RFC 6454 §6.2): `https://example.com`, `http://[::1]:8080`, `null`.
    ///
    /// Schemes other than http are origins as well (`chrome-extension://…`, `capacitor://localhost`), and may lack a
    /// host (`file://`).
    ///
    /// ```
    /// use openline_proto::handshake::Origin;
    ///
    /// let origin = Origin::parse("https://Example.com:443")?;
    /// assert_eq!(origin.to_string(), "https://example.com");
    /// assert_eq!(origin.port(), Some(443));
    /// assert!(Origin::parse("https://example.com/").is_err()); // an origin has no path
    /// # Ok::<(), openline_proto::handshake::InvalidOrigin>(())
    /// ```
    ///
    /// # Errors
    /// The text has a path, a query, user information or letters outside ASCII, or no scheme, or lists several origins.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        if text == "null" {
            return Ok(Self::OPAQUE);
        }
        let (scheme, authority) = text.split_once("://").ok_or(InvalidOrigin)?;
        if !is_scheme(scheme.as_bytes()) {
            return Err(InvalidOrigin);
        }
        let scheme = scheme.to_ascii_lowercase();
        let default_port = default_port(&scheme);
        if authority.is_empty() && default_port.is_none() {
            return Ok(Self(Repr::Tuple { scheme, host: String::new(), port: None }));
        }
        let host = Host::parse(authority).map_err(|_| InvalidOrigin)?;
        let port = host.port().or(default_port);
        Ok(Self(Repr::Tuple { scheme, host: host.name().to_owned(), port }))
    }

    /// The scheme; `None` for `null`.
    pub fn scheme(&self) -> Option<&str> {
        match &self.0 {
            Repr::Opaque => None,
            Repr::Tuple { scheme, .. } => Some(scheme),
        }
    }

    /// The host, empty when the scheme has none; `None` for `null`.
    pub fn host(&self) -> Option<&str> {
        match &self.0 {
            Repr::Opaque => None,
            Repr::Tuple { host, .. } => Some(host),
        }
    }

    /// The port, the default one of the scheme included; `None` for `null` and where the scheme has none.
    pub fn port(&self) -> Option<u16> {
        match &self.0 {
            Repr::Opaque => None,
            Repr::Tuple { port, .. } => *port,
        }
    }

    /// Whether this is `null`.
    pub fn is_opaque(&self) -> bool {
        self.0 == Repr::Opaque
    }

    /// Whether the page was served by this machine itself; see [`Host::is_loopback`].
    pub fn is_loopback(&self) -> bool {
        self.host().is_some_and(host::is_loopback)
    }

    /// Whether the page came from the host and port that it now speaks to. A `Host` without port has the default one of
    /// *this origin's* scheme: behind a proxy that ends TLS, nothing else tells which scheme the page was loaded with.
    pub fn is_same_host(&self, host: &Host) -> bool {
        let Repr::Tuple { scheme, host: name, port } = &self.0 else { return false };
        let Some(default_port) = default_port(scheme) else { return false };
        name == host.name() && *port == Some(host.port().unwrap_or(default_port))
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::parse(text)
    }
}

/// The ASCII serialisation (RFC 6454 §6.2): the port only where it is not the scheme's default.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repr::Tuple { scheme, host, port } = &self.0 else { return f.write_str("null") };
        write!(f, "{scheme}://{host}")?;
        match port {
            Some(port) if Some(*port) != default_port(scheme) => write!(f, ":{port}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose scripts may open a WebSocket (§10.2). Browsers attach cookies to any page's request and let it through
/// without asking (there is no CORS here), so this check is all that stands between a foreign page and a logged-in
/// user.
///
/// A request without `Origin` passes all three: it does not come from a page (§4.2.1), and whoever can leave the header
/// out can as well forge it. It is no authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Any page at all. For public data, or where every message is authenticated by something other than cookies.
    Any,
    /// Pages from the same host and port as the request's `Host`. The default.
    ///
    /// By itself this is no defence against DNS rebinding: have `Host` checked against the names you serve as well.
    #[default]
    SameHost,
    /// These origins, compared exactly. With [`Origin::OPAQUE`] among them every sandboxed page passes.
    Only(Vec<Origin>),
}

impl Origins {
    /// Whether a request from this origin, for this host, may go on.
    pub fn allow(&self, origin: Option<&Origin>, host: &Host) -> bool {
        let Some(origin) = origin else { return true };
        match self {
            Self::Any => true,
            Self::SameHost => origin.is_same_host(host),
            Self::Only(allowed) => allowed.contains(origin),
        }
    }
}

/// §3 of RFC 6455 and §4.2 of RFC 9110.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// RFC 3986 §3.1: `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`.
fn is_scheme(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
}

/// A text that is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidOrigin;

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an origin is \"scheme://host\" or \"scheme://host:port\" in ASCII, with nothing behind it, or \"null\"",
        )
    }
}

impl error::Error for InvalidOrigin {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serialisations() {
        for (text, serialised, port) in [
            ("http://example.com", "http://example.com", Some(80)),
            ("http://example.com:80", "http://example.com", Some(80)),
            ("HTTPS://EXAMPLE.com", "https://example.com", Some(443)),
            ("https://example.com:80", "https://example.com:80", Some(80)),
            ("http://[0:0::1]:8080", "http://[::1]:8080", Some(8080)),
            ("https://example.com.", "https://example.com.", Some(443)),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh", None),
            ("capacitor://localhost", "capacitor://localhost", None),
            ("file://", "file://", None),
            ("null", "null", None),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!((origin.to_string().as_str(), origin.port()), (serialised, port), "{text}");
            assert_eq!(Origin::parse(serialised), Ok(origin));
        }
        for text in [
            "",
            "example.com",
            "//example.com",
            "://example.com",
            "http://",
            "http:example.com",
            "http://example.com/",
            "http://a?b",
            "http://a#b",
            "http://u@a",
            "http://a http://b",
            "http://a, http://b",
            "NULL",
            " null",
            "1http://a",
            "http://é",
            "http://a:x",
        ] {
            assert_eq!(Origin::parse(text), Err(InvalidOrigin), "{text}");
        }
    }

    /// §10.2: scheme, host and port, exactly.
    #[test]
    fn only_the_listed() {
        let only = Origins::Only(vec![Origin::parse("https://good.example").unwrap()]);
        let host = Host::parse("api.example").unwrap();
        for (text, allowed) in [
            ("https://good.example", true),
            ("https://good.example:443", true),
            ("https://GOOD.example", true),
            ("http://good.example", false),
            ("https://good.example:444", false),
            ("https://good.example.", false),
            ("https://good.example.evil.example", false),
            ("https://evilgood.example", false),
            ("https://sub.good.example", false),
            ("https://api.example", false),
            ("null", false),
        ] {
            assert_eq!(only.allow(Some(&Origin::parse(text).unwrap()), &host), allowed, "{text}");
        }
        assert!(only.allow(None, &host));
    }

    #[test]
    fn the_same_host() {
        for (origin, host, allowed) in [
            ("http://example.com", "example.com", true),
            ("http://example.com", "EXAMPLE.com:80", true),
            ("https://example.com", "example.com", true),
            ("https://example.com", "example.com:443", true),
            ("https://example.com", "example.com:80", false),
            ("http://example.com:8080", "example.com:8080", true),
            ("http://example.com:8080", "example.com", false),
            ("http://localhost:5173", "localhost:8080", false),
            ("http://[::1]:80", "[0::1]", true),
            ("http://example.com.", "example.com", false),
            ("http://good.example.evil.example", "good.example", false),
            ("app://example.com", "example.com", false),
            ("file://", "example.com", false),
            ("null", "null", false),
        ] {
            let (parsed, host) = (Origin::parse(origin).unwrap(), Host::parse(host).unwrap());
            assert_eq!(Origins::SameHost.allow(Some(&parsed), &host), allowed, "{origin} at {host}");
            assert!(Origins::Any.allow(Some(&parsed), &host));
        }
    }
}
