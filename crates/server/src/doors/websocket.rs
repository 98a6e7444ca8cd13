//! A WebSocket on a channel: what is published, as it is, and what the client sends is published.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use openline::proto::{Close, CloseCode, Message};
use openline::{Error, SendError, WebSocket};
use openline_hub::{
    Delivery, Draft, Format, Member, Outbox, PublishError, Recovery, Run, Subscribe, Subscribed, TooSlow,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Target;
use super::answer::{not_subscribed, with_position};
use super::batch;
use super::encoded::{self, Encoded};
use super::json;
use super::missed::Missed;
use super::permit::Guest;
use crate::edge::answer::too_much;
use crate::rights::Act;
use crate::site::Site;
use crate::turns::{TAKE_BYTES, Turn, Turns};

/// Too much waited: come back and say what was seen last.
const TOO_SLOW: u16 = 4008;

/// More is published than may be in the time: wait, and come back.
const TOO_MUCH: u16 = 4029;

/// Something is missing. The reason says of which channel, why, and from where to go on.
const GAP: u16 = 4010;

/// A client that has its place in the channels, and was not told yet.
#[derive(Debug)]
pub(crate) struct Visit {
    target: Target,
    guest: Guest,
    /// As others see it, if anything depends on that.
    member: Option<Arc<Member>>,
    outbox: Arc<Outbox<Encoded>>,
    subscribed: Vec<Subscribed<Encoded>>,
}

impl Visit {
    /// Subscribes, before the handshake is answered: whoever reads the answer misses nothing from then on.
    pub(crate) fn begin<B>(request: &Request<B>, target: Target, site: &Site) -> Result<Self, Box<Response<Bytes>>> {
        let guest = Guest::of(request, site)?;
        for channel in &target.channels {
            guest.pass(Act::Subscribe, channel, site)?;
        }
        let after = target.after(request.headers())?;
        let taken = guest.subscribe(&target.channels, site);
        taken.map_err(|error| Box::new(too_much(&error)))?;
        let member = guest.member(&target.channels, site);
        let outbox = site.channels.outbox();
        let mut subscribed = Vec::new();
        for (tag, (channel, after)) in target.channels.iter().zip(after).enumerate() {
            let subscribe = Subscribe {
                tag: tag as u32,
                after,
                member: member.clone(),
                hears_itself: site.config.policies.of(channel).hears_itself,
                // With one channel, messages are payloads, and there is no way to say so.
                hears_members: target.several && guest.may(Act::Presence, channel, site),
            };
            let one = site.channels.subscribe(channel, &outbox, subscribe);
            subscribed.push(one.map_err(not_subscribed)?);
        }
        Ok(Self { target, guest, member, outbox, subscribed })
    }

    /// Says in the answer to the handshake where the client comes in.
    pub(crate) fn announce(&self, response: Response<()>) -> Response<()> {
        match &self.subscribed[..] {
            [one] => with_position(response, one.position),
            _ => response,
        }
    }

    /// Serves an open line until it ends.
    pub(crate) async fn run<S>(mut self, socket: &mut WebSocket<S>, site: &Site) -> Result<(), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        for (tag, one) in self.subscribed.iter().enumerate() {
            if let Recovery::Gap(gap) = one.recovery {
                let reason = format!("gap: {}{}; go on from {}", gap.name(), self.which(tag), one.position);
                return socket.close(code(GAP), &reason).await.map(drop);
            }
        }
        let outbox = self.outbox.clone();
        let too_slow = poll_fn(|cx| outbox.poll_too_slow(cx));
        let ended = tokio::select! {
            biased;
            () = too_slow => None,
            ended = self.talk(socket, site) => Some(ended),
        };
        match ended {
            Some(ended) => ended,
            None => {
                drop(self);
                socket.close(code(TOO_SLOW), "too slow: too much was waiting to be read").await.map(drop)
            }
        }
    }

    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut WebSocket<S>,
        site: &Site,
    ) -> Result<(), Error> {
        let mut missed = Missed::default();
        for (tag, one) in self.subscribed.iter_mut().enumerate() {
            if let Recovery::Complete(publications) = std::mem::replace(&mut one.recovery, Recovery::Live) {
                missed.extend(tag as u32, publications);
            }
        }
        let mut turns = Turns::default();
        loop {
            let turn = turns.next(socket, |cx| {
                let mut taken = Vec::new();
                let run = match missed.take(&mut taken) {
                    true => Ok(None),
                    false => ready!(self.outbox.poll_take_run(cx, TAKE_BYTES, &mut taken)),
                };
                Poll::Ready(run.map(|run| (run, taken)))
            });
            let taken = match turn.await {
                Turn::Theirs(message) => match message? {
                    Some(message) => {
                        self.say(socket, message, site);
                        continue;
                    }
                    None => return Ok(()),
                },
                Turn::Ours(Err(TooSlow)) => return Ok(()), // as `run` has seen, too
                Turn::Ours(Ok((run, taken))) => self.pass_on(socket, run, taken, site),
            };
            for delivery in taken {
                if !self.hear(socket, delivery, site).await? {
                    return drain(socket).await;
                }
            }
        }
    }

    /// Queues payloads as long as there is room for them; the rest of what was taken has to wait, or is something else.
    fn pass_on<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocket<S>,
        run: Option<Run<Encoded>>,
        mut taken: Vec<Delivery<Encoded>>,
        site: &Site,
    ) -> Vec<Delivery<Encoded>> {
        if let Some(run) = &run {
            if !self.target.several
                && let Some((messages, payload_bytes)) = batch::messages(run)
                && socket.try_feed_all_shared(&messages).is_ok()
            {
                site.counts.sent.count_many(messages.len(), payload_bytes);
                return taken;
            }
            taken.extend(run.deliveries());
        }
        if !self.target.several {
            let queued = taken.iter().take_while(|delivery| match delivery {
                Delivery::Publication { publication, skipped: 0, .. } => {
                    let fed = socket.try_feed_shared(encoded::message(publication));
                    fed.map(|()| site.counts.sent.count(publication.data.len())).is_ok()
                }
                _ => false,
            });
            let queued = queued.count();
            taken.drain(..queued);
        }
        taken
    }

    /// Passes something on; `false` when the client is leaving and hears no more.
    async fn hear<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocket<S>,
        delivery: Delivery<Encoded>,
        site: &Site,
    ) -> Result<bool, Error> {
        let (tag, publication, skipped) = match delivery {
            Delivery::Publication { tag, publication, skipped } => (tag, publication, skipped),
            Delivery::Joined { tag, member } => return self.tell(socket, "join", tag, &member).await,
            Delivery::Left { tag, member } => return self.tell(socket, "leave", tag, &member).await,
            _ => return Ok(true),
        };
        if skipped > 0 {
            // A payload as it is has no room to say so: this is for the client to hear before anything else.
            let reason = format!("gap: slow{}; {skipped} skipped", self.which(tag as usize));
            socket.start_close(Close::new(code(GAP), &reason));
            return Ok(false);
        }
        let message = match self.target.several {
            false => encoded::message(&publication),
            true => {
                let Subscribed { subscription, position, .. } = &self.subscribed[tag as usize];
                encoded::object_message(&publication, subscription.channel(), position.epoch)
            }
        };
        match socket.feed_shared(message).await {
            Err(Error::Send(SendError::Closed)) => Ok(false),
            fed => {
                site.counts.sent.count(publication.data.len());
                fed.map(|()| true)
            }
        }
    }

    /// Says who came or went.
    async fn tell<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocket<S>,
        word: &str,
        tag: u32,
        member: &Member,
    ) -> Result<bool, Error> {
        let channel = self.subscribed[tag as usize].subscription.channel();
        match socket.feed(json::coming_or_going(word, member, channel)).await {
            Err(Error::Send(SendError::Closed)) => Ok(false),
            fed => fed.map(|()| true),
        }
    }

    /// Of several channels this one, by its number and not its name: a reason has 123 bytes (§5.5), a name may have 255.
    fn which(&self, tag: usize) -> String {
        if self.target.several { format!(" in channel {}", tag + 1) } else { String::new() }
    }

    /// Publishes what the client says.
    fn say<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut WebSocket<S>, message: Message, site: &Site) {
        let refuse = |socket: &mut WebSocket<S>, code, why: &str| socket.start_close(Close::new(code, why));
        let Ok(channel) = self.target.one() else {
            return refuse(socket, CloseCode::POLICY, "publish to one channel at a time: /c/news");
        };
        if !self.guest.may(Act::Publish, channel, site) {
            return refuse(socket, CloseCode::POLICY, "you may listen here, and not publish");
        }
        if let Err(error) = self.guest.say(channel, message.as_bytes().len(), site) {
            return refuse(socket, code(TOO_MUCH), &error.to_string());
        }
        let format = if message.as_text().is_some() { Format::Text } else { Format::Binary };
        let message = message.into_bytes();
        site.counts.received.count(message.len());
        let draft = Draft { publisher: self.member.clone(), ..Draft::new(format, message) };
        match site.channels.publish(channel, draft) {
            Ok(_) => {}
            Err(error @ PublishError::TooBig { .. }) => refuse(socket, CloseCode::TOO_BIG, &error.to_string()),
            Err(error @ PublishError::TooManyChannels) => refuse(socket, CloseCode::TRY_AGAIN, &error.to_string()),
            Err(error) => refuse(socket, CloseCode::POLICY, &error.to_string()),
        }
    }
}

/// To the end of the closing handshake, when there is nothing more to say.
async fn drain<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocket<S>) -> Result<(), Error> {
    while socket.recv_ref().await?.is_some() {}
    Ok(())
}

/// One of the codes of the application (§7.4.2: 4000 to 4999).
fn code(code: u16) -> CloseCode {
    CloseCode::try_from(code).unwrap_or(CloseCode::POLICY)
}
