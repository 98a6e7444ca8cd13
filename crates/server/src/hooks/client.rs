//! Asks the backend: with a deadline, not too much at once, and not while it fails.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use openline_hub::ChannelName;
use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::resume::Resume;
use super::{Answer, Call, Event, Hook, HookSettings};
use crate::identity::Admission;
use crate::outbound::Outbound;
use crate::session::codes::Refused;
use crate::session::wire::ConnectRequest;

/// The longest answer: it is passed on to a client.
const MAX_ANSWER_BYTES: usize = 256 << 10;

/// All hooks of a server.
#[derive(Debug)]
pub(crate) struct Hooks {
    connect: Option<Backend>,
    refresh: Option<Backend>,
    subscribe: Option<Backend>,
    sub_refresh: Option<Backend>,
    publish: Option<Backend>,
    rpc: Option<Backend>,
    send: Option<Backend>,
    resume: Option<Resume>,
    outbound: Arc<Outbound>,
}

#[derive(Debug)]
struct Backend {
    hook: Hook,
    slots: Semaphore,
    breaker: Breaker,
}

impl Hooks {
    pub(crate) fn new(settings: HookSettings, outbound: Arc<Outbound>) -> Self {
        let HookSettings { resume, resume_secret, .. } = settings;
        let backend = |hook: Option<Hook>| {
            hook.map(|hook| Backend {
                slots: Semaphore::new(hook.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
                breaker: Breaker::default(),
                hook,
            })
        };
        Self {
            resume: resume.map(|within| Resume::new(within, resume_secret)),
            connect: backend(settings.connect),
            refresh: backend(settings.refresh),
            subscribe: backend(settings.subscribe),
            sub_refresh: backend(settings.sub_refresh),
            publish: backend(settings.publish),
            rpc: backend(settings.rpc),
            send: backend(settings.send),
            outbound,
        }
    }

    fn backend(&self, event: Event) -> Option<&Backend> {
        match event {
            Event::Connect => self.connect.as_ref(),
            Event::Refresh => self.refresh.as_ref(),
            Event::Subscribe => self.subscribe.as_ref(),
            Event::SubRefresh => self.sub_refresh.as_ref(),
            Event::Publish => self.publish.as_ref(),
            Event::Rpc => self.rpc.as_ref(),
            Event::Send => self.send.as_ref(),
        }
    }

    /// Whether there is one.
    pub(crate) fn has(&self, event: Event) -> bool {
        self.backend(event).is_some()
    }

    /// Whether there is one for a channel.
    pub(crate) fn asks_about(&self, event: Event, channel: &ChannelName) -> bool {
        self.backend(event).is_some_and(|backend| {
            let namespaces = backend.hook.namespaces.as_ref();
            namespaces.is_none_or(|namespaces| namespaces.iter().any(|name| name == channel.namespace()))
        })
    }

    /// The headers of a request that some hook is told.
    pub(crate) fn keep(&self, headers: &HeaderMap) -> HeaderMap {
        let Self { connect, refresh, subscribe, sub_refresh, publish, rpc, send, .. } = self;
        let backends = [connect, refresh, subscribe, sub_refresh, publish, rpc, send];
        let mut kept = HeaderMap::new();
        for name in backends.into_iter().flatten().flat_map(|backend| &backend.hook.headers) {
            if !kept.contains_key(name) {
                for value in headers.get_all(name) {
                    kept.append(name.clone(), value.clone());
                }
            }
        }
        kept
    }

    /// What a client that comes back with a ticket may have without a question.
    pub(crate) fn resumed(&self, request: &ConnectRequest, unix: u64) -> Option<Admission> {
        self.connect.as_ref()?;
        self.resume.as_ref()?.read(request, unix)
    }

    /// With a ticket to come back with.
    pub(crate) fn with_ticket(&self, admission: Admission, unix: u64) -> Admission {
        match &self.resume {
            Some(resume) => resume.add(admission, unix),
            None => admission,
        }
    }

    /// Asks. Whatever goes wrong is for the client an error that it may try again.
    pub(crate) async fn ask(&self, call: Call, now: Instant) -> Answer {
        let event = call.event;
        let Some(Backend { hook, slots, breaker }) = self.backend(event) else {
            return Answer::Refused(Refused::NOT_AVAILABLE);
        };
        let (Ok(_slot), true) = (slots.try_acquire(), breaker.lets_through(now)) else {
            // Each is the client's doing, and would be a line of the log for whatever it likes to ask.
            tracing::debug!(?event, "too many questions wait for the backend, or it is left alone for some seconds");
            return Answer::Refused(Refused::INTERNAL);
        };
        match self.try_ask(call, hook).await {
            Ok(answer) => {
                breaker.answered();
                answer
            }
            Err(error) => {
                tracing::warn!(?event, %error, "the backend did not answer");
                breaker.failed(tokio::time::Instant::now().into_std());
                Answer::Refused(Refused::INTERNAL)
            }
        }
    }

    async fn try_ask(&self, call: Call, hook: &Hook) -> Result<Answer, String> {
        let mut request = Request::post(&hook.url).body(Full::new(call.body)).map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        for (name, value) in &hook.static_headers {
            headers.insert(name.clone(), value.clone());
        }
        for name in hook.headers.iter().filter(|name| may_pass(name)) {
            for value in call.headers.get_all(name) {
                headers.append(name.clone(), value.clone());
            }
        }
        for (name, value) in &call.emulated {
            if let (Ok(name), Ok(value)) = (HeaderName::from_str(name), HeaderValue::from_str(value))
                && hook.emulated_headers.contains(&name)
                && may_pass(&name)
            {
                headers.insert(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = self.outbound.send(request, MAX_ANSWER_BYTES, hook.timeout).await?;
        match response.status() {
            StatusCode::OK => Answer::read(response.body()),
            status => Err(format!("it answered {status}")),
        }
    }
}

/// Headers that are about this request, and not the client's, are ours.
fn may_pass(name: &HeaderName) -> bool {
    *name != HOST && !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection" | "upgrade")
}
