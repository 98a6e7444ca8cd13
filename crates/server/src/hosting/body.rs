//! What hosted places answer plain HTTP with.

use std::error::Error;

use bytes::Bytes;
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

/// All at once, or as it comes; it may break off, as a file or another server may.
pub(crate) type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Any body as one.
pub(crate) fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// An answer all at once.
pub(crate) fn full(response: Response<Bytes>) -> Response<Body> {
    response.map(|bytes| boxed(Full::new(bytes)))
}
