//! Publications in a row, as the bytes that thousands of lines send: put together once by each thread.

use std::cell::RefCell;
use std::sync::Arc;

use openline::proto::SharedMessages;
use openline_hub::{Publication, Run};

use super::encoded::{self, Encoded};

/// Together no more than this: copies of large ones would cost more than they save.
const MAX_BYTES: usize = 32 << 10;

thread_local! {
    /// Those who listen to a channel are woken one after the other, and most of them for the same publications.
    static NEWEST: RefCell<Option<Batch>> = const { RefCell::new(None) };
}

struct Batch {
    first: Arc<Publication<Encoded>>,
    messages: SharedMessages,
    payload_bytes: usize,
}

/// The messages, and how many bytes their payloads have; none when these are too many.
pub(crate) fn messages(run: &Run<Encoded>) -> Option<(SharedMessages, usize)> {
    NEWEST.with_borrow_mut(|newest| {
        if let Some(Batch { first, messages, payload_bytes }) = newest
            && Arc::ptr_eq(first, run.first())
            && messages.len() == run.len()
        {
            return Some((messages.clone(), *payload_bytes));
        }
        let payload_bytes = run.iter().map(|publication| publication.data.len()).sum();
        if payload_bytes > MAX_BYTES {
            return None;
        }
        let messages: SharedMessages = run.iter().map(|publication| encoded::message(publication).clone()).collect();
        *newest = Some(Batch { first: run.first().clone(), messages: messages.clone(), payload_bytes });
        Some((messages, payload_bytes))
    })
}
