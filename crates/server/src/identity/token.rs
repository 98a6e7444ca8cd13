//! Tokens (RFC 7519): what they must say, and what they grant.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::Uri;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Validation, decode, decode_header};
use openline_hub::ChannelName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::keys::{self, TokenKey, TokenSettings};
use super::{Admission, crypto, identity};
use crate::hooks::Overrides;
use crate::outbound::Outbound;
use crate::rights::Identity;
use crate::session::sessions::Admitted;

/// The longest token. It is part of a command, or of a request's head.
const MAX_TOKEN_BYTES: usize = 8 << 10;

/// Clocks differ by this much.
const LEEWAY_SECONDS: u64 = 5;

/// A key that is not known makes the set be fetched again, but not more often than this: who invents ids does not make us
/// knock at the issuer's door.
const COOL_DOWN: Duration = Duration::from_secs(30);

/// A set is fetched again this often, so that keys that were taken out of it go.
const REFRESH: Duration = Duration::from_secs(300);

/// The largest set.
const MAX_SET_BYTES: usize = 256 << 10;

/// What can be wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// It was good once.
    Expired,
    /// Its key may be in a newer set than the one at hand: fetch it, and ask again.
    UnknownKey,
    /// There are keys to be fetched, and there never were any.
    Unavailable,
    /// Why it is not to be believed; for the log, not for its bearer.
    Invalid(&'static str),
}

/// What tokens are checked with.
#[derive(Debug)]
pub(crate) struct Tokens {
    settings: TokenSettings,
    fetched: RwLock<Arc<Vec<TokenKey>>>,
    last_fetch: Mutex<Option<Instant>>,
    /// One fetch at a time, for all who wait for it.
    fetching: tokio::sync::Mutex<()>,
    outbound: Arc<Outbound>,
}

/// A token for a channel.
#[derive(Debug)]
pub(crate) struct SubscriptionToken {
    channel: String,
    identity: Identity,
    pub(crate) admitted: Admitted,
}

impl SubscriptionToken {
    pub(crate) fn is_for(&self, channel: &ChannelName, identity: &Identity) -> bool {
        self.channel == channel.as_str() && self.identity == *identity
    }
}

impl Tokens {
    pub(crate) fn new(settings: TokenSettings, outbound: Arc<Outbound>) -> Self {
        crypto::install();
        Self {
            settings,
            fetched: RwLock::default(),
            last_fetch: Mutex::new(None),
            fetching: tokio::sync::Mutex::new(()),
            outbound,
        }
    }

    /// Whether there is any that could be good.
    pub(crate) fn are_believed(&self) -> bool {
        !self.settings.keys.is_empty() || self.settings.jwks.is_some()
    }

    /// Reads a token that says who connects.
    pub(crate) fn connection(&self, token: &str, unix: u64, now: Instant) -> Result<Admission, TokenError> {
        let claims: ConnectionClaims = self.claims(token, now)?;
        let expire_at = claims.times.check(unix)?;
        if claims.channel.is_some() {
            return Err(TokenError::Invalid("it is for a channel, and not for connecting"));
        }
        let mut subs: BTreeMap<String, Admitted> = BTreeMap::new();
        subs.extend(claims.channels.into_iter().map(|name| (name, Admitted::default())));
        subs.extend(claims.subs.into_iter().map(|(name, options)| (name, options.admitted(None))));
        Ok(Admission {
            identity: identity(&claims.sub),
            info: bytes(claims.info, claims.b64info),
            meta: bytes(claims.meta, None),
            data: Bytes::new(),
            expire_at,
            subs,
        })
    }

    /// Reads a token that opens a channel.
    pub(crate) fn subscription(&self, token: &str, unix: u64, now: Instant) -> Result<SubscriptionToken, TokenError> {
        let claims: SubscriptionClaims = self.claims(token, now)?;
        let expire_at = claims.times.check(unix)?;
        Ok(SubscriptionToken {
            channel: claims.channel,
            identity: identity(&claims.sub),
            admitted: claims.options.admitted(expire_at),
        })
    }

