//! What the doors say: positions, and why not.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use openline_hub::{Position, PublishError, ReadError, SubscribeError};

use crate::edge::answer::text;

/// The header that says where in a channel an answer ends.
pub(crate) const POSITION: &str = "openline-position";

/// Puts it in.
pub(crate) fn with_position<B>(mut response: Response<B>, position: Position) -> Response<B> {
    if let Ok(value) = HeaderValue::try_from(position.to_string()) {
        response.headers_mut().insert(HeaderName::from_static(POSITION), value);
    }
    response
}

/// A JSON object, of stored data: it is data, whatever it looks like.
pub(crate) fn json(status: StatusCode, object: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(object.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn try_later(why: String) -> Box<Response<Bytes>> {
    let mut refusal = text(StatusCode::SERVICE_UNAVAILABLE, why);
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    Box::new(refusal)
}

/// As a sentence.
fn sentence(error: &impl ToString) -> String {
    let error = error.to_string();
    let mut letters = error.chars();
    format!("{}{}.", letters.next().unwrap_or_default().to_uppercase(), letters.as_str())
}

pub(crate) fn not_published(error: PublishError) -> Box<Response<Bytes>> {
    let status = match error {
        PublishError::UnknownNamespace => StatusCode::NOT_FOUND,
        PublishError::TooManyChannels => return try_later(sentence(&error)),
        PublishError::TooBig { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        // draft-ietf-httpapi-idempotency-key-header §2.7: 422 when a key is reused for another payload.
        PublishError::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::BAD_REQUEST,
    };
    Box::new(text(status, sentence(&error)))
}

pub(crate) fn not_subscribed(error: SubscribeError) -> Box<Response<Bytes>> {
    match error {
        SubscribeError::UnknownNamespace => Box::new(text(StatusCode::NOT_FOUND, sentence(&error))),
        _ => try_later(sentence(&error)),
    }
}

pub(super) fn not_read(error: ReadError) -> Box<Response<Bytes>> {
    match error {
        ReadError::UnknownNamespace => Box::new(text(StatusCode::NOT_FOUND, sentence(&error))),
        _ => try_later(sentence(&error)),
    }
}
