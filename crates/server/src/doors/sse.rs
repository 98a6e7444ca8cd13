//! Event streams (HTML, "Server-sent events"): what `EventSource` reads.
//!
//! The id of an event is the position (for several channels: the positions, in their order), so a browser that comes back
//! resumes by itself. Something missing is an event `gap`; how payloads look is said at [`encoded::event`].

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Frame;
use openline_hub::{Delivery, Member, Outbox, Position, Publication, Recovery, Subscribe, Subscription, TooSlow};
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::answer::{not_subscribed, with_position};
use super::encoded::{self, Encoded, push_data};
use super::missed::Missed;
use super::permit::Guest;
use super::{Body, Target, full, json};
use crate::counts::Kind;
use crate::lines::Line;
use crate::rights::Act;
use crate::site::Site;
use crate::turns::TAKE_BYTES;

/// Something is said this often, so that nobody in between takes the silence for the end.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// A browser that loses us comes back after this time.
const RETRY_MS: u64 = 2_000;

/// When the server ends, they come back within this time, and not all at once.
const RETURN_WITHIN_MS: u64 = 5_000;

/// Whether an event stream is wanted.
pub(crate) fn is_wanted(headers: &HeaderMap) -> bool {
    let types = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    types.map(|kind| kind.split(';').next().unwrap_or_default().trim()).any(|kind| kind == "text/event-stream")
}

/// Whether somebody wants one who had one before.
pub(super) fn comes_back(headers: &HeaderMap) -> bool {
    is_wanted(headers) && headers.get("last-event-id").is_some_and(|id| !id.is_empty())
}

/// An event stream that says when to come back, and nothing else: for when there is no room, or the server ends. To any
/// other answer than 200 a browser never comes back.
pub(crate) fn come_back() -> Response<Bytes> {
    come_back_in(Duration::ZERO)
}

/// The same, and not before this time has passed.
fn come_back_in(wait: Duration) -> Response<Bytes> {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(some_time());
    let mut response = Response::new(Bytes::from(format!("retry: {wait_ms}\n\n")));
    described(response.headers_mut());
    response
}

/// Not all at once.
fn some_time() -> u64 {
    1 + std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0) % RETURN_WITHIN_MS
}

