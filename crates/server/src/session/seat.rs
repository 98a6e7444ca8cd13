//! Runs a session: brings it what the hub, others, the clock and backends have for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Instant;

use bytes::Bytes;
use openline_hub::TooSlow;
use tokio::task::JoinSet;
use tokio::time::Sleep;

use super::codes::{Disconnect, Refused};
use super::session::{Arrival, Ask, Found, Out, Question, Session, Ticket, Transport};
use super::sessions::{Id, Mailbox};
use super::wire::Encoding;
use crate::hooks::{Answer, Event};
use crate::site::Site;

/// Taken out of the outbox at once, about: what is written by one system call.
const TAKE_BYTES: usize = 16 << 10;

/// A session that runs.
pub(super) struct Seat {
    pub(super) session: Session,
    mailbox: Arc<Mailbox>,
    site: Arc<Site>,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
    /// Questions that wait; most sessions never have one.
    asked: Option<Box<JoinSet<(Ticket, Found)>>>,
}

impl Seat {
    pub(super) fn new(transport: Transport, encoding: Encoding, arrival: Arrival, site: &Arc<Site>) -> Self {
        let mailbox = Arc::<Mailbox>::default();
        let context = site.realm.context(&site.channels);
        let session = Session::new(Id::random(), transport, encoding, arrival, mailbox.clone(), context);
        if let Some(secret) = session.secret {
            site.realm.sessions.open_beside(secret, mailbox.clone());
        }
        Self { session, mailbox, site: site.clone(), timer: None, asked: None }
    }

    /// Commands have come.
    pub(super) fn receive(&mut self, frame: Bytes) {
        let site = self.site.clone();
        self.session.receive(frame, site.realm.context(&site.channels));
    }

    /// What an emulated session that has ended still says.
    pub(super) fn last_words(&mut self) -> Vec<Vec<u8>> {
        let site = self.site.clone();
        let mut said = Vec::new();
        while let Some(out) = self.session.take(site.realm.context(&site.channels)) {
            // Publications it is told again when it comes back.
            if let Out::Replies(bytes) = out {
                said.push(bytes);
            }
        }
        said
    }

    /// Ready once there is something to send.
    pub(super) fn poll_next(&mut self, cx: &mut Task<'_>) -> Poll<Out> {
        let site = self.site.clone();
        loop {
            let context = site.realm.context(&site.channels);
            if let Some(out) = self.session.take(context) {
                return Poll::Ready(out);
            }
            while let Some(question) = self.session.take_question() {
                self.ask(question);
            }
            if let Poll::Ready(found) = self.poll_found(cx) {
                self.session.answer(found.0, found.1, context);
                continue;
            }
            if let Poll::Ready(order) = self.mailbox.poll_take(cx, self.session.takes_commands()) {
                self.session.order(order, context);
                continue;
            }
            let mut taken = Vec::new();
            match self.session.outbox().clone().poll_take(cx, TAKE_BYTES, &mut taken) {
                Poll::Ready(Ok(())) => {
                    taken.into_iter().for_each(|delivery| self.session.deliver(delivery));
                    continue;
                }
                Poll::Ready(Err(TooSlow)) => {
                    self.session.disconnect(Disconnect::SLOW);
                    continue;
                }
                Poll::Pending => {}
            }
            match self.session.next_timeout(context) {
                Some(at) if at <= context.now => self.session.handle_timeout(context),
                Some(at) if self.poll_timer(at, cx).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
    }

    fn poll_timer(&mut self, at: Instant, cx: &mut Task<'_>) -> Poll<()> {
        let (due, timer) = self.timer.get_or_insert_with(|| (at, Box::pin(tokio::time::sleep_until(at.into()))));
        if *due != at {
            timer.as_mut().reset(at.into());
            *due = at;
        }
        timer.as_mut().poll(cx).map(|()| self.timer = None)
    }

    fn ask(&mut self, Question { ticket, ask }: Question) {
        let site = self.site.clone();
        self.asked.get_or_insert_default().spawn(async move {
            let found = match ask {
                Ask::Keys => {
                    site.realm.tokens.fetch().await;
                    Found::Keys
                }
                Ask::Hook(call) if call.event == Event::Send => {
                    // Once it was said, it is on its way, also when its session ends.
                    let sent = tokio::spawn(async move { site.realm.hooks.ask(*call, now()).await });
                    Found::Hook(sent.await.unwrap_or(Answer::Refused(Refused::INTERNAL)))
                }
                Ask::Hook(call) => Found::Hook(site.realm.hooks.ask(*call, now()).await),
            };
            (ticket, found)
        });
    }

    fn poll_found(&mut self, cx: &mut Task<'_>) -> Poll<(Ticket, Found)> {
        let Some(asked) = &mut self.asked else { return Poll::Pending };
        match asked.poll_join_next(cx) {
            Poll::Ready(Some(Ok(found))) => Poll::Ready(found),
            // It panicked: the session cannot know what it waits for.
            Poll::Ready(Some(Err(_))) => {
                self.session.disconnect(Disconnect::SERVER_ERROR);
                Poll::Ready((Ticket::Refresh, Found::Keys))
            }
            Poll::Ready(None) => {
                self.asked = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// As the runtime's timers see it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Drop for Seat {
    fn drop(&mut self) {
        let sessions = &self.site.realm.sessions;
        sessions.leave(self.session.client);
        if let Some(secret) = self.session.secret {
            sessions.close_beside(secret);
        }
    }
}
