//! `/api`: what backends do, with a key. Centrifugo's server API over HTTP, as its libraries call it.
//!
//! `POST /api/<method>` with a JSON object answers 200 with `{"result":…}` or `{"error":{"code":…,"message":…}}`. A request
//! without the key is 401, and so is every request as long as there is no key.

mod answer;
mod glob;
mod key;
mod methods;

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use serde_json::value::RawValue;

use self::answer::{ErrorMode, json};
pub(crate) use self::key::random;
use crate::edge::answer::text;
use crate::session::codes::Refused;
use crate::session::stream::{bad, not_allowed, read};
use crate::site::Site;

/// The longest request: a publication for a thousand channels, or a thousand of them for one.
const MAX_BYTES: usize = 1 << 20;

/// Answers a request. `method` is what stands behind `/api/`; empty: the body names it.
pub(crate) async fn respond(request: Request<Incoming>, method: &str, site: &Arc<Site>) -> Response<Bytes> {
    let has_body = !request.body().is_end_stream();
    answered(request, method, site).await.unwrap_or_else(|mut refusal| {
        if has_body {
            // RFC 9112 §9.3: a body that is not read to its end leaves no place for another request.
            refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        *refusal
    })
}

async fn answered(
    request: Request<Incoming>,
    method: &str,
    site: &Arc<Site>,
) -> Result<Response<Bytes>, Box<Response<Bytes>>> {
    if request.method() != Method::POST {
        return Err(not_allowed("POST"));
    }
    if !key::lets_in(&site.config.api_keys, request.headers()) {
        return Err(key::missing());
    }
    if !method.is_empty() && !methods::exists(method) {
        return Err(Box::new(text(StatusCode::NOT_FOUND, format!("The API has no method {method:?}."))));
    }
    let mode = ErrorMode::of(request.headers());
    let body = read(request.into_body(), MAX_BYTES).await?;
    if method.is_empty() {
        return Ok(json(StatusCode::OK, commands(&body, site).ok_or_else(|| bad(COMMANDS))?));
    }
    let parameters: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let Ok(parameters) = serde_json::from_slice::<&RawValue>(parameters) else {
        return Err(bad("The body is not JSON."));
    };
    let context = site.realm.context(&site.channels);
    Ok(mode.respond(methods::perform(method, parameters.get(), context)))
}

const COMMANDS: &str = "Send a JSON object for each command, {\"method\":\"publish\",\"params\":{…}}, a line each.";

/// The older form: the method beside its parameters, and several of them one after the other.
fn commands(body: &[u8], site: &Arc<Site>) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Old<'a> {
        method: String,
        #[serde(borrow)]
        params: Option<&'a RawValue>,
    }
    let context = site.realm.context(&site.channels);
    let mut replies = String::new();
    for command in serde_json::Deserializer::from_slice(body).into_iter::<Old<'_>>() {
        let Old { method, params } = command.ok()?;
        let result = match methods::exists(&method) {
            true => methods::perform(&method, params.map_or("{}", RawValue::get), context),
            false => Err(Refused::METHOD_NOT_FOUND),
        };
        replies.push_str(&answer::object(&result));
        replies.push('\n');
    }
    (!replies.is_empty()).then_some(replies)
}
