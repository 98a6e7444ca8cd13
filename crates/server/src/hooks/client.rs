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
    publish: Option<Backend>,
    rpc: Option<Backend>,
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
        let HookSettings { connect, refresh, subscribe, publish, rpc, resume, resume_secret } = settings;
        let backend = |hook: Option<Hook>| {
            hook.map(|hook| Backend {
                slots: Semaphore::new(hook.concurrency.clamp(1, Semaphore::MAX_PERMITS)),
                breaker: Breaker::default(),
                hook,
            })
        };
        Self {
            resume: resume.map(|within| Resume::new(within, resume_secret)),
            connect: backend(connect),
            refresh: backend(refresh),
            subscribe: backend(subscribe),
            publish: backend(publish),
            rpc: backend(rpc),
            outbound,
        }
    }

    fn backend(&self, event: Event) -> Option<&Backend> {
        match event {
            Event::Connect => self.connect.as_ref(),
            Event::Refresh => self.refresh.as_ref(),
            Event::Subscribe => self.subscribe.as_ref(),
            Event::Publish => self.publish.as_ref(),
            Event::Rpc => self.rpc.as_ref(),
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
        let backends = [&self.connect, &self.refresh, &self.subscribe, &self.publish, &self.rpc];
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
        match self.try_ask(call, now).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(?event, %error, "the backend did not answer");
                Answer::Refused(Refused::INTERNAL)
            }
        }
    }

    async fn try_ask(&self, call: Call, now: Instant) -> Result<Answer, String> {
        let backend = self.backend(call.event).ok_or("there is no such hook")?;
        let Backend { hook, slots, breaker } = backend;
        let _slot = slots.try_acquire().map_err(|_| "too many questions wait for it already")?;
        if !breaker.lets_through(now) {
            return Err("it failed several times in a row, and is left alone for some seconds".to_owned());
        }
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
        let answer = self.outbound.send(request, MAX_ANSWER_BYTES, hook.timeout).await;
        let answer = answer.and_then(|response| match response.status() {
            StatusCode::OK => Answer::read(response.body()),
            status => Err(format!("it answered {status}")),
        });
        match answer {
            Ok(_) => breaker.answered(),
            Err(_) => breaker.failed(tokio::time::Instant::now().into_std()),
        }
        answer
    }
}

/// Headers that are about this request, and not the client's, are ours.
fn may_pass(name: &HeaderName) -> bool {
    *name != HOST && !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection" | "upgrade")
}
