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

mod refusal;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr};

use http::header::{FORWARDED, HOST, ORIGIN, UPGRADE, VIA};
use http::{HeaderMap, HeaderName, Method, Request};
use openline::proto::handshake::{Host, Origin};

pub use self::refusal::Refusal;

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
