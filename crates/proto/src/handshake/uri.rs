//! WebSocket URIs (RFC 6455 §3).

use std::{error, fmt, fmt::Write};

use http::Uri;

use super::{Host, origin::default_port};

/// Reads a `ws:` or `wss:` URI (or `http:`, `https:`, which mean the same) from text.
///
/// Unlike `str::parse::<http::Uri>()`, which drops a fragment without a word, this refuses one. Only ASCII host
/// names: the IDNA form of others (`xn--…`) is for the caller to make, at the edge where people type names.
///
/// ```
/// use openline_proto::handshake::{UriError, parse_uri};
///
/// assert_eq!(parse_uri("wss://example.com/chat?room=1")?.path(), "/chat");
/// assert_eq!(parse_uri("wss://example.com/chat#room"), Err(UriError::Fragment));
/// # Ok::<(), UriError>(())
/// ```
///
/// # Errors
/// See [`UriError`].
pub fn parse_uri(text: &str) -> Result<Uri, UriError> {
    if text.contains('#') {
        return Err(UriError::Fragment);
    }
    let (scheme, rest) = text.split_once("://").ok_or(UriError::Scheme)?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    read_authority(scheme, authority)?;
    let uri = text.parse().map_err(|_| UriError::Syntax)?;
    resource_name(&uri)?;
    Ok(uri)
}

/// What a client needs of a URI (§3): "host", "port" where it is not the default one, "resource name".
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) resource: Uri,
}

impl Target {
    pub(super) fn of(uri: &Uri) -> Result<Self, UriError> {
        let scheme = uri.scheme_str().ok_or(UriError::Scheme)?;
        let authority = uri.authority().ok_or(UriError::MissingHost)?;
        Ok(Self { host: read_authority(scheme, authority.as_str())?, resource: resource_name(uri)? })
    }
}

/// §3: "host [ ":" port ]", and no more. The port is left out where it is the scheme's own.
fn read_authority(scheme: &str, authority: &str) -> Result<Host, UriError> {
    let default_port = default_port(&scheme.to_ascii_lowercase()).ok_or(UriError::Scheme)?;
    if !authority.is_ascii() {
        return Err(UriError::NonAsciiHost);
    }
    if authority.contains('@') {
        return Err(UriError::UserInfo);
    }
    if authority.is_empty() || authority.strip_prefix(':').is_some_and(|port| !port.contains(':')) {
        return Err(UriError::MissingHost);
    }
    let host = Host::parse(authority).map_err(|_| UriError::InvalidHost)?;
    // §4.1 item 4: the port only "when not using the default port".
    Ok(if host.port() == Some(default_port) { host.without_port() } else { host })
}

/// §3: "the path component […]"/" if the path component is empty", then "?" and the query, if there is one.
fn resource_name(uri: &Uri) -> Result<Uri, UriError> {
    let mut name = String::new();
    escape(uri.path(), &mut name)?;
    if let Some(query) = uri.query() {
        name.push('?');
        escape(query, &mut name)?;
    }
    name.parse().map_err(|_| UriError::TooLong)
}

/// §11.1.1: characters outside of the URI syntax are percent-encoded as UTF-8. What is encoded already is left alone.
fn escape(text: &str, out: &mut String) -> Result<(), UriError> {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            // RFC 3986 §2.1: `pct-encoded = "%" HEXDIG HEXDIG`
            b'%' if !bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => {
                return Err(UriError::Escape);
            }
            byte if byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte) => out.push(byte.into()),
            byte => write!(out, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    Ok(())
}

/// Why a URI cannot be connected to: §4.1, "the components of the WebSocket URI passed into this algorithm […] MUST
/// be valid".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UriError {
    /// No URI at all.
    Syntax,
    /// §3: neither `ws` nor `wss` (nor `http` nor `https`).
    Scheme,
    /// §3: no host.
    MissingHost,
    /// RFC 3986 §3.2.2: a host or a port that is none.
    InvalidHost,
    /// §11.1.1: a host name outside ASCII.
    NonAsciiHost,
    /// §3: `ws-URI` has no user information.
    UserInfo,
    /// §3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used".
    Fragment,
    /// RFC 3986 §2.1: a `%` without two hexadecimal digits behind it.
    Escape,
    /// Longer than `http::Uri` holds, 65,534 bytes, once encoded.
    TooLong,
}

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "not a URI: write it like ws://example.com/path or wss://example.com/path",
            Self::Scheme => "a WebSocket URI begins with ws:// or wss://",
            Self::MissingHost => "the URI has no host: write it like ws://example.com/path",
            Self::InvalidHost => {
                "the URI's host or port is malformed: write a name or an address (IPv6 in brackets), a port up to 65535"
            }
            Self::NonAsciiHost => "the URI's host has letters outside ASCII: write it in its IDNA form (xn--...)",
            Self::UserInfo => "a WebSocket URI has no user name and password: send them in an Authorization header",
            Self::Fragment => {
                "a WebSocket URI has no fragment: leave out the # and what follows, or write a literal # as %23"
            }
            Self::Escape => "the URI has a % without two hexadecimal digits behind it: write a literal % as %25",
            Self::TooLong => "the URI is too long",
        })
    }
}

impl error::Error for UriError {}
