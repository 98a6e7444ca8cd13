//! Header fields on their way through: which stop here, and which are added.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, DATE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// RFC 9110 §7.6.1: what is between two neighbours, and what `Connection` says is.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        headers.remove(name);
    }
}

/// Who asks, as far as we know it.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    /// Where the request came from, be that the client or a proxy before us.
    pub(super) peer: IpAddr,
    /// Whether a proxy before us is believed what it says of its client.
    pub(super) is_trusted: bool,
    pub(super) is_tls: bool,
    pub(super) host: Option<HeaderValue>,
    /// The client, behind the proxies that are trusted.
    pub(super) client: IpAddr,
    /// Where that is asked, the field that says who it is, and the name, if there is one.
    pub(super) user: Option<(HeaderName, Option<HeaderValue>)>,
}

/// Tells the other server who asks: what we know in the place of what the client says, or behind what a trusted proxy says.
pub(super) fn introduce(headers: &mut HeaderMap, asker: &Asker) {
    const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
    if !asker.is_trusted {
        let told: Vec<HeaderName> =
            headers.keys().filter(|name| name.as_str().starts_with("x-forwarded-")).cloned().collect();
        for name in told {
            headers.remove(name);
        }
        headers.remove(FORWARDED);
        headers.remove("x-real-ip");
    }
    let proto = if asker.is_tls { "https" } else { "http" };
    append(headers, FOR, &asker.peer.to_string());
    let node = match asker.peer {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("\"[{address}]\""),
    };
    let mut forwarded = format!("for={node};proto={proto}");
    if let Some(host) = asker.host.as_ref().and_then(|host| host.to_str().ok()) {
        // RFC 7239 §4: a value that is no token is quoted, and a port makes it none.
        forwarded.push_str(&format!(";host=\"{host}\""));
    }
    append(headers, FORWARDED, &forwarded);
    if !headers.contains_key(&PROTO) {
        headers.insert(PROTO, HeaderValue::from_static(proto));
    }
    if let (Some(host), false) = (&asker.host, headers.contains_key(&FORWARDED_HOST)) {
        headers.insert(FORWARDED_HOST, host.clone());
    }
    if let Ok(client) = HeaderValue::try_from(asker.client.to_string()) {
        headers.insert("x-real-ip", client);
    }
    if let Some((field, Some(name))) = &asker.user {
        // What the client said in it was dropped when it came in.
        headers.insert(field, name.clone());
    }
    // RFC 9110 §7.6.3: a gateway says that it was there.
    append(headers, VIA, "1.1 openline");
}

/// At the end of a list.
fn append(headers: &mut HeaderMap, name: HeaderName, element: &str) {
    let before = headers.get_all(&name).iter().filter_map(|value| value.to_str().ok());
    let list: Vec<&str> = before.chain([element]).filter(|value| !value.is_empty()).collect();
    if let Ok(list) = HeaderValue::try_from(list.join(", ")) {
        headers.insert(name, list);
    }
}

/// A plain request, as the other server gets it. `Expect` was answered here.
pub(super) fn of_request(headers: &mut HeaderMap, asker: &Asker) {
    strip_hop_by_hop(headers);
    headers.remove(EXPECT);
    // RFC 9113 §8.2.3: what HTTP/2 may split goes in one piece to who does not speak it.
    let cookies: Vec<_> = headers.get_all(COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()).collect();
    if cookies.len() > 1
        && let Ok(cookies) = HeaderValue::try_from(cookies.join("; "))
    {
        headers.insert(COOKIE, cookies);
    }
    introduce(headers, asker);
}

/// A request for a WebSocket, but for what is the handshake's own.
pub(super) fn of_handshake(headers: &HeaderMap, asker: &Asker) -> HeaderMap {
    let mut headers = headers.clone();
    strip_hop_by_hop(&mut headers);
    strip_handshake(&mut headers);
    headers.remove(HOST);
    introduce(&mut headers, asker);
    headers
}

/// What the other server says beside its 101.
pub(super) fn of_upgrade(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    strip_hop_by_hop(&mut headers);
    strip_handshake(&mut headers);
    headers.remove(DATE);
    headers
}

fn strip_handshake(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("sec-websocket-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    headers.remove(CONTENT_LENGTH);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn rfc9110_7_6_1_what_is_between_neighbours_stops_here() {
        let mut all = headers(&[
            ("connection", "keep-alive, X-Secret"),
            ("connection", "close"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("x-secret", "1"),
            ("x-other", "2"),
        ]);
        strip_hop_by_hop(&mut all);
        assert_eq!(all, headers(&[("x-other", "2")]));
    }

    #[test]
    fn who_asks_is_told_and_lies_are_not() {
        let asker = |is_trusted| Asker {
            peer: [10, 0, 0, 1].into(),
            is_trusted,
            is_tls: true,
            host: Some(HeaderValue::from_static("app.example:8443")),
            client: if is_trusted { [192, 0, 2, 1].into() } else { [10, 0, 0, 1].into() },
            user: Some((HeaderName::from_static("x-forwarded-user"), Some(HeaderValue::from_static("ann")))),
        };
        let said = [
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-port", "1"),
            ("forwarded", "for=192.0.2.1"),
            ("x-real-ip", "6.6.6.6"),
        ];
        let mut alone = headers(&said);
        introduce(&mut alone, &asker(false));
        assert_eq!(alone["x-forwarded-for"], "10.0.0.1");
        assert_eq!(alone["x-forwarded-proto"], "https");
        assert_eq!(alone["x-forwarded-host"], "app.example:8443");
        assert_eq!(alone["forwarded"], "for=10.0.0.1;proto=https;host=\"app.example:8443\"");
        assert_eq!(alone["x-real-ip"], "10.0.0.1");
        assert_eq!(
            (&alone["via"], &alone["x-forwarded-user"]),
            (&"1.1 openline".parse().unwrap(), &"ann".parse().unwrap())
        );
        assert!(!alone.contains_key("x-forwarded-port"));
        let mut behind = headers(&said);
        introduce(&mut behind, &asker(true));
        assert_eq!(behind["x-forwarded-for"], "192.0.2.1, 10.0.0.1");
        assert_eq!(behind["x-forwarded-proto"], "ftp");
        assert_eq!(behind["forwarded"], "for=192.0.2.1, for=10.0.0.1;proto=https;host=\"app.example:8443\"");
        assert_eq!(behind["x-real-ip"], "192.0.2.1");
    }
}
