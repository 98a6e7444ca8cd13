//! The channels of a server: the hub, who may do what, and the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use openline_hub::{
    ChannelName, Draft, Hub, Member, Outbox, Position, PresenceStats, PublishError, Published, ReadError, Stats,
    Subscribe, SubscribeError, Subscribed, Window,
};
use tokio::time::sleep;

use super::encoded::Encoded;
use crate::config::Config;
use crate::rates::Level;
use crate::rights::{Act, Identity, Policies};

/// All channels.
#[derive(Debug)]
pub(crate) struct Channels {
    hub: Hub<Encoded>,
    policies: Policies,
    /// What is otherwise in a namespace than on the rest of the server.
    rates: Namespaced,
}

/// Of those namespaces that say something, by name; the one without a name is that of all that say nothing for themselves.
type Namespaced = HashMap<Box<str>, Option<Arc<Level>>>;

/// A shard of the hub is swept this often: with 64 of them, all of them every 6 s.
const SWEEP_EVERY: Duration = Duration::from_millis(100);

impl Channels {
    pub(crate) fn new(config: &Config) -> Self {
        // An epoch must be one that no earlier life of the server had: the hasher's keys are the system's entropy.
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), SystemTime::now());
        let hub = Hub::new(config.namespaces.clone(), config.channels.clone(), seed);
        let policies = config.policies.clone();
        let rates = policies.all().map(|(name, policy)| (name.into(), Level::of(&policy.rates))).collect();
        Self { hub, policies, rates }
    }

    /// Forgets what is too old, for ever.
    pub(crate) async fn sweep(&self) {
        let mut shard = 0;
        loop {
            shard = if self.hub.sweep(shard, now()) { shard + 1 } else { 0 };
            sleep(SWEEP_EVERY).await;
        }
    }

    /// All of them.
    pub(crate) fn hub(&self) -> &Hub<Encoded> {
        &self.hub
    }

    /// Whether somebody may do something with a channel.
    pub(crate) fn allows(&self, act: Act, channel: &ChannelName, identity: &Identity) -> bool {
        self.is_within(channel, identity) && self.policies.of(channel).rights.allow(act, identity)
    }

    /// What anybody may do in a time, where a channel's namespace says so.
    pub(crate) fn rates(&self, channel: &ChannelName) -> Option<&Level> {
        self.rates.get(channel.namespace()).or_else(|| self.rates.get("")).and_then(Option::as_deref)
    }

    /// Whether somebody's session hears of coming and going there, if it `asks` for it.
    pub(crate) fn tells_of_members(&self, channel: &ChannelName, asks: bool, identity: &Identity) -> bool {
        (asks || self.policies.of(channel).pushes_join_leave) && self.allows(Act::Presence, channel, identity)
    }

    /// Whether a client hears what it publishes itself.
    pub(crate) fn hears_itself(&self, channel: &ChannelName) -> bool {
        self.policies.of(channel).hears_itself
    }

    /// A channel with a `#` is for the users that are named behind it, separated by commas, and for nobody else.
    pub(crate) fn is_within(&self, channel: &ChannelName, identity: &Identity) -> bool {
        match channel.as_str().split_once('#') {
            None => true,
            Some((_, users)) => identity.user().is_some_and(|user| users.split(',').any(|named| named == user)),
        }
    }

    pub(crate) fn outbox(&self) -> Arc<Outbox<Encoded>> {
        self.hub.outbox()
    }

    pub(crate) fn subscribe(
        &self,
        channel: &ChannelName,
        outbox: &Arc<Outbox<Encoded>>,
        subscribe: Subscribe,
    ) -> Result<Subscribed<Encoded>, SubscribeError> {
        self.hub.subscribe(channel, outbox, subscribe, now())
    }

    pub(crate) fn publish(&self, channel: &ChannelName, draft: Draft<'_>) -> Result<Published, PublishError> {
        let unix_ms = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_millis() as u64);
        self.hub.publish(channel, Draft { unix_ms, ..draft }, now())
    }

    pub(crate) fn window(
        &self,
        channel: &ChannelName,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Window<Encoded>, ReadError> {
        self.hub.history(channel, after, limit, now())
    }

    pub(crate) fn clear(&self, channel: &ChannelName) {
        self.hub.clear_history(channel);
    }

    /// What happened, and what there is.
    pub(crate) fn stats(&self) -> Stats {
        self.hub.stats()
    }

    /// Whether the namespace exists.
    pub(crate) fn has_namespace_of(&self, channel: &ChannelName) -> bool {
        self.hub.settings(channel).is_some()
    }

    /// Whether those who listen can be seen.
    pub(crate) fn has_presence(&self, channel: &ChannelName) -> bool {
        self.hub.settings(channel).is_some_and(|settings| settings.presence)
    }

    /// Who is in a channel, up to so many, and how many there are.
    pub(crate) fn presence(&self, channel: &ChannelName, limit: usize) -> (Vec<Arc<Member>>, PresenceStats) {
        (self.hub.presence(channel, limit), self.hub.presence_stats(channel))
    }

    /// The longest payload that a channel takes.
    pub(crate) fn max_publication_bytes(&self, channel: &ChannelName) -> Option<usize> {
        self.hub.settings(channel).map(|settings| settings.max_publication_bytes)
    }
}

/// The time as the runtime's timers see it, so that tests can turn it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
