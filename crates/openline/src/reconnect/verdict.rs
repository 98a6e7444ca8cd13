//! What an end means for whoever would come back: the table of close codes, statuses and errors.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode, header};
use openline_proto::Closed;

use crate::client::{ConnectError, ProxyError};
use crate::error::Error;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Why there is no line (any more).
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// It was closed, with a closing handshake.
    Closed(Closed),
    /// It broke.
    Broke(Error),
    /// It was not opened.
    NotOpened(ConnectError),
    /// [`before`](super::Reconnecting::before) had no client to connect with, and why.
    NoClient(Box<dyn std::error::Error + Send + Sync>),
}

/// What to do after an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it would end the same way again.
    Stop,
    /// Connect again, after the usual wait.
    Retry,
    /// Connect again, after so long at least; `None`: the server did not say.
    RetryLater(Option<Duration>),
    /// Connect again, with other credentials; when the next line is refused for its credentials too, stop.
    Refresh,
}

impl Verdict {
    /// The table.
    ///
    /// | end | verdict | because |
    /// |---|---|---|
    /// | 1000, and no code | stop | the server is done (§7.4.1) |
    /// | 1001, 1006, 1012, 1014, a broken line | retry | the server, or the network, comes back |
    /// | 1011 | retry | what failed may not fail again |
    /// | 1013, 503, 429 | retry later | "try again later" (§11.7); `Retry-After` |
    /// | 1002, 1003, 1007, 1009, 1010, a protocol error | stop | one of the two is wrong, and would be again |
    /// | 1008, 3000, 401, 403 | refresh | not with these credentials |
    /// | 3003 | stop | forbidden, whoever it is |
    /// | 3008, other codes | retry | the application may know better: [`Reconnecting::judge`](super::Reconnecting::judge) |
    /// | no name, no answer, a deadline, 408, 425, 5xx | retry | the network comes back |
    /// | a certificate that is not accepted | retry later | it is renewed, or the clock is set |
    /// | other statuses, a wrong handshake, a wrong URL or setting | stop | it would be the same again |
    pub fn of(end: &End) -> Self {
        match end {
            End::Closed(closed) => Self::of_code(closed.code()),
            End::Broke(Error::Protocol(_)) => Self::Stop,
            End::Broke(_) => Self::Retry,
            End::NotOpened(error) => Self::of_error(error),
            End::NoClient(_) => Self::Retry,
        }
    }

    fn of_code(code: u16) -> Self {
        match code {
            1000 | 1005 => Self::Stop,
            1002 | 1003 | 1007 | 1009 | 1010 | 3003 => Self::Stop,
            1008 | 3000 => Self::Refresh,
            1013 => Self::RetryLater(None),
            _ => Self::Retry,
        }
    }

    fn of_error(error: &ConnectError) -> Self {
        match error {
            ConnectError::Refused(refused) => Self::of_status(refused.status, &refused.headers),
            ConnectError::Proxy { error: ProxyError::Refused(refused), .. } => {
                match Self::of_status(refused.status, &refused.headers) {
                    // 407, or 403: the proxy's credentials are not the server's, and nobody refreshes them.
                    Self::Refresh => Self::Stop,
                    verdict => verdict,
                }
            }
            ConnectError::Proxy { error: ProxyError::Unreachable(error), .. } => Self::of_error(error),
            ConnectError::Proxy {
                error: ProxyError::CredentialsMissing | ProxyError::CredentialsRefused | ProxyError::TooLong,
                ..
            } => Self::Stop,
            ConnectError::Dns { .. }
            | ConnectError::Connect { .. }
            | ConnectError::UnixSocket { .. }
            | ConnectError::Timeout { .. }
            | ConnectError::Closed
            | ConnectError::Io(_)
            | ConnectError::Proxy { .. } => Self::Retry,
            #[cfg(feature = "tls")]
            ConnectError::Tls(error) => match error {
                TlsError::Closed | TlsError::Io(_) | TlsError::TimedOut(_) => Self::Retry,
                TlsError::NoProvider | TlsError::Unusable(_) => Self::Stop,
                _ => Self::RetryLater(None),
            },
            _ => Self::Stop,
        }
    }

    fn of_status(status: StatusCode, headers: &HeaderMap) -> Self {
        match (status.as_u16(), retry_after(headers)) {
            (401 | 403, _) => Self::Refresh,
            (429 | 503, after) => Self::RetryLater(after),
            (408 | 425 | 500..=599, Some(after)) => Self::RetryLater(Some(after)),
            (408 | 425 | 500..=599, None) => Self::Retry,
            _ => Self::Stop,
        }
    }
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use bytes::Bytes;
    use openline_proto::{Close, CloseCode, Initiator};

    use super::*;
    use crate::client::Refused;

    fn closed(code: Option<u16>) -> End {
        let received = code.map_or_else(Close::default, |code| Close::new(CloseCode::try_from(code).unwrap(), ""));
        End::Closed(Closed { received: Some(received), sent: None, by: Initiator::Peer })
    }

    fn refused(status: u16, retry_after: Option<&str>) -> End {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        End::NotOpened(ConnectError::Refused(Box::new(Refused { status, headers, body: Bytes::new() })))
    }

    #[test]
    fn the_table() {
        use Verdict::{Refresh, Retry, RetryLater, Stop};
        for (code, verdict) in [
            (1000, Stop),
            (1001, Retry),
            (1002, Stop),
            (1003, Stop),
            (1007, Stop),
            (1008, Refresh),
            (1009, Stop),
            (1010, Stop),
            (1011, Retry),
            (1012, Retry),
            (1013, RetryLater(None)),
            (1014, Retry),
            (3000, Refresh),
            (3003, Stop),
            (3008, Retry),
            (4000, Retry),
        ] {
            assert_eq!(Verdict::of(&closed(Some(code))), verdict, "{code}");
        }
        assert_eq!(Verdict::of(&closed(None)), Stop);
        for (status, after, verdict) in [
            (401, None, Refresh),
            (403, None, Refresh),
            (404, None, Stop),
            (302, None, Stop),
            (200, None, Stop),
            (408, None, Retry),
            (425, None, Retry),
            (429, Some("7"), RetryLater(Some(Duration::from_secs(7)))),
            (500, None, Retry),
            (502, Some("7"), RetryLater(Some(Duration::from_secs(7)))),
            (503, None, RetryLater(None)),
            (503, Some("soon"), RetryLater(None)),
            (503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), RetryLater(Some(Duration::ZERO))),
        ] {
            assert_eq!(Verdict::of(&refused(status, after)), verdict, "{status} {after:?}");
        }
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(Verdict::of(&End::Broke(Error::Aborted)), Retry);
        assert_eq!(Verdict::of(&End::Broke(Error::Io(reset()))), Retry);
        assert_eq!(Verdict::of(&End::NotOpened(ConnectError::Io(reset()))), Retry);
        assert_eq!(Verdict::of(&End::NotOpened(ConnectError::TlsMissing)), Stop);
    }
}
