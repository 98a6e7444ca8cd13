//! A client that comes back: connects, says where it was, and connects again when the line is gone.

mod backoff;
mod verdict;

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_sink::Sink;
use http::Response;
use openline_proto::{CloseCode, Message};
use tokio::time::{Instant, Sleep, sleep_until};

pub use self::backoff::Backoff;
pub use self::verdict::{End, Verdict};
use crate::client::{Client, ClientStream, ConnectError};
use crate::seed;
use crate::websocket::WebSocket;

/// A client that comes back.
///
/// ```no_run
/// # async fn fresh_token() -> Result<String, std::io::Error> { Ok("token".into()) }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use openline::{Client, Event, Reconnecting};
///
/// let mut line = Reconnecting::new(Client::new(), "wss://example.com/feed")
///     .before(|attempt| async move { Ok(attempt.client.bearer(&fresh_token().await?)) })
///     .after(|_| vec!["subscribe news".into()]);
/// line.send("hello")?;
/// while let Some(event) = line.next().await {
///     match event {
///         Event::Opened(_) => println!("open"),
///         Event::Message(message) => println!("{message:?}"),
///         Event::Lost(lost) => println!("{:?}; again in {:?}", lost.end, lost.retry_in),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// **What drives it.** [`next`](Self::next) does everything: connecting, waiting, sending what is queued, answering pings.
/// It is cancel-safe: all state is in here, an attempt goes on where it was, and an event is given to one call of `next` and
/// to no other.
///
/// **What becomes of what is sent.** [`send`](Self::send) queues, and never waits. What is queued is handed to the line that
/// is open, or to the next one that is, behind what [`after`](Self::after) says there; in order, and to one line only. A
/// message that was handed to a line which then ended arrived or did not, and is not sent again: as TCP keeps the order,
/// what arrived are the first of the [`Lost::handed`] messages. Whoever must know which ones numbers them and has the server
/// answer; nothing below the application can tell.
///
/// **When it comes back.** As [`Verdict::of`] says, unless [`judge`](Self::judge) knows better, and after a time as
/// [`Backoff`] says. The ceiling begins anew once a line has lived for as long as the ceiling before it was.
pub struct Reconnecting {
    client: Client,
    url: String,
    backoff: Backoff,
    before: Option<Before>,
    after: Option<After>,
    judge: Option<Judge>,
    state: State,
    /// Ends since a line last lived.
    failures: u32,
    /// The last end was for the credentials, and the next one must not be.
    refreshing: bool,
    /// [`close`](Self::close) was called: this line is the last.
    closing: bool,
    queue: VecDeque<Message>,
    queued_bytes: usize,
    max_queued_bytes: usize,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Before = Box<dyn FnMut(Attempt) -> Pin<Box<dyn Future<Output = Result<Client, BoxError>> + Send>> + Send>;
type After = Box<dyn FnMut(&Opened) -> Vec<Message> + Send>;
type Judge = Box<dyn FnMut(&End) -> Option<Verdict> + Send>;
type Opening = Pin<Box<dyn Future<Output = Result<(WebSocket<ClientStream>, Response<()>), End>> + Send>>;

enum State {
    Waiting(Pin<Box<Sleep>>),
    Opening(Opening),
    Open {
        socket: WebSocket<ClientStream>,
        since: Instant,
        /// What goes before the queue.
        first: VecDeque<Message>,
        /// How much of the queue this line was handed.
        handed: u64,
    },
    Stopped,
}

/// An attempt that is about to be made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Attempts since a line last lived, this one included: 1 is the first.
    pub number: u32,
    /// The last line ended, or was refused, for its credentials.
    pub refresh: bool,
    /// The client as it was given to [`Reconnecting::new`].
    pub client: Client,
}

/// What has happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A line is open.
    Opened(Opened),
    /// It said something.
    Message(Message),
    /// It is gone, or was not opened.
    Lost(Lost),
}

/// A line is open.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The server's answer, for its headers.
    pub response: Response<()>,
    /// The subprotocol that was agreed on.
    pub subprotocol: Option<String>,
    /// How many attempts it took.
    pub attempts: u32,
}

/// A line is gone, or was not opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct Lost {
    /// Why.
    pub end: End,
    /// When the next attempt is made; `None`: there is none, and no event after this.
    pub retry_in: Option<Duration>,
    /// How many of the queued messages this line was handed: the server got the first of them, or all, or none.
    pub handed: u64,
}

