//! Who a request is from, by what it carries itself: the ways that a browser has, and the one that programs have.
//!
//! | way | for |
//! | --- | --- |
//! | `?ticket=` | browsers: once, and within 30 s of its making |
//! | `Authorization: Bearer` | programs |
//! | `Sec-WebSocket-Protocol: openline.bearer.TOKEN` | browsers' WebSockets; never echoed |
//! | a cookie, where one is named | pages of an origin that is let in: without Origin, or Sec-Fetch-Site, it is refused |
//!
//! (The fifth, a token in the first message, is of the session's protocol.)

use std::time::Instant;

use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, Request, Response, StatusCode};

use super::{Admission, Tickets};
use crate::edge::answer::text;

/// What stands before a token among the subprotocols.
pub(crate) const BEARER: &str = "openline.bearer.";

/// What a request carries.
#[derive(Default)]
pub(crate) enum Carried {
    #[default]
    Nothing,
    /// A token, which is not checked yet.
    Token(String),
    /// A ticket was taken in.
    Admission(Box<Admission>),
}

impl std::fmt::Debug for Carried {
    /// A token is a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Token(_) => "Token",
            Self::Admission(_) => "Admission",
        })
    }
}

impl Carried {
    /// # Errors
    /// A ticket that is not good, or a cookie from nobody knows where.
    pub(crate) fn by<B>(
        request: &Request<B>,
        cookie: Option<&str>,
        tickets: &Tickets,
        now: Instant,
    ) -> Result<Self, Box<Response<Bytes>>> {
        let headers = request.headers();
        let pairs = request.uri().query().unwrap_or_default().split('&');
        if let Some(ticket) = pairs.filter_map(|pair| pair.strip_prefix("ticket=")).next() {
            let admission = tickets.redeem(ticket, now);
            let why =
                "This ticket is not good, or not any more: fetch another one, and come with it within 30 s, once.";
            return admission
                .map(|admission| Self::Admission(Box::new(admission)))
                .ok_or_else(|| Box::new(text(StatusCode::UNAUTHORIZED, why)));
        }
        if let Some(token) = bearer(headers).or_else(|| offered(headers)) {
            return Ok(Self::Token(token.to_owned()));
        }
        let Some(token) = cookie.and_then(|name| of_cookie(headers, name)) else { return Ok(Self::Nothing) };
        // A browser adds cookies to whatever any page asks for. Which page it was, only Origin says; or Sec-Fetch-Site, for what a page
        // gets from its own server. Whether that one may was judged before.
        if !headers.contains_key(ORIGIN) && !headers.contains_key("sec-fetch-site") {
            let why = "A request that is known by its cookie must say which page it is of: it has no Origin.";
            return Err(Box::new(text(StatusCode::FORBIDDEN, why)));
        }
        Ok(Self::Token(token.to_owned()))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn offered(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|name| name.trim().strip_prefix(BEARER))
}

fn of_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(fields: &[(&str, &str)], uri: &str) -> Result<String, u16> {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let carried = Carried::by(&request.body(()).unwrap(), Some("session"), &Tickets::default(), Instant::now());
        match carried {
            Ok(Carried::Nothing) => Ok(String::new()),
            Ok(Carried::Token(token)) => Ok(token),
            Ok(Carried::Admission(_)) => panic!("no ticket is out"),
            Err(refusal) => Err(refusal.status().as_u16()),
        }
    }

    #[test]
    fn a_request_can_carry_a_token_in_three_ways() {
        assert_eq!(carried(&[], "/"), Ok(String::new()));
        assert_eq!(carried(&[("authorization", "Bearer a.b.c")], "/"), Ok("a.b.c".into()));
        assert_eq!(carried(&[("authorization", "Basic a")], "/"), Ok(String::new()));
        let offered = "chat, openline.bearer.a.b.c";
        assert_eq!(carried(&[("sec-websocket-protocol", offered)], "/"), Ok("a.b.c".into()));
        let cookie = ("cookie", "a=1; session=x.y.z");
        assert_eq!(carried(&[cookie, ("origin", "https://a.example")], "/"), Ok("x.y.z".into()));
        assert_eq!(carried(&[cookie, ("sec-fetch-site", "same-origin")], "/"), Ok("x.y.z".into()));
        assert_eq!(carried(&[cookie], "/"), Err(403));
        assert_eq!(carried(&[], "/?a=b&ticket=00"), Err(401));
    }
}
