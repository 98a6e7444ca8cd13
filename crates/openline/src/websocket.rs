//! An open WebSocket on a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_sink::Sink;
use openline_proto::handshake::Negotiated;
use openline_proto::{
    Close, CloseCode, Closed, Config, Connection, Message, MessageRef, Outgoing, Output, Role, SendError,
    SharedMessage, SharedMessages,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::alarm::now;
use crate::driver::{Driver, Incoming, Want};
use crate::error::Error;
use crate::part::Part;
use crate::pool;
use crate::seed;
use crate::split::{self, Receiver, Sender};

/// An open WebSocket.
///
/// It does everything in the calls of its owner: no task is spawned, and an idle one holds no buffer. As a value it is one
/// pointer, cheap to move and to keep in a future. Pings are answered and deadlines run while [`recv`](Self::recv) (or a
/// method like it) is awaited, so a task that only sends should [`split`](Self::split) and have another receive.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = openline::connect("ws://localhost:8080/test").await?;
/// socket.send("hello").await?;
/// while let Some(message) = socket.recv().await? {
///     println!("{message:?}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WebSocket<S = TcpStream> {
    /// Boxed, so that a socket is one pointer: the futures of tasks that pass it on stay small.
    driver: Box<Driver<S>>,
}

impl<S> WebSocket<S> {
    /// A connection on a stream whose opening handshake was done elsewhere. `leftover` are bytes that were read behind
    /// the handshake: they are the first of the connection.
    ///
    /// # Panics
    /// When the operating system has no entropy for a client's masking keys.
    pub fn from_parts(
        stream: S,
        leftover: &[u8],
        role: Role,
        negotiated: &Negotiated,
        config: impl Into<Arc<Config>>,
    ) -> Self {
        let mut connection = match role {
            Role::Server => Connection::server(negotiated, config, now()),
            Role::Client => Connection::client(negotiated, config, seed::fresh(), now()),
        };
        connection.jitter(seed::jitter());
        connection.codecs(&pool::ThreadCodecs);
        let subprotocol = negotiated.subprotocol().map(|name| name.as_str().into());
        Self { driver: Box::new(Driver::new(stream, connection, leftover, subprotocol)) }
    }

