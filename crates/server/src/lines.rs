//! Every open line (an accepted WebSocket, an event stream, a poll that waits), so that all of them can be told to close.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use openline::proto::CloseCode;
use slab::Slab;
use tokio::sync::watch;

use crate::counts::Kind;
use crate::rights::Identity;

/// What a line is told to close with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goodbye {
    /// The close code that the peer gets.
    pub(crate) code: CloseCode,
    /// The reason beside it.
    pub(crate) reason: Cow<'static, str>,
}

/// The lines that are open now.
///
/// ```no_run
/// # fn logout(server: &openline_server::Server) {
/// use openline_server::Identity;
///
/// let lines = server.lines();
/// println!("{} lines to /chat/{{room}}", lines.count_at("/chat/{room}"));
/// lines.close(&Identity::User("ann".into()), openline::CloseCode::POLICY, "you logged out");
/// # }
/// ```
#[derive(Debug)]
pub struct Lines {
    book: Mutex<Book>,
    count: watch::Sender<usize>,
    /// Goes up whenever anybody is told to close. All that a line looks at while it is in use.
    news: AtomicU64,
}

#[derive(Debug, Default)]
struct Book {
    entries: Slab<Entry>,
    /// Of each kind, how many there are, and how many there ever were.
    counts: [(usize, u64); Kind::ALL.len()],
    /// Of each user whose name is known, the lines that are open.
    users: HashMap<Arc<str>, BTreeSet<usize>>,
    /// Of each route, how many there are.
    routes: HashMap<Arc<str>, usize>,
    /// Set once and for good: whoever opens a line after that is told at once.
    farewell: Option<Goodbye>,
}

#[derive(Debug)]
struct Entry {
    told: Option<Box<Goodbye>>,
    kind: Kind,
    /// In a box, because most lines are nobody's.
    owner: Option<Box<Owner>>,
    /// Who waits to be told.
    waker: Option<Waker>,
}

/// Whose a line is, as far as somebody asked, and the route that it came by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owner {
    pub(crate) identity: Identity,
    pub(crate) route: Option<Arc<str>>,
}

/// A line that was open when the end began, and is to be told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untold(usize);

impl Lines {
    /// None.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { book: Mutex::default(), count: watch::Sender::new(0), news: AtomicU64::new(0) })
    }

    /// Enters a line; it is struck out when the returned [`Line`] is dropped.
    pub(crate) fn open(self: &Arc<Self>, kind: Kind) -> Line {
        self.open_for(kind, None)
    }

    /// The same for a line that is somebody's.
    pub(crate) fn open_for(self: &Arc<Self>, kind: Kind, owner: Option<Box<Owner>>) -> Line {
        let Owner { identity, route } = owner.as_deref().cloned().unwrap_or_default();
        let mut book = self.book();
        let told = book.farewell.clone().map(Box::new);
        let key = book.entries.insert(Entry { told, kind, owner, waker: None });
        if let Identity::User(name) = identity {
            book.users.entry(name).or_default().insert(key);
        }
        if let Some(route) = route {
            *book.routes.entry(route).or_default() += 1;
        }
        let (now, ever) = &mut book.counts[kind as usize];
        (*now, *ever) = (*now + 1, *ever + 1);
        drop(book);
        self.count.send_modify(|count| *count += 1);
        Line { key, waker: None, read: 0, lines: self.clone() }
    }

    /// From now on every line that opens is told `goodbye`. Returns those that are open, to be told one by one.
    pub(crate) fn farewell(&self, goodbye: Goodbye) -> Vec<Untold> {
        let mut book = self.book();
        book.farewell = Some(goodbye);
        book.entries.iter().map(|(key, _)| Untold(key)).collect()
    }

    /// Tells one of them. Should it have hung up meanwhile, whoever has its place now was told already.
    pub(crate) fn tell(&self, untold: Untold) {
        let mut book = self.book();
        let goodbye = book.farewell.clone().map(Box::new);
        let waker = book.entries.get_mut(untold.0).and_then(|entry| {
            entry.told = goodbye;
            entry.waker.take()
        });
        self.news.fetch_add(1, Ordering::Relaxed);
        drop(book);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Closes every line of a user by a route that asks for names (`allow`), as at a logout, and says how many there are. Lines of
    /// sessions and of channels are not among them.
    pub fn close(&self, identity: &Identity, code: CloseCode, reason: &str) -> usize {
        let Some(name) = identity.user() else { return 0 };
        let mut book = self.book();
        let Book { entries, users, .. } = &mut *book;
        let mut wakers = Vec::new();
        for key in users.get(name).into_iter().flatten() {
            if let Some(entry) = entries.get_mut(*key) {
                entry.told = Some(Box::new(Goodbye { code, reason: reason.to_owned().into() }));
                wakers.push(entry.waker.take());
            }
        }
        self.news.fetch_add(1, Ordering::Relaxed);
        drop(book);
        let count = wakers.len();
        wakers.into_iter().flatten().for_each(Waker::wake);
        count
    }

    /// How many lines by routes that ask for names are a user's.
    pub fn count_of(&self, identity: &Identity) -> usize {
        identity.user().and_then(|name| self.book().users.get(name).map(BTreeSet::len)).unwrap_or(0)
    }

    /// How many are open to a route, by its path as it was written, behind the host's name if it has one: `/chat/{room}`,
    /// `tools.example/count`.
    pub fn count_at(&self, route: &str) -> usize {
        self.book().routes.get(route).copied().unwrap_or(0)
    }

    /// Of each kind, how many are open, and how many ever were.
    pub(crate) fn counts(&self) -> [(usize, u64); Kind::ALL.len()] {
        self.book().counts
    }

    /// How many are open.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until none is open.
    pub(crate) async fn none(&self) {
        // An error would mean that the sender is gone, and `self` has it.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Nothing in here panics half-way.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// A user, or a route, without a line takes no memory.
    fn forget(&mut self, owner: &Owner, key: usize) {
        if let Identity::User(name) = &owner.identity
            && let Some(keys) = self.users.get_mut(name)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.users.remove(name);
            }
        }
        if let Some(route) = &owner.route
            && let Some(count) = self.routes.get_mut(route)
        {
            *count -= 1;
            if *count == 0 {
                self.routes.remove(route);
            }
        }
    }
}

