//! What a backend answers.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::session::codes::{Disconnect, Refused};

/// What becomes of what was asked.
#[derive(Debug)]
pub(crate) enum Answer {
    Granted(Box<Granted>),
    Refused(Refused),
    Disconnect(Disconnect),
}

/// The `result` of an answer, whatever was asked: each event has its own of these.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Granted {
    pub(crate) user: String,
    pub(crate) expire_at: u64,
    expired: bool,
    info: Option<Box<RawValue>>,
    b64info: Option<String>,
    data: Option<Box<RawValue>>,
    b64data: Option<String>,
    meta: Option<Box<RawValue>>,
    pub(crate) channels: Vec<String>,
    pub(crate) subs: BTreeMap<String, Granted>,
    #[serde(rename = "override")]
    pub(crate) overrides: Overrides,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) idempotency_key: String,
    pub(crate) skip_history: bool,
}

/// Settings of the namespace that are others for this subscription.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Overrides {
    presence: Option<Flag>,
    join_leave: Option<Flag>,
    force_push_join_leave: Option<Flag>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Flag {
    #[serde(default)]
    value: bool,
}

impl Overrides {
    pub(crate) fn presence(&self) -> Option<bool> {
        self.presence.map(|flag| flag.value)
    }

    pub(crate) fn join_leave(&self) -> Option<bool> {
        self.force_push_join_leave.or(self.join_leave).map(|flag| flag.value)
    }
}

impl Granted {
    pub(crate) fn info(&self) -> Bytes {
        bytes(&self.info, &self.b64info)
    }

    pub(crate) fn data(&self) -> Bytes {
        bytes(&self.data, &self.b64data)
    }

    pub(crate) fn meta(&self) -> Bytes {
        bytes(&self.meta, &None)
    }

    /// Whether what it was asked about has ended: it says so, or names a time that is past. Were that not an end, it would be asked
    /// again at once, for ever.
    pub(crate) fn is_over(&self, unix: u64) -> bool {
        self.expired || self.expire_at().is_some_and(|at| at <= unix)
    }

    /// 0 is never.
    pub(crate) fn expire_at(&self) -> Option<u64> {
        (self.expire_at > 0).then_some(self.expire_at)
    }
}

/// One of two ways to give bytes.
fn bytes(json: &Option<Box<RawValue>>, base64: &Option<String>) -> Bytes {
    let decoded = base64.as_ref().and_then(|text| BASE64_STANDARD.decode(text).ok());
    decoded.map(Bytes::from).or_else(|| json.as_ref().map(|json| json.get().to_owned().into())).unwrap_or_default()
}

/// Numbers that a backend may give an error of its own.
const CUSTOM_ERRORS: std::ops::RangeInclusive<u32> = 400..=1999;

/// And the end of a session.
const CUSTOM_DISCONNECTS: std::ops::RangeInclusive<u32> = 4000..=4999;

impl Answer {
    /// Reads one. What cannot be one is an error of the server's to the client, and said in the log.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Body {
            result: Option<Granted>,
            error: Option<ErrorBody>,
            disconnect: Option<DisconnectBody>,
        }
        #[derive(Deserialize)]
        struct ErrorBody {
            code: u32,
            #[serde(default)]
            message: String,
            #[serde(default)]
            temporary: bool,
        }
        #[derive(Deserialize)]
        struct DisconnectBody {
            code: u32,
            #[serde(default)]
            reason: String,
        }
        let body: Body = serde_json::from_slice(body).map_err(|error| format!("it is not an answer: {error}"))?;
        if let Some(DisconnectBody { code, reason }) = body.disconnect {
            let custom = CUSTOM_DISCONNECTS.contains(&code).then(|| Disconnect::custom(code, reason)).flatten();
            return custom.map(Self::Disconnect).ok_or_else(|| {
                format!("{code} and its reason are no disconnect: 4000 to 4999, and 123 bytes at most")
            });
        }
        if let Some(ErrorBody { code, message, temporary }) = body.error {
            if !CUSTOM_ERRORS.contains(&code) {
                return Err(format!("{code} is no error of an application: those are 400 to 1999"));
            }
            return Ok(Self::Refused(Refused { code, message: message.into(), temporary }));
        }
        body.result.map(|granted| Self::Granted(Box::new(granted))).ok_or_else(|| "it has no result".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_grant_refuse_or_disconnect() {
        let Ok(Answer::Granted(granted)) =
            Answer::read(br#"{"result":{"user":"56","expire_at":7,"info":{"a":1},"b64data":"AP8=","channels":["x"]}}"#)
        else {
            panic!()
        };
        assert_eq!((granted.user.as_str(), granted.expire_at()), ("56", Some(7)));
        assert_eq!((granted.info(), granted.data()), (Bytes::from("{\"a\":1}"), Bytes::from_static(b"\0\xff")));
        assert!(matches!(
            Answer::read(br#"{"error":{"code":403,"message":"no"}}"#),
            Ok(Answer::Refused(Refused { code: 403, .. }))
        ));
        assert!(matches!(Answer::read(br#"{"disconnect":{"code":4501,"reason":"no"}}"#), Ok(Answer::Disconnect(_))));
        for lie in [
            "",
            "{}",
            "[]",
            r#"{"error":{"code":100}}"#,
            r#"{"disconnect":{"code":3000,"reason":""}}"#,
            r#"{"result":{"user":7}}"#,
        ] {
            assert!(Answer::read(lie.as_bytes()).is_err(), "{lie}");
        }
    }
}