    /// The subprotocol that the opening handshake agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.driver.subprotocol.as_deref()
    }

    /// How the connection ended: the close codes and reasons that crossed, and who began. `None` while it is open.
    pub fn closed(&self) -> Option<&Closed> {
        self.driver.connection.closed()
    }

    /// Its limits and deadlines.
    pub fn config(&self) -> &Config {
        self.driver.connection.config()
    }

    /// The stream below, to ask it for addresses and the like.
    pub fn get_ref(&self) -> &S {
        &self.driver.stream
    }

    /// How many bytes wait to be written: what to look at before more is queued than must be.
    pub fn queued_bytes(&self) -> usize {
        self.driver.queued_bytes()
    }

    /// Two owned halves for two tasks. Which half does what is said at [`Sender`] and [`Receiver`].
    pub fn split(self) -> (Sender<S>, Receiver<S>) {
        split::split(*self.driver)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The next message; `None` once the connection is closed cleanly, and ever after.
    ///
    /// What was queued meanwhile is written before it waits, in one write if the socket takes it: so
    /// `while let Some(message) = socket.recv().await? { socket.feed(message).await? }` is one write per read.
    ///
    /// Cancel-safe: dropped at any point, nothing is lost, and the next call goes on where this one was.
    ///
    /// # Errors
    /// [`Error::Protocol`] after the Close frame that says why is sent, [`Error::TimedOut`], [`Error::Aborted`] when the
    /// line ends without a closing handshake, [`Error::Io`]. [`closed`](Self::closed) tells more.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for code without `async`.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.driver.poll_message(cx)
    }

    /// The fast path: the next message, lent from the read buffer, and a [`Reply`] to answer with. Nothing is copied,
    /// and nothing allocated for a message that came in one piece.
    ///
    /// ```no_run
    /// # async fn example(mut socket: openline::WebSocket) -> Result<(), Box<dyn std::error::Error>> {
    /// while let Some((message, mut reply)) = socket.recv_ref().await? {
    ///     reply.feed(message)?; // an echo: one write per read, however many messages the read brought
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel-safe. A message that is too long for it to lie in the buffer is assembled first, as for `recv`.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_ref(&mut self) -> Result<Option<(MessageRef<'_>, Reply<'_>)>, Error> {
        if !poll_fn(|cx| self.driver.poll_whole(cx)).await? {
            return Ok(None);
        }
        Ok(self.driver.lend_incoming().and_then(|(incoming, input, connection, output)| match incoming {
            Incoming::Message(arrival) => Some((arrival.lend(input), Reply { connection, output })),
            Incoming::Part(..) => None,
        }))
    }

    /// The next piece of a message, as it comes, so that a message of any length takes no memory. Raise
    /// `Config::max_message_bytes` for messages over 1 MiB.
    ///
    /// Cancel-safe, if the next call is `recv_part` again: [`recv`](Self::recv) before the last part drops the rest of the
    /// message, and all of it when none of its parts was seen yet.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub async fn recv_part(&mut self) -> Result<Option<Part>, Error> {
        poll_fn(|cx| self.driver.poll_part(cx)).await
    }

    /// Sends a message: [`feed`](Self::feed), then [`flush`](Self::flush).
    ///
    /// Dropped before it returns, the message is either not queued, while it waits for room, or queued whole, while it
    /// is being written: then the next `flush`, `send` or `recv` writes the rest. It is never cut.
    ///
    /// # Errors
    /// [`SendError::Closed`] once either side has begun to close, [`Error::Io`], [`Error::TimedOut`] when the peer takes
    /// nothing for `Config::write_timeout`.
    pub async fn send<'a>(&mut self, message: impl Into<Outgoing<'a>>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Queues a message, waiting for room while `Config::max_output_bytes` or more are queued. It goes out with the next
    /// `flush`, `send` or `recv`.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed<'a>(&mut self, message: impl Into<Outgoing<'a>>) -> Result<(), Error> {
        poll_fn(|cx| self.driver.poll_room(cx)).await?;
        Ok(self.driver.queue(|connection, output| connection.send(message, output))?)
    }

    /// Sends a message that was encoded once for many connections.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_shared(&mut self, message: &SharedMessage) -> Result<(), Error> {
        self.feed_shared(message).await?;
        self.flush().await
    }

    /// Queues a message that was encoded once for many connections.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed_shared(&mut self, message: &SharedMessage) -> Result<(), Error> {
        poll_fn(|cx| self.driver.poll_room(cx)).await?;
        Ok(self.driver.queue(|connection, output| connection.send_shared(message, output))?)
    }

    /// Queues messages that were encoded once for many connections, one after the other.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn feed_all_shared(&mut self, messages: &SharedMessages) -> Result<(), Error> {
        poll_fn(|cx| self.driver.poll_room(cx)).await?;
        Ok(self.driver.queue(|connection, output| connection.send_all_shared(messages, output))?)
    }

    /// Queues a message that was encoded once for many connections, if there is room for it now.
    ///
    /// # Errors
    /// [`SendError::Full`] where [`feed_shared`](Self::feed_shared) would wait, and what else [`send`](Self::send) says.
    pub fn try_feed_shared(&mut self, message: &SharedMessage) -> Result<(), SendError> {
        self.driver.try_queue(|connection, output| connection.send_shared(message, output))
    }

    /// The same for many, as [`feed_all_shared`](Self::feed_all_shared).
    ///
    /// # Errors
    /// As there; then none of them is queued.
    pub fn try_feed_all_shared(&mut self, messages: &SharedMessages) -> Result<(), SendError> {
        self.driver.try_queue(|connection, output| connection.send_all_shared(messages, output))
    }

    /// Writes everything that is queued. Cancel-safe.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::TimedOut`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.driver.poll_flush(cx)).await
    }

    /// Begins a message that is sent in parts.
    ///
    /// ```no_run
    /// # async fn example(mut socket: openline::WebSocket, mut file: tokio::fs::File) -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::AsyncReadExt;
    /// let mut message = socket.start_binary();
    /// let mut piece = vec![0; 64 << 10];
    /// while let bytes @ 1.. = file.read(&mut piece).await? {
    ///     message.write(&piece[..bytes]).await?;
    /// }
    /// message.finish().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_binary(&mut self) -> BinaryWriter<'_, S> {
        BinaryWriter(MessageWriter::new(&mut self.driver))
    }

    /// Begins a text message that is sent in parts, each of them UTF-8.
    pub fn start_text(&mut self) -> TextWriter<'_, S> {
        TextWriter(MessageWriter::new(&mut self.driver))
    }

    /// Sends a Ping of at most 125 bytes, ahead of the messages that wait.
    ///
    /// # Errors
    /// As [`send`](Self::send), and [`SendError::LongControl`].
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.driver.queue(|connection, output| connection.ping(payload, output))?;
        self.flush().await
    }

    /// The closing handshake (§7.1.2): sends what is queued and a Close frame, drops messages that still come, and waits
    /// for the answer, `Config::close_timeout` at most. Says how the connection ended.
    ///
    /// A reason over 123 bytes is cut. Cancel-safe: the Close frame is queued at the first poll.
    ///
    /// # Errors
    /// As [`recv`](Self::recv): no answer in time is [`Error::TimedOut`], a line that just ends is [`Error::Aborted`].
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<Closed, Error> {
        self.start_close(Close::new(code, reason));
        while self.recv_ref().await?.is_some() {}
        self.closed().cloned().ok_or(Error::Aborted)
    }

    /// Queues a Close frame and returns at once; `recv` goes on to deliver what still comes, and then `None`.
    pub fn start_close(&mut self, close: impl Into<Close>) {
        self.driver.queue(|connection, output| connection.close(close, now(), output));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Waits until `incoming` is a whole message; `false` at the end.
    #[inline(always)] // what one read brought is often many messages
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        match self.next_read() {
            true => Poll::Ready(Ok(true)),
            false => self.poll_whole_io(cx),
        }
    }

    #[inline(never)]
    fn poll_whole_io(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Error>> {
        loop {
            let any = ready!(self.poll_io(Want::Messages, cx))?;
            if any && self.has_part() {
                // It waited for room while the application changed its mind.
                self.take_incoming();
                continue;
            }
            return Poll::Ready(Ok(any));
        }
    }

    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        ready!(self.poll_whole(cx))?;
        Poll::Ready(Ok(self.take_incoming().and_then(|incoming| match incoming {
            Incoming::Message(arrival) => Some(arrival.into_message(self.last_input())),
            Incoming::Part(..) => None,
        })))
    }

    pub(crate) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Part>, Error>> {
        ready!(self.poll_io(Want::Parts, cx))?;
        Poll::Ready(Ok(self.take_incoming().map(|incoming| match incoming {
            Incoming::Part(part) => {
                let (kind, payload, last) = *part;
                Part { kind, bytes: payload.into_bytes(self.last_input()), last }
            }
            Incoming::Message(arrival) => {
                let message = arrival.into_message(self.last_input());
                Part { kind: message.kind(), bytes: message.into_bytes(), last: true }
            }
        })))
    }
}

