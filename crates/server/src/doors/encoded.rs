//! What a publication looks like at each door: made once, however many hear it.

use std::sync::OnceLock;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use openline::proto::SharedMessage;
use openline_hub::{ChannelName, Epoch, Format, Position, Publication};

use super::json;
use crate::session::Pushes;

/// The forms of a publication that somebody has asked for.
#[derive(Debug, Default)]
pub(crate) struct Encoded {
    message: OnceLock<SharedMessage>,
    object: OnceLock<Bytes>,
    object_message: OnceLock<SharedMessage>,
    event: OnceLock<Bytes>,
    /// As sessions hear it; boxed, as many are heard by none.
    pub(crate) pushes: OnceLock<Box<Pushes>>,
}

/// A WebSocket message: the payload as it is.
pub(crate) fn message(publication: &Publication<Encoded>) -> &SharedMessage {
    publication.encoded.message.get_or_init(|| {
        let data = publication.data.clone();
        match (publication.format, std::str::from_utf8(&data)) {
            // Checked when it was published.
            (Format::Text | Format::Json, Ok(text)) => SharedMessage::new(text),
            _ => SharedMessage::new(data),
        }
    })
}

/// The JSON object that says everything about it.
pub(crate) fn object<'a>(publication: &'a Publication<Encoded>, channel: &ChannelName, epoch: Epoch) -> &'a Bytes {
    publication.encoded.object.get_or_init(|| json::publication(publication, channel, epoch).into())
}

/// The same as a WebSocket message, for lines that listen to several channels.
pub(crate) fn object_message<'a>(
    publication: &'a Publication<Encoded>,
    channel: &ChannelName,
    epoch: Epoch,
) -> &'a SharedMessage {
    publication.encoded.object_message.get_or_init(|| {
        let object = object(publication, channel, epoch);
        SharedMessage::new(String::from_utf8_lossy(object).into_owned())
    })
}

/// An event of an event stream (HTML, "Server-sent events"), whose id is the position.
///
/// `data` has no way to carry a carriage return, nor bytes: text with one is an event `text` with a JSON string, binary
/// data an event `binary` in base64. Everything else is a plain message.
pub(crate) fn event(publication: &Publication<Encoded>, epoch: Epoch) -> &Bytes {
    publication.encoded.event.get_or_init(|| {
        let position = Position { epoch, offset: publication.offset };
        let mut event = format!("id: {position}\n");
        match (publication.format, std::str::from_utf8(&publication.data)) {
            (Format::Text | Format::Json, Ok(text)) if text.contains('\r') => {
                event.push_str("event: text\n");
                push_data(&mut event, &json::string(text));
            }
            (Format::Text | Format::Json, Ok(text)) => push_data(&mut event, text),
            _ => {
                event.push_str("event: binary\n");
                push_data(&mut event, &BASE64_STANDARD.encode(&publication.data));
            }
        }
        event.push('\n');
        event.into()
    })
}

/// A `data` field for each line.
pub(crate) fn push_data(event: &mut String, text: &str) {
    for line in text.split('\n') {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use openline_hub::{Draft, Hub, Limits, Namespaces};

    use super::*;

    /// Publishes and shows the event and the object, with the epoch taken out.
    fn shown(format: Format, data: &'static [u8]) -> (String, String) {
        let hub: Hub<Encoded> = Hub::new(Namespaces::default(), Limits::default(), 1);
        let channel: ChannelName = "c".parse().unwrap();
        let draft = Draft { key: Some("k\""), unix_ms: 7, ..Draft::new(format, data) };
        let epoch = hub.publish(&channel, draft, Instant::now()).unwrap().position.epoch;
        let window = hub.history(&channel, None, 1, Instant::now()).unwrap();
        let plain = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap().replace(&epoch.to_string(), "E");
        let publication = &window.publications[0];
        (plain(event(publication, epoch)), plain(object(publication, &channel, epoch)))
    }

    #[test]
    fn payloads_are_carried_faithfully() {
        for (format, data, event, object) in [
            (Format::Text, &b"hi"[..], "id: E.1\ndata: hi\n\n", r#""text":"hi""#),
            (Format::Text, b"", "id: E.1\ndata: \n\n", r#""text":"""#),
            (Format::Text, b" a\n\nb\n", "id: E.1\ndata:  a\ndata: \ndata: b\ndata: \n\n", r#""text":" a\n\nb\n""#),
            (Format::Text, b"a\r\nb", "id: E.1\nevent: text\ndata: \"a\\r\\nb\"\n\n", r#""text":"a\r\nb""#),
            (Format::Text, b"id: 7", "id: E.1\ndata: id: 7\n\n", r#""text":"id: 7""#),
            (Format::Json, b"{\"a\": 1}", "id: E.1\ndata: {\"a\": 1}\n\n", r#""json":{"a": 1}"#),
            (Format::Json, b"[1,\r2]", "id: E.1\nevent: text\ndata: \"[1,\\r2]\"\n\n", "\"json\":[1,\r2]"),
            (Format::Binary, b"\0\xff", "id: E.1\nevent: binary\ndata: AP8=\n\n", r#""base64":"AP8=""#),
        ] {
            let expected = format!(r#"{{"channel":"c","position":"E.1","time":7,"key":"k\"",{object}}}"#);
            assert_eq!(shown(format, data), (event.to_owned(), expected));
        }
    }
}
