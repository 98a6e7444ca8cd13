//! `POST` publishes, `DELETE` drops the recent past.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use openline_hub::{Draft, Format, PublishError};
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::answer::{json, not_published, with_position};
use super::permit::Guest;
use super::{Body, Target, full};
use crate::edge::answer::{self, text, too_much};
use crate::rates::What;
use crate::rights::Act;
use crate::site::Site;

/// 202 with the position: it is in the channel, and on its way.
pub(super) async fn post(
    request: Request<Incoming>,
    guest: &Guest,
    target: &Target,
    site: &Arc<Site>,
) -> Result<Response<Body>, Box<Response<Bytes>>> {
    let channel = target.one()?;
    guest.pass(Act::Publish, channel, site)?;
    guest.take(What::Messages, channel, 1, site).map_err(|error| Box::new(too_much(&error)))?;
    let max =
        site.channels.max_publication_bytes(channel).ok_or_else(|| not_published(PublishError::UnknownNamespace))?;
    let (head, body) = request.into_parts();
    let declared = DeclaredFormat::of(&head.headers)?;
    let key = field(&head.headers, "openline-key", MAX_KEY_BYTES)?;
    let idempotency_key = field(&head.headers, "idempotency-key", usize::MAX)?;
    let body = timeout(BODY_TIMEOUT, Limited::new(body, max).collect()).await;
    let data = match body.map_err(|_| Box::new(answer::too_slow()))? {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let why = format!("A publication has {max} bytes at most in this namespace.");
            return Err(Box::new(text(StatusCode::PAYLOAD_TOO_LARGE, why)));
        }
        Err(_) => return Err(bad("The body of the request broke off.")),
    };
    guest.take(What::Bytes, channel, data.len(), site).map_err(|error| Box::new(too_much(&error)))?;
    let format = declared.check(&data)?;
    site.counts.received.count(data.len());
    let draft = Draft { key, idempotency_key, ..Draft::new(format, data) };
    let published = site.channels.publish(channel, draft).map_err(not_published)?;
    let object = format!(
        "{{\"position\":\"{}\",\"repeated\":{},\"deliveries\":{}}}\n",
        published.position, published.repeated, published.deliveries
    );
    Ok(full(with_position(json(StatusCode::ACCEPTED, object), published.position)))
}

/// All of a publication is here within this time, over HTTP/2, where nobody else watches, as well.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// 204: nothing before the newest position can be recovered any more.
pub(super) fn delete(guest: &Guest, target: &Target, site: &Arc<Site>) -> Result<Response<Body>, Box<Response<Bytes>>> {
    let channel = target.one()?;
    guest.pass(Act::Delete, channel, site)?;
    site.channels.clear(channel);
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(full(response))
}

/// The longest key of which only the newest publication counts.
const MAX_KEY_BYTES: usize = 128;

fn field<'a>(headers: &'a HeaderMap, name: &str, max: usize) -> Result<Option<&'a str>, Box<Response<Bytes>>> {
    match headers.get(name).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(value)) if value.len() <= max => Ok(Some(value)),
        Some(_) => Err(bad(&format!("The header {name} holds what it cannot hold."))),
    }
}

fn bad(why: &str) -> Box<Response<Bytes>> {
    Box::new(text(StatusCode::BAD_REQUEST, why))
}

/// What Content-Type says.
enum DeclaredFormat {
    Text,
    Json,
    Binary,
}

impl DeclaredFormat {
    /// `curl -d` sends a form's type with whatever it is given: that is text.
    fn of(headers: &HeaderMap) -> Result<Self, Box<Response<Bytes>>> {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Self::Binary) };
        let value = value.to_str().unwrap_or_default().to_ascii_lowercase();
        let (kind, parameters) = value.split_once(';').unwrap_or((&value, ""));
        let charset = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
        let utf8 = charset.is_none_or(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
        match kind.trim() {
            "application/json" => Ok(Self::Json),
            kind if kind.ends_with("+json") => Ok(Self::Json),
            "application/x-www-form-urlencoded" => Ok(Self::Text),
            kind if kind.starts_with("multipart/") => Err(unsupported("A form of several parts is not a publication")),
            kind if kind.starts_with("text/") && utf8 => Ok(Self::Text),
            kind if kind.starts_with("text/") => Err(unsupported("Text is published as UTF-8")),
            _ => Ok(Self::Binary),
        }
    }

    fn check(self, data: &Bytes) -> Result<Format, Box<Response<Bytes>>> {
        match self {
            Self::Binary => Ok(Format::Binary),
            Self::Text => match std::str::from_utf8(data) {
                Ok(_) => Ok(Format::Text),
                Err(_) => Err(bad(
                    "The body is not UTF-8. Publish bytes with: curl -H 'Content-Type: application/octet-stream' --data-binary @FILE",
                )),
            },
            Self::Json => match serde_json::from_slice::<&RawValue>(data) {
                Ok(_) => Ok(Format::Json),
                Err(error) => Err(bad(&format!("The body is not JSON: {error}."))),
            },
        }
    }
}

fn unsupported(why: &str) -> Box<Response<Bytes>> {
    let how = "send text/plain, application/json or application/octet-stream";
    Box::new(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{why}: {how}.")))
}
