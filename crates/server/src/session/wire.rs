//! How commands and replies are written, one behind another: lines of JSON, or Protobuf behind its length.

mod messages;

use bytes::Bytes;

pub(crate) use self::messages::*;

/// How a session is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// A line for each message.
    Json,
    /// Each message behind its length.
    Protobuf,
}

impl Reply {
    pub(crate) fn to(id: u32) -> Self {
        Self { id, ..Self::default() }
    }

    pub(crate) fn push(push: Push) -> Self {
        Self { push: Some(Box::new(push)), ..Self::default() }
    }

    /// Writes it behind what is there already.
    pub(crate) fn write(&self, encoding: Encoding, into: &mut Vec<u8>) {
        match encoding {
            Encoding::Json => {
                let before = into.len();
                if before > 0 {
                    into.push(b'\n');
                }
                // Whatever is raw in it was JSON when it came in; were it not, nothing of the reply may go out.
                if let Err(error) = serde_json::to_writer(&mut *into, self) {
                    tracing::error!(%error, "a reply cannot be written");
                    into.truncate(before);
                }
            }
            Encoding::Protobuf => {
                // A Vec grows as it must.
                let _ = prost::Message::encode_length_delimited(self, into);
            }
        }
    }

    /// Alone.
    pub(crate) fn encode(&self, encoding: Encoding) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(encoding, &mut bytes);
        bytes
    }
}

/// It is not a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Command {
    /// Takes the first command off `rest`; `None` when there is none left.
    pub(crate) fn take(rest: &mut Bytes, encoding: Encoding) -> Result<Option<Self>, Malformed> {
        match encoding {
            Encoding::Json => {
                // An object: a list of its fields in their order is none, whatever serde thinks.
                if rest.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
                    return Err(Malformed);
                }
                let mut commands = serde_json::Deserializer::from_slice(rest).into_iter();
                let command = commands.next().transpose().map_err(|_| Malformed)?;
                let taken = commands.byte_offset();
                let _ = rest.split_to(taken);
                if command.is_none() {
                    *rest = Bytes::new();
                }
                Ok(command)
            }
            Encoding::Protobuf if rest.is_empty() => Ok(None),
            Encoding::Protobuf => {
                let command = prost::Message::decode_length_delimited(&mut *rest).map_err(|_| Malformed)?;
                if rest.is_empty() {
                    *rest = Bytes::new();
                }
                Ok(Some(command))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(mut rest: Bytes, encoding: Encoding) -> Result<Vec<Command>, Malformed> {
        std::iter::from_fn(|| Command::take(&mut rest, encoding).transpose()).collect()
    }

    #[test]
    fn json_comes_a_line_each_and_data_is_json() {
        let frame =
            "{\"id\":1,\"connect\":{\"data\":{\"a\": [1]}}}\n{}\n{\"id\":2,\"rpc\":{\"method\":\"m\",\"data\":null}}\n";
        let read = commands(Bytes::from(frame), Encoding::Json).unwrap();
        assert_eq!(read.len(), 3);
        assert_eq!(read[0].connect.as_ref().unwrap().data, "{\"a\": [1]}");
        assert_eq!(read[1], Command::default());
        assert_eq!(read[2].rpc.as_ref().unwrap().data, "null");
        for bad in ["x", "{\"id\":-1}", "{\"id\":1", "[1]", "{\"id\":1,\"connect\":7}", "{} x"] {
            assert_eq!(commands(Bytes::from(bad), Encoding::Json), Err(Malformed), "{bad}");
        }
    }

    #[test]
    fn protobuf_comes_behind_its_length() {
        // Command { id: 1, ping: {} } and Command {}: field 1 varint 1; field 11, no bytes.
        let frame = Bytes::from_static(b"\x04\x08\x01\x5a\x00\x00");
        let read = commands(frame, Encoding::Protobuf).unwrap();
        assert_eq!(read, [Command { id: 1, ping: Some(Empty {}), ..Command::default() }, Command::default()]);
        assert_eq!(commands(Bytes::from_static(b"\x05\x08\x01"), Encoding::Protobuf), Err(Malformed));
    }

    #[test]
    fn replies_leave_out_what_is_not_there() {
        let publication = Publication { data: Bytes::from_static(b"{\"a\":1}"), offset: 7, ..Publication::default() };
        let push = Reply::push(Push { channel: "c".into(), publication: Some(publication), ..Push::default() });
        let json = "{\"push\":{\"channel\":\"c\",\"pub\":{\"data\":{\"a\":1},\"offset\":7}}}";
        assert_eq!(push.encode(Encoding::Json), json.as_bytes());
        assert_eq!(Reply::default().encode(Encoding::Json), b"{}");
        assert_eq!(Reply::default().encode(Encoding::Protobuf), b"\0");
        let error = Error { code: 103, message: "permission denied".into(), temporary: false };
        let reply = Reply { error: Some(error), ..Reply::to(3) };
        let json = "{\"id\":3,\"error\":{\"code\":103,\"message\":\"permission denied\"}}";
        assert_eq!(reply.encode(Encoding::Json), json.as_bytes());
    }
}
