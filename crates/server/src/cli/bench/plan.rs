//! What is going to be done: the arguments, checked, and with every default filled in.

use std::fs;
use std::time::Duration;

use openline::Kind;

use super::args::{Args, Compression, Expect};
use super::limits::Limits;
use super::open::Opener;
use super::payload::Payload;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) url: String,
    pub(super) opener: Opener,
    pub(super) compression: Compression,
    pub(super) connections: usize,
    pub(super) threads: usize,
    /// Lines a second; `None`: as fast as `opening` allows.
    pub(super) connect_rate: Option<f64>,
    /// Opening handshakes at once, over all threads.
    pub(super) opening: usize,
    /// Sent on each line before the load.
    pub(super) first: Option<String>,
    pub(super) mode: Mode,
    pub(super) warm_up: Option<Duration>,
    pub(super) end: End,
    pub(super) reply_timeout: Duration,
    pub(super) limits: Limits,
}

/// What the lines do once they are open.
#[derive(Debug)]
pub(super) enum Mode {
    Echo { load: Load, expect: Expect },
    Idle,
    FanOut { load: Load, publisher: Box<Opener>, publish_url: String },
}

/// What is sent, and when.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) payload: Payload,
    pub(super) in_flight: usize,
    /// Messages a second, of all lines together; `None`: a reply asks for the next message.
    pub(super) rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    After(Duration),
    /// After this many messages, of all lines together.
    Messages(u64),
}

impl Plan {
    /// # Errors
    /// A sentence that says what of it makes no sense.
    pub(super) fn new(args: Args) -> Result<Self, String> {
        let limits = Limits::new(&args);
        let end = match (args.messages, args.duration) {
            (Some(messages), _) => End::Messages(messages as u64),
            (None, duration) => End::After(duration.unwrap_or(DEFAULT_DURATION)),
        };
        let mode = if args.idle {
            Mode::Idle
        } else {
            let load = Load {
                payload: payload(&args)?,
                in_flight: args.in_flight.unwrap_or(if args.rate.is_some() { MAX_IN_FLIGHT } else { 1 }),
                rate: args.rate,
            };
            if args.fan_out {
                if args.payload.is_some() || args.payload_file.is_some() {
                    return Err("--fan-out sends messages of its own, which say when they left: use --size".to_owned());
                }
                let publish_url = args.publish_url.clone().unwrap_or_else(|| args.url.clone());
                Mode::FanOut { publisher: Box::new(Opener::new(&args, &publish_url, &load)?), load, publish_url }
            } else {
                Mode::Echo { load, expect: args.expect }
            }
        };
        let none = Load { payload: Payload::none(), in_flight: 1, rate: None };
        let load = match &mode {
            Mode::Echo { load, .. } | Mode::FanOut { load, .. } => load,
            Mode::Idle => &none,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            opener: Opener::new(&args, &args.url, load)?,
            compression: args.compression,
            connections: args.connections,
            threads: args.threads.unwrap_or(cores).min(args.connections),
            connect_rate: args.connect_rate,
            opening: args.opening,
            first: args.first,
            mode,
            warm_up: args.warm_up,
            end,
            reply_timeout: args.reply_timeout,
            limits,
            url: args.url,
        })
    }

    pub(super) fn load(&self) -> Option<&Load> {
        match &self.mode {
            Mode::Echo { load, .. } | Mode::FanOut { load, .. } => Some(load),
            Mode::Idle => None,
        }
    }

    pub(super) fn is_fan_out(&self) -> bool {
        matches!(self.mode, Mode::FanOut { .. })
    }
}

fn payload(args: &Args) -> Result<Payload, String> {
    let kind = |default| match (args.text, args.binary) {
        (true, _) => Kind::Text,
        (_, true) => Kind::Binary,
        _ => default,
    };
    if let Some(template) = &args.payload {
        return Ok(Payload::template(template, kind(Kind::Text)));
    }
    if let Some(path) = &args.payload_file {
        let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        return Payload::fixed(bytes, kind(Kind::Binary))
            .map_err(|_| format!("{} is not UTF-8, and a text message has to be: use --binary", path.display()));
    }
    let size = args.size.unwrap_or(DEFAULT_BYTES);
    if args.fan_out {
        return Payload::marked(size, kind(Kind::Binary));
    }
    Ok(Payload::sized(size, kind(Kind::Binary)))
}

/// A chat message, a price, a cursor: most messages are about this long.
const DEFAULT_BYTES: usize = 64;

const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// With a rate, a limit on memory and no more: a line with so many unanswered messages is not one that keeps up.
const MAX_IN_FLIGHT: usize = 1024;
