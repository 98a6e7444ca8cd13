//! Values of a configuration file: how they are written, read, and shown in the reference.
//!
//! Each has a JSON schema whose `format` names the check that [`complaint`] does, with the words that flags have for it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use openline::proto::handshake::{Host, Origin};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::units;
use super::{Listen, Network};
use crate::rates::Rate;
use crate::rights::Who;

/// A number or a text, as text: what a flag gets, too.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A value that is read by one of [`units`]: its type, what it holds, its format, its JSON types, how it is read and shown.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident($holds:ty), $format:literal, $types:tt, $example:tt, $read:expr, $show:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) struct $name(pub(crate) $holds);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let Text(text) = Text::deserialize(deserializer)?;
                let read: fn(&str) -> Result<$holds, String> = $read;
                read(&text).map(Self).map_err(D::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let show: fn(&$holds) -> serde_json::Value = $show;
                show(&self.0).serialize(serializer)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $types, "format": $format, "examples": $example })
            }
        }
    };
}

value!(
    /// Bytes.
    Size(u64), "bytes", ["integer", "string"], ["64KiB"], units::bytes, |bytes| shown_bytes(*bytes)
);
value!(
    /// Bytes of memory.
    Memory(usize), "bytes", ["integer", "string"], ["64KiB"], units::memory, |bytes| shown_bytes(*bytes as u64)
);
value!(
    /// How many; at least one.
    Count(usize), "count", "integer", [100], units::count, |count| (*count).into()
);
value!(
    /// How long; more than nothing.
    Time(Duration), "time", "string", ["10s"], units::time, |time| shown_time(*time)
);
value!(
    /// How long; `0s` is not at all.
    Span(Duration), "duration", "string", ["10s"], units::duration, |time| shown_time(*time)
);
value!(
    /// How long, or never.
    TimeOrOff(Option<Duration>), "time-or-off", "string", ["20s", "off"],
    |text| units::time_or_off(text).map(|units::Maybe(time)| time),
    |time| time.map_or("off".into(), shown_time)
);
value!(
    /// A host's name.
    HostName(Host), "host-name", "string", ["chat.example"], units::host, |host| host.name().into()
);
value!(
    /// An origin.
    PageOrigin(Origin), "web-origin", "string", ["https://app.example"], units::origin, |origin| origin.to_string().into()
);
value!(
    /// An address, or a network.
    AddressOrNetwork(Network), "network", "string", ["127.0.0.1", "10.0.0.0/8"],
    |text| text.parse(), |network| network.to_string().into()
);
value!(
    /// Where to listen.
    Address(Listen), "address", "string", [":8080", "0.0.0.0:443"], units::listen, |listen| listen.to_string().into()
);
value!(
    /// So many in a time, or as many as they like.
    RateOrOff(Option<Rate>), "rate-or-off", "string", ["100/s", "off"],
    units::rate_or_off, |rate| rate.map_or("off".into(), |rate| rate.to_string().into())
);
value!(
    /// So many bytes in a time, or as many as they like.
    BytesRateOrOff(Option<Rate>), "bytes-rate-or-off", "string", ["1MiB/s", "off"],
    units::bytes_rate_or_off, |rate| rate.map_or("off".into(), shown_bytes_rate)
);
value!(
    /// Where to listen, or not at all.
    AddressOrOff(Option<Listen>), "address-or-off", "string", ["127.0.0.1:8090", "off"],
    units::listen_or_off, |listen| listen.map_or("off".into(), |listen| listen.to_string().into())
);

fn shown_bytes(bytes: u64) -> serde_json::Value {
    for (unit, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{}{unit}", bytes / size).into();
        }
    }
    bytes.into()
}

fn shown_bytes_rate(rate: Rate) -> serde_json::Value {
    match shown_bytes(rate.amount) {
        serde_json::Value::String(bytes) => format!("{bytes}/{}", rate.unit()).into(),
        bytes => format!("{bytes}/{}", rate.unit()).into(),
    }
}

fn shown_time(time: Duration) -> serde_json::Value {
    humantime::format_duration(time).to_string().into()
}

/// A secret: it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A key that nobody can guess has as many characters; `openssl rand -hex 32` gives 64.
const MIN_SECRET_BYTES: usize = 16;

