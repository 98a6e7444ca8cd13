//! Who asks at a door, and what they may do there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use openline_hub::{ChannelName, Member};
use subtle::ConstantTimeEq;

use crate::config::values::Secret;
use crate::edge::answer::text;
use crate::identity::{Carried, TokenError};
use crate::rates::{Spending, TooMuch, What};
use crate::rights::{Act, Identity, Who};
use crate::site::Site;

/// Somebody at a door.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    /// Who they are, as far as whoever let them in knows.
    pub(crate) identity: Identity,
    /// What they may do in a time; backends may do as much as they like.
    spending: Option<Spending>,
    /// They showed a key of the API: what is for backends is for them.
    is_backend: bool,
}

/// A key of the API may come in this header, too.
const API_KEY: &str = "x-api-key";

impl Guest {
    /// Whoever sends a request. Who they are, an [`Identity`] among its extensions says.
    ///
    /// # Errors
    /// 401: they show a key that is none.
    pub(crate) fn of<B>(request: &Request<B>, site: &Site) -> Result<Self, Box<Response<Bytes>>> {
        // Where there are no keys, what looks like one is for somebody else.
        let shown = shown_key(request.headers()).filter(|_| !site.config.api_keys.is_empty());
        let is_backend = shown.is_some_and(|shown| is_one_of(shown, &site.config.api_keys));
        let known = request.extensions().get::<Identity>().cloned();
        let identity = match known {
            Some(identity) => identity,
            // A key is no token, although both may be a bearer's.
            None if is_backend => Identity::Anonymous,
            None => identified(request, site)?.unwrap_or_default(),
        };
        if shown.is_some() && !is_backend && identity == Identity::Anonymous {
            return Err(unknown_key());
        }
        let spending = if is_backend { None } else { Spending::of(request) };
        Ok(Self { identity, spending, is_backend })
    }

    /// Takes so much from what their address may do with a channel in a time.
    ///
    /// # Errors
    /// It is too much.
    pub(crate) fn take(&self, what: What, channel: &ChannelName, amount: usize, site: &Site) -> Result<(), TooMuch> {
        let Some(spending) = &self.spending else { return Ok(()) };
        spending.take(site.channels.rates(channel), what, amount as u64)
    }

    /// Takes a subscription to each of these channels.
    ///
    /// # Errors
    /// It is too much.
    pub(crate) fn subscribe(&self, channels: &[ChannelName], site: &Site) -> Result<(), TooMuch> {
        channels.iter().try_for_each(|channel| self.take(What::Subscriptions, channel, 1, site))
    }

    /// Takes a message that a WebSocket publishes.
    ///
    /// # Errors
    /// It is too much, for the connection or its address.
    pub(crate) fn say(&mut self, channel: &ChannelName, bytes: usize, site: &Site) -> Result<(), TooMuch> {
        let Some(spending) = &mut self.spending else { return Ok(()) };
        spending.message(site.channels.rates(channel), bytes)
    }

    /// Whether they may.
    pub(crate) fn may(&self, act: Act, channel: &ChannelName, site: &Site) -> bool {
        // Backends say things. What they hear, they hear by the same rights as everybody.
        let is_theirs = self.is_backend && matches!(act, Act::Publish | Act::Delete);
        is_theirs || site.channels.allows(act, channel, &self.identity)
    }

    /// Lets them pass if they may.
    ///
    /// # Errors
    /// 403, with what to do about it; 404 where there is no such namespace.
    pub(crate) fn pass(&self, act: Act, channel: &ChannelName, site: &Site) -> Result<(), Box<Response<Bytes>>> {
        if !site.channels.has_namespace_of(channel) {
            let why = format!("There is no namespace {:?}.", channel.namespace());
            return Err(Box::new(text(StatusCode::NOT_FOUND, why)));
        }
        if self.may(act, channel, site) {
            return Ok(());
        }
        Err(Box::new(text(StatusCode::FORBIDDEN, refusal(act, channel, site))))
    }

