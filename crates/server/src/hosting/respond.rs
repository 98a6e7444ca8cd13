//! `respond`: an answer that is always the same.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

/// An answer that is always the same, to any method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
}

impl Respond {
    /// 200, and this text.
    pub fn text(body: impl Into<String>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: HeaderValue::from_static("text/plain; charset=utf-8"),
            body: Bytes::from(body.into()),
        }
    }

    /// With another status.
    ///
    /// # Errors
    /// What it says is wrong: 200 to 599 are answers.
    pub fn status(self, status: u16) -> Result<Self, String> {
        match StatusCode::from_u16(status) {
            Ok(status) if (200..600).contains(&status.as_u16()) => Ok(Self { status, ..self }),
            _ => Err(format!("{status} is no answer: use 200 to 599")),
        }
    }

    /// With another media type.
    ///
    /// # Errors
    /// What it says is wrong: it cannot stand in a header.
    pub fn content_type(self, content_type: &str) -> Result<Self, String> {
        let content_type = HeaderValue::try_from(content_type)
            .map_err(|_| format!("{content_type:?} is no media type: text/html, application/json"))?;
        Ok(Self { content_type, ..self })
    }

    pub(super) fn respond(&self) -> Response<Bytes> {
        // RFC 9110 §15.3.5, §15.4.5: these have no body.
        let is_empty = matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let mut response = Response::new(if is_empty { Bytes::new() } else { self.body.clone() });
        *response.status_mut() = self.status;
        if !is_empty {
            response.headers_mut().insert(CONTENT_TYPE, self.content_type.clone());
        }
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
