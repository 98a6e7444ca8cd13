//! HTTP/1.1 heads, in and out (RFC 9112), strictly.
//!
//! A WebSocket begins as one HTTP request and one response, without bodies: this module knows their heads and nothing
//! else. It refuses what the RFC merely tolerates (a bare line feed, folded lines, white space before a colon, a
//! length given twice), because two parties that read one head differently are how requests are smuggled past a proxy
//! (RFC 9112 §11.2).
//!
//! There is no second opinion here on what `http`'s types check: a `HeaderName` is a token, a `HeaderValue` has no
//! control characters, so what is encoded from them cannot contain a line of its own.
//!
//! ```
//! use http::{Response, StatusCode};
//! use openline::http1::{HeadLimits, encode_response, parse_request};
//!
//! let limits = HeadLimits::default();
//! let bytes = b"GET /chat HTTP/1.1\r\nHost: example.com\r\n\r\n\x81\x80";
//! let (request, length) = parse_request(bytes, &limits)?.expect("the head is complete");
//! assert_eq!(request.uri(), "/chat");
//! assert_eq!(&bytes[length..], b"\x81\x80"); // what follows the head is not HTTP's
//! assert!(parse_request(&bytes[..length - 1], &limits)?.is_none()); // more bytes needed
//!
//! let mut response = Response::new(());
//! *response.status_mut() = StatusCode::NOT_FOUND;
//! assert_eq!(encode_response(&response), b"HTTP/1.1 404 Not Found\r\n\r\n");
//! # Ok::<(), openline::http1::HeadError>(())
//! ```

mod encode;
mod error;
mod fields;
mod limits;
mod lines;
mod request;
mod response;

pub use encode::{encode_request, encode_response};
pub use error::HeadError;
pub use limits::HeadLimits;
pub use request::{RequestReader, parse_request};
pub use response::{ResponseReader, parse_response};
