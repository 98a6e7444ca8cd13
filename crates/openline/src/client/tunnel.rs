//! A tunnel through an HTTP proxy: `CONNECT` (RFC 9110 §9.3.6).

use http::{HeaderValue, Method, Request, Uri, header};
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{NoAnswer, ask, read_body};
use super::credentials;
use super::error::Refused;
use super::proxy::{Proxy, ProxyError, authority};
use crate::http1::{self, HeadLimits};

/// Asks for a tunnel. From a 2xx on, the stream is the server's.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    proxy: &Proxy,
    host: &str,
    port: u16,
    limits: &HeadLimits,
) -> Result<(), ProxyError> {
    let target = authority(host, port);
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    // §3.2.3 of RFC 9112: "the request target consists of only the host name and port number of the tunnel destination".
    *request.uri_mut() = Uri::try_from(&target).map_err(|_| ProxyError::TooLong)?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::try_from(&target).map_err(|_| ProxyError::TooLong)?);
    if let Some((user, password)) = &proxy.credentials {
        headers.insert(header::PROXY_AUTHORIZATION, credentials::basic(user, password));
    }
    let asked = ask(stream, &http1::encode_request(&request), limits).await;
    let (response, rest) = asked.map_err(|error| match error {
        NoAnswer::Closed => ProxyError::Closed,
        NoAnswer::SpeaksTls => ProxyError::Head(http1::HeadError::StatusLine),
        NoAnswer::Head(error) => ProxyError::Head(error),
        NoAnswer::Io(error) => error.into(),
    })?;
    if !response.status().is_success() {
        let body = read_body(stream, rest, response.headers()).await;
        let (head, ()) = response.into_parts();
        return Err(ProxyError::Refused(Box::new(Refused { status: head.status, headers: head.headers, body })));
    }
    // No server of ours speaks first, so this is the proxy's own; and were it taken for the server's, TLS would be none.
    if rest.is_empty() { Ok(()) } else { Err(ProxyError::TooEarly) }
}
