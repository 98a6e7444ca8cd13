//! Every connection's task, so that the end of a server can wait for them, and none outlives it.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tokio::sync::Notify;

/// The tasks of the connections that there are now: a waker for each, as there may be many.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    tasks: Mutex<Slab<Option<Waker>>>,
    /// Whether all of them are to be dropped, and whoever comes later.
    over: AtomicBool,
    none: Notify,
}

impl Connections {
    /// Serves a connection in a task of its own.
    pub(crate) fn spawn<F>(self: &Arc<Self>, connection: F)
    where
        F: Future<Output = ()> + Unpin + Send + 'static,
    {
        let key = self.tasks().insert(None);
        tokio::spawn(Task { connection: Some(connection), is_known: false, key, connections: self.clone() });
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.none.notified();
            if self.tasks().is_empty() {
                return;
            }
            none.await;
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        // Woken without the lock: they may want it.
        let wakers: Vec<_> = self.tasks().iter_mut().filter_map(|(_, waker)| waker.take()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tasks(&self) -> MutexGuard<'_, Slab<Option<Waker>>> {
        // Nothing in here panics half-way.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has every connection dropped when it is dropped itself.
#[derive(Debug, Default)]
pub(crate) struct Alive(pub(crate) Arc<Connections>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A connection, and its place among the others.
#[derive(Debug)]
struct Task<F> {
    /// `None` once it has ended.
    connection: Option<F>,
    is_known: bool,
    key: usize,
    connections: Arc<Connections>,
}

impl<F: Future<Output = ()> + Unpin> Future for Task<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_known {
            // A task of the runtime is woken by the same waker all its life.
            self.is_known = true;
            self.connections.tasks()[self.key] = Some(cx.waker().clone());
        }
        if self.connections.over.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        match &mut self.connection {
            Some(connection) => Pin::new(connection).poll(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<F> Drop for Task<F> {
    fn drop(&mut self) {
        // First the connection, so that who waits for none finds nothing of it.
        self.connection = None;
        let mut tasks = self.connections.tasks();
        let waker = tasks.remove(self.key);
        let is_none = tasks.is_empty();
        drop(tasks);
        if is_none {
            self.connections.none.notify_waiters();
        }
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn the_end_waits_for_all_of_them() {
        let alive = Alive::default();
        let (end, ended) = oneshot::channel::<()>();
        alive.0.spawn(Box::pin(async { drop(ended.await) }));
        alive.0.spawn(std::future::ready(()));
        let waiting = tokio::spawn({
            let connections = alive.0.clone();
            async move { connections.none().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(end);
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn none_outlives_the_server() {
        let alive = Alive::default();
        let (connections, (held, dropped)) = (alive.0.clone(), oneshot::channel::<()>());
        let for_ever = |held| {
            Box::pin(async move {
                std::future::pending::<()>().await;
                drop(held)
            })
        };
        connections.spawn(for_ever(held));
        drop(alive);
        assert!(dropped.await.is_err());
        connections.none().await;

        let (held, dropped) = oneshot::channel::<()>();
        connections.spawn(for_ever(held));
        assert!(dropped.await.is_err(), "too late");
    }
}
