//! An application in Rust: a service of this process that answers requests, such as axum's `Router`.
//!
//! ```text
//!   plain request ─▶ service ─▶ answer
//!   upgrade ─▶ service ─┬▶ 101 ─▶ its own task has the line; here it is counted, and told to leave
//!                       └▶ refusal, and the connection ends
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use openline::proto::Close;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tower_service::Service;

use super::body::{Body, boxed};
use super::place::Place;
use crate::counts::Kind;
use crate::lines::{Goodbye, Line, Owner};
use crate::site::Site;

/// A service that answers what comes to a route: everything at and below its path, in full, as the client wrote it.
///
/// Among a request's extensions are [`ClientAddress`](crate::ClientAddress), with `allow` the [`Identity`](crate::Identity), with client
/// certificates the [`ClientCertificate`](crate::ClientCertificate), and of a request to upgrade [`Leave`]. Origins, rights and
/// `max_lines` are the route's; limits, compression and subprotocols of a WebSocket are those of whoever accepts it.
///
/// ```
/// use axum::extract::{Path, State};
/// use axum::{Extension, Router, response::Response, routing::any};
/// use openline::axum::{WebSocket, WebSocketUpgrade};
/// use openline_server::hosting::{App, Leave, Route, What};
/// use openline_server::{Config, Identity, Registry, Server};
///
/// async fn chat(
///     Path(room): Path<String>,
///     State(registry): State<Registry>,
///     Extension(leave): Extension<Leave>,
///     upgrade: WebSocketUpgrade,
/// ) -> Response {
///     upgrade.on_upgrade(async move |mut socket: WebSocket| {
///         let seat = registry.enter(Identity::Anonymous).leave_when(leave);
///         let said = |text: String| drop(registry.broadcast(&format!("{room}: {text}")));
///         let _ = seat.serve(&mut socket, said).await;
///     })
/// }
///
/// let router = Router::new().route("/chat/{room}", any(chat)).with_state(Registry::new());
/// let routes = vec![Route::new("/chat", What::App(App::new(router)))];
/// let config = Config { routes, ..Config::default() };
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// # let config = Config { listen: vec!["127.0.0.1:0".parse::<std::net::SocketAddr>().map(openline_server::Listen::At).unwrap()], ..config };
/// let server = Server::bind(config).await?;
/// # Ok::<(), openline_server::StartError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct App {
    answer: Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>,
}

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

impl App {
    /// Of a tower service that never fails: axum's `Router` is one.
    pub fn new<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let answer = move |request| -> Answering {
            let mut service = service.clone();
            Box::pin(async move {
                let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
                let Ok(response) = service.call(request).await;
                response.map(boxed)
            })
        };
        Self { answer: Arc::new(answer) }
    }

    pub(super) async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        (self.answer)(request).await
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

/// Tells whoever has an application's line that it has to close: the server ends, or [`Lines::close`](crate::Lines::close) closes it.
///
/// Then there is `times.close_timeout` (5 s) for the closing handshake, after which the connection is cut.
#[derive(Clone, Debug)]
pub struct Leave(watch::Receiver<Option<Close>>);

impl Leave {
    /// Waits until it has to, and says what to close with; for ever, if it never does.
    pub async fn told(&mut self) -> Close {
        let told = self.0.wait_for(Option::is_some).await.map(|close| close.clone());
        match told {
            Ok(Some(close)) => close,
            // The line ended by itself.
            _ => pending().await,
        }
    }
}

/// A request to upgrade, on its way to an application.
#[derive(Debug)]
pub(crate) struct Call {
    app: App,
    place: Arc<Place>,
    slot: Option<OwnedSemaphorePermit>,
}

impl Call {
    pub(super) fn new(app: &App, place: &Arc<Place>, slot: Option<OwnedSemaphorePermit>) -> Self {
        Self { app: app.clone(), place: place.clone(), slot }
    }

