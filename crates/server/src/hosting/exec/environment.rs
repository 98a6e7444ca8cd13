//! What a program is told of its client: the variables of CGI (RFC 3875 §4.1), as websocketd has them.

use http::Request;
use http::header::{AUTHORIZATION, HOST, PROXY_AUTHORIZATION};
use openline::proto::handshake::Host;

use crate::edge::visitor::{ClientAddress, Visitor};
use crate::hosting::place::Found;
use crate::hosting::template;
use crate::rights::Identity;
use crate::site::Site;

const SOFTWARE: &str = concat!("openline/", env!("CARGO_PKG_VERSION"));

/// Of a request.
pub(super) fn of(request: &Request<()>, found: &Found, visitor: &Visitor, site: &Site) -> Vec<(String, String)> {
    let uri = request.uri();
    let address = request.extensions().get::<ClientAddress>().map_or(visitor.peer.ip(), |client| client.0).to_string();
    let is_tls = site.tls.is_some();
    let host = request.headers().get(HOST).and_then(|host| Host::parse(host.to_str().ok()?).ok());
    let port = host.as_ref().and_then(Host::port).unwrap_or(if is_tls { 443 } else { 80 });
    let name = host.as_ref().map_or("", |host| host.name());
    let own = template::literal(&found.place.template);
    let path = crate::edge::path::normalise(uri.path());
    let info = path.strip_prefix(own).unwrap_or_default();
    let info = percent_encoding::percent_decode_str(info).decode_utf8_lossy();
    let identity = request.extensions().get::<Identity>().cloned().unwrap_or_default();
    let how = match &identity {
        Identity::Anonymous => "",
        known if *known == visitor.certified() => "Certificate",
        Identity::User(_) => "Bearer",
    };
    let mut variables = vec![
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", SOFTWARE),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_NAME", name),
        ("SERVER_PORT", &port.to_string()),
        ("REQUEST_METHOD", request.method().as_str()),
        ("REQUEST_URI", uri.path_and_query().map_or("", |uri| uri.as_str())),
        ("SCRIPT_NAME", own),
        ("PATH_INFO", &info),
        ("QUERY_STRING", uri.query().unwrap_or_default()),
        ("REMOTE_ADDR", &address),
        ("REMOTE_HOST", &address),
        ("REMOTE_PORT", &visitor.peer.port().to_string()),
        ("HTTPS", if is_tls { "on" } else { "" }),
        ("UNIQUE_ID", &unique()),
        // Known to CGI, and empty here: a program need not ask whether they are set.
        ("AUTH_TYPE", how),
        ("CONTENT_LENGTH", ""),
        ("CONTENT_TYPE", ""),
        ("PATH_TRANSLATED", ""),
        ("REMOTE_IDENT", ""),
        ("REMOTE_USER", identity.user().unwrap_or_default()),
    ]
    .into_iter()
    // RFC 3875 §4.1: "HTTPS" is set where it is on, and nowhere else.
    .filter(|(name, value)| *name != "HTTPS" || !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect::<Vec<_>>();
    for (name, value) in &found.parameters {
        let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
        variables.push((format!("PATH_PARAM_{}", name.to_ascii_uppercase()), value));
    }
    headers(request, &mut variables);
    // A zero byte would end a variable before its end.
    variables.retain(|(_, value)| !value.contains('\0'));
    variables
}

/// Of a program that belongs to no one client.
pub(super) fn of_nobody() -> Vec<(String, String)> {
    [("GATEWAY_INTERFACE", "CGI/1.1"), ("SERVER_SOFTWARE", SOFTWARE)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// §4.1.18: `HTTP_` and the field's name. Without credentials, as it says; without `Proxy`, which would be `HTTP_PROXY` and
/// turn the program's own requests where the client likes; and without names that could be taken for another's.
fn headers(request: &Request<()>, variables: &mut Vec<(String, String)>) {
    for name in request.headers().keys() {
        if *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION || name == "proxy" || name.as_str().contains('_') {
            continue;
        }
        let separator = if name == "cookie" { "; " } else { ", " };
        let values: Vec<_> =
            request.headers().get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        variables
            .push((format!("HTTP_{}", name.as_str().to_ascii_uppercase().replace('-', "_")), values.join(separator)));
    }
}

/// Unique in this process, and hardly the same in two.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::SystemTime;
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{nanoseconds:x}-{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}
