//! Header fields, line by line, and what they say about a body (RFC 9112 §5, §6).

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::HeadError;

/// Adds one field line to the map.
///
/// # Errors
/// The line is no `field-name ":" OWS field-value OWS`, or is one too many.
pub(super) fn push(map: &mut HeaderMap, line: &[u8], max_headers: usize) -> Result<(), HeadError> {
    // §5.2: "A server that receives an obs-fold in a request message […] MUST either reject the message […] or
    // replace".
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Err(HeadError::FoldedLine);
    }
    let colon = line.iter().position(|&byte| byte == b':').ok_or(HeadError::NoColon)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    // §5.1: "No whitespace is allowed between the field name and colon."
    if name.ends_with(b" ") || name.ends_with(b"\t") {
        return Err(HeadError::SpaceBeforeColon);
    }
    let name = HeaderName::from_bytes(name).map_err(|_| HeadError::FieldName)?;
    let value = HeaderValue::from_bytes(value.trim_ascii()).map_err(|_| HeadError::FieldValue)?;
    if map.len() == max_headers {
        return Err(HeadError::TooManyHeaders(max_headers));
    }
    map.try_append(name, value).map_err(|_| HeadError::TooManyHeaders(max_headers))?;
    Ok(())
}

/// §6.3: that everybody who reads these fields finds the same end of the body.
///
/// # Errors
/// Two lengths, a length and a coding, or a length that is no number.
pub(super) fn check_length(map: &HeaderMap) -> Result<(), HeadError> {
    let mut lengths = map.get_all(header::CONTENT_LENGTH).iter();
    let Some(length) = lengths.next() else { return Ok(()) };
    // RFC 9110 §8.6 lets a recipient reject repeated lengths or keep one when they are equal: rejecting takes no
    // thought.
    if lengths.next().is_some() {
        return Err(HeadError::DuplicateContentLength);
    }
    // §6.1: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding".
    if map.contains_key(header::TRANSFER_ENCODING) {
        return Err(HeadError::ContentLengthWithTransferEncoding);
    }
    // RFC 9110 §8.6: `Content-Length = 1*DIGIT`; `u64`'s own parser would take a sign.
    let digits = length.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(_) => Ok(()),
        None => Err(HeadError::InvalidContentLength),
    }
}
