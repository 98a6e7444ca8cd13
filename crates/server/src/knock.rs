//! Who may knock: which requests are answered at all, judged by their Host, their Origin and where they came in.
//!
//! The demo has no login, so this is all that keeps a foreign page, or a foreign machine, out of it:
//!
//! | what | why |
//! |---|---|
//! | Host is an allow-list | DNS rebinding: a page of evil.example that points its own name at 127.0.0.1 is "same origin" with us |
//! | Origin is ours, named, or of this machine | browsers let any page open a WebSocket anywhere (RFC 6455 §10.2) |
//! | without Origin, Sec-Fetch-Site | the requests that a browser sends without Origin: `<img>`, `<script>`, links |
//! | nothing that came through a proxy | to us, a proxy on this machine makes the whole internet look like loopback |
//! | on a public address, only what was named | there, "this machine" means nothing |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use http::header::{FORWARDED, HOST, ORIGIN, UPGRADE, VIA};
use http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use openline::proto::handshake::{Host, Origin};

/// From where a listening address can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// From this machine alone.
    Loopback,
    /// From elsewhere, too.
    Public,
}

impl Reach {
    /// An unspecified address (`0.0.0.0`, `[::]`) is public.
    pub fn of(address: IpAddr) -> Self {
        if address.to_canonical().is_loopback() { Self::Loopback } else { Self::Public }
    }
}

/// What was opened beyond what is open by itself.
#[derive(Clone, Debug, Default)]
pub struct Knock {
    /// Host names (and addresses, for public listeners) that we answer for; ports do not matter.
    pub hosts: Vec<Host>,
    /// Origins that may do whatever our own pages may, whatever the Host: a named origin cannot be DNS rebinding.
    pub origins: Vec<Origin>,
    /// Pages of any origin may. Default: no.
    pub any_origin: bool,
}

impl Knock {
    /// Whether somebody was named. On a public address nobody gets in otherwise.
    pub fn opens_anything(&self) -> bool {
        !self.hosts.is_empty() || !self.origins.is_empty()
    }

    /// Judges a request by its head alone.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn admit<B>(&self, request: &Request<B>, reach: Reach) -> Result<(), Refusal> {
        match proxy_header(request.headers()) {
            Some(name) => Err(Refusal::Proxied(name.clone())),
            None => self.admit_whoever(request, reach),
        }
    }

    /// Judges a request that a trusted proxy passes on: it may come from anywhere.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn admit_through_proxy<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        self.admit_whoever(request, Reach::Public)
    }

    /// Judges a request for what any page may use: only that it is for us.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn admit_host<B>(&self, request: &Request<B>, reach: Reach) -> Result<(), Refusal> {
        self.read_host(request, reach).map(drop)
    }

    fn admit_whoever<B>(&self, request: &Request<B>, reach: Reach) -> Result<(), Refusal> {
        let headers = request.headers();
        let origin = read_origin(headers)?;
        if origin.as_ref().is_some_and(|origin| self.origins.contains(origin)) {
            return Ok(());
        }
        let host = self.read_host(request, reach)?;
        if self.any_origin {
            return Ok(());
        }
        match origin {
            Some(origin) if reach == Reach::Loopback && is_local_page(&origin) => Ok(()),
            Some(origin) if origin.is_same_host(&host) => Ok(()),
            Some(origin) => Err(Refusal::ForeignOrigin(origin.to_string())),
            None if is_own_or_native(request, &host, reach) => Ok(()),
            None => Err(Refusal::CrossSite),
        }
    }

    /// RFC 9112 §3.2.2: an absolute target's host counts, whatever the Host header says.
    fn read_host<B>(&self, request: &Request<B>, reach: Reach) -> Result<Host, Refusal> {
        let named = match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => match request.headers().get(HOST).map(|host| host.to_str()) {
                Some(Ok(host)) => host,
                _ => return Err(Refusal::NoHost),
            },
        };
        let host = Host::parse(named).map_err(|_| Refusal::NoHost)?;
        let is_open = match reach {
            // An address is no name: nobody can point it elsewhere.
            Reach::Loopback => host.is_loopback() || is_address(&host),
            Reach::Public => false,
        };
        if is_open || self.hosts.iter().any(|own| own.name() == host.name()) {
            Ok(host)
        } else {
            Err(Refusal::ForeignHost(host.name().to_owned(), reach))
        }
    }
}