/// An open line's entry.
#[derive(Debug)]
pub(crate) struct Line {
    key: usize,
    /// A copy of what the book has.
    waker: Option<Waker>,
    /// The news that it has looked at.
    read: u64,
    lines: Arc<Lines>,
}

impl Line {
    /// Waits until the server wants this line closed; for ever, if it never does.
    pub(crate) async fn told_to_close(&mut self) -> Goodbye {
        poll_fn(|cx| self.poll_told_to_close(cx)).await
    }

    /// The same for code without `async`. Looks into the book only for who is new here, and at the end: lines that are in
    /// use share no lock.
    pub(crate) fn poll_told_to_close(&mut self, cx: &mut Context<'_>) -> Poll<Goodbye> {
        let is_known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        let news = self.lines.news.load(Ordering::Relaxed);
        if is_known && news == self.read {
            return Poll::Pending;
        }
        self.read = news;
        let mut book = self.lines.book();
        let entry = &mut book.entries[self.key];
        if let Some(goodbye) = &entry.told {
            return Poll::Ready((**goodbye).clone());
        }
        // Wakers may be the last that keep a task's memory: they are dropped without the lock.
        let before = entry.waker.replace(cx.waker().clone());
        drop(book);
        drop(before);
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The waker may be the last that keeps its task's memory: it is dropped without the lock.
        let mut book = self.lines.book();
        let entry = book.entries.remove(self.key);
        book.counts[entry.kind as usize].0 -= 1;
        if let Some(owner) = &entry.owner {
            book.forget(owner, self.key);
        }
        drop(book);
        self.lines.count.send_modify(|count| *count -= 1);
        drop(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOODBYE: Goodbye = Goodbye { code: CloseCode::RESTART, reason: Cow::Borrowed("") };

    #[tokio::test]
    async fn the_open_are_told_in_turn_and_the_late_at_once() {
        let lines = Lines::new();
        let (mut first, mut second) = (lines.open(Kind::Test), lines.open(Kind::Test));
        drop(lines.open(Kind::Poll));
        assert_eq!(lines.counts()[Kind::Test as usize], (2, 2));
        assert_eq!(lines.counts()[Kind::Poll as usize], (0, 1));
        assert_eq!(lines.count(), 2);
        let first = tokio::spawn(async move { first.told_to_close().await });
        let is_told = |line: &mut Line| line.poll_told_to_close(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_told(&mut second));
        tokio::task::yield_now().await; // the first waits

        let untold = lines.farewell(GOODBYE);
        assert_eq!(untold.len(), 2);
        let mut late = lines.open(Kind::Test);
        assert_eq!(late.told_to_close().await, GOODBYE);

        lines.tell(untold[0]);
        assert_eq!(first.await.unwrap(), GOODBYE);
        assert!(!is_told(&mut second));
        lines.tell(untold[1]);
        assert!(is_told(&mut second));
        drop((second, late));
        lines.none().await;
    }

    #[tokio::test]
    async fn lines_are_counted_and_closed_by_whose_they_are() {
        let lines = Lines::new();
        let user = |name: &str| Identity::User(name.into());
        let open = |identity, route: &str| {
            lines.open_for(Kind::Hosted, Some(Box::new(Owner { identity, route: Some(route.into()) })))
        };
        let (mut one, mut two) = (open(user("ann"), "/a"), open(user("ann"), "/b"));
        let (mut bob, mut stranger) = (open(user("bob"), "/a"), open(Identity::Anonymous, "/a"));
        assert_eq!((lines.count_at("/a"), lines.count_at("/b"), lines.count_at("/c")), (3, 1, 0));
        assert_eq!((lines.count_of(&user("ann")), lines.count_of(&Identity::Anonymous)), (2, 0));
        let is_told = |line: &mut Line| line.poll_told_to_close(&mut Context::from_waker(Waker::noop())).is_ready();
        for line in [&mut one, &mut two, &mut bob, &mut stranger] {
            assert!(!is_told(line));
        }
        assert_eq!(lines.close(&user("ann"), CloseCode::POLICY, "you logged out"), 2);
        assert_eq!(lines.close(&Identity::Anonymous, CloseCode::POLICY, ""), 0);
        let goodbye = Goodbye { code: CloseCode::POLICY, reason: "you logged out".into() };
        assert_eq!((one.told_to_close().await, two.told_to_close().await), (goodbye.clone(), goodbye));
        assert!(!is_told(&mut bob) && !is_told(&mut stranger));
        drop((one, two, bob, stranger));
        let book = lines.book();
        assert!(book.users.is_empty() && book.routes.is_empty());
    }
}
