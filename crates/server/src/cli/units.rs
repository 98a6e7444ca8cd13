//! Values of flags, from how people write them: those that files have as well, and what only `connect` and `bench` take.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, HeaderValue, Uri};
use openline::proto::handshake::{ClientHandshake, Host, Subprotocol};
use tracing_subscriber::EnvFilter;

use crate::config::Listen;

pub(super) use crate::config::units::*;

/// Where to listen, or not at all. (In a type of its own, as [`Maybe`] is.)
#[derive(Clone, Copy, Debug)]
pub(super) struct MaybeListen(#[expect(dead_code, reason = "read as text, with the rest of the flags")] Option<Listen>);

pub(super) fn maybe_listen(text: &str) -> Result<MaybeListen, String> {
    listen_or_off(text).map(MaybeListen)
}

/// A WebSocket's URL. For this machine, and for addresses, the scheme may be left out; for all else it has to be said
/// whether the line is to be encrypted.
pub(super) fn url(text: &str) -> Result<String, String> {
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    if text.starts_with(':') {
        return Ok(format!("ws://localhost{text}"));
    }
    let authority = text.split(['/', '?']).next().unwrap_or_default();
    let is_address = |host: &Host| host.name().starts_with('[') || host.name().parse::<Ipv4Addr>().is_ok();
    match Host::parse(authority) {
        Ok(host) if host.is_loopback() || is_address(&host) => Ok(format!("ws://{text}")),
        Ok(_) => Err(format!("say ws://{text} or, encrypted, wss://{text}")),
        Err(_) => Err("a URL is like ws://example.com/path or, for this machine, :8080/path".to_owned()),
    }
}

/// A header field, as curl takes it, that is not the handshake's own.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header field has a colon: 'Name: value'")?;
    let value = value.trim();
    let allowed =
        ClientHandshake::new(&Uri::from_static("ws://localhost/"), [0; 16]).map_err(|error| error.to_string())?;
    let field = (HeaderName::try_from(name), HeaderValue::try_from(value));
    let (Ok(parsed_name), Ok(parsed_value)) = field else {
        return Err("its name or value has characters that are not allowed".to_owned());
    };
    allowed.header(parsed_name, parsed_value).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), value.to_owned()))
}

/// `user:password`, as curl takes them.
pub(super) fn user(text: &str) -> Result<(String, String), String> {
    let (user, password) = text.split_once(':').ok_or("a user name comes with a password: 'name:password'")?;
    Ok((user.to_owned(), password.to_owned()))
}

/// curl's `--resolve`: where a host's port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolve {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<IpAddr>,
}

/// `example.com:443:127.0.0.1,[::1]`.
pub(super) fn resolve(text: &str) -> Result<Resolve, String> {
    let wrong =
        || "like this: example.com:443:127.0.0.1, or with more addresses: example.com:443:[::1],127.0.0.1".to_owned();
    let [host, port, addresses] = colons(text).try_into().map_err(|_| wrong())?;
    let addresses: Result<_, _> = addresses.split(',').map(|address| unbracketed(address).parse()).collect();
    Ok(Resolve {
        host: unbracketed(host).to_owned(),
        port: port.parse().map_err(|_| wrong())?,
        addresses: addresses.map_err(|_| wrong())?,
    })
}

/// curl's `--connect-to`: another host and port than the URL's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectTo {
    pub(super) from: (Option<String>, Option<u16>),
    pub(super) to: (Option<String>, Option<u16>),
}

/// `example.com:443:backend:8443`, of which each may be left out.
pub(super) fn connect_to(text: &str) -> Result<ConnectTo, String> {
    let wrong = || "like this: example.com:443:backend:8443, or for any host and port: ::backend:8443".to_owned();
    let [from_host, from_port, to_host, to_port] = colons(text).try_into().map_err(|_| wrong())?;
    let host = |text: &str| (!text.is_empty()).then(|| unbracketed(text).to_owned());
    let port = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong()) };
    Ok(ConnectTo { from: (host(from_host), port(from_port)?), to: (host(to_host), port(to_port)?) })
}

/// What is between colons that are not in brackets.
fn colons(text: &str) -> Vec<&str> {
    let mut is_inside = false;
    let parts = text.split(|c| {
        is_inside = (is_inside || c == '[') && c != ']';
        c == ':' && !is_inside
    });
    parts.collect()
}

fn unbracketed(text: &str) -> &str {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text)
}

/// A subprotocol's name.
pub(super) fn subprotocol(text: &str) -> Result<Subprotocol, String> {
    Subprotocol::new(text).map_err(|error| error.to_string())
}

/// What tracing understands.
pub(super) fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_as_curl_writes_them() {
        let one = Resolve { host: "a.test".into(), port: 443, addresses: vec![[127, 0, 0, 1].into()] };
        assert_eq!(resolve("a.test:443:127.0.0.1"), Ok(one));
        let two = resolve("[::1]:80:[::2],1.2.3.4").unwrap();
        assert_eq!((two.host.as_str(), two.addresses.len()), ("::1", 2));
        for wrong in ["", "a.test", "a.test:443", "a.test:443:", "a.test:x:1.2.3.4", "a.test:443:b.test", "a:1:::1"] {
            assert!(resolve(wrong).is_err(), "{wrong:?}");
        }
        let all = ConnectTo { from: (None, None), to: (Some("b.test".into()), Some(8443)) };
        assert_eq!(connect_to("::b.test:8443"), Ok(all));
        let port = ConnectTo { from: (Some("a.test".into()), Some(443)), to: (None, Some(1)) };
        assert_eq!(connect_to("a.test:443::1"), Ok(port));
        for wrong in ["", "a.test:443", "a.test:443:b.test", "a.test:443:b.test:x", "a:1:b:2:c"] {
            assert!(connect_to(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(user("a:b:c"), Ok(("a".into(), "b:c".into())));
        assert!(user("a").is_err());
    }

    #[test]
    fn urls_of_this_machine_are_short() {
        for (text, expected) in [
            (":8080/test", Some("ws://localhost:8080/test")),
            ("localhost:8080/test", Some("ws://localhost:8080/test")),
            ("127.0.0.1:8080", Some("ws://127.0.0.1:8080")),
            ("[::1]:8080/a?b", Some("ws://[::1]:8080/a?b")),
            ("192.168.1.5/x", Some("ws://192.168.1.5/x")),
            ("ws://example.com/x", Some("ws://example.com/x")),
            ("example.com/x", None),
            ("/test", None),
            ("", None),
        ] {
            assert_eq!(url(text).ok().as_deref(), expected, "{text:?}");
        }
    }
}
