//! `redirect`: another address.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode, Uri};

use super::place::Found;
use crate::edge::answer::text;

/// Another address. The parameters of the path may be in it: `/new/{rest}`. The request's query is added if it has none of its
/// own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    to: String,
    status: StatusCode,
}

impl Redirect {
    /// To there, for now (307: with the same method and body).
    ///
    /// # Errors
    /// What it says is wrong: the address cannot stand in a header.
    pub fn new(to: impl Into<String>) -> Result<Self, String> {
        let to = to.into();
        let starts_well = to.starts_with('/') || to.starts_with("http://") || to.starts_with("https://");
        if !starts_well || to.starts_with("//") || HeaderValue::try_from(&to).is_err() || to.contains(' ') {
            return Err(format!("{to:?} is no address to redirect to: use /path or https://host/path"));
        }
        Ok(Self { to, status: StatusCode::TEMPORARY_REDIRECT })
    }

    /// Where to, as it was written.
    pub(super) fn to(&self) -> &str {
        &self.to
    }

    /// With another status.
    ///
    /// # Errors
    /// What it says is wrong: only 301, 302, 303, 307 and 308 redirect.
    pub fn status(self, status: u16) -> Result<Self, String> {
        match status {
            301 | 302 | 303 | 307 | 308 => {
                Ok(Self { status: StatusCode::from_u16(status).map_err(|error| error.to_string())?, ..self })
            }
            _ => Err(format!("{status} is no redirect: use 301, 302, 303, 307 or 308")),
        }
    }

    pub(super) fn respond(&self, uri: &Uri, found: &Found) -> Response<Bytes> {
        let mut to = self.to.clone();
        for (name, value) in &found.parameters {
            to = to.replace(&format!("{{{name}}}"), value);
        }
        if let (Some(query), false) = (uri.query(), to.contains('?')) {
            to = format!("{to}?{query}");
        }
        // A parameter cannot make it another host: the address begins as it was written.
        match HeaderValue::try_from(&to) {
            Ok(location) => {
                let mut response = text(self.status, format!("It is at {to}"));
                response.headers_mut().insert(LOCATION, location);
                response
            }
            Err(_) => text(StatusCode::BAD_REQUEST, "The path has characters that no address has."),
        }
    }
}
