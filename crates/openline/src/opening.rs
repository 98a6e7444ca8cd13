//! A client's opening handshake, checked and not answered: the moment to decide (§4.2.2).

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use openline_proto::handshake::{Acceptance, Negotiated, Offer, Origin, Rejection, ServerHandshake, Subprotocol};
use openline_proto::{Config, Role};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::{OpeningError, answer};
use crate::http1;
use crate::websocket::WebSocket;

/// A proper request for a WebSocket, waiting for its answer. Take the time you need: look up a session, ask a backend.
///
/// ```no_run
/// # async fn example(opening: openline::Opening) -> Result<(), Box<dyn std::error::Error>> {
/// use openline::handshake::ServerHandshake;
/// use openline::StatusCode;
///
/// if opening.request().uri().path() != "/chat" {
///     opening.reject(StatusCode::NOT_FOUND).await?;
///     return Ok(());
/// }
/// let mut socket = opening.accept(&ServerHandshake::default()).await?;
/// socket.send("welcome").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Opening<S = TcpStream>(
    /// Boxed, as a [`WebSocket`] is: the futures of tasks that pass it on stay small, long after it is gone.
    Box<Asked<S>>,
);

#[derive(Debug)]
struct Asked<S> {
    request: Request<()>,
    offer: Offer,
    stream: S,
    leftover: Bytes,
    config: Arc<Config>,
}

impl<S> Opening<S> {
    pub(crate) fn new(request: Request<()>, offer: Offer, stream: S, leftover: Bytes) -> Self {
        Self(Box::new(Asked { request, offer, stream, leftover, config: Arc::default() }))
    }

    /// The request: path, query, cookies, credentials.
    pub fn request(&self) -> &Request<()> {
        &self.0.request
    }

    /// What the client offers.
    pub fn offer(&self) -> &Offer {
        &self.0.offer
    }

    /// The subprotocols on offer, in the client's order of preference.
    pub fn subprotocols(&self) -> &[Subprotocol] {
        self.0.offer.subprotocols()
    }

    /// The page that connects, when a browser does.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.offer.origin()
    }

    /// The stream below, to ask it for addresses and the like.
    pub fn get_ref(&self) -> &S {
        &self.0.stream
    }

    /// The limits and deadlines of the WebSocket to be.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.0.config = config.into();
        self
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Opening<S> {
    /// Opens the WebSocket if `handshake` allows it; refuses it with 403 when the origin is foreign.
    ///
    /// # Errors
    /// [`OpeningError::Rejected`] after the refusal is sent, [`OpeningError::Io`].
    pub fn accept(
        self,
        handshake: &ServerHandshake,
    ) -> impl Future<Output = Result<WebSocket<S>, OpeningError>> + use<S> {
        let decision = handshake.answer(&self.0.offer).map_err(Box::new);
        self.settle(decision.map(Box::new))
    }

    /// Opens the WebSocket, whatever its origin: for decisions that were made by hand.
    ///
    /// # Errors
    /// [`OpeningError::Rejected`] when the subprotocol was not offered or a header is the handshake's own: the client
    /// is then told 500. [`OpeningError::Io`].
    pub fn accept_with(
        self,
        acceptance: &Acceptance,
    ) -> impl Future<Output = Result<WebSocket<S>, OpeningError>> + use<S> {
        let decision = self.0.offer.accept(acceptance).map_err(|error| Box::new(error.into()));
        self.settle(decision.map(Box::new))
    }

    /// Refuses with a status, or with a whole response of your own. The connection is ended, gently.
    ///
    /// # Errors
    /// The stream's.
    pub async fn reject(mut self, refusal: impl Into<Refusal>) -> io::Result<()> {
        answer(&mut self.0.stream, &refusal.into().0).await
    }

    /// Writes the answer. What that takes is freed when it is written, and with it the request.
    fn settle(mut self, decision: Decision) -> Pin<Box<impl Future<Output = Result<WebSocket<S>, OpeningError>>>> {
        Box::pin(async move {
            match decision {
                Ok(accepted) => {
                    let (response, negotiated) = *accepted;
                    self.0.stream.write_all(&http1::encode_response(&response)).await?;
                    self.0.stream.flush().await?;
                    let Asked { stream, leftover, config, .. } = *self.0;
                    Ok(WebSocket::from_parts(stream, &leftover, Role::Server, &negotiated, config))
                }
                Err(rejection) => {
                    answer(&mut self.0.stream, &rejection.response()).await?;
                    Err(OpeningError::Rejected(*rejection))
                }
            }
        })
    }
}

/// What an offer is answered with.
type Decision = Result<Box<(Response<()>, Negotiated)>, Box<Rejection>>;

/// An answer that is not a WebSocket. Made from a `StatusCode`, whose name becomes the body, or from a `Response` with
/// any body of bytes; `Content-Length` and `Connection: close` are added.
#[derive(Debug)]
pub struct Refusal(Response<Bytes>);

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        let mut response = Response::new(Bytes::from(format!("{status}\n")));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response.into()
    }
}

impl<B: Into<Bytes>> From<Response<B>> for Refusal {
    fn from(response: Response<B>) -> Self {
        let mut response = response.map(Into::into);
        let length = HeaderValue::from(response.body().len());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, length);
        headers.entry(header::CONNECTION).or_insert(HeaderValue::from_static("close"));
        Self(response)
    }
}