/// RFC 7239, its forerunner, and RFC 9110 §7.6.3: what proxies add.
static PROXY_HEADERS: [HeaderName; 3] = [FORWARDED, HeaderName::from_static("x-forwarded-for"), VIA];

/// What a request that came through a proxy can be told by.
pub(crate) fn proxy_header(headers: &HeaderMap) -> Option<&'static HeaderName> {
    PROXY_HEADERS.iter().find(|name| headers.contains_key(*name))
}

/// A second Origin, or one that is none, is nobody's.
fn read_origin(headers: &HeaderMap) -> Result<Option<Origin>, Refusal> {
    let mut fields = headers.get_all(ORIGIN).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let text = field.to_str().map_err(|_| Refusal::UnreadableOrigin)?;
    match (Origin::parse(text), fields.next()) {
        (Ok(origin), None) => Ok(Some(origin)),
        _ => Err(Refusal::UnreadableOrigin),
    }
}

/// A page that this machine served, on any port: the development server on :5173 is the first thing a web team has.
/// Only of http(s): what owns `app://localhost` is anybody's guess.
fn is_local_page(origin: &Origin) -> bool {
    origin.is_loopback() && matches!(origin.scheme(), Some("http" | "https"))
}

/// No Origin: a native client, or one of the requests that browsers send without. Those carry Sec-Fetch-Site (Fetch
/// Metadata §2.4) wherever the server can be trusted with it, and localhost always can.
fn is_own_or_native<B>(request: &Request<B>, host: &Host, reach: Reach) -> bool {
    let field = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
    match field("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => true,
        // A site is a host on any port: on a loopback host, that is a page of this machine.
        Some(b"same-site") if reach == Reach::Loopback && host.is_loopback() => true,
        // A link somewhere leads here, and a person follows it. A frame is no person: its destination is "iframe".
        _ => {
            matches!(*request.method(), Method::GET | Method::HEAD)
                && field("sec-fetch-mode") == Some(b"navigate")
                && field("sec-fetch-dest") == Some(b"document")
                && !request.headers().contains_key(UPGRADE)
        }
    }
}

fn is_address(host: &Host) -> bool {
    host.name().starts_with('[') || host.name().parse::<Ipv4Addr>().is_ok()
}

/// Why a request is not answered. `Display` says what is wrong, and what the operator could do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A header that proxies add.
    Proxied(HeaderName),
    /// No Host, or one that is none.
    NoHost,
    /// A Host that we do not answer for.
    ForeignHost(String, Reach),
    /// More than one Origin, or one that is none.
    UnreadableOrigin,
    /// A page that is not ours.
    ForeignOrigin(String),
    /// A page that is not ours, without an Origin.
    CrossSite,
}

impl Refusal {
    /// The status that the refusal is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            // RFC 9112 §3.2; RFC 6454 §7.1.
            Self::NoHost | Self::UnreadableOrigin => StatusCode::BAD_REQUEST,
            // RFC 9110 §15.5.20: the server "is unable or unwilling to produce an authoritative response".
            Self::ForeignHost(..) => StatusCode::MISDIRECTED_REQUEST,
            Self::Proxied(_) | Self::ForeignOrigin(_) | Self::CrossSite => StatusCode::FORBIDDEN,
        }
    }
}

