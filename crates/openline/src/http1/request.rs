//! Request heads, read (RFC 9112 §3).

use std::mem;

use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version, header};
use openline_proto::handshake::Host;

use super::{HeadError, HeadLimits, fields, limits::MAX_REQUEST_LINE, lines::Lines};

/// Reads one request head from the front of `bytes`: the request and the head's length, or `None` when more bytes are
/// needed.
///
/// For a buffer that fills slowly, [`RequestReader`] goes on where it stopped instead of from the start.
///
/// The version is HTTP/1.0 or HTTP/1.1 (a later 1.x is read as 1.1, RFC 9110 §2.5). There is one valid `Host`, except
/// that HTTP/1.0 may lack it. A target in absolute form is kept, and replaces `Host`: RFC 9112 §3.2.2, an origin server
/// "MUST ignore the received Host header field (if any) and instead use the host information of the request-target".
/// One empty line before the request is skipped (§2.2).
///
/// # Errors
/// The first rule broken, as soon as the bytes that break it are there; [`HeadError::response`] is what to answer,
/// and the connection is then of no more use.
pub fn parse_request(bytes: &[u8], limits: &HeadLimits) -> Result<Option<(Request<()>, usize)>, HeadError> {
    RequestReader::new(limits).read(bytes)
}

/// Reads one request head from a buffer that fills bit by bit, looking at each byte once.
///
/// ```
/// use openline::http1::{HeadLimits, RequestReader};
///
/// let mut reader = RequestReader::new(&HeadLimits::default());
/// let mut buffer = b"GET / HTTP/1.1\r\nHo".to_vec();
/// assert!(reader.read(&buffer)?.is_none());
/// buffer.extend(b"st: example.com\r\n\r\n");
/// let (request, length) = reader.read(&buffer)?.expect("complete");
/// assert_eq!((&request.headers()["host"], length), (&"example.com".parse()?, buffer.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RequestReader {
    limits: HeadLimits,
    lines: Lines,
    line: Option<RequestLine>,
    headers: HeaderMap,
}

impl RequestReader {
    /// A reader at the first byte of a head. [`HeadLimits::timeout`] is the caller's to keep.
    pub fn new(limits: &HeadLimits) -> Self {
        Self { limits: limits.clone(), lines: Lines::new(), line: None, headers: HeaderMap::new() }
    }

    /// Goes on with `bytes`: everything since the head's first byte, what was seen before included.
    ///
    /// After a head the reader begins anew: the next call takes the bytes from behind it.
    ///
    /// # Errors
    /// As [`parse_request`].
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<(Request<()>, usize)>, HeadError> {
        if bytes.first() == Some(&TLS_HANDSHAKE) {
            return Err(HeadError::Tls);
        }
        loop {
            if self.line.is_none() {
                let Some(line) =
                    self.lines.next(bytes, MAX_REQUEST_LINE, self.limits.max_bytes).map_err(of_the_line)?
                else {
                    return Ok(None);
                };
                // §2.2: "SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
                if !line.is_empty() || self.lines.consumed() > 2 {
                    self.line = Some(RequestLine::parse(line)?);
                }
                continue;
            }
            let Some(line) = self.lines.next(bytes, usize::MAX, self.limits.max_bytes)? else { return Ok(None) };
            if line.is_empty() {
                break;
            }
            fields::push(&mut self.headers, line, self.limits.max_headers)?;
        }
        let done = mem::replace(self, Self::new(&self.limits));
        let line = done.line.expect("the loop ends behind a request line");
        Ok(Some((finish(line, done.headers)?, done.lines.consumed())))
    }
}

/// §3: `request-line = method SP request-target SP HTTP-version`
#[derive(Debug)]
struct RequestLine {
    method: Method,
    target: Uri,
    version: Version,
}

impl RequestLine {
    fn parse(line: &[u8]) -> Result<Self, HeadError> {
        // RFC 9113 §3.4: the preface was chosen so that HTTP/1.1 servers "do not attempt to process further frames".
        if line == b"PRI * HTTP/2.0" {
            return Err(HeadError::Http2Preface);
        }
        let mut parts = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HeadError::RequestLine);
        };
        let method = Method::from_bytes(method).map_err(|_| HeadError::RequestLine)?;
        let version = read_version(version).ok_or(HeadError::RequestLine)?.ok_or(HeadError::HttpVersion)?;
        Ok(Self { target: read_target(&method, target)?, method, version })
    }
}