/// Answers to a message that is still lent.
#[derive(Debug)]
pub struct Reply<'a> {
    connection: &'a mut Connection,
    output: &'a mut Output,
}

impl Reply<'_> {
    /// Queues a message; it goes out with the next `recv_ref`, or `flush`.
    ///
    /// # Errors
    /// [`SendError::Full`] once `Config::max_output_bytes` are queued: the first answer to a message always fits.
    #[inline]
    pub fn feed<'m>(&mut self, message: impl Into<Outgoing<'m>>) -> Result<(), SendError> {
        self.connection.send(message, self.output)
    }
}

/// A message on its way in parts. Dropped before it is finished, the message stays open: no other can be sent, only
/// `close`.
#[derive(Debug)]
struct MessageWriter<'a, S> {
    driver: &'a mut Driver<S>,
    /// Whether to compress it, where its first part shall not decide.
    compress: Option<bool>,
}

impl<'a, S> MessageWriter<'a, S> {
    fn new(driver: &'a mut Driver<S>) -> Self {
        Self { driver, compress: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> MessageWriter<'_, S> {
    async fn write(&mut self, part: Outgoing<'_>, last: bool) -> Result<(), Error> {
        let part = match self.compress {
            None => part,
            Some(true) => part.compressed(),
            Some(false) => part.uncompressed(),
        };
        poll_fn(|cx| self.driver.poll_room(cx)).await?;
        self.driver.queue(|connection, output| connection.send_part(part, last, output))?;
        poll_fn(|cx| self.driver.poll_flush(cx)).await
    }
}

/// A binary message on its way in parts, from [`WebSocket::start_binary`].
#[derive(Debug)]
pub struct BinaryWriter<'a, S>(MessageWriter<'a, S>);

impl<S> BinaryWriter<'_, S> {
    /// Sends the message as it is, as [`Outgoing::uncompressed`]. To be said before the first part.
    pub fn uncompressed(mut self) -> Self {
        self.0.compress = Some(false);
        self
    }