    /// How others in the channels see them; `None` where nobody sees anybody, and nothing depends on who says what.
    pub(crate) fn member(&self, channels: &[ChannelName], site: &Site) -> Option<Arc<Member>> {
        let matters = |channel: &ChannelName| {
            site.channels.has_presence(channel) || !site.config.policies.of(channel).hears_itself
        };
        channels.iter().any(matters).then(|| {
            let user = self.identity.user().unwrap_or_default();
            Arc::new(Member::new(client_name(), user))
        })
    }
}

/// Who a request says it is from, if tokens are believed here.
///
/// # Errors
/// 401: a token, or a ticket, that is not good. 403: a cookie from nobody knows where.
pub(crate) fn identified<B>(request: &Request<B>, site: &Site) -> Result<Option<Identity>, Box<Response<Bytes>>> {
    let context = site.realm.context(&site.channels);
    let cookie = site.config.tokens.cookie.as_deref();
    let token = match Carried::by(request, cookie, &site.realm.tickets, context.now)? {
        Carried::Nothing => return Ok(None),
        Carried::Admission(admission) => return Ok(Some(admission.identity)),
        Carried::Token(token) => token,
    };
    // What has no dots is a key, or nothing of ours.
    if !site.realm.tokens.are_believed() || !token.contains('.') {
        return Ok(None);
    }
    match site.realm.tokens.connection(&token, context.unix_ms / 1000, context.now) {
        Ok(admission) => Ok(Some(admission.identity)),
        Err(error) => {
            if error == TokenError::UnknownKey {
                // For the next time: this request does not wait.
                let realm = site.realm.clone();
                tokio::spawn(async move { realm.tokens.fetch().await });
            }
            let mut refusal = text(
                StatusCode::UNAUTHORIZED,
                match error {
                    TokenError::Expired => "This token has expired: come with a new one.",
                    TokenError::UnknownKey | TokenError::Unavailable => {
                        "The key of this token is not known. Try again."
                    }
                    TokenError::Invalid(_) => "This token is not one that is believed here.",
                },
            );
            let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
            refusal.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            Err(Box::new(refusal))
        }
    }
}

/// Unlike any other of this server's life.
fn client_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Why somebody may not, and what opens it.
pub(crate) fn refusal(act: Act, channel: &ChannelName, site: &Site) -> String {
    let rights = &site.config.policies.of(channel).rights;
    let (doing, who, key) = match act {
        Act::Subscribe => ("subscribe to", &rights.subscribe, "subscribe"),
        Act::Publish => ("publish to", &rights.publish, "publish"),
        Act::History => ("read the past of", &rights.history, "history"),
        Act::Presence => ("see who is in", &rights.presence, "presence"),
        Act::Delete => ("delete the past of", &rights.delete, "delete"),
    };
    let section = match channel.namespace() {
        "" => "channels".to_owned(),
        namespace => format!("namespaces.{namespace}"),
    };
    let backends = match act {
        Act::Publish | Act::Delete => " Backends may with a key (api.keys).",
        _ => "",
    };
    let who = match who {
        Who::Nobody => "nobody may".to_owned(),
        Who::Anyone => "anyone may".to_owned(),
        Who::Known => "only known users may".to_owned(),
        Who::Users(_) => "only some users may".to_owned(),
    };
    format!("To {doing} {channel:?}, {who}: {section}.allow.{key} says so.{backends}")
}

/// `X-API-Key: KEY`, or `Authorization: Bearer KEY` (RFC 6750 §2.1).
fn shown_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| key.trim_ascii())
    });
    headers.get(API_KEY).map(HeaderValue::as_bytes).or(bearer)
}

/// Takes as long whatever is shown, but for its length.
fn is_one_of(shown: &[u8], keys: &[Secret]) -> bool {
    keys.iter().fold(false, |found, key| found | bool::from(shown.ct_eq(key.expose().as_bytes())))
}