impl Reconnecting {
    /// Connects at the first [`next`](Self::next).
    pub fn new(client: Client, url: &str) -> Self {
        Self {
            client,
            url: url.into(),
            backoff: Backoff::default(),
            before: None,
            after: None,
            judge: None,
            state: State::Waiting(Box::pin(sleep_until(Instant::now()))),
            failures: 0,
            refreshing: false,
            closing: false,
            queue: VecDeque::new(),
            queued_bytes: 0,
            // As much as an open line holds by default: an outage must not take more memory than a slow reader.
            max_queued_bytes: 1 << 20,
        }
    }

    /// Called before each attempt, for the client to make it with: fresh credentials. An error is told as
    /// [`End::NoClient`], and the next attempt waits its turn.
    pub fn before<F>(mut self, mut before: impl FnMut(Attempt) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Client, Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        self.before = Some(Box::new(move |attempt| Box::pin(before(attempt))));
        self
    }

    /// Called for each line that opens, for what to say first on it: subscriptions, and where they were.
    pub fn after(mut self, after: impl FnMut(&Opened) -> Vec<Message> + Send + 'static) -> Self {
        self.after = Some(Box::new(after));
        self
    }

    /// Asked first what to do after an end; `None` leaves it to [`Verdict::of`].
    pub fn judge(mut self, judge: impl FnMut(&End) -> Option<Verdict> + Send + 'static) -> Self {
        self.judge = Some(Box::new(judge));
        self
    }

