//! Who may come in at a route, and what whoever is behind it hears of them.
//!
//! ```text
//!   request ─▶ who is it (token, ticket, certificate)? ─▶ may they? ─▶ without what was for us ─▶ the place
//! ```

use bytes::Bytes;
use http::header::{SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::arrive::Refusal;
use super::place::Place;
use crate::doors::permit::identified;
use crate::edge::answer::text;
use crate::edge::visitor::Visitor;
use crate::identity::BEARER;
use crate::rights::{Identity, Who};
use crate::site::Site;

/// Lets somebody in at a place, and takes from the request what was for us alone. Where the place asks who they are, the answer is
/// among the request's extensions.
///
/// # Errors
/// 401: nobody knows who they are, or what they show is not good. 403: somebody else may.
pub(super) fn admit<B>(
    place: &Place,
    request: &mut Request<B>,
    visitor: &Visitor,
    site: &Site,
) -> Result<Identity, Refusal> {
    let Some(who) = &place.allow else { return Ok(Identity::Anonymous) };
    let identity = match identified(request, site)? {
        Some(identity) if identity != Identity::Anonymous => identity,
        _ => visitor.certified(),
    };
    if !who.includes(&identity) {
        return Err(Box::new(refusal(who, &identity)));
    }
    drop_credentials(request);
    if let Some(field) = place.user_header() {
        drop_alike(request, field);
    }
    request.extensions_mut().insert(identity.clone());
    Ok(identity)
}

fn refusal(who: &Who, identity: &Identity) -> Response<Bytes> {
    if matches!(who, Who::Nobody) || *identity != Identity::Anonymous {
        return text(StatusCode::FORBIDDEN, "You may not come in here: the route's allow says who may.");
    }
    let mut refusal = text(StatusCode::UNAUTHORIZED, "Say who you are: with a token, a ticket or a certificate.");
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

/// What is ours and a secret: a ticket in the query, a token among the subprotocols. `Authorization` and cookies are HTTP's, and
/// the server behind may read them as well.
fn drop_credentials<B>(request: &mut Request<B>) {
    let kept: Vec<_> = request
        .headers()
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.starts_with(BEARER))
        .collect();
    let kept = HeaderValue::try_from(kept.join(", ")).ok().filter(|kept| !kept.is_empty());
    match kept {
        Some(kept) => drop(request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, kept)),
        None => drop(request.headers_mut().remove(SEC_WEBSOCKET_PROTOCOL)),
    }
    if let Some(uri) = without_ticket(request.uri()) {
        *request.uri_mut() = uri;
    }
}

/// The same address without `ticket=`; `None` if there is none.
fn without_ticket(uri: &Uri) -> Option<Uri> {
    let query = uri.query()?;
    let kept: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("ticket=")).collect();
    if kept.len() == query.split('&').count() {
        return None;
    }
    let path = match kept.is_empty() {
        true => uri.path().to_owned(),
        false => format!("{}?{}", uri.path(), kept.join("&")),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

/// What a client says in a field that is ours to write, however it is written: to programs and to many servers `_` and `-` are the same.
fn drop_alike<B>(request: &mut Request<B>, field: &HeaderName) {
    let plain = |name: &HeaderName| name.as_str().replace('_', "-");
    let alike: Vec<HeaderName> = request.headers().keys().filter(|name| plain(name) == plain(field)).cloned().collect();
    for name in alike {
        request.headers_mut().remove(name);
    }
}

/// A name as a header field can have it: what is not visible ASCII is percent-encoded, and so are spaces, which do not survive at the
/// ends, and `%` itself, so that no two names look the same.
pub(super) fn written(user: &str) -> Option<HeaderValue> {
    const HIDDEN: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
    HeaderValue::try_from(utf8_percent_encode(user, HIDDEN).to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_for_us_goes_no_further() {
        for (uri, offered, shown, kept) in [
            ("/a?ticket=x", "", "/a", None),
            ("/a?b=c&ticket=x&d", "", "/a?b=c&d", None),
            ("/a?tickets=x", "chat", "/a?tickets=x", Some("chat")),
            ("/a", "openline.bearer.a.b.c", "/a", None),
            ("/a", "chat, openline.bearer.a.b.c,v2", "/a", Some("chat, v2")),
        ] {
            let mut request = Request::get(uri).header(SEC_WEBSOCKET_PROTOCOL, offered).body(()).unwrap();
            drop_credentials(&mut request);
            let found = request.headers().get(SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap());
            assert_eq!((request.uri().to_string().as_str(), found), (shown, kept), "{uri} {offered}");
        }
    }

    #[test]
    fn nobody_says_who_they_are_in_a_field_of_ours() {
        let mut request = Request::get("/");
        for name in ["x-forwarded-user", "X_Forwarded_User", "x-forwarded_user", "x-forwarded-users"] {
            request = request.header(name, "eve");
        }
        let mut request = request.body(()).unwrap();
        drop_alike(&mut request, &HeaderName::from_static("x-forwarded-user"));
        assert_eq!(request.headers().keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-forwarded-users"]);
    }

    #[test]
    fn no_two_names_look_the_same() {
        for (name, expected) in [
            ("ann", "ann"),
            ("Änn", "%C3%84nn"),
            (" ann", "%20ann"),
            ("a%20b", "a%2520b"),
            ("a\r\nb: c", "a%0D%0Ab:%20c"),
        ] {
            assert_eq!(written(name).unwrap(), expected, "{name:?}");
        }
    }
}
