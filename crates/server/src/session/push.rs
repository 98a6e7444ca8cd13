//! Publications, comings and goings as sessions hear them. A publication is written once for each encoding, however many
//! hear it.

use std::borrow::Cow;
use std::sync::OnceLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use openline::proto::SharedMessage;
use openline_hub::{ChannelName, Format, Member, Publication};
use serde_json::json;

use super::wire::{About, ClientInfo, Encoding, Publication as Written, Push, Reply};
use crate::doors::encoded::Encoded;

/// The forms of a publication that some session has asked for.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    json: OnceLock<SharedMessage>,
    protobuf: OnceLock<SharedMessage>,
}

/// A WebSocket message for whoever subscribed to the channel; streams take its payload.
pub(super) fn message<'a>(
    publication: &'a Publication<Encoded>,
    channel: &ChannelName,
    encoding: Encoding,
) -> &'a SharedMessage {
    let pushes = publication.encoded.pushes.get_or_init(Box::default);
    let form = match encoding {
        Encoding::Json => &pushes.json,
        Encoding::Protobuf => &pushes.protobuf,
    };
    form.get_or_init(|| {
        let publication = Some(written(publication, encoding));
        let push = Push { channel: channel.as_str().to_owned(), publication, ..Push::default() };
        let bytes = Reply::push(push).encode(encoding);
        match encoding {
            // serde_json writes UTF-8.
            Encoding::Json => SharedMessage::new(String::from_utf8_lossy(&bytes).into_owned()),
            Encoding::Protobuf => SharedMessage::new(bytes),
        }
    })
}

/// As it is in replies.
pub(crate) fn written(publication: &Publication<Encoded>, encoding: Encoding) -> Written {
    let tags = publication.tags.iter().flat_map(|tags| tags.iter());
    Written {
        data: data(publication.format, &publication.data, encoding),
        info: publication.publisher.as_deref().map(|member| client_info(member, encoding)),
        offset: publication.offset,
        tags: tags.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
    }
}

/// A payload. In JSON, JSON is as it was published, text is a string, and bytes are `{"base64":…}`.
pub(super) fn data(format: Format, data: &Bytes, encoding: Encoding) -> Bytes {
    match (encoding, format, std::str::from_utf8(data)) {
        (Encoding::Protobuf, ..) => data.clone(),
        (Encoding::Json, Format::Json, Ok(text)) => one_line(data, text),
        (Encoding::Json, Format::Text, Ok(text)) => serde_json::Value::from(text).to_string().into(),
        (Encoding::Json, ..) => json!({ "base64": BASE64_STANDARD.encode(data) }).to_string().into(),
    }
}

/// What was given as bytes that may be JSON, for a session that may need it to be.
pub(super) fn value(bytes: &Bytes, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Json if bytes.is_empty() => Bytes::new(),
        Encoding::Json => data(format_of(bytes), bytes, encoding),
        Encoding::Protobuf => bytes.clone(),
    }
}

/// What bytes are that nobody described: JSON where they can be read as such.
pub(crate) fn format_of(bytes: &[u8]) -> Format {
    match serde_json::from_slice::<&serde_json::value::RawValue>(bytes) {
        Ok(_) => Format::Json,
        Err(_) => Format::Binary,
    }
}

/// JSON has line ends only between its tokens, where any white space will do; between messages they are what ends one.
fn one_line(data: &Bytes, text: &str) -> Bytes {
    let text = text.trim();
    let line = match text.contains(['\n', '\r']) {
        true => Cow::Owned(text.replace(['\n', '\r'], " ")),
        false => Cow::Borrowed(text),
    };
    match line {
        Cow::Borrowed(same) if same.len() == data.len() => data.clone(),
        line => line.into_owned().into(),
    }
}

pub(crate) fn client_info(member: &Member, encoding: Encoding) -> ClientInfo {
    ClientInfo {
        user: member.user.to_string(),
        client: member.client.to_string(),
        conn_info: value(&member.info, encoding),
        chan_info: value(&member.channel_info, encoding),
    }
}

pub(super) fn joined(channel: &ChannelName, member: &Member, encoding: Encoding) -> Push {
    let join = Some(About { info: Some(client_info(member, encoding)) });
    Push { channel: channel.as_str().to_owned(), join, ..Push::default() }
}

pub(super) fn left(channel: &ChannelName, member: &Member, encoding: Encoding) -> Push {
    let leave = Some(About { info: Some(client_info(member, encoding)) });
    Push { channel: channel.as_str().to_owned(), leave, ..Push::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_fit_on_a_line_of_json() {
        for (format, bytes, expected) in [
            (Format::Json, &b"{\"a\":\n 1}\r\n"[..], "{\"a\":  1}"),
            (Format::Json, b"\"x\"", "\"x\""),
            (Format::Text, b"a\n\"b\"", r#""a\n\"b\"""#),
            (Format::Binary, b"\0\xff", r#"{"base64":"AP8="}"#),
        ] {
            let bytes = Bytes::from_static(bytes);
            assert_eq!(data(format, &bytes, Encoding::Json), expected);
            assert_eq!(data(format, &bytes, Encoding::Protobuf), bytes);
        }
    }
}
