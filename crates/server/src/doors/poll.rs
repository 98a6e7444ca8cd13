//! The recent past of channels, and waiting for what comes next: one JSON object for each request.
//!
//! `{"publications":[…],"next":…}`, and `"gaps":[…]` when something is missing: each a channel, why, and from where to go
//! on. `next` is what to send as `?after=` next time; a request that carries it can be answered by any server.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use openline_hub::{Position, Publication, Subscribe, Window};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::answer::{json, not_read, not_subscribed, with_position};
use super::encoded::{self, Encoded};
use super::permit::Guest;
use super::{Body, Target, full, json as objects};
use crate::counts::Kind;
use crate::edge::answer::{text, too_much};
use crate::rights::Act;
use crate::site::Site;

type Answered = Result<Response<Body>, Box<Response<Bytes>>>;

/// What is there; with `?wait=`, if that is nothing, what comes within that time.
pub(super) async fn get<B>(
    request: &Request<B>,
    guest: &Guest,
    target: &Target,
    site: &Arc<Site>,
    gone: CancellationToken,
) -> Answered {
    // Who waits listens; who does not reads.
    let act = if target.wait().is_some() { Act::Subscribe } else { Act::History };
    for channel in &target.channels {
        guest.pass(act, channel, site)?;
    }
    if act == Act::Subscribe {
        guest.subscribe(&target.channels, site).map_err(|error| Box::new(too_much(&error)))?;
    }
    let mut after = target.after(request.headers())?;
    if let Some(wait) = target.wait() {
        // Who waits without a position waits for what comes from now on, and not for what was.
        for (channel, after) in target.channels.iter().zip(&mut after) {
            let top = || site.channels.window(channel, None, 0).map(|window| window.top);
            *after = Some(after.map_or_else(top, Ok).map_err(not_read)?);
        }
        // Whatever ends the wait, what is there then is the answer.
        let mut line = site.lines.open(Kind::Poll);
        tokio::select! {
            news = timeout(wait, news(target, &after, site)) => news.unwrap_or(Ok(()))?,
            _ = line.told_to_close() => {}
            () = gone.cancelled() => {}
        }
    }
    let (mut windows, mut room) = (Vec::new(), MAX_ANSWER_BYTES);
    for (channel, after) in target.channels.iter().zip(after) {
        let mut window = site.channels.window(channel, after, target.limit()).map_err(not_read)?;
        cut(&mut window, after, &mut room);
        window.publications.iter().for_each(|publication| site.counts.sent.count(publication.data.len()));
        windows.push(window);
    }
    Ok(full(shown(target, &windows)))
}

/// Payloads in one answer; a client may ask for a hundred channels with a thousand publications each. `next` says where to go
/// on. One publication always has room.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Leaves out what there is no room for: of what follows a position the later ones, of the recent past the earlier ones.
fn cut(window: &mut Window<Encoded>, after: Option<Position>, room: &mut usize) {
    let publications = &mut window.publications;
    if after.is_none() {
        publications.reverse();
    }
    let mut fits = |publication: &Publication<Encoded>| {
        let bytes = publication.data.len();
        let fits = bytes <= *room || *room == MAX_ANSWER_BYTES;
        *room = if fits { room.saturating_sub(bytes.max(1)) } else { 0 };
        fits
    };
    let kept = publications.iter().take_while(|one| fits(one)).count();
    publications.truncate(kept);
    match after {
        None => publications.reverse(),
        Some(after) if window.gap.is_none() => window.next.offset = after.offset + kept as u64,
        Some(_) => {}
    }
}

/// The newest position.
pub(super) fn head(guest: &Guest, target: &Target, site: &Arc<Site>) -> Answered {
    let (mut windows, mut room) = (Vec::new(), MAX_ANSWER_BYTES);
    for channel in &target.channels {
        // Who may listen may know from where on.
        if !guest.may(Act::Subscribe, channel, site) {
            guest.pass(Act::History, channel, site)?;
        }
        let mut window = site.channels.window(channel, None, target.limit()).map_err(not_read)?;
        cut(&mut window, None, &mut room);
        windows.push(window);
    }
    Ok(full(shown(target, &windows)))
}

/// So many members are named; the rest is counted.
const MAX_MEMBERS: usize = 1000;

/// Who is in a channel.
pub(super) fn presence(guest: &Guest, target: &Target, site: &Arc<Site>) -> Answered {
    let channel = target.one()?;
    guest.pass(Act::Presence, channel, site)?;
    if !site.channels.has_presence(channel) {
        let why = format!("Who is in {channel:?} cannot be seen: its namespace has no presence.");
        return Err(Box::new(text(StatusCode::NOT_FOUND, why)));
    }
    let (members, stats) = site.channels.presence(channel, MAX_MEMBERS);
    let members: Vec<_> = members.iter().map(|member| objects::member(member)).collect();
    let object = format!(
        "{{\"channel\":{},\"clients\":{},\"users\":{},\"members\":[{}]}}\n",
        objects::string(channel.as_str()),
        stats.clients,
        stats.users,
        members.join(",")
    );
    Ok(full(json(StatusCode::OK, object)))
}

/// Waits until there is something after one of the positions, or something missing.
async fn news(target: &Target, after: &[Option<Position>], site: &Arc<Site>) -> Result<(), Box<Response<Bytes>>> {
    let outbox = site.channels.outbox();
    let mut subscriptions = Vec::new();
    for (channel, after) in target.channels.iter().zip(after) {
        let subscribed = site.channels.subscribe(channel, &outbox, Subscribe::default()).map_err(not_subscribed)?;
        let is_there = after.is_some_and(|after| after != subscribed.position);
        subscriptions.push(subscribed.subscription);
        if is_there {
            return Ok(());
        }
    }
    let mut taken = Vec::new();
    // However it ends (even too much at once), there is something.
    std::future::poll_fn(|cx| match outbox.poll_take(cx, 1, &mut taken) {
        Poll::Ready(_) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    })
    .await;
    Ok(())
}

fn shown(target: &Target, windows: &[Window<Encoded>]) -> Response<Bytes> {
    let (mut publications, mut gaps, mut next) = (Vec::new(), Vec::new(), Vec::new());
    for (channel, window) in target.channels.iter().zip(windows) {
        let epoch = window.top.epoch;
        let objects = window.publications.iter().map(|one| encoded::object(one, channel, epoch));
        publications.extend(objects.map(|object| String::from_utf8_lossy(object)));
        gaps.extend(window.gap.map(|gap| objects::gap(gap, channel, window.next)));
        next.push(window.next.to_string());
    }
    let gaps = match gaps.is_empty() {
        true => String::new(),
        false => format!(r#","gaps":[{}]"#, gaps.join(",")),
    };
    let object = format!("{{\"publications\":[{}],\"next\":\"{}\"{gaps}}}\n", publications.join(","), next.join(","));
    let response = json(StatusCode::OK, object);
    match windows {
        [window] => with_position(response, window.next),
        _ => response,
    }
}