/// §2.3: `HTTP-version = "HTTP/" DIGIT "." DIGIT`. `None` if it is none; inside, `None` for a major version that is
/// not 1.
pub(super) fn read_version(text: &[u8]) -> Option<Option<Version>> {
    let [major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] = text.strip_prefix(b"HTTP/")? else { return None };
    Some(match (major, minor) {
        (b'1', b'0') => Some(Version::HTTP_10),
        // RFC 9110 §2.5: a higher minor version is processed "as if it was in the highest minor version […] to
        // which the recipient is conformant".
        (b'1', _) => Some(Version::HTTP_11),
        _ => None,
    })
}

/// §3.2: the form of the target that goes with the method. What `http::Uri` would drop or let pass is refused first.
fn read_target(method: &Method, target: &[u8]) -> Result<Uri, HeadError> {
    // §3.2: a target has no fragment; RFC 3986 §2: nor anything outside ASCII.
    if target.contains(&b'#') || !target.iter().all(u8::is_ascii_graphic) {
        return Err(HeadError::Target);
    }
    let uri = Uri::try_from(target).map_err(|_| HeadError::Target)?;
    let host = uri.authority().and_then(|authority| Host::parse(authority.as_str()).ok());
    let fits = match (method, uri.scheme_str()) {
        // §3.2.3: `authority-form = uri-host ":" port`, "only used for CONNECT".
        (&Method::CONNECT, scheme) => scheme.is_none() && host.is_some_and(|host| host.port().is_some()),
        // §3.2.2: `absolute-form`. RFC 9110 §4.2.4: user information is an error, and is no `Host`.
        (_, Some(scheme)) => matches!(scheme, "http" | "https") && host.is_some(),
        // §3.2.4: `asterisk-form = "*"`, "only used for a server-wide OPTIONS"; §3.2.1: `origin-form`.
        (&Method::OPTIONS, None) if target == b"*" => true,
        (_, None) => target.starts_with(b"/"),
    };
    if fits { Ok(uri) } else { Err(HeadError::Target) }
}

/// What can only be judged by all the fields together.
fn finish(line: RequestLine, mut headers: HeaderMap) -> Result<Request<()>, HeadError> {
    check_host(line.version, &headers)?;
    fields::check_length(&headers)?;
    check_coding(line.version, &headers)?;
    if let (Some(_), Some(authority)) = (line.target.scheme(), line.target.authority()) {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| HeadError::Target)?;
        headers.insert(header::HOST, host); // §3.2.2
    }
    let mut request = Request::new(());
    *request.method_mut() = line.method;
    *request.uri_mut() = line.target;
    *request.version_mut() = line.version;
    *request.headers_mut() = headers;
    Ok(request)
}

/// §3.2: 400 "to any HTTP/1.1 request message that lacks a Host header field and to any request message that contains
/// more than one Host header field line or a Host header field with an invalid field value".
fn check_host(version: Version, headers: &HeaderMap) -> Result<(), HeadError> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version == Version::HTTP_10 => Ok(()),
        (None, _) => Err(HeadError::MissingHost),
        (Some(_), Some(_)) => Err(HeadError::DuplicateHost),
        (Some(host), None) => match host.to_str().map(Host::parse) {
            Ok(Ok(_)) => Ok(()),
            _ => Err(HeadError::InvalidHost),
        },
    }
}

/// §6.1, §6.3: a request whose last transfer coding is not `chunked` has no end that anybody could find.
fn check_coding(version: Version, headers: &HeaderMap) -> Result<(), HeadError> {
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return Ok(());
    }
    // §6.1: such a message has to be treated "as if the framing is faulty".
    if version == Version::HTTP_10 {
        return Err(HeadError::TransferEncodingInHttp10);
    }
    let codings: Vec<&[u8]> = headers
        .get_all(header::TRANSFER_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .collect();
    match codings.as_slice() {
        [only] if only.eq_ignore_ascii_case(b"chunked") => Ok(()),
        // §6.1: "a transfer coding it does not understand SHOULD respond with 501"; we understand none besides.
        [.., last] if last.eq_ignore_ascii_case(b"chunked") => Err(HeadError::UnknownTransferEncoding),
        _ => Err(HeadError::TransferEncoding),
    }
}

/// §3: for want of room, a head that ends within its first line is a target too long.
fn of_the_line(error: HeadError) -> HeadError {
    match error {
        HeadError::TooManyBytes(_) => HeadError::RequestLineTooLong,
        error => error,
    }
}

/// RFC 8446 §5.1: the first byte of a TLS connection, `handshake(22)`.
const TLS_HANDSHAKE: u8 = 22;
