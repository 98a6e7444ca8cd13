//! Proxies: which one a line goes through, if any, and why it did not bring us to the server.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use openline_proto::handshake::Host;

use super::credentials;
use super::error::{ConnectError, Refused};
use super::target::Target;
use crate::http1::HeadError;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// A proxy: `http://`, `https://`, `socks5://` (we look names up) or `socks5h://` (it does), with or without
/// `user:password@`. `Debug` and `Display` show neither.
///
/// ```
/// let proxy: openline::Proxy = "socks5h://me:secret@proxy.example".parse()?;
/// assert_eq!(proxy.to_string(), "socks5h://proxy.example:1080");
/// # Ok::<(), openline::InvalidProxy>(())
/// ```
#[derive(Clone)]
pub struct Proxy {
    pub(super) kind: Kind,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) credentials: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a proxy speaks, and with what around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Http,
    Https,
    /// Names are looked up here.
    Socks5,
    /// Names are looked up there.
    Socks5h,
}

impl Proxy {
    /// Logs in with this, rather than with what the URL says.
    pub fn credentials(mut self, user: &str, password: &str) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }
}

/// Ports as curl has them: 1080 unless it is HTTP's over TLS.
impl FromStr for Proxy {
    type Err = InvalidProxy;

    fn from_str(text: &str) -> Result<Self, InvalidProxy> {
        // "proxy:3128", as many environments have it, means HTTP.
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Kind::Http, 1080),
            "https" => (Kind::Https, 443),
            "socks5" => (Kind::Socks5, 1080),
            "socks5h" => (Kind::Socks5h, 1080),
            _ => return Err(InvalidProxy),
        };
        let (user_info, authority) = match rest.rsplit_once('@') {
            Some((user_info, authority)) => (Some(user_info), authority),
            None => (None, rest),
        };
        let host = Host::parse(authority.strip_suffix('/').unwrap_or(authority)).map_err(|_| InvalidProxy)?;
        let credentials = user_info.map(|pair| credentials::pair_of(pair).ok_or(InvalidProxy)).transpose()?;
        Ok(Self {
            kind,
            host: host.name().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: host.port().unwrap_or(default_port),
            credentials,
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            Kind::Http => "http",
            Kind::Https => "https",
            Kind::Socks5 => "socks5",
            Kind::Socks5h => "socks5h",
        };
        write!(f, "{scheme}://{}", authority(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Where the choice of a proxy comes from.
#[derive(Clone, Debug, Default)]
pub(super) enum Choice {
    #[default]
    Environment,
    Never,
    This(Proxy),
}

/// The proxy that the environment names for this server, by curl's rules: `ws_proxy`, then `http_proxy` (`wss_proxy`, then
/// `https_proxy`), then `all_proxy`, and not for what `no_proxy` lists; in lower case first, `http_proxy` in lower case
/// alone, because a CGI script's `HTTP_PROXY` is a header that its caller sent. And, by Go's rule, never for this machine
/// itself: the proxy's loopback is another one.
///
/// `Err`: the variable that holds no proxy.
pub(super) fn of_environment(
    target: &Target,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, &'static str> {
    let set = |name: &'static str| variable(name).filter(|value| !value.is_empty()).map(|value| (name, value));
    let names: &[&'static str] = if target.is_secure() {
        &["wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["ws_proxy", "WS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"]
    };
    let Some((name, url)) = names.iter().find_map(|name| set(name)) else { return Ok(None) };
    let (host, port) = (target.host(), target.port());
    let is_loopback = host.parse().map_or_else(
        |_| host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
        |address: IpAddr| address.to_canonical().is_loopback(),
    );
    let excluded = set("no_proxy").or_else(|| set("NO_PROXY"));
    if is_loopback || excluded.is_some_and(|(_, list)| lists(&list, host, port)) {
        return Ok(None);
    }
    url.parse().map(Some).map_err(|InvalidProxy| name)
}

/// Whether `no_proxy` lists this host: `*`, names with all that is under them, addresses, ranges of addresses (`10.0.0.0/8`),
/// each with or without a port.
fn lists(list: &str, host: &str, port: u16) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    list.split([',', ' ']).map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).any(
        |entry| {
            if entry == "*" {
                return true;
            }
            if let Ok(address) = host.parse::<IpAddr>() {
                return is_in(address, port, &entry);
            }
            let (name, entry_port) = match entry.rsplit_once(':') {
                Some((name, digits)) => (name, digits.parse().ok()),
                None => (entry.as_str(), None),
            };
            let name = name.trim_start_matches("*.").trim_start_matches('.');
            let is_under = || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
            !name.is_empty() && entry_port.is_none_or(|own: u16| own == port) && (host == name || is_under())
        },
    )
}

fn is_in(address: IpAddr, port: u16, entry: &str) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        let (Ok(network), Ok(bits)) = (network.parse(), bits.parse::<u32>()) else { return false };
        return match (address, network) {
            (IpAddr::V4(address), IpAddr::V4(network)) if bits <= 32 => {
                (address.to_bits() ^ network.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(address), IpAddr::V6(network)) if bits <= 128 => {
                (address.to_bits() ^ network.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
            }
            _ => false,
        };
    }
    if let Ok(other) = entry.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return other == address;
    }
    entry.parse().is_ok_and(|other: std::net::SocketAddr| (other.ip(), other.port()) == (address, port))
}

/// Why a proxy does not bring us to the server.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// It cannot be reached itself.
    Unreachable(Box<ConnectError>),
    /// There is no TLS between us and it.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// An HTTP proxy answered, and not with a tunnel: 407 wants credentials, 403 does not want this server.
    Refused(Box<Refused>),
    /// An HTTP proxy's answer is not HTTP.
    Head(HeadError),
    /// A SOCKS proxy wants credentials.
    CredentialsMissing,
    /// A SOCKS proxy wants other credentials.
    CredentialsRefused,
    /// A SOCKS proxy cannot, or will not, connect us: the code that RFC 1928 §6 lists.
    Reply(u8),
    /// What it says is not SOCKS 5.
    NotSocks,
    /// Bytes came through the tunnel before we had asked for anything.
    TooEarly,
    /// A name or a credential over 255 bytes, which SOCKS has no room for.
    TooLong,
    /// It ended the connection.
    Closed,
    /// The line to it failed.
    Io(io::Error),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(f),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            // tinyproxy answers wrong credentials as a server would: 401.
            Self::Refused(refused) if matches!(refused.status.as_u16(), 401 | 407) => {
                write!(f, "it wants credentials, or other ones ({})", refused.status.as_u16())
            }
            Self::Refused(refused) => write!(f, "it does not connect us: {}", refused.status),
            Self::Head(error) => write!(f, "it does not answer in HTTP/1.1: {error}"),
            Self::CredentialsMissing => f.write_str("it wants a user name and a password"),
            Self::CredentialsRefused => f.write_str("it does not accept the user name and the password"),
            Self::Reply(code) => f.write_str(match code {
                1 => "it failed (SOCKS reply 1)",
                2 => "its rules forbid the server (SOCKS reply 2)",
                3 => "it does not reach the server's network (SOCKS reply 3)",
                4 => "it does not reach the server (SOCKS reply 4)",
                5 => "the server refused its connection (SOCKS reply 5)",
                6 => "the server did not answer it (SOCKS reply 6)",
                7 => "it does not open connections (SOCKS reply 7)",
                8 => "it does not know this kind of address (SOCKS reply 8)",
                _ => "it failed, with a SOCKS reply that is none",
            }),
            Self::NotSocks => f.write_str("what it says is not SOCKS 5"),
            Self::TooEarly => f.write_str("it sent something through the tunnel before anything was asked"),
            Self::TooLong => f.write_str("SOCKS has no room for a name, a user or a password over 255 bytes"),
            Self::Closed => f.write_str("it closed the connection without connecting us"),
            Self::Io(error) => write!(f, "the line to it failed: {error}"),
        }
    }
}