impl Refusal {
    /// In a word or two, to count by.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Proxied(_) => "proxied",
            Self::NoHost => "no host",
            Self::ForeignHost(..) => "host",
            Self::UnreadableOrigin => "unreadable origin",
            Self::ForeignOrigin(_) => "origin",
            Self::CrossSite => "cross-site",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxied(name) => {
                write!(
                    f,
                    "The request has a {name} header, so it came through a proxy. The demo has no login and answers nobody there."
                )
            }
            Self::NoHost => f.write_str("The request does not say which host it is for: send a valid Host header."),
            Self::ForeignHost(host, Reach::Loopback) => write!(
                f,
                "This server does not answer for the host {host:?}, only for localhost, for IP addresses and for what --host names."
            ),
            Self::ForeignHost(host, Reach::Public) => {
                write!(
                    f,
                    "On a public address this server answers only for the hosts that --host names, and {host:?} is none of them."
                )
            }
            Self::UnreadableOrigin => {
                f.write_str("The Origin header must hold one origin, such as \"https://example.com\".")
            }
            Self::ForeignOrigin(origin) => {
                write!(
                    f,
                    "Pages of the origin {origin:?} may not use this server: --allow-origin names those that may."
                )
            }
            Self::CrossSite => {
                f.write_str("Pages of other sites may not use this server: --allow-origin names those that may.")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields of a request, then the verdict: "ok", or the status and whose fault.
    fn verdict(knock: &Knock, reach: Reach, fields: &[(&str, &str)]) -> &'static str {
        let mut request = Request::get("/test");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        match knock.admit(&request.body(()).unwrap(), reach) {
            Ok(()) => "ok",
            Err(refusal) => {
                let status = refusal.status().as_u16();
                match refusal {
                    Refusal::Proxied(_) if status == 403 => "403 proxied",
                    Refusal::NoHost if status == 400 => "400 no host",
                    Refusal::ForeignHost(..) if status == 421 => "421 host",
                    Refusal::UnreadableOrigin if status == 400 => "400 unreadable",
                    Refusal::ForeignOrigin(_) if status == 403 => "403 origin",
                    Refusal::CrossSite if status == 403 => "403 cross-site",
                    other => panic!("{other:?} answers {status}"),
                }
            }
        }
    }

    fn knock(hosts: &[&str], origins: &[&str]) -> Knock {
        Knock {
            any_origin: false,
            hosts: hosts.iter().map(|host| Host::parse(host).unwrap()).collect(),
            origins: origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect(),
        }
    }

    #[test]
    fn on_loopback_the_host_is_this_machine_or_an_address() {
        let closed = Knock::default();
        for (host, expected) in [
            ("localhost", "ok"),
            ("localhost:8080", "ok"),
            ("LOCALHOST:8080", "ok"),
            ("localhost.", "ok"),
            ("app.localhost:8080", "ok"),
            ("127.0.0.1:8080", "ok"),
            ("127.8.8.8", "ok"),
            ("[::1]:8080", "ok"),
            ("192.168.1.5:8080", "ok"),
            ("[2001:db8::1]", "ok"),
            ("evil.example", "421 host"),
            ("localhost.evil.example", "421 host"),
            ("127.0.0.1.evil.example", "421 host"),
            ("xlocalhost", "421 host"),
            ("2130706433", "421 host"),
            ("0x7f.1", "421 host"),
            ("chat.lan", "421 host"),
            ("", "400 no host"),
            ("localhost:x", "400 no host"),
            ("user@localhost", "400 no host"),
            ("localhost, evil.example", "400 no host"),
        ] {
            assert_eq!(verdict(&closed, Reach::Loopback, &[("host", host)]), expected, "{host:?}");
        }
        assert_eq!(verdict(&closed, Reach::Loopback, &[]), "400 no host");
        let named = knock(&["chat.lan"], &[]);
        assert_eq!(verdict(&named, Reach::Loopback, &[("host", "chat.lan:8080")]), "ok");
        assert_eq!(verdict(&named, Reach::Loopback, &[("host", "CHAT.LAN")]), "ok");
        assert_eq!(verdict(&named, Reach::Loopback, &[("host", "x.chat.lan")]), "421 host");
    }