    /// What a token says, if a key of ours signed it.
    fn claims<C: DeserializeOwned + Clone>(&self, token: &str, now: Instant) -> Result<C, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Invalid("it is too long"));
        }
        // `none`, and whatever else the library does not know, ends here.
        let header = decode_header(token).map_err(|_| TokenError::Invalid("its header cannot be read"))?;
        let fetched = self.fetched.read().unwrap_or_else(PoisonError::into_inner).clone();
        let is_for = |key: &&TokenKey| {
            key.algorithm.algorithm() == header.alg && key.id.as_ref().is_none_or(|id| Some(id) == header.kid.as_ref())
        };
        let mut outcome = Err(TokenError::Invalid("no key is for it"));
        for key in self.settings.keys.iter().chain(fetched.iter()).filter(is_for) {
            match decode::<C>(token, &key.key, &self.validation(key)) {
                Ok(decoded) => return Ok(decoded.claims),
                Err(error) => outcome = Err(TokenError::Invalid(reason(error.kind()))),
            }
        }
        let is_known = fetched.iter().any(|key| key.id.is_some() && key.id == header.kid);
        if self.settings.jwks.is_some() && !is_known && outcome_is_no_key(&outcome) {
            if self.last_fetch().is_none_or(|last| now.saturating_duration_since(last) >= COOL_DOWN) {
                return Err(TokenError::UnknownKey);
            }
            if fetched.is_empty() {
                return Err(TokenError::Unavailable);
            }
        }
        outcome
    }

    fn validation(&self, key: &TokenKey) -> Validation {
        let mut validation = Validation::new(key.algorithm.algorithm());
        // The times are checked by us, against the time that we are told.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let mut required = HashSet::new();
        if let Some(audience) = &self.settings.audience {
            validation.validate_aud = true;
            validation.set_audience(&[audience]);
            required.insert("aud".to_owned());
        }
        if let Some(issuer) = &self.settings.issuer {
            validation.set_issuer(&[issuer]);
            required.insert("iss".to_owned());
        }
        validation.required_spec_claims = required;
        validation
    }

    /// Fetches the set of keys, unless somebody just did.
    pub(crate) async fn fetch(&self) {
        let Some(uri) = &self.settings.jwks else { return };
        let asked = tokio::time::Instant::now().into_std();
        let _one = self.fetching.lock().await;
        if self.last_fetch().is_some_and(|last| last >= asked) {
            return;
        }
        let answer = self.outbound.get(uri, MAX_SET_BYTES).await;
        self.learn(uri, answer, tokio::time::Instant::now().into_std());
    }

    /// What the issuer answered when it was asked for its keys.
    fn learn(&self, uri: &Uri, answer: Result<Bytes, String>, now: Instant) {
        *self.last_fetch.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let set = answer.and_then(|body| {
            serde_json::from_slice::<JwkSet>(&body).map_err(|error| format!("it is no set of keys: {error}"))
        });
        match set {
            Ok(set) => {
                let keys = keys::of_set(&set);
                tracing::debug!(%uri, keys = keys.len(), "fetched the keys of tokens");
                *self.fetched.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            // Those that were known stay: an issuer that is away for a while locks nobody out.
            Err(error) => tracing::warn!(%uri, %error, "cannot fetch the keys of tokens"),
        }
    }

    fn last_fetch(&self) -> Option<Instant> {
        *self.last_fetch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the set of keys again and again.
    pub(crate) async fn follow(&self) {
        while self.settings.jwks.is_some() {
            self.fetch().await;
            tokio::time::sleep(REFRESH).await;
        }
    }
}

fn outcome_is_no_key<C>(outcome: &Result<C, TokenError>) -> bool {
    matches!(outcome, Err(TokenError::Invalid("no key is for it")))
}

fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "its signature is wrong",
        ErrorKind::InvalidAudience => "it is for another audience",
        ErrorKind::InvalidIssuer => "it is of another issuer",
        ErrorKind::MissingRequiredClaim(_) => "it does not say for whom or of whom it is",
        _ => "it cannot be read",
    }
}

#[derive(Clone, Debug, Deserialize)]
struct ConnectionClaims {
    #[serde(default)]
    sub: String,
    #[serde(flatten)]
    times: Times,
    #[serde(default)]
    info: Option<serde_json::Value>,
    #[serde(default)]
    b64info: Option<String>,
    #[serde(default)]
    meta: Option<serde_json::Value>,
    #[serde(default)]
    channels: Vec<String>,
    #[serde(default)]
    subs: BTreeMap<String, Options>,
    /// Only tokens for subscriptions have it.
    #[serde(default)]
    channel: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct SubscriptionClaims {
    #[serde(default)]
    sub: String,
    channel: String,
    #[serde(flatten)]
    times: Times,
    #[serde(flatten)]
    options: Options,
}

/// `exp` must be there: a token that is good for ever cannot be taken back.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Times {
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    nbf: Option<f64>,
    /// When what it grants ends, if that is not when the token does; 0 is never.
    #[serde(default)]
    expire_at: Option<u64>,
}