    /// Has the application answer; `None`: there is no line. hyper speaks, as it is its upgrade that applications know.
    pub(crate) async fn open<S>(
        self,
        request: Request<()>,
        leftover: Bytes,
        stream: S,
        owner: Option<Box<Owner>>,
        peer: SocketAddr,
        site: &Arc<Site>,
    ) -> io::Result<Option<crate::edge::Line>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { app, place, slot } = self;
        let mut before = openline::http1::encode_request(&request);
        before.extend_from_slice(&leftover);
        let (gone, cut, answered) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let stream = Arc::new(Mutex::new(Some(stream)));
        let cut_off = Cut { stream: stream.clone(), told: cut.clone() };
        let stream = Watched {
            before: before.into(),
            stream,
            cut_read: Box::pin(cut.clone().cancelled_owned()),
            cut_write: Box::pin(cut.cancelled_owned()),
            _gone: gone.clone().drop_guard(),
        };
        let (tell, told) = watch::channel(None);
        let line: Mutex<Option<Line>> = Mutex::default();
        let asked = Mutex::new(Some(request));
        let service = service_fn(|mut request: Request<Incoming>| {
            // As it was read before, with what is known of who asks.
            if let Some(asked) = asked.lock().unwrap_or_else(PoisonError::into_inner).take() {
                let upgrade = request.extensions_mut().remove::<OnUpgrade>();
                let (head, ()) = asked.into_parts();
                (*request.uri_mut(), *request.headers_mut(), *request.extensions_mut()) =
                    (head.uri, head.headers, head.extensions);
                request.extensions_mut().insert(Leave(told.clone()));
                upgrade.map(|upgrade| request.extensions_mut().insert(upgrade));
            }
            let (app, place, line, answered, owner) = (&app, &place, &line, &answered, &owner);
            async move {
                let mut response = app.respond(request).await;
                place.decorate(response.headers_mut());
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    // Before the answer is written: whoever reads it is in.
                    let opened = site.lines.open_for(Kind::Hosted, owner.clone());
                    *line.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
                    site.counts.accepted.inc();
                } else {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                    site.counts.answered(&response);
                }
                answered.cancel();
                Ok::<_, Infallible>(response)
            }
        });
        let limit = site.config.line.write_timeout;
        {
            let connection = http1::Builder::new()
                .header_read_timeout(None)
                .max_headers(site.config.head.max_headers)
                .max_buf_size(site.config.head.max_bytes.max(MIN_BUFFER_BYTES) + leftover.len())
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            let too_slow = async {
                answered.cancelled().await;
                sleep(limit).await;
            };
            tokio::select! {
                served = pin!(connection) => served.map_err(io::Error::other)?,
                () = too_slow => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
        let Some(line) = line.into_inner().unwrap_or_else(PoisonError::into_inner) else { return Ok(None) };
        let patience = place.line.close_timeout;
        Ok(Some(Box::pin(keep(line, gone, tell, cut_off, patience, slot, peer))))
    }
}

/// hyper's smallest allowed buffer is 8 KiB.
const MIN_BUFFER_BYTES: usize = 64 << 10;

/// Until whoever has the line lets it go; when it has to close they are told, and have their time.
async fn keep<S>(
    mut line: Line,
    gone: CancellationToken,
    tell: watch::Sender<Option<Close>>,
    _cut: Cut<S>,
    patience: Duration,
    _slot: Option<OwnedSemaphorePermit>,
    peer: SocketAddr,
) {
    tokio::select! {
        biased;
        () = gone.cancelled() => {}
        Goodbye { code, reason } = line.told_to_close() => {
            tell.send_replace(Some(Close::new(code, &reason)));
            if timeout(patience, gone.cancelled()).await.is_err() {
                tracing::warn!(%peer, "an application did not close its line in time: it is cut");
            }
        }
    }
    tracing::debug!(%peer, "an application's line ended");
}

/// Takes the connection away from whoever has it: dropped, it closes what nobody may ever look at again, and wakes who waits for it.
struct Cut<S> {
    stream: Shared<S>,
    told: CancellationToken,
}

impl<S> Drop for Cut<S> {
    fn drop(&mut self) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.told.cancel();
        drop(stream);
    }
}

/// There until it is cut.
type Shared<S> = Arc<Mutex<Option<S>>>;

/// A connection that starts with what was read of it, can be cut by whoever gave it away, and says when it was let go.
struct Watched<S> {
    before: Bytes,
    stream: Shared<S>,
    /// One for each direction, as they may be waited for by two tasks.
    cut_read: Pin<Box<WaitForCancellationFutureOwned>>,
    cut_write: Pin<Box<WaitForCancellationFutureOwned>>,
    _gone: DropGuard,
}

impl<S> Watched<S> {
    /// Does something with the connection, if it is there.
    fn with<T>(&self, work: impl FnOnce(&mut S) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &mut *self.stream.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(stream) => work(stream),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let count = self.before.len().min(into.remaining());
            into.put_slice(&self.before[..count]);
            self.before.advance(count);
            return Poll::Ready(Ok(()));
        }
        // So that it is woken when it is cut.
        let _ = self.cut_read.as_mut().poll(cx);
        self.with(|stream| Pin::new(stream).poll_read(cx, into))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let _ = self.cut_write.as_mut().poll(cx);
        self.with(|stream| Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let _ = self.cut_write.as_mut().poll(cx);
        self.with(|stream| Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.cut_write.as_mut().poll(cx);
        self.with(|stream| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let _ = self.cut_write.as_mut().poll(cx);
        self.with(|stream| Pin::new(stream).poll_shutdown(cx))
    }
}
