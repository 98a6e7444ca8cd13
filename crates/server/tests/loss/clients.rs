//! Clients that come back until they have heard the last number, and that believe nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openline::Client;
use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::time::timeout;

use crate::report::{Report, add};
use crate::support::Raw;

/// Faults stall a connection for less than this.
const SILENCE: Duration = Duration::from_secs(1);

/// Where the numbers come from, and how many there will be.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) messages: u64,
}

/// Where a client is in the sequence.
struct Place {
    epoch: String,
    offset: u64,
    report: Arc<Report>,
}

/// What a client has, once it knows where it is.
#[derive(Default)]
struct Known(Option<Place>);

impl Known {
    /// The channel, from here on.
    fn path(&self, source: &Source) -> String {
        match &self.0 {
            Some(place) => format!("{}?after={}.{}", source.path, place.epoch, place.offset),
            None => source.path.clone(),
        }
    }

    /// Who comes for the first time has missed what was before, and knows how much.
    fn begin(&mut self, position: &str, report: &Arc<Report>) {
        if self.0.is_none() {
            let (epoch, offset) = parse(position);
            add(&report.missing, offset);
            self.0 = Some(Place { epoch, offset, report: report.clone() });
        }
    }

    fn place(&mut self) -> &mut Place {
        self.0.as_mut().expect("a client that has begun")
    }

    fn is_done(&self, messages: u64) -> bool {
        self.0.as_ref().is_some_and(|place| place.offset == messages)
    }
}

impl Place {
    /// A number came: it must be the next one.
    fn hear(&mut self, number: &str) {
        self.offset += 1;
        assert_eq!(number, self.offset.to_string(), "lost in silence, doubled, or out of order");
        add(&self.report.received, 1);
    }

    /// A gap was announced, and from where to go on.
    fn skip_to(&mut self, position: &str) {
        let (epoch, offset) = parse(position);
        assert!(epoch == self.epoch && offset > self.offset, "{position} after {}.{}", self.epoch, self.offset);
        add(&self.report.gaps, 1);
        add(&self.report.missing, offset - self.offset);
        self.offset = offset;
    }
}

fn parse(position: &str) -> (String, u64) {
    let (epoch, offset) = position.split_once('.').unwrap_or_else(|| panic!("{position:?}"));
    (epoch.to_owned(), offset.parse().unwrap())
}

pub(crate) async fn websocket(source: Source, report: Arc<Report>) {
    let messages = source.messages;
    let mut known = Known::default();
    while !known.is_done(messages) {
        let url = format!("ws://{}{}", source.address, known.path(&source));
        let Ok((mut socket, response)) = Client::new().timeout(SILENCE).connect(&url).await else { continue };
        let position = response.headers()["openline-position"].to_str().unwrap().to_owned();
        let returned = known.0.is_some();
        known.begin(&position, &report);
        let mut told = !returned;
        while !known.is_done(messages) {
            match timeout(SILENCE, socket.recv()).await {
                Ok(Ok(Some(message))) => {
                    add(&report.recovered, (!std::mem::replace(&mut told, true)).into());
                    known.place().hear(message.as_text().unwrap());
                }
                Ok(Ok(None)) => {
                    let reason = socket.closed().unwrap().reason().to_owned();
                    if let Some((_, position)) = reason.split_once("; go on from ") {
                        known.place().skip_to(position);
                    }
                    break;
                }
                _ => break,
            }
        }
    }
}

pub(crate) async fn events(source: Source, report: Arc<Report>) {
    let messages = source.messages;
    let mut known = Known::default();
    while !known.is_done(messages) {
        let Some(mut raw) = Raw::try_connect(source.address).await else { continue };
        let request =
            format!("GET {} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", known.path(&source));
        if raw.try_send(&request).await.is_none() || raw.try_answer().await.is_none() {
            continue;
        }
        let mut told = known.0.is_none();
        while !known.is_done(messages) {
            let Some(event) = event(&mut raw).await else { break };
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            match (field("event"), field("id"), field("data")) {
                (Some("gap"), Some(id), Some(_)) => {
                    known.place().skip_to(id);
                    told = true;
                }
                (None, Some(id), Some(data)) => {
                    let place = known.place();
                    place.hear(data);
                    assert_eq!(parse(id), (place.epoch.clone(), place.offset));
                    add(&report.recovered, (!std::mem::replace(&mut told, true)).into());
                }
                (None, Some(id), None) => known.begin(id, &report),
                other => assert!(event.starts_with("retry: ") || event.starts_with(':'), "{other:?} in {event:?}"),
            }
        }
    }
}

/// The next event, if all of it comes.
async fn event(raw: &mut Raw) -> Option<String> {
    let mut event = String::new();
    loop {
        let mut line = String::new();
        timeout(SILENCE, raw.0.read_line(&mut line)).await.ok()?.ok()?;
        match line.as_str() {
            "\n" => return Some(event),
            // Between chunks, and their sizes.
            chunk if chunk.ends_with("\r\n") => {}
            line if line.ends_with('\n') => event.push_str(line),
            _ => return None,
        }
    }
}

pub(crate) async fn poll(source: Source, report: Arc<Report>) {
    let messages = source.messages;
    let mut known = Known::default();
    let mut raw = None;
    while !known.is_done(messages) {
        if raw.is_none() {
            raw = Raw::try_connect(source.address).await;
        }
        let Some(window) = polled(&mut raw, &known, &source).await else {
            raw = None;
            continue;
        };
        let next = window["next"].as_str().unwrap();
        if known.0.is_none() {
            known.begin(next, &report);
            continue;
        }
        let place = known.place();
        if let Some(gaps) = window.get("gaps") {
            place.skip_to(gaps[0]["position"].as_str().unwrap());
        } else {
            add(&report.recovered, 1);
        }
        for publication in window["publications"].as_array().unwrap() {
            place.hear(publication["text"].as_str().unwrap());
            assert_eq!(parse(publication["position"].as_str().unwrap()), (place.epoch.clone(), place.offset));
        }
        assert_eq!(parse(next), (place.epoch.clone(), place.offset));
    }
}

async fn polled(raw: &mut Option<Raw>, known: &Known, source: &Source) -> Option<Value> {
    let raw = raw.as_mut()?;
    let path = known.path(source);
    let wait = if known.0.is_some() { "&wait=25" } else { "?limit=1" };
    raw.try_send(&format!("GET {path}{wait} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await?;
    let answer = timeout(SILENCE, raw.try_answer()).await.ok()??;
    Some(serde_json::from_str(&answer.body).unwrap())
}
