//! Two owned halves of one WebSocket, for two tasks.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures_core::Stream;
use futures_sink::Sink;
use openline_proto::{Close, CloseCode, Closed, Message, Outgoing, SharedMessage, State};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::alarm::now;
use crate::driver::Driver;
use crate::error::Error;
use crate::part::Part;

/// The half that receives, from [`WebSocket::split`](crate::WebSocket::split).
///
/// It is the half that keeps the line alive: while one of its methods is awaited, pings are answered, keepalive and
/// every other deadline run, and what the other half has fed is written whenever something happens on the line. Dropped,
/// nobody reads any more: pings stay unanswered, and the sender works on until the peer minds.
#[derive(Debug)]
pub struct Receiver<S>(Half<S>);

/// The half that sends, from [`WebSocket::split`](crate::WebSocket::split).
///
/// It writes what it sends itself, and whatever else is queued. It does not read, so the answer to its
/// [`close`](Self::close) is for the receiver to see, as the `None` that ends its messages; without a receiver, `close`
/// waits for it.
#[derive(Debug)]
pub struct Sender<S>(Half<S>);

pub(crate) fn split<S>(driver: Driver<S>) -> (Sender<S>, Receiver<S>) {
    let wakers = Arc::new(Wakers::default());
    let shared = Arc::new(Shared { driver: Mutex::new(driver), waker: Waker::from(wakers.clone()), wakers });
    (Sender(Half { shared: shared.clone(), side: Side::Sender }), Receiver(Half { shared, side: Side::Receiver }))
}

/// A socket has room for one waker per direction, and both halves may wait for the same direction: the one that came
/// last would take the place of the other. So the socket wakes this, and this wakes both.
#[derive(Debug, Default)]
struct Wakers([Mutex<Option<Waker>>; 2]);

#[derive(Clone, Copy, Debug)]
enum Side {
    Sender,
    Receiver,
}

#[derive(Debug)]
struct Shared<S> {
    driver: Mutex<Driver<S>>,
    wakers: Arc<Wakers>,
    waker: Waker,
}

#[derive(Debug)]
struct Half<S> {
    shared: Arc<Shared<S>>,
    side: Side,
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        for waker in &self.0 {
            let waker = lock(waker).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl<S> Half<S> {
    fn driver(&self) -> MutexGuard<'_, Driver<S>> {
        lock(&self.shared.driver)
    }

    /// Whether the other half was dropped.
    fn is_alone(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// Whether nobody has begun to close.
    fn is_open(&self) -> bool {
        self.driver().connection.state() == State::Open
    }

    /// Polls the shared driver; whatever it waits for will wake this half too. The lock is never held over an await.
    fn poll<T>(&self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Driver<S>, &mut Context<'_>) -> Poll<T>) -> Poll<T> {
        {
            let mut mine = lock(&self.shared.wakers.0[self.side as usize]);
            if !mine.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *mine = Some(cx.waker().clone());
            }
        }
        let mut driver = self.driver();
        let was_over = driver.is_over();
        let polled = poll(&mut driver, &mut Context::from_waker(&self.shared.waker));
        // The other half may wait for a socket that nobody will poll again.
        if driver.is_over() && !was_over {
            drop(driver);
            self.shared.wakers.wake_by_ref();
        }
        polled
    }
}

/// A half that panicked while it held the lock left a connection that is as good as its last completed step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> Receiver<S> {
    /// How the connection ended; `None` while it is open.
    pub fn closed(&self) -> Option<Closed> {
        self.0.driver().connection.closed().cloned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<S> {
    /// As [`WebSocket::recv`](crate::WebSocket::recv), cancel-safe.
    ///
    /// # Errors
    /// As there.
    pub async fn recv(&mut self) -> Result<Option<Message>, Error> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for code without `async`.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        self.0.poll(cx, Driver::poll_message)
    }

    /// As [`WebSocket::recv_part`](crate::WebSocket::recv_part), cancel-safe.
    ///
    /// # Errors
    /// As there.
    pub async fn recv_part(&mut self) -> Result<Option<Part>, Error> {
        poll_fn(|cx| self.0.poll(cx, Driver::poll_part)).await
    }
}

impl<S> Sender<S> {
    /// How the connection ended; `None` while it is open.
    pub fn closed(&self) -> Option<Closed> {
        self.0.driver().connection.closed().cloned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
    /// As [`WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    /// As there.
    pub async fn send<'a>(&mut self, message: impl Into<Outgoing<'a>>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// As [`WebSocket::feed`](crate::WebSocket::feed).
    ///
    /// # Errors
    /// As there.
    pub async fn feed<'a>(&mut self, message: impl Into<Outgoing<'a>>) -> Result<(), Error> {
        let mut message = Some(message);
        poll_fn(|cx| {
            self.0.poll(cx, |driver, cx| {
                ready!(driver.poll_room(cx))?;
                let message = message.take().expect("queued once");
                Poll::Ready(driver.queue(|connection, output| connection.send(message, output)).map_err(Error::from))
            })
        })
        .await
    }

