//! The messages: the schema of the Centrifuge client protocol (version 2).
//!
//! JSON and Protobuf have the same names and meanings, so each message is one type. A field of bytes is in JSON whatever
//! JSON value was given. Fields that are not known are passed over, in both.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field:meta])* $field_name:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
        #[serde(default)]
        pub(crate) struct $name {
            $($(#[$field])* pub(crate) $field_name: $type,)*
        }
    )*};
}

messages! {
    /// Of the client. Exactly one of the requests is there; none is a pong.
    Command {
        #[prost(uint32, tag = "1")]
        id: u32,
        #[prost(message, optional, tag = "4")]
        connect: Option<ConnectRequest>,
        #[prost(message, optional, tag = "5")]
        subscribe: Option<SubscribeRequest>,
        #[prost(message, optional, tag = "6")]
        unsubscribe: Option<UnsubscribeRequest>,
        #[prost(message, optional, tag = "7")]
        publish: Option<PublishRequest>,
        #[prost(message, optional, tag = "8")]
        presence: Option<ChannelRequest>,
        #[prost(message, optional, tag = "9")]
        presence_stats: Option<ChannelRequest>,
        #[prost(message, optional, tag = "10")]
        history: Option<HistoryRequest>,
        #[prost(message, optional, tag = "11")]
        ping: Option<Empty>,
        #[prost(message, optional, tag = "12")]
        send: Option<SendRequest>,
        #[prost(message, optional, tag = "13")]
        rpc: Option<RpcRequest>,
        #[prost(message, optional, tag = "14")]
        refresh: Option<RefreshRequest>,
        #[prost(message, optional, tag = "15")]
        sub_refresh: Option<SubRefreshRequest>,
    }
    /// Of the server: the answer to a command, by its id, or a push. Neither is a ping.
    Reply {
        #[prost(uint32, tag = "1")]
        #[serde(skip_serializing_if = "is_default")]
        id: u32,
        #[prost(message, optional, tag = "2")]
        #[serde(skip_serializing_if = "is_default")]
        error: Option<Error>,
        #[prost(message, optional, boxed, tag = "4")]
        #[serde(skip_serializing_if = "is_default")]
        push: Option<Box<Push>>,
        #[prost(message, optional, boxed, tag = "5")]
        #[serde(skip_serializing_if = "is_default")]
        connect: Option<Box<ConnectResult>>,
        #[prost(message, optional, boxed, tag = "6")]
        #[serde(skip_serializing_if = "is_default")]
        subscribe: Option<Box<SubscribeResult>>,
        #[prost(message, optional, tag = "7")]
        #[serde(skip_serializing_if = "is_default")]
        unsubscribe: Option<Empty>,
        #[prost(message, optional, tag = "8")]
        #[serde(skip_serializing_if = "is_default")]
        publish: Option<Empty>,
        #[prost(message, optional, tag = "9")]
        #[serde(skip_serializing_if = "is_default")]
        presence: Option<PresenceResult>,
        #[prost(message, optional, tag = "10")]
        #[serde(skip_serializing_if = "is_default")]
        presence_stats: Option<PresenceStatsResult>,
        #[prost(message, optional, tag = "11")]
        #[serde(skip_serializing_if = "is_default")]
        history: Option<HistoryResult>,
        #[prost(message, optional, tag = "12")]
        #[serde(skip_serializing_if = "is_default")]
        ping: Option<Empty>,
        #[prost(message, optional, tag = "13")]
        #[serde(skip_serializing_if = "is_default")]
        rpc: Option<DataMessage>,
        #[prost(message, optional, tag = "14")]
        #[serde(skip_serializing_if = "is_default")]
        refresh: Option<RefreshResult>,
        #[prost(message, optional, tag = "15")]
        #[serde(skip_serializing_if = "is_default")]
        sub_refresh: Option<ExpiryResult>,
    }
    /// Something that was not asked for.
    Push {
        #[prost(string, tag = "2")]
        #[serde(skip_serializing_if = "is_default")]
        channel: String,
        #[prost(message, optional, tag = "4")]
        #[serde(rename = "pub", skip_serializing_if = "is_default")]
        publication: Option<Publication>,
        #[prost(message, optional, tag = "5")]
        #[serde(skip_serializing_if = "is_default")]
        join: Option<About>,
        #[prost(message, optional, tag = "6")]
        #[serde(skip_serializing_if = "is_default")]
        leave: Option<About>,
        #[prost(message, optional, tag = "7")]
        #[serde(skip_serializing_if = "is_default")]
        unsubscribe: Option<Unsubscribe>,
        #[prost(message, optional, tag = "8")]
        #[serde(skip_serializing_if = "is_default")]
        message: Option<DataMessage>,
        #[prost(message, optional, tag = "9")]
        #[serde(skip_serializing_if = "is_default")]
        subscribe: Option<Subscribe>,
        #[prost(message, optional, tag = "11")]
        #[serde(skip_serializing_if = "is_default")]
        disconnect: Option<Disconnect>,
        #[prost(message, optional, tag = "12")]
        #[serde(skip_serializing_if = "is_default")]
        refresh: Option<ExpiryResult>,
    }
    Error {
        #[prost(uint32, tag = "1")]
        code: u32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(bool, tag = "3")]
        #[serde(skip_serializing_if = "is_default")]
        temporary: bool,
    }
    Empty {}
    ClientInfo {
        #[prost(string, tag = "1")]
        user: String,
        #[prost(string, tag = "2")]
        client: String,
        #[prost(bytes = "bytes", tag = "3")]
        #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
        conn_info: Bytes,
        #[prost(bytes = "bytes", tag = "4")]
        #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
        chan_info: Bytes,
    }
    Publication {
        #[prost(bytes = "bytes", tag = "4")]
        #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
        data: Bytes,
        #[prost(message, optional, tag = "5")]
        #[serde(skip_serializing_if = "is_default")]
        info: Option<ClientInfo>,
        #[prost(uint64, tag = "6")]
        #[serde(skip_serializing_if = "is_default")]
        offset: u64,
        #[prost(btree_map = "string, string", tag = "7")]
        #[serde(skip_serializing_if = "is_default")]
        tags: BTreeMap<String, String>,
    }
    About {
        #[prost(message, optional, tag = "1")]
        info: Option<ClientInfo>,
    }
    Unsubscribe {
        #[prost(uint32, tag = "2")]
        code: u32,
        #[prost(string, tag = "3")]
        reason: String,
    }
    Subscribe {
        #[prost(bool, tag = "1")]
        #[serde(skip_serializing_if = "is_default")]
        recoverable: bool,
        #[prost(string, tag = "4")]
        #[serde(skip_serializing_if = "is_default")]
        epoch: String,
        #[prost(uint64, tag = "5")]
        #[serde(skip_serializing_if = "is_default")]
        offset: u64,
        #[prost(bool, tag = "6")]
        #[serde(skip_serializing_if = "is_default")]
        positioned: bool,
        #[prost(bytes = "bytes", tag = "7")]
        #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
        data: Bytes,
    }
    DataMessage {
        #[prost(bytes = "bytes", tag = "1")]
        #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
        data: Bytes,
    }
    Disconnect {
        #[prost(uint32, tag = "1")]
        code: u32,
        #[prost(string, tag = "2")]
        reason: String,
        #[prost(bool, tag = "3")]
        #[serde(skip_serializing_if = "is_default")]
        reconnect: bool,
    }
    ConnectRequest {
        #[prost(string, tag = "1")]
        token: String,
        #[prost(bytes = "bytes", tag = "2")]
        #[serde(with = "raw")]
        data: Bytes,
        #[prost(btree_map = "string, message", tag = "3")]
        subs: BTreeMap<String, SubscribeRequest>,
        #[prost(string, tag = "4")]
        name: String,
        #[prost(string, tag = "5")]
        version: String,
        #[prost(btree_map = "string, string", tag = "6")]
        headers: BTreeMap<String, String>,
    }
    ConnectResult {
        #[prost(string, tag = "1")]
        client: String,
        #[prost(string, tag = "2")]
        version: String,
        #[prost(bool, tag = "3")]
        #[serde(skip_serializing_if = "is_default")]
        expires: bool,
        #[prost(uint32, tag = "4")]
        #[serde(skip_serializing_if = "is_default")]
        ttl: u32,
        #[prost(bytes = "bytes", tag = "5")]
        #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
        data: Bytes,
        #[prost(btree_map = "string, message", tag = "6")]
        #[serde(skip_serializing_if = "is_default")]
        subs: BTreeMap<String, SubscribeResult>,
        #[prost(uint32, tag = "7")]
        #[serde(skip_serializing_if = "is_default")]
        ping: u32,
        #[prost(bool, tag = "8")]
        #[serde(skip_serializing_if = "is_default")]
        pong: bool,
        #[prost(string, tag = "9")]
        #[serde(skip_serializing_if = "is_default")]
        session: String,
        #[prost(string, tag = "10")]
        #[serde(skip_serializing_if = "is_default")]
        node: String,
    }
    SubscribeRequest {
        #[prost(string, tag = "1")]
        channel: String,
        #[prost(string, tag = "2")]
        token: String,
        #[prost(bool, tag = "3")]
        recover: bool,
        #[prost(string, tag = "6")]
        epoch: String,
        #[prost(uint64, tag = "7")]
        offset: u64,
        #[prost(bytes = "bytes", tag = "8")]
        #[serde(with = "raw")]
        data: Bytes,
        #[prost(bool, tag = "9")]
        positioned: bool,
        #[prost(bool, tag = "10")]
        recoverable: bool,
        #[prost(bool, tag = "11")]
        join_leave: bool,
        /// Which publications it wants, by their tags. What it says is not read.
        #[prost(message, optional, tag = "13")]
        tf: Option<Empty>,
        /// See [`REJECT_UNRECOVERED`].
        #[prost(int64, tag = "14")]
        flag: i64,
    }
    SubscribeResult {
        #[prost(bool, tag = "1")]
        #[serde(skip_serializing_if = "is_default")]
        expires: bool,
        #[prost(uint32, tag = "2")]
        #[serde(skip_serializing_if = "is_default")]
        ttl: u32,
        #[prost(bool, tag = "3")]
        #[serde(skip_serializing_if = "is_default")]
        recoverable: bool,
        #[prost(string, tag = "6")]
        #[serde(skip_serializing_if = "is_default")]
        epoch: String,
        #[prost(message, repeated, tag = "7")]
        #[serde(skip_serializing_if = "is_default")]
        publications: Vec<Publication>,
        #[prost(bool, tag = "8")]
        #[serde(skip_serializing_if = "is_default")]
        recovered: bool,
        #[prost(uint64, tag = "9")]
        #[serde(skip_serializing_if = "is_default")]
        offset: u64,
        #[prost(bool, tag = "10")]
        #[serde(skip_serializing_if = "is_default")]
        positioned: bool,
        #[prost(bytes = "bytes", tag = "11")]
        #[serde(with = "raw", skip_serializing_if = "Bytes::is_empty")]
        data: Bytes,
        #[prost(bool, tag = "12")]
        #[serde(skip_serializing_if = "is_default")]
        was_recovering: bool,
    }
    UnsubscribeRequest {
        #[prost(string, tag = "1")]
        channel: String,
    }
    PublishRequest {
        #[prost(string, tag = "1")]
        channel: String,
        #[prost(bytes = "bytes", tag = "2")]
        #[serde(with = "raw")]
        data: Bytes,
    }
    ChannelRequest {
        #[prost(string, tag = "1")]
        channel: String,
    }
    PresenceResult {
        #[prost(btree_map = "string, message", tag = "1")]
        presence: BTreeMap<String, ClientInfo>,
    }
    PresenceStatsResult {
        #[prost(uint32, tag = "1")]
        num_clients: u32,
        #[prost(uint32, tag = "2")]
        num_users: u32,
    }
    StreamPosition {
        #[prost(uint64, tag = "1")]
        offset: u64,
        #[prost(string, tag = "2")]
        epoch: String,
    }
    HistoryRequest {
        #[prost(string, tag = "1")]
        channel: String,
        #[prost(int32, tag = "7")]
        limit: i32,
        #[prost(message, optional, tag = "8")]
        since: Option<StreamPosition>,
        #[prost(bool, tag = "9")]
        reverse: bool,
    }
    HistoryResult {
        #[prost(message, repeated, tag = "1")]
        publications: Vec<Publication>,
        #[prost(string, tag = "2")]
        epoch: String,
        #[prost(uint64, tag = "3")]
        offset: u64,
    }
    SendRequest {
        #[prost(bytes = "bytes", tag = "1")]
        #[serde(with = "raw")]
        data: Bytes,
    }
    RpcRequest {
        #[prost(bytes = "bytes", tag = "1")]
        #[serde(with = "raw")]
        data: Bytes,
        #[prost(string, tag = "2")]
        method: String,
    }
    RefreshRequest {
        #[prost(string, tag = "1")]
        token: String,
    }
    RefreshResult {
        #[prost(string, tag = "1")]
        client: String,
        #[prost(string, tag = "2")]
        version: String,
        #[prost(bool, tag = "3")]
        #[serde(skip_serializing_if = "is_default")]
        expires: bool,
        #[prost(uint32, tag = "4")]
        #[serde(skip_serializing_if = "is_default")]
        ttl: u32,
    }
    SubRefreshRequest {
        #[prost(string, tag = "1")]
        channel: String,
        #[prost(string, tag = "2")]
        token: String,
    }
    ExpiryResult {
        #[prost(bool, tag = "1")]
        #[serde(skip_serializing_if = "is_default")]
        expires: bool,
        #[prost(uint32, tag = "2")]
        #[serde(skip_serializing_if = "is_default")]
        ttl: u32,
    }
    /// What a client sends beside a stream that only goes one way.
    EmulationRequest {
        #[prost(string, tag = "1")]
        node: String,
        #[prost(string, tag = "2")]
        session: String,
        #[prost(bytes = "vec", tag = "3")]
        #[serde(with = "text")]
        data: Vec<u8>,
    }
}

/// Of a subscription's flags: what cannot be recovered is an error, so that the application loads its state again.
pub(crate) const REJECT_UNRECOVERED: i64 = 2;

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Bytes that are in JSON a value of their own.
mod raw {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        let value: &RawValue = serde_json::from_slice(bytes).map_err(serde::ser::Error::custom)?;
        value.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Bytes::from(Box::<str>::from(value).into_string()))
    }
}

/// Bytes that are in JSON a string.
mod text {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        String::from_utf8_lossy(bytes).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        String::deserialize(deserializer).map(String::into_bytes)
    }
}
