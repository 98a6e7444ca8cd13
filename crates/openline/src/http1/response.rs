//! Response heads, read (RFC 9112 §4).

use std::mem;

use http::{HeaderMap, Response, StatusCode, Version};

use super::{HeadError, HeadLimits, fields, lines::Lines, request::read_version};

/// Reads one response head from the front of `bytes`: the response and the head's length, or `None` when more bytes
/// are needed.
///
/// For a buffer that fills slowly, [`ResponseReader`] goes on where it stopped instead of from the start.
///
/// Any response, interim ones too (RFC 9110 §15.2: a client may be sent 100 or 103 before the one it waits for). What
/// follows a 101 is the other protocol's. The reason phrase is dropped (§4: "A client SHOULD ignore" it).
///
/// # Errors
/// The first rule broken, as soon as the bytes that break it are there; the connection is then of no more use.
pub fn parse_response(bytes: &[u8], limits: &HeadLimits) -> Result<Option<(Response<()>, usize)>, HeadError> {
    ResponseReader::new(limits).read(bytes)
}

/// Reads one response head from a buffer that fills bit by bit, looking at each byte once.
///
/// ```
/// use openline::http1::{HeadLimits, ResponseReader};
///
/// let mut reader = ResponseReader::new(&HeadLimits::default());
/// let mut buffer = b"HTTP/1.1 101 Switching Proto".to_vec();
/// assert!(reader.read(&buffer)?.is_none());
/// buffer.extend(b"cols\r\nUpgrade: websocket\r\n\r\n\x81\x02hi");
/// let (response, length) = reader.read(&buffer)?.expect("complete");
/// assert_eq!((response.status().as_u16(), &buffer[length..]), (101, &b"\x81\x02hi"[..]));
/// # Ok::<(), openline::http1::HeadError>(())
/// ```
#[derive(Debug)]
pub struct ResponseReader {
    limits: HeadLimits,
    lines: Lines,
    line: Option<(Version, StatusCode)>,
    headers: HeaderMap,
}

impl ResponseReader {
    /// A reader at the first byte of a head. [`HeadLimits::timeout`] is the caller's to keep.
    pub fn new(limits: &HeadLimits) -> Self {
        Self { limits: limits.clone(), lines: Lines::new(), line: None, headers: HeaderMap::new() }
    }

    /// Goes on with `bytes`: everything since the head's first byte, what was seen before included.
    ///
    /// After a head the reader begins anew: the next call takes the bytes from behind it.
    ///
    /// # Errors
    /// As [`parse_response`].
    pub fn read(&mut self, bytes: &[u8]) -> Result<Option<(Response<()>, usize)>, HeadError> {
        let (version, status) = loop {
            let Some(line) = self.lines.next(bytes, usize::MAX, self.limits.max_bytes)? else { return Ok(None) };
            match self.line {
                None => self.line = Some(read_status_line(line)?),
                Some(first) if line.is_empty() => break first,
                Some(_) => fields::push(&mut self.headers, line, self.limits.max_headers)?,
            }
        };
        let done = mem::replace(self, Self::new(&self.limits));
        fields::check_length(&done.headers)?;
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.version_mut() = version;
        *response.headers_mut() = done.headers;
        Ok(Some((response, done.lines.consumed())))
    }
}

/// §4: `status-line = HTTP-version SP status-code SP [ reason-phrase ]`. The second space is missing where there is no
/// phrase often enough to be let off.
fn read_status_line(line: &[u8]) -> Result<(Version, StatusCode), HeadError> {
    let mut parts = line.splitn(3, |&byte| byte == b' ');
    let (Some(version), Some(status)) = (parts.next(), parts.next()) else { return Err(HeadError::StatusLine) };
    let version = read_version(version).ok_or(HeadError::StatusLine)?.ok_or(HeadError::HttpVersion)?;
    let status = StatusCode::from_bytes(status).map_err(|_| HeadError::StatusLine)?;
    Ok((version, status))
}
