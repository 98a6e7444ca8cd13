//! A listening socket whose clients become WebSockets: `Listener` → `Incoming` → `Opening` → `WebSocket`.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::answer::OpeningError;
use crate::head::Head;
use crate::http1::HeadLimits;
use crate::opening::Opening;
#[cfg(feature = "tls")]
use crate::tls::{Acceptor, TlsError, TlsStream};

/// A listening socket.
///
/// ```no_run
/// # #[tokio::main] async fn main() -> std::io::Result<()> {
/// let listener = openline::Listener::bind("127.0.0.1:8080").await?;
/// loop {
///     let incoming = listener.accept().await?;
///     tokio::spawn(async move {
///         let mut socket = incoming.request().await?.accept(&Default::default()).await?;
///         while let Some(message) = socket.recv().await? {
///             socket.send(message).await?;
///         }
///         Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
///     });
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    limits: HeadLimits,
}

impl Listener {
    /// Listens on an address, such as `"127.0.0.1:8080"`; port 0 is any free one.
    ///
    /// # Errors
    /// The operating system's: the address is in use, not ours, or the port is privileged.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(Self::from_tokio(TcpListener::bind(address).await?))
    }

    /// Takes over a socket that listens already.
    pub fn from_tokio(listener: TcpListener) -> Self {
        Self { listener, limits: HeadLimits::default() }
    }

    /// How large a request may be, and how slow.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next client. Nothing is read from it yet, so that no client can hold up the next; cancel-safe.
    ///
    /// # Errors
    /// The operating system's. Most pass: a client that was gone already, or too many open files, after which a server
    /// should wait a moment and accept again.
    pub async fn accept(&self) -> io::Result<Incoming> {
        let (stream, peer) = self.listener.accept().await?;
        // §2.1 of RFC 896 against everything interactive: a message that waits for the acknowledgement of the one
        // before it waits for a round trip. Writes are batched here, so small packets are few anyway.
        stream.set_nodelay(true)?;
        Ok(Incoming(Box::new(Newcomer { stream, peer, limits: self.limits.clone() })))
    }
}

/// A client that has connected and said nothing yet; with TLS, nothing but its handshake.
#[derive(Debug)]
pub struct Incoming<S = TcpStream>(
    /// Boxed, as a [`WebSocket`](crate::WebSocket) is: the futures of tasks that pass it on stay small.
    Box<Newcomer<S>>,
);

#[derive(Debug)]
struct Newcomer<S> {
    stream: S,
    peer: SocketAddr,
    limits: HeadLimits,
}

impl Incoming {
    /// Where it came in.
    ///
    /// # Errors
    /// The operating system's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.stream.local_addr()
    }

    /// The TLS handshake, after which everything goes through TLS. Who speaks plain HTTP is told that this is TLS.
    ///
    /// # Errors
    /// Why there is no TLS; the connection is over then.
    #[cfg(feature = "tls")]
    pub async fn tls(self, acceptor: &Acceptor) -> Result<Incoming<TlsStream<TcpStream>>, TlsError> {
        let Newcomer { stream, peer, limits } = *self.0;
        let stream = Box::pin(acceptor.accept_tcp(stream)).await?;
        Ok(Incoming(Box::new(Newcomer { stream, peer, limits })))
    }
}

impl<S> Incoming<S> {
    /// Where the client is.
    pub fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }

    /// The stream, to ask it for certificates and the like.
    pub fn get_ref(&self) -> &S {
        &self.0.stream
    }

    /// The stream, to speak something else on it.
    pub fn into_inner(self) -> S {
        self.0.stream
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Incoming<S> {
    /// Reads a request that may ask for anything: for servers that also speak HTTP.
    ///
    /// # Errors
    /// See [`Head::read`].
    pub async fn head(self) -> Result<Head<S>, OpeningError> {
        // What it takes to read a request is freed when it is read.
        Box::pin(async move { Head::read(self.0.stream, &self.0.limits).await }).await
    }

    /// Reads a request for a WebSocket. Anything else is answered here, with what is wrong about it: 400, 405, 408, 426,
    /// 431.
    ///
    /// # Errors
    /// Why there is none; the connection is over then.
    pub async fn request(self) -> Result<Opening<S>, OpeningError> {
        Box::pin(async move { self.head().await?.into_opening().await }).await
    }
}
