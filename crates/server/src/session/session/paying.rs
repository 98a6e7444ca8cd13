//! What a session may do in a time: what it says counts as the messages of a line do, and what it listens to as anywhere.

use openline_hub::ChannelName;

use super::{Context, Fail, Session};
use crate::rates::{TooMuch, What};
use crate::session::codes::{Disconnect, Refused};
use crate::session::wire::{Command, HistoryRequest, PublishRequest, SubscribeRequest};

impl Session {
    /// Takes a command from what it, and its address, may do. Connecting was counted with its line.
    pub(super) fn pay(&mut self, command: &Command, context: Context<'_>) -> Result<(), Fail> {
        let Some(spending) = &mut self.spending else { return Ok(()) };
        let level = |name: &str| name.parse::<ChannelName>().ok().and_then(|name| context.channels.rates(&name));
        let paid = match command {
            Command { connect: Some(_), .. } => Ok(()),
            Command { subscribe: Some(SubscribeRequest { channel, .. }), .. } => {
                spending.take(level(channel), What::Subscriptions, 1)
            }
            Command { publish: Some(PublishRequest { channel, data }), .. } => {
                spending.message(level(channel), data.len())
            }
            Command { history: Some(HistoryRequest { channel, .. }), .. } => spending.message(level(channel), 0),
            Command { send: Some(request), .. } => spending.message(None, request.data.len()),
            Command { rpc: Some(request), .. } => spending.message(None, request.data.len()),
            _ => spending.message(None, 0),
        };
        paid.map_err(|too_much| not_paid(&too_much, command))
    }
}

/// Who waits for an answer is told, and may try again.
fn not_paid(too_much: &TooMuch, command: &Command) -> Fail {
    match command.id {
        0 => Disconnect::TOO_MANY_REQUESTS.into(),
        _ => Refused::TOO_MANY_REQUESTS.because(too_much.to_string()).into(),
    }
}