    /// As [`WebSocket::send_shared`](crate::WebSocket::send_shared).
    ///
    /// # Errors
    /// As there.
    pub async fn send_shared(&mut self, message: &SharedMessage) -> Result<(), Error> {
        self.feed_shared(message).await?;
        self.flush().await
    }

    /// As [`WebSocket::feed_shared`](crate::WebSocket::feed_shared).
    ///
    /// # Errors
    /// As there.
    pub async fn feed_shared(&mut self, message: &SharedMessage) -> Result<(), Error> {
        poll_fn(|cx| {
            self.0.poll(cx, |driver, cx| {
                ready!(driver.poll_room(cx))?;
                Poll::Ready(
                    driver.queue(|connection, output| connection.send_shared(message, output)).map_err(Error::from),
                )
            })
        })
        .await
    }

    /// As [`WebSocket::flush`](crate::WebSocket::flush).
    ///
    /// # Errors
    /// As there.
    pub async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.0.poll(cx, Driver::poll_flush)).await
    }

    /// As [`WebSocket::ping`](crate::WebSocket::ping).
    ///
    /// # Errors
    /// As there.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.0.driver().queue(|connection, output| connection.ping(payload, output))?;
        self.flush().await
    }

    /// Begins the closing handshake and writes the Close frame. The [`Receiver`] sees the rest: messages that still
    /// come, and then `None`. When it was dropped, this drops what still comes and waits for the answer itself.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::TimedOut`]; without a receiver as [`WebSocket::close`](crate::WebSocket::close).
    pub async fn close(&mut self, close: impl Into<Close>) -> Result<(), Error> {
        self.start_close(close.into());
        poll_fn(|cx| self.poll_close(cx)).await
    }

    fn start_close(&mut self, close: Close) {
        self.0.driver().queue(|connection, output| connection.close(close, now(), output));
        // The receiver's timer does not know of the close deadline yet.
        self.0.shared.wakers.wake_by_ref();
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.0.poll(cx, Driver::poll_flush))?;
        // A socket that is dropped with unread bytes in it is reset, and the reset would destroy the Close frame.
        while self.0.is_alone() && ready!(self.0.poll(cx, Driver::poll_message))?.is_some() {}
        Poll::Ready(Ok(()))
    }
}

/// Messages until the connection ends.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Receiver<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_recv(cx).map(Result::transpose)
    }
}

/// `poll_close` sends a Close frame with 1000; the receiver sees the answer.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for Sender<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll(cx, Driver::poll_room)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Ok(self.0.driver().queue(|connection, output| connection.send(message, output))?)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll(cx, Driver::poll_flush)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.0.is_open() {
            self.start_close(CloseCode::NORMAL.into());
        }
        Sender::poll_close(&mut self, cx)
    }
}