impl Times {
    /// When what it grants ends.
    fn check(&self, unix: u64) -> Result<Option<u64>, TokenError> {
        let Some(exp) = self.exp.filter(|exp| *exp > 0.0) else { return Err(TokenError::Invalid("it has no exp")) };
        let exp = exp as u64;
        if exp.saturating_add(LEEWAY_SECONDS) <= unix {
            return Err(TokenError::Expired);
        }
        if self.nbf.is_some_and(|nbf| nbf as u64 > unix + LEEWAY_SECONDS) {
            return Err(TokenError::Invalid("it is not good yet"));
        }
        Ok(match self.expire_at {
            None => Some(exp),
            Some(0) => None,
            Some(at) => Some(at),
        })
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    info: Option<serde_json::Value>,
    b64info: Option<String>,
    data: Option<serde_json::Value>,
    b64data: Option<String>,
    #[serde(rename = "override")]
    overrides: Overrides,
}

impl Options {
    fn admitted(self, expire_at: Option<u64>) -> Admitted {
        Admitted {
            info: bytes(self.info, self.b64info),
            data: bytes(self.data, self.b64data),
            presence: self.overrides.presence(),
            join_leave: self.overrides.join_leave(),
            expire_at,
            ..Admitted::default()
        }
    }
}

fn bytes(json: Option<serde_json::Value>, base64: Option<String>) -> Bytes {
    let decoded = base64.and_then(|text| BASE64_STANDARD.decode(text).ok()).map(Bytes::from);
    decoded.or_else(|| json.map(|json| json.to_string().into())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use serde_json::{Value, json};

    use super::*;

    const NOW: u64 = 1_800_000_000;
    const SECRET: &[u8] = b"thirty-two bytes, and not fewer..";

    fn tokens(settings: TokenSettings) -> Tokens {
        Tokens::new(settings, Outbound::new().unwrap())
    }

    fn part(value: &Value) -> String {
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn by_secret(algorithm: Algorithm, claims: &Value) -> String {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET)).unwrap()
    }

    fn claims() -> Value {
        json!({ "sub": "ann", "exp": NOW + 60 })
    }

    /// An issuer with a key of its own: `kid`, the JWK, and what signs.
    struct Issuer {
        id: &'static str,
        pair: KeyPair,
    }

    impl Issuer {
        fn new(id: &'static str) -> Self {
            Self { id, pair: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap() }
        }

        fn jwk(&self) -> Value {
            let point = self.pair.der_bytes(); // 4, x, y: an uncompressed point
            let coordinate = |bytes: &[u8]| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes);
            let (x, y) = (coordinate(&point[1..33]), coordinate(&point[33..65]));
            json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "x": x, "y": y })
        }

        fn token(&self, header: Value) -> String {
            let mut said = json!({ "alg": "ES256", "kid": self.id });
            said.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
            let text = format!("{}.{}", part(&said), part(&claims()));
            let random = SystemRandom::new();
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pair.serialize_der(), &random)
                .unwrap();
            let signature = key.sign(&random, text.as_bytes()).unwrap();
            format!("{text}.{}", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }
    }

    fn set(issuers: &[&Issuer]) -> Result<Bytes, String> {
        let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
        Ok(json!({ "keys": keys }).to_string().into())
    }

    #[test]
    fn keys_come_and_go_with_the_set_and_nobody_can_make_us_ask_often() {
        let uri: Uri = "https://issuer.example/keys".parse().unwrap();
        let tokens = tokens(TokenSettings { jwks: Some(uri.clone()), ..TokenSettings::default() });
        let start = Instant::now();
        let (old, new, foreign) = (Issuer::new("old"), Issuer::new("new"), Issuer::new("foreign"));
        let is = |issuer: &Issuer, now| tokens.connection(&issuer.token(json!({})), NOW, now).map(drop);

        assert_eq!(is(&old, start), Err(TokenError::UnknownKey), "nothing was fetched yet");
        tokens.learn(&uri, Err("it is away".into()), start);
        assert_eq!(is(&old, start), Err(TokenError::Unavailable), "there never was a key, and it was just asked");
        tokens.learn(&uri, set(&[&old]), start);
        assert_eq!(is(&old, start), Ok(()));

        // A key that nobody knows is asked for once, and then not for a while, whoever comes with however many of them.
        let unknown = Err(TokenError::Invalid("no key is for it"));
        assert_eq!((is(&new, start), is(&foreign, start + COOL_DOWN - Duration::from_millis(1))), (unknown, unknown));
        assert_eq!(is(&new, start + COOL_DOWN), Err(TokenError::UnknownKey), "the cool-down has ended");
        tokens.learn(&uri, set(&[&old, &new]), start + COOL_DOWN);
        assert_eq!((is(&old, start + COOL_DOWN), is(&new, start + COOL_DOWN)), (Ok(()), Ok(())));
        assert_eq!(is(&foreign, start + COOL_DOWN), unknown);

        // What is not a set changes nothing; a set without the old key ends it.
        let later = start + COOL_DOWN * 3;
        tokens.learn(&uri, Ok("<html>".into()), later);
        assert_eq!((is(&old, later), is(&new, later)), (Ok(()), Ok(())));
        tokens.learn(&uri, set(&[&new]), later);
        assert_eq!((is(&old, later), is(&new, later)), (unknown, Ok(())));

        // Nobody has a key's name for another key, and where a token says that keys are is nobody's business.
        let forged = Issuer { id: "new", ..Issuer::new("forged") };
        assert_eq!(is(&forged, later), Err(TokenError::Invalid("its signature is wrong")));
        let elsewhere = foreign
            .token(json!({ "jku": "https://evil.example", "x5u": "https://evil.example", "jwk": foreign.jwk() }));
        assert_eq!(tokens.connection(&elsewhere, NOW, later).map(drop), unknown);
    }

    #[test]
    fn a_key_is_for_one_algorithm_and_a_token_must_end() {
        let issuer = Issuer::new("x");
        let pem = issuer.pair.public_key_pem();
        let by_both = tokens(TokenSettings {
            keys: vec![
                TokenKey::secret(SECRET).unwrap(),
                TokenKey::pem(super::super::TokenAlgorithm::Es256, pem.as_bytes()).unwrap(),
            ],
            audience: Some("here".into()),
            issuer: Some("us".into()),
            ..TokenSettings::default()
        });
        let with = |name: &str, value: Value| {
            let mut claims = json!({ "sub": "ann", "exp": NOW + 60, "aud": "here", "iss": "us" });
            match value {
                Value::Null => claims.as_object_mut().unwrap().remove(name),
                value => claims.as_object_mut().unwrap().insert(name.to_owned(), value),
            };
            claims
        };
        let good = with("sub", json!("ann"));
        let confused = {
            let key = EncodingKey::from_secret(pem.as_bytes());
            encode(&Header::new(Algorithm::HS256), &good, &key).unwrap()
        };
        let unsigned = format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(&good));
        let signed = |name: &str, value| by_secret(Algorithm::HS256, &with(name, value));
        let invalid = |why| Err(TokenError::Invalid(why));
        for (what, token, expected) in [
            ("good", by_secret(Algorithm::HS256, &good), Ok(())),
            ("alg: none", unsigned, invalid("its header cannot be read")),
            ("a public key for a secret", confused, invalid("its signature is wrong")),
            ("another algorithm of the same secret", by_secret(Algorithm::HS512, &good), invalid("no key is for it")),
            ("no end", signed("exp", Value::Null), invalid("it has no exp")),
            ("an end at 0", signed("exp", json!(0)), invalid("it has no exp")),
            ("an end that is no number", signed("exp", json!("tomorrow")), invalid("it cannot be read")),
            ("over", signed("exp", json!(NOW - 60)), Err(TokenError::Expired)),
            ("over, but clocks differ", signed("exp", json!(NOW - 4)), Ok(())),
            ("not yet", signed("nbf", json!(NOW + 60)), invalid("it is not good yet")),
            ("for others", signed("aud", json!("there")), invalid("it is for another audience")),
            ("for nobody", signed("aud", Value::Null), invalid("it does not say for whom or of whom it is")),
            ("of others", signed("iss", json!("them")), invalid("it is of another issuer")),
            ("of nobody", signed("iss", Value::Null), invalid("it does not say for whom or of whom it is")),
            ("for a channel", signed("channel", json!("news")), invalid("it is for a channel, and not for connecting")),
            ("too long", signed("info", json!("x".repeat(9000))), invalid("it is too long")),
            ("nothing", String::new(), invalid("its header cannot be read")),
        ] {
            let read = by_both.connection(&token, NOW, Instant::now());
            assert_eq!(read.as_ref().map(drop).map_err(|error| *error), expected, "{what}");
            assert!(!format!("{read:?}").contains(&token) || token.is_empty(), "{what}: a token is a secret");
        }
    }
}