    /// Compresses the message, if that was agreed on, however short its first part is, as [`Outgoing::compressed`]. Without
    /// either, the first part decides: by its length, and by whether it shrinks. To be said before the first part.
    pub fn compressed(mut self) -> Self {
        self.0.compress = Some(true);
        self
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> BinaryWriter<'_, S> {
    /// Sends the next part; memory is bounded by the part. Dropped before it returns, the part is queued or it is not.
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    pub async fn write(&mut self, part: &[u8]) -> Result<(), Error> {
        self.0.write(part.into(), false).await
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    pub async fn finish(mut self) -> Result<(), Error> {
        self.0.write(Outgoing::from(&[][..]), true).await
    }
}

/// A text message on its way in parts, from [`WebSocket::start_text`].
#[derive(Debug)]
pub struct TextWriter<'a, S>(MessageWriter<'a, S>);

impl<S> TextWriter<'_, S> {
    /// Sends the message as it is, as [`Outgoing::uncompressed`]. To be said before the first part.
    pub fn uncompressed(mut self) -> Self {
        self.0.compress = Some(false);
        self
    }

    /// Compresses the message, if that was agreed on, however short its first part is, as [`Outgoing::compressed`]. Without
    /// either, the first part decides: by its length, and by whether it shrinks. To be said before the first part.
    pub fn compressed(mut self) -> Self {
        self.0.compress = Some(true);
        self
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TextWriter<'_, S> {
    /// Sends the next part; memory is bounded by the part. Dropped before it returns, the part is queued or it is not.
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    pub async fn write(&mut self, part: &str) -> Result<(), Error> {
        self.0.write(part.into(), false).await
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As [`WebSocket::send`].
    pub async fn finish(mut self) -> Result<(), Error> {
        self.0.write("".into(), true).await
    }
}

/// Messages until the connection ends; a clean end is the end of the stream.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for WebSocket<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

/// `start_send` queues, `poll_close` does the closing handshake with 1000 and drops what still comes.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for WebSocket<S> {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.driver.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Ok(self.driver.queue(|connection, output| connection.send(message, output))?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.driver.poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.start_close(CloseCode::NORMAL);
        while ready!(self.driver.poll_message(cx))?.is_some() {}
        Poll::Ready(Ok(()))
    }
}
