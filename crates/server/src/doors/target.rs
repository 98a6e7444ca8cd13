//! What a request for channels names: which of them, from where on, and for how long.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Uri};
use openline_hub::{ChannelName, NameError, Position};

use crate::edge::answer::text;

/// The channels of one request, and how to read them.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// At least one, each once.
    pub(super) channels: Vec<ChannelName>,
    /// Whether they came as `?ch=`: then every message says which channel it is of.
    pub(super) several: bool,
    /// For each channel what was seen last.
    after: Option<String>,
    wait: Option<Duration>,
    limit: usize,
    presence: bool,
}

/// One connection listens to so many channels at most: enough for a page, and a bound for what one request does.
const MAX_CHANNELS: usize = 100;

/// Publications in one answer, unless it says otherwise.
const DEFAULT_LIMIT: usize = 100;

const MAX_LIMIT: usize = 1000;

/// Proxies commonly give up after 60 s.
const MAX_WAIT: Duration = Duration::from_secs(55);

impl Target {
    /// The channels that a URL names: `/c/<channel>`, or `/c?ch=<channel>&ch=<channel>`; `None` when it is another URL.
    pub(crate) fn of(path: &str, uri: &Uri) -> Option<Result<Self, TargetError>> {
        let name = match path.strip_prefix("/c")? {
            "" => None,
            rest => Some(rest.strip_prefix('/')?),
        };
        Some(Self::read(name, uri.query().unwrap_or_default()))
    }

    /// The channel of this name, percent-encoded, as a route says.
    pub(crate) fn named(name: &str, uri: &Uri) -> Result<Self, TargetError> {
        Self::read(Some(name), uri.query().unwrap_or_default())
    }

    fn read(name: Option<&str>, query: &str) -> Result<Self, TargetError> {
        let (mut names, mut after, mut wait, mut limit) = (Vec::new(), None, None, DEFAULT_LIMIT);
        let mut presence = false;
        names.extend(name.map(Cow::Borrowed));
        for (key, value) in query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))) {
            match key {
                "ch" if name.is_none() => names.push(Cow::Borrowed(value)),
                "after" => after = Some(decode(value)?.into_owned()),
                "wait" => {
                    let seconds: u32 = value.parse().map_err(|_| TargetError::Wait)?;
                    wait = Some(Duration::from_secs(seconds.into()).min(MAX_WAIT));
                }
                "presence" => presence = true,
                "limit" => match value.parse() {
                    Ok(wanted @ 1..=MAX_LIMIT) => limit = wanted,
                    _ => return Err(TargetError::Limit),
                },
                // The rest is the application's.
                _ => {}
            }
        }
        let mut channels: Vec<ChannelName> = Vec::with_capacity(names.len().min(MAX_CHANNELS));
        for name in names {
            let name = decode(&name)?.parse().map_err(TargetError::Name)?;
            if channels.len() == MAX_CHANNELS {
                return Err(TargetError::TooMany);
            }
            if !channels.contains(&name) {
                channels.push(name);
            }
        }
        match channels.is_empty() {
            true => Err(TargetError::None),
            false => Ok(Self { channels, several: name.is_none(), after, wait, limit, presence }),
        }
    }

    /// The channels' names.
    pub(crate) fn names(&self) -> &[ChannelName] {
        &self.channels
    }

    /// What was seen last of each channel: `Last-Event-ID` (which a browser sends when it comes back) beats `?after=`.
    ///
    /// One position, or for several channels one for each in their order, separated by commas, `-` for none.
    pub(crate) fn after(&self, headers: &HeaderMap) -> Result<Vec<Option<Position>>, TargetError> {
        let last_event = match headers.get("last-event-id").map(|id| id.to_str()) {
            None | Some(Ok("")) => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_)) => return Err(TargetError::Position),
        };
        let Some(positions) = last_event.or(self.after.as_deref()) else {
            return Ok(vec![None; self.channels.len()]);
        };
        let position = |text: &str| match text {
            "-" => Ok(None),
            text => text.parse().map(Some).map_err(|_| TargetError::Position),
        };
        let positions: Vec<_> = positions.split(',').map(position).collect::<Result<_, _>>()?;
        if positions.len() != self.channels.len() { Err(TargetError::Positions) } else { Ok(positions) }
    }

    /// How long to wait for something new, if at all.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.wait
    }

    /// Whether it is about who is there.
    pub(super) fn asks_for_presence(&self) -> bool {
        self.presence
    }

    /// Publications in one answer at most.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The channel, for what can only be done to one.
    pub(super) fn one(&self) -> Result<&ChannelName, TargetError> {
        match self.several {
            true => Err(TargetError::Several),
            false => self.channels.first().ok_or(TargetError::None),
        }
    }
}

