//! What is wrong with a head, and the HTTP response that says so.

use std::{error, fmt};

use http::{HeaderValue, Response, StatusCode, header};

/// A head that is not read further: one variant per rule.
///
/// `Display` is a sentence for whoever wrote the other side, and the body of [`HeadError::response`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// RFC 6585 §5: more than [`HeadLimits::max_bytes`](super::HeadLimits::max_bytes), which this is.
    TooManyBytes(usize),
    /// RFC 6585 §5: more than [`HeadLimits::max_headers`](super::HeadLimits::max_headers), which this is.
    TooManyHeaders(usize),
    /// RFC 9112 §3: more than 8192 bytes in the request line, or more than the whole head may have.
    RequestLineTooLong,
    /// §3: not `method SP request-target SP HTTP-version`.
    RequestLine,
    /// §3.2: a target that is malformed, has a fragment, or does not go with the method.
    Target,
    /// §4: not `HTTP-version SP status-code SP [ reason-phrase ]`.
    StatusLine,
    /// §2.3: a major version other than 1.
    HttpVersion,
    /// RFC 9113 §3.4: a client that began with HTTP/2.
    Http2Preface,
    /// RFC 8446 §5.1: a client that began with TLS.
    Tls,
    /// §2.2: a line feed without its carriage return.
    BareLineFeed,
    /// §2.2: a carriage return without its line feed.
    BareCarriageReturn,
    /// RFC 9110 §5.5: NUL or another control character.
    Control(u8),
    /// §5.2: a field folded over several lines, or white space before the first one (§2.2).
    FoldedLine,
    /// §5: a field line without a colon.
    NoColon,
    /// §5.1: white space between the field name and the colon.
    SpaceBeforeColon,
    /// RFC 9110 §5.1: a field name that is no token.
    FieldName,
    /// RFC 9110 §5.5: a field value that is none.
    FieldValue,
    /// §3.2: no `Host`.
    MissingHost,
    /// §3.2: more than one `Host`.
    DuplicateHost,
    /// §3.2: a `Host` that is no host.
    InvalidHost,
    /// RFC 9110 §8.6: more than one `Content-Length`.
    DuplicateContentLength,
    /// RFC 9110 §8.6: a `Content-Length` that is no number.
    InvalidContentLength,
    /// §6.1: both `Content-Length` and `Transfer-Encoding`.
    ContentLengthWithTransferEncoding,
    /// §6.1: `Transfer-Encoding` in HTTP/1.0.
    TransferEncodingInHttp10,
    /// §6.3: a `Transfer-Encoding` that does not end in `chunked`.
    TransferEncoding,
    /// §6.1: a `Transfer-Encoding` that is more than `chunked`.
    UnknownTransferEncoding,
}

impl HeadError {
    /// What to answer a request with: 400, 414, 431, 501 or 505. A broken response has no status to answer it with;
    /// whoever relays one says 502.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooManyBytes(_) | Self::TooManyHeaders(_) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RequestLineTooLong => StatusCode::URI_TOO_LONG,
            Self::HttpVersion | Self::Http2Preface => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::UnknownTransferEncoding => StatusCode::NOT_IMPLEMENTED,
            Self::StatusLine => StatusCode::BAD_GATEWAY,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The response to send: the sentence as plain text. It ends the connection: nobody knows where the next request
    /// begins.
    pub fn response(&self) -> Response<String> {
        let body = format!("{self}\n");
        let mut response = Response::new(String::new());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        *response.body_mut() = body;
        response
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            Self::TooManyBytes(limit) => {
                return write!(f, "The head is longer than {limit} bytes: send fewer or shorter header fields.");
            }
            Self::TooManyHeaders(limit) => return write!(f, "There are more than {limit} header fields: send fewer."),
            Self::Control(byte) => {
                return write!(f, "The head contains the control character 0x{byte:02x}: send printable characters.");
            }
            Self::RequestLineTooLong => "The request line is too long: send a shorter target.",
            Self::RequestLine => "The first line is no request line: send it like \"GET /path HTTP/1.1\".",
            Self::Target => {
                "The request target is malformed: send a path that begins with \"/\", in ASCII, without a fragment."
            }
            Self::StatusLine => {
                "The first line is no status line: it must be like \"HTTP/1.1 101 Switching Protocols\"."
            }
            Self::HttpVersion => "This version of HTTP is not spoken here: use HTTP/1.1.",
            Self::Http2Preface => "HTTP/2 is not spoken here without TLS and its ALPN: use HTTP/1.1.",
            Self::Tls => "TLS is not spoken on this port: use http:// or ws:// instead of https:// or wss://.",
            Self::BareLineFeed => "A line ends in a line feed alone: end lines with CR LF.",
            Self::BareCarriageReturn => "A carriage return stands alone: end lines with CR LF.",
            Self::FoldedLine => "A header field begins with white space: send each field on one line of its own.",
            Self::NoColon => "A header field has no colon: send it like \"Name: value\".",
            Self::SpaceBeforeColon => "A header field has white space before its colon: send it like \"Name: value\".",
            Self::FieldName => "The name of a header field is malformed: use letters, digits and !#$%&'*+-.^_`|~ only.",
            Self::FieldValue => "The value of a header field is malformed: send printable characters.",
            Self::MissingHost => "The Host header is missing: send one with the name of this server.",
            Self::DuplicateHost => "There is more than one Host header: send one.",
            Self::InvalidHost => "The Host header is malformed: send a name or an address, and a port if there is one.",
            Self::DuplicateContentLength => "There is more than one Content-Length header: send one.",
            Self::InvalidContentLength => "The Content-Length header is malformed: send the number of bytes in digits.",
            Self::ContentLengthWithTransferEncoding => {
                "There are both Content-Length and Transfer-Encoding: send one of them."
            }
            Self::TransferEncodingInHttp10 => {
                "HTTP/1.0 has no Transfer-Encoding: send Content-Length, or use HTTP/1.1."
            }
            Self::TransferEncoding => {
                "The Transfer-Encoding does not end in chunked: send \"Transfer-Encoding: chunked\"."
            }
            Self::UnknownTransferEncoding => {
                "The Transfer-Encoding is more than chunked: send \"Transfer-Encoding: chunked\"."
            }
        };
        f.write_str(sentence)
    }
}

impl error::Error for HeadError {}