    /// How long to wait before attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// How many bytes of messages may be queued. Default 1 MiB.
    pub fn max_queued_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_bytes = bytes;
        self
    }

    /// Queues a message; [`next`](Self::next) hands it to a line. See above for what becomes of it.
    ///
    /// # Errors
    /// [`QueueFull`], with the message, when as much is queued as may be, or when there will be no line any more.
    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), QueueFull> {
        let message = message.into();
        let bytes = message.len();
        // One message always fits, however long.
        let is_full = !self.queue.is_empty() && self.queued_bytes.saturating_add(bytes) > self.max_queued_bytes;
        if is_full || self.closing || matches!(self.state, State::Stopped) {
            return Err(QueueFull(message));
        }
        self.queued_bytes += bytes;
        self.queue.push_back(message);
        Ok(())
    }

    /// Messages that no line was handed yet.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The line, while there is one.
    pub fn socket(&self) -> Option<&WebSocket<ClientStream>> {
        match &self.state {
            State::Open { socket, .. } => Some(socket),
            _ => None,
        }
    }

    /// Makes the next attempt at once: the application knows that the network is back.
    pub fn retry_now(&mut self) {
        if let State::Waiting(timer) = &mut self.state {
            timer.as_mut().reset(Instant::now());
        }
    }

    /// What happens next; `None` once it has stopped, and ever after. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next) for code without `async`.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        loop {
            match &mut self.state {
                State::Stopped => return Poll::Ready(None),
                State::Waiting(timer) => {
                    std::task::ready!(timer.as_mut().poll(cx));
                    self.state = State::Opening(self.attempt());
                }
                State::Opening(opening) => match std::task::ready!(opening.as_mut().poll(cx)) {
                    Ok((socket, response)) => return Poll::Ready(Some(self.opened(socket, response))),
                    Err(end) => return Poll::Ready(Some(self.lost(end, 0))),
                },
                State::Open { .. } => return self.poll_open(cx).map(Some),
            }
        }
    }

    /// Closes the line, if there is one, and opens no other. What is queued and was handed to no line stays behind.
    ///
    /// Cancel-safe: dropped before it returns, [`next`](Self::next) goes on to the end of this line, and no further.
    ///
    /// # Errors
    /// As [`WebSocket::close`].
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), crate::Error> {
        self.closing = true;
        let closed = match &mut self.state {
            State::Open { socket, .. } => socket.close(code, reason).await.map(drop),
            _ => Ok(()),
        };
        self.state = State::Stopped;
        closed
    }

    fn attempt(&mut self) -> Opening {
        let attempt =
            Attempt { number: self.failures.saturating_add(1), refresh: self.refreshing, client: self.client.clone() };
        let client = self.before.as_mut().map(|before| before(attempt));
        let (own, url) = (self.client.clone(), self.url.clone());
        Box::pin(async move {
            let client = match client {
                Some(client) => client.await.map_err(End::NoClient)?,
                None => own,
            };
            client.connect(&url).await.map_err(End::NotOpened)
        })
    }

    fn opened(&mut self, socket: WebSocket<ClientStream>, response: Response<()>) -> Event {
        let subprotocol = socket.subprotocol().map(Into::into);
        let opened = Opened { response, subprotocol, attempts: self.failures.saturating_add(1) };
        let first = self.after.as_mut().map(|after| after(&opened)).unwrap_or_default().into();
        self.state = State::Open { socket, since: Instant::now(), first, handed: 0 };
        Event::Opened(opened)
    }

    /// Hands over what there is room for, then receives; which also writes it.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let State::Open { socket, first, handed, since } = &mut self.state else { return Poll::Pending };
        loop {
            if self.closing || (first.is_empty() && self.queue.is_empty()) {
                break;
            }
            // An error here is told by the receiving side, with all that came before it.
            let Poll::Ready(Ok(())) = Pin::new(&mut *socket).poll_ready(cx) else { break };
            if let Some(message) = first.pop_front() {
                let _ = Pin::new(&mut *socket).start_send(message);
            } else if let Some(message) = self.queue.pop_front() {
                let bytes = message.len();
                if Pin::new(&mut *socket).start_send(message.clone()).is_err() {
                    self.queue.push_front(message); // the line closes: it is the next one's
                    break;
                }
                self.queued_bytes -= bytes;
                *handed += 1;
            }
        }
        let end = match std::task::ready!(socket.poll_recv(cx)) {
            Ok(Some(message)) => return Poll::Ready(Event::Message(message)),
            Ok(None) => match socket.closed() {
                Some(closed) => End::Closed(closed.clone()),
                None => End::Broke(crate::Error::Aborted),
            },
            Err(error) => match (socket.closed(), error) {
                (Some(closed), crate::Error::Aborted | crate::Error::Io(_)) if closed.received.is_some() => {
                    End::Closed(closed.clone())
                }
                (_, error) => End::Broke(error),
            },
        };
        let handed = *handed;
        if since.elapsed() >= self.backoff.ceiling(self.failures) {
            self.failures = 0;
            self.refreshing = false;
        }
        Poll::Ready(self.lost(end, handed))
    }

    fn lost(&mut self, end: End, handed: u64) -> Event {
        let verdict = self.judge.as_mut().and_then(|judge| judge(&end)).unwrap_or_else(|| Verdict::of(&end));
        let least = match verdict {
            Verdict::Stop => None,
            _ if self.closing => None,
            // The credentials were new already.
            Verdict::Refresh if self.refreshing => None,
            Verdict::Retry | Verdict::Refresh => Some(Duration::ZERO),
            Verdict::RetryLater(Some(after)) => Some(after.min(self.backoff.max_retry_after)),
            Verdict::RetryLater(None) => Some(self.backoff.later),
        };
        self.refreshing |= verdict == Verdict::Refresh;
        let random = u32::from_ne_bytes(seed::fresh());
        let retry_in = least.map(|least| self.backoff.wait(self.failures, least, random));
        self.state = match retry_in {
            Some(wait) => State::Waiting(Box::pin(sleep_until(Instant::now() + wait))),
            None => State::Stopped,
        };
        self.failures = self.failures.saturating_add(1);
        Event::Lost(Lost { end, retry_in, handed })
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Waiting(_) => "waiting",
            State::Opening(_) => "opening",
            State::Open { .. } => "open",
            State::Stopped => "stopped",
        };
        let mut shown = f.debug_struct("Reconnecting");
        // What is before the host may be a password.
        let (scheme, rest) = self.url.split_once("://").unwrap_or(("", &self.url));
        let host = rest.split(['/', '?']).next().and_then(|authority| authority.rsplit('@').next());
        shown
            .field("scheme", &scheme)
            .field("host", &host.unwrap_or_default())
            .field("state", &state)
            .field("failures", &self.failures);
        shown.field("queued", &self.queue.len()).finish_non_exhaustive()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(closed) if closed.reason().is_empty() => {
                write!(f, "the line was closed with {}", closed.code())
            }
            Self::Closed(closed) => write!(f, "the line was closed with {}: {}", closed.code(), closed.reason()),
            Self::Broke(error) => error.fmt(f),
            Self::NotOpened(error) => error.fmt(f),
            Self::NoClient(error) => error.fmt(f),
        }
    }
}

impl From<ConnectError> for End {
    fn from(error: ConnectError) -> Self {
        Self::NotOpened(error)
    }
}

/// There is no room for this message, or no line will come.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueFull(
    /// The message.
    pub Message,
);

impl fmt::Display for QueueFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for the message: as much waits for a line as may, or none will come")
    }
}

impl std::error::Error for QueueFull {}