impl Secret {
    /// Of at least 16 bytes, printable and without spaces, as it goes into a header.
    ///
    /// # Errors
    /// What is wrong with it, without saying it.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() < MIN_SECRET_BYTES {
            return Err(format!(
                "a key has at least {MIN_SECRET_BYTES} characters: `openssl rand -hex 32` makes a good one"
            ));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a key has letters, digits and signs of ASCII, and no spaces: it goes into a header".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// It.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "secret" })
    }
}

/// To whom a right is given: `"nobody"`, `"anyone"`, `"known"`, or a list of users.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Whom(pub(crate) Who);

impl<'de> Deserialize<'de> for Whom {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WORDS: &str =
            r#""nobody", "anyone", "known" (whoever has a name), or a list of names, such as ["ann", "bob"]"#;
        match OneOrMany::<String>::deserialize(deserializer)? {
            OneOrMany::One(word) => match word.as_str() {
                "nobody" => Ok(Self(Who::Nobody)),
                "anyone" => Ok(Self(Who::Anyone)),
                "known" => Ok(Self(Who::Known)),
                _ => Err(D::Error::custom(format!("it is {WORDS}"))),
            },
            OneOrMany::Many(names) if names.iter().any(String::is_empty) => Err(D::Error::custom("a user has a name")),
            OneOrMany::Many(names) => {
                Ok(Self(Who::Users(names.into_iter().map(String::into_boxed_str).collect::<BTreeSet<_>>())))
            }
        }
    }
}

impl Serialize for Whom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Who::Nobody => serializer.serialize_str("nobody"),
            Who::Anyone => serializer.serialize_str("anyone"),
            Who::Known => serializer.serialize_str("known"),
            Who::Users(names) => names.serialize(serializer),
        }
    }
}

impl JsonSchema for Whom {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Whom".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "format": "whom",
            "items": { "type": "string" },
            "examples": ["nobody", "anyone", "known", ["ann", "bob"]],
        })
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T: Clone> OneOrMany<T> {
    pub(crate) fn to_vec(&self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one.clone()],
            Self::Many(many) => many.clone(),
        }
    }
}

/// What is wrong with a value of this format.
pub(crate) fn complaint(format: &str, value: &serde_json::Value) -> Option<String> {
    fn check<T: DeserializeOwned>(value: &serde_json::Value) -> Option<String> {
        serde_json::from_value::<T>(value.clone()).err().map(|error| error.to_string())
    }
    match format {
        "bytes" => check::<Size>(value).or_else(|| check::<Memory>(value)),
        "count" => check::<Count>(value),
        "time" => check::<Time>(value),
        "duration" => check::<Span>(value),
        "time-or-off" => check::<TimeOrOff>(value),
        "host-name" => check::<HostName>(value),
        "web-origin" => check::<PageOrigin>(value),
        "network" => check::<AddressOrNetwork>(value),
        "address" => check::<Address>(value),
        "address-or-off" => check::<AddressOrOff>(value),
        "rate-or-off" => check::<RateOrOff>(value),
        "bytes-rate-or-off" => check::<BytesRateOrOff>(value),
        "secret" => check::<Secret>(value),
        "whom" => check::<Whom>(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_as_the_same() {
        for bytes in [1, 1000, 1024, 1025, 65536, 1 << 20, 3 << 30] {
            let shown = serde_json::to_value(Size(bytes)).unwrap();
            assert_eq!(serde_json::from_value::<Size>(shown).unwrap(), Size(bytes));
        }
        for ms in [1, 999, 1000, 10_000, 300_000, 5_400_000] {
            let time = Time(Duration::from_millis(ms));
            assert_eq!(serde_json::from_value::<Time>(serde_json::to_value(&time).unwrap()).unwrap(), time);
        }
        for text in ["off", "20s"] {
            let time: TimeOrOff = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(time).unwrap(), text);
        }
        for text in ["127.0.0.1", "10.0.0.0/8", "fd00::/8"] {
            let network: AddressOrNetwork = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(network).unwrap(), text);
        }
        for text in [":8080", "127.0.0.1:80", "[::1]:80"] {
            let address: Address = serde_json::from_value(text.into()).unwrap();
            assert_eq!(serde_json::to_value(address).unwrap(), text);
        }
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("correct-horse-battery").unwrap();
        assert_eq!(format!("{secret:?}"), "(secret)");
        assert_eq!(serde_json::to_value(&secret).unwrap(), "(secret)");
        for wrong in ["", "short", "fifteen-charac.", "with a space in it", "sixteen-and-ümlaut"] {
            let why = Secret::new(wrong).unwrap_err();
            assert!(wrong.is_empty() || !why.contains(wrong), "{why}");
        }
    }
}
