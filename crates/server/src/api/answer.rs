//! How the API answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;

pub(super) use crate::doors::answer::json;
use crate::session::codes::Refused;

/// What a method gives: a JSON value, as text.
pub(super) type Outcome = Result<String, Refused>;

/// Where an error is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorMode {
    /// In the body of a 200.
    Body,
    /// In the status, too: for who asks with `X-Centrifugo-Error-Mode: transport`.
    Transport,
}

impl ErrorMode {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        match headers.get("x-centrifugo-error-mode").map(HeaderValue::as_bytes) {
            Some(b"transport") => Self::Transport,
            _ => Self::Body,
        }
    }

    pub(super) fn respond(self, outcome: Outcome) -> Response<Bytes> {
        match (self, &outcome) {
            (Self::Transport, Err(refused)) => json(status(refused), error(refused)),
            _ => json(StatusCode::OK, object(&outcome)),
        }
    }
}

fn status(refused: &Refused) -> StatusCode {
    match refused.code {
        102 | 104 => StatusCode::NOT_FOUND,
        106 => StatusCode::PAYLOAD_TOO_LARGE,
        107 | 108 => StatusCode::BAD_REQUEST,
        112 => StatusCode::RANGE_NOT_SATISFIABLE,
        113 => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `{"result":…}` or `{"error":…}`; a batch answers for itself.
pub(super) fn object(outcome: &Outcome) -> String {
    match outcome {
        Ok(result) if result.starts_with("{\"replies\":") => result.clone(),
        Ok(result) => format!("{{\"result\":{result}}}"),
        Err(refused) => format!("{{\"error\":{}}}", error(refused)),
    }
}

pub(super) fn error(refused: &Refused) -> String {
    json!({ "code": refused.code, "message": refused.message }).to_string()
}