impl std::error::Error for ProxyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreachable(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Head(error) => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ProxyError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// A text that is no proxy's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidProxy;

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a proxy is like http://proxy:3128, https://proxy, socks5://proxy or socks5h://user:password@proxy:1080",
        )
    }
}

impl std::error::Error for InvalidProxy {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_by_their_urls() {
        for (text, shown) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("http://proxy:3128/", "http://proxy:3128"),
            ("proxy:3128", "http://proxy:3128"),
            ("HTTP://Proxy", "http://proxy:1080"),
            ("https://proxy", "https://proxy:443"),
            ("socks5://[::1]:9", "socks5://[::1]:9"),
            ("socks5h://u:p%40ss@proxy", "socks5h://proxy:1080"),
        ] {
            let proxy: Proxy = text.parse().unwrap();
            assert_eq!(proxy.to_string(), shown, "{text}");
            assert_eq!(format!("{proxy:?}"), format!("Proxy({shown})"));
        }
        let proxy: Proxy = "socks5h://u:p%40ss@proxy".parse().unwrap();
        assert_eq!(proxy.credentials, Some((b"u".to_vec(), b"p@ss".to_vec())));
        for text in
            ["", "ftp://proxy", "socks4://proxy", "http://", "http://proxy:x", "http://proxy/path", "http://%zz@a"]
        {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }

