//! What the server says without opening a line: every refusal says in its body what is wrong.

use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use openline::http1;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::knock::Refusal;
use crate::rates::TooMuch;

/// After this, whoever met a full or a closing server may come back: long enough for a restart, and for a human.
const RETRY_AFTER_SECONDS: &str = "5";

/// Our last words must be taken within this time, and whatever the peer still sends is read for as long.
const LINGER: Duration = Duration::from_secs(1);

/// And no more of it than this.
const LINGER_BYTES: u64 = 256 << 10;

/// A text, with what every answer of ours carries.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response<Bytes> {
    let mut text = text.into();
    text.push('\n');
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with(mut response: Response<Bytes>, name: HeaderName, value: &'static str) -> Response<Bytes> {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

pub(crate) fn refused(refusal: &Refusal) -> Response<Bytes> {
    let mut answer = text(refusal.status(), refusal.to_string());
    answer.extensions_mut().insert(Reason(refusal.name()));
    answer
}

/// Why a request was refused, in a word or two, among the extensions of the answer: to count by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason(pub(crate) &'static str);

/// RFC 6585 §4: 429, and when it would not be too much.
pub(crate) fn too_much(too_much: &TooMuch) -> Response<Bytes> {
    let mut answer = text(StatusCode::TOO_MANY_REQUESTS, format!("This is {too_much}."));
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(too_much.wait_seconds()));
    answer
}

/// `overview`: what there is instead.
pub(crate) fn not_found(path: &str, overview: &str) -> Response<Bytes> {
    text(StatusCode::NOT_FOUND, format!("There is nothing at {path:?}. {overview}").trim_end())
}

/// 503, and when to come back.
pub(crate) fn try_later(why: impl Into<String>) -> Response<Bytes> {
    with(text(StatusCode::SERVICE_UNAVAILABLE, why), RETRY_AFTER, RETRY_AFTER_SECONDS)
}

/// RFC 9110 §15.5.6: a 405 names what is allowed.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response<Bytes> {
    let answer =
        text(StatusCode::METHOD_NOT_ALLOWED, format!("This is not the method for what is here: send {allowed}."));
    with(answer, ALLOW, allowed)
}

/// RFC 9110 §15.5.22: a 426 names the protocol to upgrade to; and §7.8: Upgrade comes with "Connection: upgrade".
pub(crate) fn upgrade_required(path: &str) -> Response<Bytes> {
    let answer = text(
        StatusCode::UPGRADE_REQUIRED,
        format!(
            "{path} speaks WebSocket. A page opens it with new WebSocket(\"{path}\"), a shell with: openline connect :PORT{path}"
        ),
    );
    with(with(with(answer, UPGRADE, "websocket"), CONNECTION, "upgrade"), SEC_WEBSOCKET_VERSION, "13")
}

pub(super) fn full() -> Response<Bytes> {
    try_later("The server holds as many connections as it may. Try again later.")
}

pub(crate) fn closing() -> Response<Bytes> {
    try_later("The server is closing. Try again later.")
}

pub(crate) fn too_slow() -> Response<Bytes> {
    text(StatusCode::REQUEST_TIMEOUT, "The request did not arrive in time.")
}

pub(super) fn half_a_head() -> Response<Bytes> {
    text(StatusCode::BAD_REQUEST, "The connection ended in the middle of the request.")
}

/// Sends the last answer of a connection, and closes it so that the answer arrives: were it closed with unread bytes,
/// the peer's system would throw the answer away (RFC 9112 §9.6).
pub(super) async fn send_and_close<S>(stream: S, mut response: Response<Bytes>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = response.body().len();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    // RFC 9112 §9.6. The "upgrade" of a 426 stays beside it.
    let says_close = |value: &HeaderValue| value.to_str().is_ok_and(|value| value.contains("close"));
    if !headers.get_all(CONNECTION).iter().any(says_close) {
        headers.append(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Ok(date) = HeaderValue::try_from(date) {
        headers.insert(DATE, date);
    }
    let (head, body) = response.into_parts();
    let mut bytes = http1::encode_response(&Response::from_parts(head, ()));
    bytes.extend_from_slice(&body);
    let mut stream = stream;
    timeout(LINGER, stream.write_all(&bytes)).await??;
    close(stream).await
}

/// Closes a connection after everything that was written to it has arrived.
pub(super) async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    let wind_up = async {
        stream.shutdown().await?;
        let mut rest = stream.take(LINGER_BYTES);
        let mut scrap = vec![0; 4096]; // not on the stack: that of a task is there as long as the task
        while rest.read(&mut scrap).await? > 0 {}
        Ok(())
    };
    timeout(LINGER, wind_up).await?
}
