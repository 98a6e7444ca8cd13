//! Tickets: a backend gets one for a user that it knows, and the user's browser comes with it, once and soon.
//!
//! A browser cannot send headers with a WebSocket or an event stream. What stands in a URL is seen by logs on the way, so
//! that it must not be good for a second time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Admission;
use crate::session::sessions::Id;

/// Tickets that are out.
#[derive(Debug, Default)]
pub(crate) struct Tickets(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    out: HashMap<Id, (Instant, Box<Admission>)>,
    swept: Option<Instant>,
}

/// As many as may come within their life; each is some hundred bytes.
const MAX_TICKETS: usize = 100_000;

impl Tickets {
    /// How long one is good: a page fetches it, and connects at once.
    pub(crate) const LIFE: Duration = Duration::from_secs(30);

    /// Gives one out; `None` when too many are.
    pub(crate) fn issue(&self, admission: Admission, now: Instant) -> Option<String> {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if book.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= Self::LIFE) {
            book.out.retain(|_, (until, _)| *until > now);
            book.swept = Some(now);
        }
        if book.out.len() >= MAX_TICKETS {
            return None;
        }
        let id = Id::random();
        book.out.insert(id, (now + Self::LIFE, Box::new(admission)));
        Some(id.to_string())
    }

    /// Takes one in.
    pub(crate) fn redeem(&self, ticket: &str, now: Instant) -> Option<Admission> {
        let id = Id::parse(ticket)?;
        let (until, admission) = self.0.lock().unwrap_or_else(PoisonError::into_inner).out.remove(&id)?;
        (until > now).then_some(*admission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_once_and_soon() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let ticket = tickets.issue(Admission::default(), now).unwrap();
        assert!(tickets.redeem(&ticket, now + Tickets::LIFE - Duration::from_millis(1)).is_some());
        assert!(tickets.redeem(&ticket, now).is_none());
        let ticket = tickets.issue(Admission::default(), now).unwrap();
        assert!(tickets.redeem(&ticket, now + Tickets::LIFE).is_none());
        assert!(tickets.redeem("x", now).is_none());
    }
}