    /// RFC 9112 §3.2.2.
    #[test]
    fn an_absolute_target_outranks_the_host_header() {
        let ask = |target: &str, host: &str| {
            let request = Request::get(target).header("host", host).body(()).unwrap();
            Knock::default().admit(&request, Reach::Loopback).map_err(|refusal| refusal.status().as_u16())
        };
        assert_eq!(ask("http://localhost/test", "evil.example"), Ok(()));
        assert_eq!(ask("http://evil.example/test", "localhost"), Err(421));
        assert_eq!(ask("http://evil.example@localhost/test", "localhost"), Err(400));
    }

    #[test]
    fn on_loopback_the_origin_is_this_machine_or_ours_or_named() {
        let closed = Knock::default();
        for (host, origin, expected) in [
            ("localhost:8080", "http://localhost:8080", "ok"),
            ("localhost:8080", "http://localhost:5173", "ok"),
            ("localhost:8080", "https://localhost", "ok"),
            ("localhost:8080", "http://127.0.0.1:3000", "ok"),
            ("127.0.0.1:8080", "http://[::1]:9", "ok"),
            ("localhost:8080", "http://app.localhost", "ok"),
            ("192.168.1.5:8080", "http://192.168.1.5:8080", "ok"),
            ("192.168.1.5:8080", "http://192.168.1.5", "403 origin"),
            ("localhost:8080", "http://evil.example", "403 origin"),
            ("localhost:8080", "http://localhost.evil.example", "403 origin"),
            ("localhost:8080", "http://evil.example:8080", "403 origin"),
            ("localhost:8080", "app://localhost", "403 origin"),
            ("localhost:8080", "null", "403 origin"),
            ("localhost:8080", "", "400 unreadable"),
            ("localhost:8080", "localhost:8080", "400 unreadable"),
            ("localhost:8080", "http://localhost:8080/", "400 unreadable"),
            ("localhost:8080", "http://localhost:8080 http://evil.example", "400 unreadable"),
            // DNS rebinding: same origin, and not our name.
            ("evil.example", "http://evil.example", "421 host"),
            ("evil.example", "http://localhost:8080", "421 host"),
        ] {
            let asked = [("host", host), ("origin", origin)];
            assert_eq!(verdict(&closed, Reach::Loopback, &asked), expected, "{origin} at {host}");
        }
        let twice = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://localhost")];
        assert_eq!(verdict(&closed, Reach::Loopback, &twice), "400 unreadable");
    }

    #[test]
    fn a_named_origin_passes_whatever_the_host() {
        let named = knock(&[], &["http://old.inapp.com"]);
        for (host, origin, expected) in [
            ("inapp.com", "http://old.inapp.com", "ok"),
            ("localhost:8080", "http://old.inapp.com", "ok"),
            ("inapp.com", "http://old.inapp.com:80", "ok"),
            ("inapp.com", "https://old.inapp.com", "421 host"),
            ("localhost", "https://old.inapp.com", "403 origin"),
            ("localhost", "http://inapp.com", "403 origin"),
            ("localhost", "http://old.inapp.com.evil.example", "403 origin"),
            ("inapp.com", "http://inapp.com", "421 host"),
        ] {
            let asked = [("host", host), ("origin", origin)];
            assert_eq!(verdict(&named, Reach::Loopback, &asked), expected, "{origin} at {host}");
        }
        let null = knock(&[], &["null"]);
        assert_eq!(verdict(&null, Reach::Loopback, &[("host", "localhost"), ("origin", "null")]), "ok");
    }

