//! Publications as JSON, for long polling, for the recent window, and for several channels on one line.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use openline_hub::{ChannelName, Epoch, Format, Gap, Member, Position, Publication};
use serde_json::Value;

/// `{"channel":…,"position":…,"time":…}` with `text`, `json` or `base64`, whichever it is, and `key` if it has one.
pub(super) fn publication<E>(publication: &Publication<E>, channel: &ChannelName, epoch: Epoch) -> String {
    let position = Position { epoch, offset: publication.offset };
    let mut object =
        format!(r#"{{"channel":{},"position":"{position}","time":{}"#, string(channel.as_str()), publication.unix_ms);
    if let Some(key) = &publication.key {
        object.push_str(r#","key":"#);
        object.push_str(&string(key));
    }
    match (publication.format, std::str::from_utf8(&publication.data)) {
        (Format::Text, Ok(text)) => {
            object.push_str(r#","text":"#);
            object.push_str(&string(text));
        }
        // Checked when it was published.
        (Format::Json, Ok(value)) => {
            object.push_str(r#","json":"#);
            object.push_str(value.trim());
        }
        _ => {
            object.push_str(r#","base64":""#);
            object.push_str(&BASE64_STANDARD.encode(&publication.data));
            object.push('"');
        }
    }
    object.push('}');
    object
}

/// `{"channel":…,"gap":…,"position":…}`: something is missing, and from where to go on.
pub(super) fn gap(gap: Gap, channel: &ChannelName, position: Position) -> String {
    format!(r#"{{"channel":{},"gap":"{}","position":"{position}"}}"#, string(channel.as_str()), gap.name())
}

/// `{"client":…,"user":…}`, without a user who is not known.
pub(super) fn member(member: &Member) -> String {
    let client = string(&member.client);
    match &*member.user {
        "" => format!(r#"{{"client":{client}}}"#),
        user => format!(r#"{{"client":{client},"user":{}}}"#, string(user)),
    }
}

/// `{"channel":…,"join":{…}}`, or `leave`: somebody came, or went.
pub(super) fn coming_or_going(word: &str, of: &Member, channel: &ChannelName) -> String {
    format!(r#"{{"channel":{},"{word}":{}}}"#, string(channel.as_str()), member(of))
}

/// A JSON string.
pub(super) fn string(text: &str) -> String {
    Value::from(text).to_string()
}
