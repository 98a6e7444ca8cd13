//! Tickets to come back with: who was let in a moment ago is let in again, without a question.
//!
//! When a server restarts, everybody comes back at once. A ticket says what the backend said, signed by the server, so
//! that this storm does not reach the backend.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::{Admission, crypto, identity};
use crate::session::sessions::Admitted;
use crate::session::wire::ConnectRequest;

/// The header, among those that a client says it has, that carries a ticket.
pub(crate) const HEADER: &str = "openline-resume";

/// Where in the data of the connect reply a ticket is.
pub(crate) const FIELD: &str = "resume";

/// The longest ticket that is given or looked at.
const MAX_BYTES: usize = 4 << 10;

/// Makes tickets and reads them.
pub(super) struct Resume {
    within: Duration,
    sign: EncodingKey,
    check: DecodingKey,
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    /// So that no other token that this key may sign is one.
    aud: String,
    exp: u64,
    user: String,
    info: String,
    data: String,
    expire_at: Option<u64>,
    subs: BTreeMap<String, Sub>,
}

#[derive(Serialize, Deserialize)]
struct Sub {
    info: String,
    data: String,
    expire_at: Option<u64>,
    presence: Option<bool>,
    join_leave: Option<bool>,
}

const AUDIENCE: &str = "openline resume";

impl Resume {
    pub(super) fn new(within: Duration, secret: Option<Vec<u8>>) -> Self {
        crypto::install();
        let secret = secret.unwrap_or_else(|| {
            let mut random = vec![0; 32];
            getrandom::fill(&mut random).expect("the system has entropy");
            random
        });
        Self { within, sign: EncodingKey::from_secret(&secret), check: DecodingKey::from_secret(&secret) }
    }

    /// With a ticket, if there is room for one: the client's data must be an object, or nothing. What only the backend may
    /// know is not put into anybody's hands: then there is none.
    pub(super) fn add(&self, admission: Admission, unix: u64) -> Admission {
        if !admission.meta.is_empty() {
            return admission;
        }
        let mut data = match admission.data.is_empty() {
            true => Value::Object(serde_json::Map::new()),
            false => serde_json::from_slice(&admission.data).unwrap_or(Value::Null),
        };
        let (Some(object), Some(ticket)) = (data.as_object_mut(), self.ticket(&admission, unix)) else {
            return admission;
        };
        object.insert(FIELD.to_owned(), ticket.into());
        Admission { data: data.to_string().into(), ..admission }
    }

    fn ticket(&self, admission: &Admission, unix: u64) -> Option<String> {
        let text = |bytes: &Bytes| BASE64_STANDARD.encode(bytes);
        let sub = |admitted: &Admitted| Sub {
            info: text(&admitted.info),
            data: text(&admitted.data),
            expire_at: admitted.expire_at,
            presence: admitted.presence,
            join_leave: admitted.join_leave,
        };
        let within = unix + self.within.as_secs();
        let ticket = Ticket {
            aud: AUDIENCE.to_owned(),
            // It outlives nothing that it stands for.
            exp: admission.expire_at.map_or(within, |at| at.min(within)),
            user: admission.identity.user().unwrap_or_default().to_owned(),
            info: text(&admission.info),
            data: text(&admission.data),
            expire_at: admission.expire_at,
            subs: admission.subs.iter().map(|(name, admitted)| (name.clone(), sub(admitted))).collect(),
        };
        encode(&Header::new(Algorithm::HS256), &ticket, &self.sign).ok().filter(|ticket| ticket.len() <= MAX_BYTES)
    }

    /// What a ticket stands for, if the client has one that is good.
    pub(super) fn read(&self, request: &ConnectRequest, unix: u64) -> Option<Admission> {
        let (_, ticket) = request.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(HEADER))?;
        if ticket.len() > MAX_BYTES {
            return None;
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.set_audience(&[AUDIENCE]);
        let ticket = decode::<Ticket>(ticket, &self.check, &validation).ok()?.claims;
        if ticket.exp <= unix {
            return None;
        }
        let bytes = |text: &str| BASE64_STANDARD.decode(text).map(Bytes::from).unwrap_or_default();
        let admitted = |sub: Sub| Admitted {
            info: bytes(&sub.info),
            data: bytes(&sub.data),
            expire_at: sub.expire_at,
            presence: sub.presence,
            join_leave: sub.join_leave,
            ..Admitted::default()
        };
        Some(Admission {
            identity: identity(&ticket.user),
            info: bytes(&ticket.info),
            meta: Bytes::new(),
            data: bytes(&ticket.data),
            expire_at: ticket.expire_at,
            subs: ticket.subs.into_iter().map(|(name, sub)| (name, admitted(sub))).collect(),
        })
    }
}

impl std::fmt::Debug for Resume {
    /// The keys are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resume").field("within", &self.within).finish_non_exhaustive()
    }
}