    fn chosen(url: &str, variables: &[(&str, &str)]) -> Result<Option<String>, &'static str> {
        let target = Target::parse(url).unwrap();
        let variable =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        of_environment(&target, variable).map(|proxy| proxy.map(|proxy| proxy.host))
    }

    #[test]
    fn the_environment_names_proxies_as_curl_reads_it() {
        let (ws, wss) = ("ws://example.com/", "wss://example.com/");
        let one = |host: &str| Ok(Some(host.to_owned()));
        assert_eq!(chosen(ws, &[]), Ok(None));
        assert_eq!(chosen(ws, &[("http_proxy", "http://a"), ("https_proxy", "http://b")]), one("a"));
        assert_eq!(chosen(wss, &[("http_proxy", "http://a"), ("https_proxy", "http://b")]), one("b"));
        assert_eq!(chosen(ws, &[("http_proxy", "http://a"), ("ws_proxy", "http://c")]), one("c"));
        assert_eq!(chosen(wss, &[("HTTPS_PROXY", "b:1"), ("ALL_PROXY", "socks5://c")]), one("b"));
        assert_eq!(chosen(wss, &[("https_proxy", ""), ("ALL_PROXY", "socks5://c")]), one("c"));
        assert_eq!(chosen(ws, &[("HTTP_PROXY", "http://a")]), Ok(None));
        assert_eq!(chosen(ws, &[("http_proxy", "gopher://a")]), Err("http_proxy"));
        for own in ["ws://localhost:1/", "ws://127.1.2.3/", "ws://[::1]/", "ws://app.localhost/"] {
            assert_eq!(chosen(own, &[("http_proxy", "http://a")]), Ok(None), "{own}");
        }
    }

    #[test]
    fn no_proxy_lists_who_is_reached_directly() {
        for (list, host, listed) in [
            ("*", "example.com", true),
            ("example.com", "example.com", true),
            ("example.com", "EXAMPLE.com.", true),
            ("example.com", "www.example.com", true),
            (".example.com", "www.example.com", true),
            ("*.example.com", "www.example.com", true),
            ("example.com", "notexample.com", false),
            ("a.test, example.com", "example.com", true),
            ("a.test example.com", "example.com", true),
            ("example.com:443", "example.com", true),
            ("example.com:80", "example.com", false),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/0", "11.1.2.3", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.3:80", "10.1.2.3", false),
            ("1.2.3", "10.1.2.3", false),
            ("[fd00::1]", "fd00::1", true),
            ("fd00::/8", "fd12::1", true),
            ("", "example.com", false),
            (",,", "example.com", false),
        ] {
            assert_eq!(lists(list, host, 443), listed, "{host} in {list:?}");
        }
    }
}
