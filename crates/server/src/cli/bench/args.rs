//! What `openline bench` can be asked, and the help that teaches it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, ValueEnum};
use openline::proto::handshake::{Origin, Subprotocol};

use crate::cli::trust::Trust;
use crate::cli::units;

/// Put load on a WebSocket server, match every reply, and say how long each took
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, group = ArgGroup::new("what").args(["size", "payload", "payload_file"]))]
pub(in crate::cli) struct Args {
    /// ws://HOST:PORT/PATH; for this machine :PORT/PATH and localhost:PORT/PATH will do
    #[arg(value_parser = units::url)]
    pub(super) url: String,

    /// Lines to open
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = number, help_heading = LOAD)]
    pub(super) connections: usize,

    /// Messages on their way on each line; with --rate the most that may be
    #[arg(short, long, value_name = "N", value_parser = number, help_heading = LOAD)]
    pub(super) in_flight: Option<usize>,

    /// Send for this long [default: 10s]
    #[arg(short, long, value_name = "TIME", value_parser = units::time, help_heading = LOAD)]
    pub(super) duration: Option<Duration>,

    /// Send this many messages, all lines together, and wait for the last reply
    #[arg(short = 'n', long, value_name = "N", value_parser = number, conflicts_with = "duration", help_heading = LOAD)]
    pub(super) messages: Option<usize>,

    /// Send this many messages a second, all lines together, however fast the replies come; latencies count from the
    /// moment a message was due
    #[arg(short, long, value_name = "N", value_parser = rate, help_heading = LOAD)]
    pub(super) rate: Option<f64>,

    /// Send this long before the measurement begins
    #[arg(long, value_name = "TIME", value_parser = units::time, help_heading = LOAD)]
    pub(super) warm_up: Option<Duration>,

    /// Only open the lines and hold them for --duration: nothing is sent
    #[arg(long, conflicts_with_all = ["rate", "messages", "in_flight", "warm_up", "what"], help_heading = LOAD)]
    pub(super) idle: bool,

    /// One more line publishes, and the others receive: measures deliveries instead of replies
    #[arg(long, conflicts_with = "idle", help_heading = LOAD)]
    pub(super) fan_out: bool,

    /// With --fan-out: publish there instead
    #[arg(long, value_name = "URL", value_parser = units::url, requires = "fan_out", help_heading = LOAD)]
    pub(super) publish_url: Option<String>,

    /// Bytes of each message, numbered and checked to the last one [default: 64]
    #[arg(long, value_name = "BYTES", value_parser = units::memory, help_heading = MESSAGES)]
    pub(super) size: Option<usize>,

    /// Send this text; {line}, {seq}, {random} and {time} are filled in, anew for each message
    #[arg(long, value_name = "TEMPLATE", help_heading = MESSAGES)]
    pub(super) payload: Option<String>,

    /// Send what is in this file, as it is
    #[arg(long, value_name = "PATH", help_heading = MESSAGES)]
    pub(super) payload_file: Option<PathBuf>,

    /// Send text messages [default for --payload]
    #[arg(long, conflicts_with = "binary", help_heading = MESSAGES)]
    pub(super) text: bool,

    /// Send binary messages [default for --size and --payload-file]
    #[arg(long, help_heading = MESSAGES)]
    pub(super) binary: bool,

    /// What a reply is
    #[arg(long, value_name = "WHAT", default_value = "echo", conflicts_with = "fan_out", help_heading = MESSAGES)]
    pub(super) expect: Expect,

    /// A message that takes longer to be answered, or to be delivered, is given up, and its line with it
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::time, help_heading = MESSAGES)]
    pub(super) reply_timeout: Duration,

    /// Send this on each line once it is open, such as a command to subscribe; the load begins a quarter of a second
    /// after the last, and what comes until then is not counted
    #[arg(long, value_name = "TEXT", help_heading = MESSAGES)]
    pub(super) first: Option<String>,

    /// Open this many lines a second, at most
    #[arg(long, value_name = "N", value_parser = rate, help_heading = LINES)]
    pub(super) connect_rate: Option<f64>,

    /// Opening handshakes at the same time, at most
    #[arg(long, value_name = "N", default_value = "100", value_parser = number, help_heading = LINES)]
    pub(super) opening: usize,

    /// A line must be open within this time
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = units::time, help_heading = LINES)]
    pub(super) connect_timeout: Duration,

    /// Offer this subprotocol; may be repeated, the first is preferred
    #[arg(short, long, value_name = "NAME", value_parser = units::subprotocol, help_heading = LINES)]
    pub(super) subprotocol: Vec<Subprotocol>,

    /// Send this header field with the request; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE", value_parser = units::header, help_heading = LINES)]
    pub(super) header: Vec<(String, String)>,

    /// Claim to be a page of this origin
    #[arg(long, value_name = "ORIGIN", value_parser = units::origin, help_heading = LINES)]
    pub(super) origin: Option<Origin>,

    /// Offer compression (permessage-deflate). Messages under 512 bytes, with takeover under 64, are sent as they are
    #[arg(long, value_name = "HOW", default_value = "off", help_heading = LINES)]
    pub(super) compression: Compression,

    #[command(flatten)]
    pub(super) trust: Trust,

    /// Half of the messages must be answered within this time
    #[arg(long, value_name = "TIME", value_parser = units::time, help_heading = LIMITS)]
    pub(super) max_p50: Option<Duration>,

    /// 90 % of the messages must be
    #[arg(long, value_name = "TIME", value_parser = units::time, help_heading = LIMITS)]
    pub(super) max_p90: Option<Duration>,

    /// 99 % of the messages must be
    #[arg(long, value_name = "TIME", value_parser = units::time, help_heading = LIMITS)]
    pub(super) max_p99: Option<Duration>,

    /// 99.9 % of the messages must be
    #[arg(long, value_name = "TIME", value_parser = units::time, help_heading = LIMITS)]
    pub(super) max_p999: Option<Duration>,

    /// Every message must be
    #[arg(long, value_name = "TIME", value_parser = units::time, help_heading = LIMITS)]
    pub(super) max_latency: Option<Duration>,

    /// At least this many replies, or deliveries, must come a second
    #[arg(long, value_name = "N", value_parser = rate, help_heading = LIMITS)]
    pub(super) min_rate: Option<f64>,

    /// At most this much may go wrong: lines that do not open or end early, replies that are wrong or missing
    #[arg(long, value_name = "N", value_parser = number_or_none, help_heading = LIMITS)]
    pub(super) max_errors: Option<u64>,

    /// Print the report as JSON: docs/bench-json.md says what is in it
    #[arg(long, help_heading = REPORT)]
    pub(super) json: bool,

    /// Show nothing while it runs, even on a terminal
    #[arg(long, help_heading = REPORT)]
    pub(super) no_live: bool,

    /// Threads of the load [default: one per core, and no more than lines]
    #[arg(long, value_name = "N", value_parser = number, help_heading = REPORT)]
    pub(super) threads: Option<usize>,
}