/// Percent-decoding (RFC 3986 §2.1).
fn decode(text: &str) -> Result<Cow<'_, str>, TargetError> {
    percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| TargetError::Encoding)
}

/// What is wrong with a request for channels. `Display` says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TargetError {
    Name(NameError),
    Encoding,
    None,
    TooMany,
    Several,
    Position,
    Positions,
    Wait,
    Limit,
}

impl TargetError {
    pub(crate) fn answer(&self) -> Box<Response<Bytes>> {
        Box::new(text(StatusCode::BAD_REQUEST, self.to_string()))
    }
}

impl From<TargetError> for Box<Response<Bytes>> {
    fn from(error: TargetError) -> Self {
        error.answer()
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => {
                let error = error.to_string();
                let mut letters = error.chars();
                write!(f, "{}{}.", letters.next().unwrap_or_default().to_uppercase(), letters.as_str())
            }
            Self::Encoding => f.write_str("What is percent-encoded in the URL is not UTF-8."),
            Self::None => f.write_str("Name a channel: /c/news, or several: /c?ch=news&ch=weather."),
            Self::TooMany => write!(f, "One request names {MAX_CHANNELS} channels at most."),
            Self::Several => f.write_str("This is done to one channel at a time: /c/news."),
            Self::Position => f.write_str(
                "That is not a position. One is 16 lower-case hexadecimal digits, a dot and a number, as in 00c0ffee00c0ffee.42; take it from an earlier answer.",
            ),
            Self::Positions => {
                f.write_str("Give one position for each channel, in their order, separated by commas; \"-\" for none.")
            }
            Self::Wait => f.write_str("?wait= is a number of seconds."),
            Self::Limit => write!(f, "?limit= is a number from 1 to {MAX_LIMIT}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Result<Target, TargetError> {
        let uri: Uri = uri.parse().unwrap();
        Target::of(uri.path(), &uri).unwrap()
    }

    fn names(uri: &str) -> Vec<String> {
        read(uri).unwrap().channels.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_path_names_one_channel_and_a_query_several() {
        assert_eq!(names("/c/news"), ["news"]);
        assert_eq!(names("/c/chat:room/7"), ["chat:room/7"]);
        assert_eq!(names("/c/a%23b"), ["a#b"]);
        assert_eq!(names("/c?ch=a&ch=b&ch=a&token=x"), ["a", "b"]);
        assert_eq!(names("/c/a?ch=b"), ["a"]);
        for other in ["/", "/cc", "/cx/a", "/test"] {
            assert!(Target::of(other, &Uri::from_static("/")).is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(read("/c").unwrap_err(), TargetError::None);
        assert_eq!(read("/c/").unwrap_err(), TargetError::Name(NameError::Empty));
        assert_eq!(read("/c/a%20b").unwrap_err(), TargetError::Name(NameError::Character(' ')));
        assert_eq!(read("/c/a%FF").unwrap_err(), TargetError::Encoding);
        assert_eq!(read("/c/a?wait=x").unwrap_err(), TargetError::Wait);
        assert_eq!(read("/c/a?wait=-1").unwrap_err(), TargetError::Wait);
        assert_eq!(read("/c/a?limit=0").unwrap_err(), TargetError::Limit);
        assert_eq!(read("/c/a?limit=1001").unwrap_err(), TargetError::Limit);
        let many: String = (0..101).map(|n| format!("ch={n}&")).collect();
        assert_eq!(read(&format!("/c?{many}")).unwrap_err(), TargetError::TooMany);
        assert_eq!(read("/c?ch=a").unwrap().one().unwrap_err(), TargetError::Several);
    }

    #[test]
    fn the_last_event_id_beats_the_query() {
        let position = "00c0ffee00c0ffee.1".parse().ok();
        let target = read("/c?ch=a&ch=b&after=-,00c0ffee00c0ffee.1").unwrap();
        let mut headers = HeaderMap::new();
        assert_eq!(target.after(&headers), Ok(vec![None, position]));
        headers.insert("last-event-id", "00c0ffee00c0ffee.1,-".parse().unwrap());
        assert_eq!(target.after(&headers), Ok(vec![position, None]));
        headers.insert("last-event-id", "00c0ffee00c0ffee.1".parse().unwrap());
        assert_eq!(target.after(&headers), Err(TargetError::Positions));
        headers.insert("last-event-id", "x,-".parse().unwrap());
        assert_eq!(target.after(&headers), Err(TargetError::Position));
    }
}
