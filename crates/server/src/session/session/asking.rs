//! What a session has to ask others: a backend, or whoever has the keys of tokens.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use openline_hub::ChannelName;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Context, Fail, Session};
use crate::hooks::{self, Call, Event};
use crate::session::codes::{Disconnect, Refused};
use crate::session::wire::{Encoding, Reply, RpcRequest, SendRequest};

/// Something to find out, and by what the answer is known.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) ticket: Ticket,
    pub(crate) ask: Ask,
}

#[derive(Debug)]
pub(crate) enum Ask {
    /// Fetch the keys of tokens again.
    Keys,
    Hook(Box<Call>),
}

/// What an answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// The command that holds the others.
    Command,
    /// A call, by its id.
    Rpc(u32),
    /// Whether the session goes on.
    Refresh,
    /// Whether the subscription to this channel goes on.
    SubRefresh(ChannelName),
}

/// What was found out.
#[derive(Debug)]
pub(crate) enum Found {
    Keys,
    Hook(hooks::Answer),
}

impl Session {
    pub(super) fn rpc(&mut self, id: u32, request: &RpcRequest, context: Context<'_>) -> Result<Reply, Fail> {
        if !context.realm.hooks.has(Event::Rpc) {
            return Err(Refused::NOT_AVAILABLE.into());
        }
        let fields = match request.method.as_str() {
            "" => json!({}),
            method => json!({ "method": method }),
        };
        let call = self.call(Event::Rpc, fields, Some(&request.data));
        self.calls += 1;
        self.questions.push_back(Question { ticket: Ticket::Rpc(id), ask: Ask::Hook(call) });
        Err(Fail::Later)
    }

    /// Passes a message on, and waits until it is: so messages stay in their order, and no more of them wait than there are
    /// sessions. Whether it got there, nobody is told.
    pub(super) fn send(
        &mut self,
        request: &SendRequest,
        found: Option<Found>,
        context: Context<'_>,
    ) -> Result<Reply, Fail> {
        match found {
            Some(Found::Hook(hooks::Answer::Disconnect(disconnect))) => Err(disconnect.into()),
            Some(_) => Ok(Reply::default()),
            None if context.realm.hooks.has(Event::Send) => {
                Err(Fail::Wait(Ask::Hook(self.call(Event::Send, json!({}), Some(&request.data)))))
            }
            None => Err(Disconnect::NOT_AVAILABLE.into()),
        }
    }

    /// A question for the backend, with what every one says.
    pub(super) fn call(&self, event: Event, mut fields: serde_json::Value, data: Option<&Bytes>) -> Box<Call> {
        fields["client"] = self.client.to_string().into();
        fields["transport"] = self.transport.name().into();
        let (protocol, encoding) = match self.encoding {
            Encoding::Json => ("json", "json"),
            Encoding::Protobuf => ("protobuf", "binary"),
        };
        fields["protocol"] = protocol.into();
        fields["encoding"] = encoding.into();
        if event != Event::Connect {
            fields["user"] = self.identity.user().unwrap_or_default().into();
        }
        let mut body = fields.to_string();
        let mut add = |name: &str, value: &Bytes| {
            if value.is_empty() {
                return;
            }
            body.pop();
            match serde_json::from_slice::<&RawValue>(value) {
                Ok(value) => body.push_str(&format!(",\"{name}\":{}}}", value.get())),
                Err(_) => {
                    body.push_str(&format!(",\"b64{name}\":\"{}\"}}", BASE64_STANDARD.encode(value)));
                }
            }
        };
        if let Some(data) = data {
            add("data", data);
        }
        let more = self.more.as_deref();
        if let Some(more) = more {
            add("meta", &more.meta);
        }
        let headers = more.map(|more| more.arrival.headers.clone()).unwrap_or_default();
        Box::new(Call { event, body: body.into(), headers, emulated: BTreeMap::new() })
    }
}

pub(super) fn granted(answer: hooks::Answer) -> Result<hooks::Granted, Fail> {
    match answer {
        hooks::Answer::Granted(granted) => Ok(*granted),
        hooks::Answer::Refused(refused) => Err(refused.into()),
        hooks::Answer::Disconnect(disconnect) => Err(disconnect.into()),
    }
}
