//! The host and port that a request is for: the `Host` header, or an authority (RFC 9110 §7.2, RFC 3986 §3.2).

use std::{
    error, fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A host name or address, with a port when one was given. Lower case; an IPv6 address in brackets and in its short
/// form.
///
/// Only ASCII: a name in other letters has to be in its IDNA form (`xn--…`) before it gets here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    name: String,
    port: Option<u16>,
}

impl Host {
    /// Reads `uri-host [ ":" port ]`. An empty port is none (RFC 3986 §3.2.3), an empty host is refused (RFC 9110
    /// §4.2.1).
    ///
    /// ```
    /// use openline_proto::handshake::Host;
    ///
    /// let host = Host::parse("Example.COM:8080")?;
    /// assert_eq!((host.name(), host.port()), ("example.com", Some(8080)));
    /// assert_eq!(Host::parse("[0:0::1]")?.name(), "[::1]");
    /// assert!(Host::parse("example.com/path").is_err());
    /// # Ok::<(), openline_proto::handshake::InvalidHost>(())
    /// ```
    ///
    /// # Errors
    /// The text has user information, a path, white space, anything outside RFC 3986's `reg-name`, a broken IPv6
    /// address or a port over 65535.
    pub fn parse(text: &str) -> Result<Self, InvalidHost> {
        let (name, port) = match text.strip_prefix('[') {
            Some(literal) => {
                // `IP-literal`. The other kind, `IPvFuture`, never came to be.
                let (address, after) = literal.split_once(']').ok_or(InvalidHost)?;
                let address: Ipv6Addr = address.parse().map_err(|_| InvalidHost)?;
                let port = match after.strip_prefix(':') {
                    Some(port) => port,
                    None if after.is_empty() => "",
                    None => return Err(InvalidHost),
                };
                (format!("[{address}]"), port)
            }
            None => {
                let (name, port) = text.split_once(':').unwrap_or((text, ""));
                if name.is_empty() || !is_reg_name(name.as_bytes()) {
                    return Err(InvalidHost);
                }
                (name.to_ascii_lowercase(), port)
            }
        };
        Ok(Self { name, port: parse_port(port)? })
    }

    /// The name or address, without the port.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port, if one was given: `None` means the default one of the scheme in use.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether the name is one of this machine alone: `localhost`, a name under it (RFC 6761 §6.3), 127.0.0.0/8 or
    /// `[::1]`.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.name)
    }

    pub(super) fn without_port(self) -> Self {
        Self { port: None, ..self }
    }
}

impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        Self::parse(text)
    }
}

/// As in a `Host` header.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Whether a lower-case host name or address is of this machine alone.
pub(super) fn is_loopback(name: &str) -> bool {
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse().is_ok_and(|address: Ipv6Addr| address.to_canonical().is_loopback());
    }
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        return address.is_loopback();
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}

/// RFC 3986 §3.2.2: `reg-name = *( unreserved / pct-encoded / sub-delims )`.
fn is_reg_name(mut bytes: &[u8]) -> bool {
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = match byte {
            b'%' => match rest {
                [a, b, rest @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => rest,
                _ => return false,
            },
            byte if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte) => rest,
            _ => return false,
        };
    }
    true
}

/// §3.2.3: `port = *DIGIT`; `u16`'s own parser would take a sign.
fn parse_port(digits: &str) -> Result<Option<u16>, InvalidHost> {
    if digits.is_empty() {
        return Ok(None);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidHost);
    }
    digits.parse().map(Some).map_err(|_| InvalidHost)
}

/// A text that is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHost;

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a host is a name, an IPv4 address or an IPv6 address in brackets, and may be followed by \":\" \
             and a port",
        )
    }
}

impl error::Error for InvalidHost {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_by_the_grammar() {
        for (text, name, port) in [
            ("example.com", "example.com", None),
            ("EXAMPLE.com:443", "example.com", Some(443)),
            ("example.com:", "example.com", None),
            ("example.com.", "example.com.", None),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8:0::1]:9", "[2001:db8::1]", Some(9)),
            ("a_b~c%2D", "a_b~c%2d", None),
        ] {
            let host = Host::parse(text).unwrap();
            assert_eq!((host.name(), host.port()), (name, port), "{text}");
        }
        for text in [
            "",
            ":80",
            "a b",
            "a, b",
            "a:b",
            "a:+1",
            "a:65536",
            "a:1:2",
            "a/",
            "a?",
            "a#",
            "u@a",
            "[::1",
            "::1",
            "[::1]x",
            "[]",
            "[::1]:x",
            "[v1.a]",
            "[fe80::1%25eth0]",
            "a%2",
            "a%zz",
            "é",
            "a\\b",
            "<a>",
        ] {
            assert_eq!(Host::parse(text), Err(InvalidHost), "{text}");
        }
    }

    #[test]
    fn loopback_names() {
        for text in [
            "localhost",
            "LocalHost:1",
            "localhost.",
            "app.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(Host::parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in
            ["example.com", "localhost.example.com", "notlocalhost", "128.0.0.1", "0.0.0.0", "[::]", "127.0.0.1.nip.io"]
        {
            assert!(!Host::parse(text).unwrap().is_loopback(), "{text}");
        }
    }
}