pub(crate) fn described(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Neither kept, nor held back: nginx buffers answers unless they say this.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

pub(super) fn open<B>(
    request: &Request<B>,
    guest: &Guest,
    target: &Target,
    site: &Arc<Site>,
    gone: CancellationToken,
) -> Result<Response<Body>, Box<Response<Bytes>>> {
    for channel in &target.channels {
        guest.pass(Act::Subscribe, channel, site)?;
    }
    let member = guest.member(&target.channels, site);
    let after = target.after(request.headers())?;
    if let Err(too_much) = guest.subscribe(&target.channels, site) {
        return Ok(full(come_back_in(too_much.wait)));
    }
    let outbox = site.channels.outbox();
    let mut stream = Stream {
        positions: Vec::new(),
        several: target.several,
        ready: VecDeque::new(),
        missed: Missed::default(),
        caught_up: false,
        subscriptions: Vec::new(),
        comment: Box::pin(sleep(COMMENT_EVERY)),
        gone: Box::pin(gone.cancelled_owned()),
        line: site.lines.open(Kind::Events),
        site: site.clone(),
        outbox,
        ended: false,
    };
    stream.ready.push_back(Bytes::from(format!("retry: {RETRY_MS}\n")));
    let mut begun = Vec::new();
    for (tag, (channel, after)) in target.channels.iter().zip(after).enumerate() {
        let subscribe = Subscribe {
            tag: tag as u32,
            after,
            member: member.clone(),
            hears_members: guest.may(Act::Presence, channel, site),
            ..Subscribe::default()
        };
        let subscribed = site.channels.subscribe(channel, &stream.outbox, subscribe).map_err(not_subscribed)?;
        stream.subscriptions.push(subscribed.subscription);
        // While it is caught up, a client's position is the one that it came with.
        let from = if matches!(subscribed.recovery, Recovery::Complete(_)) { after } else { None };
        stream.positions.push(from.unwrap_or(subscribed.position));
        begun.push((subscribed.position, subscribed.recovery));
    }
    let newest = begun.first().map(|(position, _)| *position);
    for (tag, (position, recovery)) in begun.into_iter().enumerate() {
        match recovery {
            Recovery::Live => {}
            Recovery::Complete(missed) => stream.missed.extend(tag as u32, missed),
            Recovery::Gap(gap) => {
                let gap = json::gap(gap, stream.subscriptions[tag].channel(), position);
                stream.say("gap", &gap);
            }
        }
    }
    let mut response = Response::new(stream.boxed_unsync());
    described(response.headers_mut());
    Ok(match newest {
        Some(newest) if !target.several => with_position(response, newest),
        _ => response,
    })
}

/// The body of an event stream.
struct Stream {
    outbox: Arc<Outbox<Encoded>>,
    subscriptions: Vec<Subscription<Encoded>>,
    /// Of each channel, what was said last.
    positions: Vec<Position>,
    several: bool,
    /// Said, and not written yet.
    ready: VecDeque<Bytes>,
    /// Not said yet.
    missed: Missed,
    /// All that was missed is said, and where the client is now.
    caught_up: bool,
    comment: Pin<Box<Sleep>>,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    line: Line,
    site: Arc<Site>,
    ended: bool,
}

impl Stream {
    fn id(&self) -> String {
        let positions: Vec<_> = self.positions.iter().map(Position::to_string).collect();
        positions.join(",")
    }

    fn event(&mut self, tag: usize, publication: &Publication<Encoded>) {
        self.site.counts.sent.count(publication.data.len());
        let epoch = self.positions[tag].epoch;
        self.positions[tag].offset = publication.offset;
        if !self.several {
            self.ready.push_back(encoded::event(publication, epoch).clone());
            return;
        }
        let object = encoded::object(publication, self.subscriptions[tag].channel(), epoch);
        let mut event = format!("id: {}\n", self.id());
        // JSON may have carriage returns only between its tokens, where any white space will do.
        push_data(&mut event, &String::from_utf8_lossy(object).replace('\r', " "));
        event.push('\n');
        self.ready.push_back(event.into());
    }

    fn say(&mut self, name: &str, data: &str) {
        let mut event = format!("id: {}\nevent: {name}\n", self.id());
        push_data(&mut event, data);
        event.push('\n');
        self.ready.push_back(event.into());
    }

    /// Says some of what was missed, and at the end of it where the client is now.
    fn catch_up(&mut self) {
        let mut taken = Vec::new();
        self.missed.take(&mut taken);
        taken.into_iter().for_each(|delivery| self.deliver(delivery));
        if self.missed.is_empty() {
            self.caught_up = true;
            // An id without data is not an event, and is remembered: whoever is cut off before the first one misses nothing.
            let id = self.id();
            self.ready.push_back(Bytes::from(format!("id: {id}\n\n")));
        }
    }

    fn deliver(&mut self, delivery: Delivery<Encoded>) {
        let (tag, publication, skipped) = match delivery {
            Delivery::Publication { tag, publication, skipped } => (tag as usize, publication, skipped),
            Delivery::Joined { tag, member } => return self.member("join", tag, &member),
            Delivery::Left { tag, member } => return self.member("leave", tag, &member),
            _ => return,
        };
        if skipped > 0 {
            // From before this one, so that whoever is cut off here is told of it again.
            let channel = json::string(self.subscriptions[tag].channel().as_str());
            let data = format!(r#"{{"channel":{channel},"gap":"slow","skipped":{skipped}}}"#);
            self.say("gap", &data);
        }
        self.event(tag, &publication);
    }

    /// Somebody came or went.
    fn member(&mut self, event: &str, tag: u32, member: &Member) {
        let data = json::coming_or_going(event, member, self.subscriptions[tag as usize].channel());
        self.say(event, &data);
    }

    /// The last words: when to come back.
    fn end(&mut self, within_ms: u64) {
        self.ended = true;
        self.ready.push_back(Bytes::from(format!("retry: {within_ms}\n\n")));
    }
}

impl hyper::body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let stream = &mut *self;
        if !stream.caught_up {
            stream.catch_up();
        }
        loop {
            if !stream.ready.is_empty() {
                stream.comment.as_mut().reset(tokio::time::Instant::now() + COMMENT_EVERY);
                let bytes = if stream.ready.len() == 1 {
                    stream.ready.pop_front().unwrap_or_default()
                } else {
                    stream.ready.drain(..).flatten().collect()
                };
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if stream.ended || stream.gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            if stream.line.poll_told_to_close(cx).is_ready() {
                stream.end(some_time());
                continue;
            }
            let mut taken = Vec::new();
            match stream.outbox.poll_take(cx, TAKE_BYTES, &mut taken) {
                Poll::Ready(Ok(())) => taken.into_iter().for_each(|delivery| stream.deliver(delivery)),
                // It comes back with its last position, and is told what it missed or that it cannot be.
                Poll::Ready(Err(TooSlow)) => stream.end(RETRY_MS),
                Poll::Pending if stream.comment.as_mut().poll(cx).is_ready() => {
                    stream.ready.push_back(Bytes::from_static(b":\n\n"));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use openline_hub::{Draft, Format};

    use super::*;
    use crate::config::Config;
    use crate::hosting::Table;

    /// The next piece of a stream, as text.
    async fn piece(body: &mut Body) -> String {
        let frame = body.frame().await.expect("it goes on").unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    }

    /// Virtual time: it goes on by itself when there is nothing else to do.
    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_every_15_seconds() {
        let site = Site::new(Config::default(), Table::default(), None).unwrap();
        let request = Request::get("/c/x").body(()).unwrap();
        let guest = Guest::of(&request, &site).unwrap();
        let target = Target::of("/c/x", request.uri()).unwrap().unwrap();
        let mut body = open(&request, &guest, &target, &site, CancellationToken::new()).unwrap().into_body();
        let start = tokio::time::Instant::now();
        assert!(piece(&mut body).await.starts_with("retry: 2000\nid: "));
        for comments in 1..=3 {
            assert_eq!(piece(&mut body).await, ":\n\n");
            assert_eq!(start.elapsed().as_secs(), 15 * comments);
        }
        // Counted from whatever was said last.
        tokio::time::advance(Duration::from_secs(10)).await;
        site.channels.publish(&target.channels[0], Draft::new(Format::Text, "hi")).unwrap();
        assert!(piece(&mut body).await.ends_with("data: hi\n\n"));
        assert_eq!(piece(&mut body).await, ":\n\n");
        assert_eq!(start.elapsed().as_secs(), 45 + 10 + 15);
    }
}