/// What counts as a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Expect {
    /// The message itself, to the last byte
    Echo,
    /// Any message: each answers the oldest that is not answered
    Any,
}

/// Whether messages may be compressed, and whether they may refer to those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Compression {
    Off,
    On,
    Takeover,
}

const LOAD: &str = "Load";
const MESSAGES: &str = "Messages";
const LINES: &str = "Lines";
const LIMITS: &str = "Limits: when one is missed, the exit code is 8";
const REPORT: &str = "Report";

const AFTER_HELP: &str = "\
What is measured:
  Without --rate, each line sends its next message when a reply comes: the most
  that the server can do. Latencies then say little about a server with less to
  do, since each message waits for those before it.
  With --rate, messages are sent when they are due. A message that leaves late,
  because the server or this machine stalls, still counts from when it was due,
  so that no stall is hidden (no \"coordinated omission\").
  Ctrl-C ends it early, with the report of what was measured.

Numbers:
  1000, 10k, 1M; bytes 65536, 64KiB, 1MiB; times 500us, 5ms, 10s, 2m.

Examples:
  openline bench :8080/test
      ten lines, one message at a time on each, for ten seconds
  openline bench :8080/test -c 1000 -i 16 --size 1KiB -d 30s
      the most that a server can do: 16 messages on their way on each line
  openline bench wss://example.com/live -c 200 --rate 5000 --max-p99 20ms --max-errors 0
      a check for CI: at 5,000 messages a second, are 99 % answered within 20 ms?
  openline bench :8080/rpc --payload '{\"id\":{seq},\"method\":\"ping\"}' --expect any
      a server that answers, but does not echo
  openline bench :8080/test -c 10k --connect-rate 2000 --idle -d 1m
      who stays when nothing happens, and why the others left
  openline bench :8080/chat -c 1000 --fan-out --rate 10 --size 100
      one publishes, a thousand receive: how long until they have it?
  openline bench :8080/test -n 100k --json | jq .latency.p99_us";

/// `1000`, `10k`, `1M`, at least 1.
fn number(text: &str) -> Result<usize, String> {
    match usize::try_from(number_or_none(text)?) {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("that is too many".to_owned()),
    }
}

/// As [`number`], or 0.
fn number_or_none(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1_000),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| "a number is like 500, 10k or 1M".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is too many".to_owned())
}

/// As [`number`], a second; also less than one.
fn rate(text: &str) -> Result<f64, String> {
    let text = text.trim_end_matches("/s");
    let rate = match text.parse::<f64>() {
        Ok(rate) => rate,
        Err(_) => number_or_none(text)? as f64,
    };
    // Over it, two messages would be due at the same nanosecond.
    if rate > 0.0 && rate <= 1e9 {
        Ok(rate)
    } else {
        Err("a rate is more than 0 and at most 1000M a second".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, expected) in
            [("1", Some(1)), ("10k", Some(10_000)), ("2M", Some(2_000_000)), ("0", None), ("k", None), ("-1", None)]
        {
            assert_eq!(number(text).ok(), expected, "{text:?}");
        }
        assert_eq!(number_or_none("0"), Ok(0));
        assert!(number_or_none("99999999999999999M").is_err());
    }

    #[test]
    fn rates() {
        for (text, expected) in
            [("0.5", Some(0.5)), ("10k", Some(1e4)), ("1000/s", Some(1e3)), ("0", None), ("inf", None), ("NaN", None)]
        {
            assert_eq!(rate(text).ok(), expected, "{text:?}");
        }
    }
}