fn unknown_key() -> Box<Response<Bytes>> {
    let mut refusal = text(StatusCode::UNAUTHORIZED, "This key is none of api.keys.");
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Box::new(refusal)
}

#[cfg(test)]
mod tests {
    use crate::hosting::Table;
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;
    use crate::rights::{Policies, Policy, Rights};

    /// Each identity, each right given to each kind of people: what it opens, and nothing else.
    #[test]
    fn identities_have_the_rights_that_are_given_to_them() {
        const ACTS: [Act; 5] = [Act::Subscribe, Act::Publish, Act::History, Act::Presence, Act::Delete];
        let user = |name: &str| Identity::User(name.into());
        let some = |names: &[&str]| Who::Users(names.iter().map(|name| (*name).into()).collect::<BTreeSet<_>>());
        let channel = "news".parse().unwrap();
        for (who, identity, may) in [
            (Who::Nobody, Identity::Anonymous, false),
            (Who::Nobody, user("ann"), false),
            (Who::Anyone, Identity::Anonymous, true),
            (Who::Anyone, user("ann"), true),
            (Who::Known, Identity::Anonymous, false),
            (Who::Known, user("ann"), true),
            (some(&["ann", "bob"]), user("ann"), true),
            (some(&["ann", "bob"]), user("eve"), false),
            (some(&["ann", "bob"]), Identity::Anonymous, false),
            (some(&[]), user("ann"), false),
        ] {
            for given in ACTS {
                let mut rights = Rights::default();
                let place = match given {
                    Act::Subscribe => &mut rights.subscribe,
                    Act::Publish => &mut rights.publish,
                    Act::History => &mut rights.history,
                    Act::Presence => &mut rights.presence,
                    Act::Delete => &mut rights.delete,
                };
                *place = who.clone();
                let policies = Policies::new(Policy { rights, ..Policy::default() });
                let site = Site::new(Config { policies, ..Config::default() }, Table::default(), None).unwrap();
                let request = Request::builder().extension(identity.clone()).body(()).unwrap();
                let guest = Guest::of(&request, &site).unwrap();
                for act in ACTS {
                    let allowed = guest.pass(act, &channel, &site).map_err(|refusal| refusal.status());
                    let expected = if may && act == given { Ok(()) } else { Err(StatusCode::FORBIDDEN) };
                    assert_eq!(allowed, expected, "{given:?} is for {who:?}: {act:?} by {identity:?}");
                }
            }
        }
    }

    /// A channel with users in its name is theirs, at every door and for every act, whatever its namespace allows.
    #[test]
    fn channels_of_users_are_for_those_users() {
        let site = Site::new(Config::default(), Table::default(), None).unwrap();
        for (channel, user, may) in [
            ("news", None, true),
            ("#ann", Some("ann"), true),
            ("#ann", Some("eve"), false),
            ("#ann", None, false),
            ("chat:#ann,bob", Some("bob"), true),
            ("chat:#ann,bob", Some("an"), false),
            ("chat:talk#ann", Some("ann"), true),
            ("chat:talk#ann", Some("talk"), false),
            ("#", None, false),
            ("#", Some(""), false),
        ] {
            let identity =
                user.filter(|user| !user.is_empty()).map_or(Identity::Anonymous, |name| Identity::User(name.into()));
            let request = Request::builder().extension(identity.clone()).body(()).unwrap();
            let guest = Guest::of(&request, &site).unwrap();
            let channel: ChannelName = channel.parse().unwrap();
            for act in [Act::Subscribe, Act::Publish, Act::History, Act::Presence, Act::Delete] {
                assert_eq!(guest.may(act, &channel, &site), may, "{channel} {user:?} {act:?}");
                assert_eq!(site.channels.allows(act, &channel, &identity), may, "{channel} {user:?} {act:?}");
            }
        }
    }
}