    #[test]
    fn a_named_host_is_its_own_origin() {
        let named = knock(&["chat.lan"], &[]);
        for (host, origin, expected) in [
            ("chat.lan:8080", "http://chat.lan:8080", "ok"),
            ("chat.lan:8080", "http://chat.lan", "403 origin"),
            ("chat.lan", "http://chat.lan", "ok"),
            ("chat.lan", "http://other.lan", "403 origin"),
        ] {
            let asked = [("host", host), ("origin", origin)];
            for reach in [Reach::Loopback, Reach::Public] {
                assert_eq!(verdict(&named, reach, &asked), expected, "{origin} at {host}, {reach:?}");
            }
        }
    }

    #[test]
    fn on_a_public_address_only_what_was_named_is_open() {
        let named = knock(&["chat.lan", "192.168.1.5"], &["https://app.example"]);
        for (fields, expected) in [
            (&[("host", "chat.lan:8080")][..], "ok"),
            (&[("host", "192.168.1.5:8080")], "ok"),
            (&[("host", "192.168.1.6:8080")], "421 host"),
            (&[("host", "localhost:8080")], "421 host"),
            (&[("host", "127.0.0.1:8080")], "421 host"),
            (&[("host", "chat.lan"), ("origin", "http://localhost:5173")], "403 origin"),
            (&[("host", "chat.lan"), ("origin", "https://app.example")], "ok"),
            (&[("host", "whatever.example"), ("origin", "https://app.example")], "ok"),
        ] {
            assert_eq!(verdict(&named, Reach::Public, fields), expected, "{fields:?}");
        }
        assert!(!Knock::default().opens_anything());
        assert_eq!(verdict(&Knock::default(), Reach::Public, &[("host", "localhost")]), "421 host");
    }

    #[test]
    fn nobody_comes_through_a_proxy() {
        let open = knock(&["chat.lan"], &["https://app.example"]);
        for name in ["forwarded", "x-forwarded-for", "via", "Via", "X-Forwarded-For"] {
            for reach in [Reach::Loopback, Reach::Public] {
                let asked = [("host", "chat.lan"), ("origin", "https://app.example"), (name, "")];
                assert_eq!(verdict(&open, reach, &asked), "403 proxied", "{name}");
            }
        }
    }

    #[test]
    fn without_an_origin_the_fetch_metadata_decide() {
        let closed = Knock::default();
        let navigation = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        let image = [("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
        let frame = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
        for (host, site, how, expected) in [
            ("localhost:8080", "none", navigation, "ok"),
            ("localhost:8080", "same-origin", image, "ok"),
            ("localhost:8080", "same-site", image, "ok"),
            ("localhost:8080", "cross-site", image, "403 cross-site"),
            ("localhost:8080", "cross-site", frame, "403 cross-site"),
            ("localhost:8080", "cross-site", navigation, "ok"),
            ("localhost:8080", "else", image, "403 cross-site"),
            ("192.168.1.5", "same-site", image, "403 cross-site"),
        ] {
            let mut asked = vec![("host", host), ("sec-fetch-site", site)];
            asked.extend(how);
            assert_eq!(verdict(&closed, Reach::Loopback, &asked), expected, "{asked:?}");
            if expected == "ok" && site == "cross-site" {
                asked.push(("upgrade", "websocket"));
                assert_eq!(verdict(&closed, Reach::Loopback, &asked), "403 cross-site", "{asked:?}");
            }
        }
        let named = knock(&["chat.example"], &[]);
        let sibling = [("host", "chat.example"), ("sec-fetch-site", "same-site"), image[0], image[1]];
        assert_eq!(verdict(&named, Reach::Loopback, &sibling), "403 cross-site");
    }

    #[test]
    fn what_can_be_reached_from_elsewhere() {
        for (address, reach) in [
            ("127.0.0.1", Reach::Loopback),
            ("127.1.2.3", Reach::Loopback),
            ("::1", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("0.0.0.0", Reach::Public),
            ("::", Reach::Public),
            ("192.168.1.5", Reach::Public),
        ] {
            assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
        }
    }
}
