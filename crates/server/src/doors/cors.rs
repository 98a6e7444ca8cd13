//! Cross-origin answers (Fetch, "CORS protocol"): exact, for whom the server lets in, and for nobody else.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::{Body, METHODS, full};

/// Where a request came from, which was let in already.
pub(crate) struct Cross {
    origin: Option<HeaderValue>,
}

impl Cross {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self { origin: headers.get(ORIGIN).cloned() }
    }

    /// Lets a page of that origin read the answer. Caches must not give it to another one's.
    pub(crate) fn allow(self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.origin {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(super::answer::POSITION));
        }
        response
    }
}

/// What a browser asks before it lets another origin's page send something.
pub(crate) fn preflight() -> Response<Body> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    let allowed = "authorization, content-type, idempotency-key, last-event-id, openline-key";
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
    // Ten minutes: what may be sent here does not change often.
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    full(response)
}
