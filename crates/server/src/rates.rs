//! Rate limits: how much one connection, or one address, may do in a time.
//!
//! The generic cell rate algorithm (ITU-T I.371): for each thing that is limited one number, the time at which all that was
//! done is paid for. A rate of 600 in a minute lets 600 pass at once, and then one each tenth of a second.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So much in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much; at least 1.
    pub amount: u64,
    /// In this time; more than nothing.
    pub per: Duration,
}

impl Rate {
    const fn per_second(amount: u64) -> Self {
        Self { amount, per: Duration::from_secs(1) }
    }

    const fn per_minute(amount: u64) -> Self {
        Self { amount, per: Duration::from_secs(60) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount, self.unit())
    }
}

impl Rate {
    pub(crate) fn unit(&self) -> &'static str {
        match self.per.as_secs() {
            60 => "m",
            3600 => "h",
            _ => "s",
        }
    }
}

/// What anybody may do in a time. `None`: as much as they like. Default: so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Messages that one WebSocket publishes.
    pub messages_per_connection: Option<Rate>,
    /// Messages that one address publishes.
    pub messages_per_address: Option<Rate>,
    /// Bytes that one WebSocket publishes.
    pub bytes_per_connection: Option<Rate>,
    /// Bytes that one address publishes.
    pub bytes_per_address: Option<Rate>,
    /// Channels that one address begins to listen to.
    pub subscriptions_per_address: Option<Rate>,
    /// Connections that one address makes.
    pub connects_per_address: Option<Rate>,
}

impl Rates {
    /// What nobody meets by accident: the defaults of a configuration file.
    pub fn generous() -> Self {
        Self {
            // A game sends 60 a second.
            messages_per_connection: Some(Rate::per_second(500)),
            messages_per_address: Some(Rate::per_second(10_000)),
            bytes_per_connection: None,
            bytes_per_address: None,
            // An office of 10,000 that comes back after a restart, each with a few channels.
            subscriptions_per_address: Some(Rate::per_minute(60_000)),
            connects_per_address: Some(Rate::per_minute(12_000)),
        }
    }
}

/// What somebody has used up of a rate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    /// When all of it is paid for, in nanoseconds since the [`Clock`] began.
    paid: u64,
}

impl Meter {
    /// Takes so much, if it is there.
    ///
    /// # Errors
    /// How long until it is; nothing is taken then.
    pub(crate) fn take(&mut self, rate: Rate, amount: u64, now: u64) -> Result<(), Duration> {
        let period = nanos(rate.per);
        let cost = u128::from(period) * u128::from(amount) / u128::from(rate.amount.max(1));
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let from = self.paid.max(now);
        let paid = from.saturating_add(cost);
        // What is more than a whole period's worth passes when nothing else was taken: otherwise it never would.
        if paid - now <= period || self.paid <= now {
            self.paid = paid;
            return Ok(());
        }
        Err(Duration::from_nanos((paid - now - period).min(self.paid - now)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What is limited for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Messages,
    Bytes,
    Subscriptions,
    Connects,
}

impl What {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::Subscriptions => "subscriptions",
            Self::Connects => "connects",
        }
    }
}

/// So many addresses are remembered: some 5 MB. Whoever has more of them than that is not to be held by addresses.
const MAX_ADDRESSES: usize = 1 << 16;

/// Locks that they are spread over.
const SHARDS: usize = 16;

/// What every address has used up.
#[derive(Debug)]
pub(crate) struct Addresses {
    rates: Rates,
    began: Instant,
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, [Meter; 4]>>; SHARDS],
}

impl Addresses {
    pub(crate) fn new(rates: Rates) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { rates, began: Instant::now(), hasher: RandomState::new(), shards }
    }

    /// Now, as meters count.
    pub(crate) fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }

    /// The rates of a connection: messages, and bytes.
    pub(crate) fn of_connection(&self) -> (Option<Rate>, Option<Rate>) {
        (self.rates.messages_per_connection, self.rates.bytes_per_connection)
    }

    /// Takes so much from an address.
    ///
    /// # Errors
    /// It is too much: what the rate is, and when it would not be.
    pub(crate) fn take(&self, what: What, address: IpAddr, amount: u64) -> Result<(), TooMuch> {
        let rate = match what {
            What::Messages => self.rates.messages_per_address,
            What::Bytes => self.rates.bytes_per_address,
            What::Subscriptions => self.rates.subscriptions_per_address,
            What::Connects => self.rates.connects_per_address,
        };
        let Some(rate) = rate else { return Ok(()) };
        let (address, now) = (household(address), self.now());
        let shard = &self.shards[self.hasher.hash_one(address) as usize % SHARDS];
        // Nothing in here panics half-way.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MAX_ADDRESSES / SHARDS && !shard.contains_key(&address) {
            make_room(&mut shard, now);
        }
        let meters = match shard.entry(address) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Default::default()),
        };
        meters[what as usize].take(rate, amount, now).map_err(|wait| TooMuch { what, by: "address", rate, wait })
    }

    /// How many addresses are remembered.
    #[cfg(test)]
    fn remembered(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// Whoever has nothing left to pay is forgotten; if that is nobody, whoever has the least, of some.
fn make_room(shard: &mut HashMap<IpAddr, [Meter; 4]>, now: u64) {
    let debt = |meters: &[Meter; 4]| meters.iter().map(|meter| meter.paid).max().unwrap_or_default();
    let before = shard.len();
    shard.retain(|_, meters| debt(meters) > now);
    if shard.len() == before {
        let least = shard.iter().take(64).min_by_key(|(_, meters)| debt(meters)).map(|(address, _)| *address);
        least.map(|address| shard.remove(&address));
    }
    if shard.len() < shard.capacity() / 4 {
        shard.shrink_to_fit();
    }
}

/// Whoever has one address of IPv6 has 2⁶⁴ of them: a subnet is one household (RFC 6177).
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

/// It is too much. `Display` says of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuch {
    pub(crate) what: What,
    /// Whether it is too much for a connection, or an address.
    pub(crate) by: &'static str,
    pub(crate) rate: Rate,
    /// When it would not be.
    pub(crate) wait: Duration,
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, by, rate, .. } = self;
        write!(f, "too many {}: {rate} for one {by}; wait {} s", what.name(), self.wait_seconds())
    }
}

impl TooMuch {
    /// Whole seconds, and at least one.
    pub(crate) fn wait_seconds(&self) -> u64 {
        (self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_periods_worth_at_once_and_then_evenly() {
        let rate = Rate::per_second(10);
        let mut meter = Meter::default();
        let start = 5 * SECOND;
        for _ in 0..10 {
            assert_eq!(meter.take(rate, 1, start), Ok(()));
        }
        assert_eq!(meter.take(rate, 1, start), Err(Duration::from_millis(100)));
        assert_eq!(meter.take(rate, 1, start + SECOND / 10), Ok(()));
        assert!(meter.take(rate, 1, start + SECOND / 10).is_err());
        // Silence saves up no more than a period's worth.
        let later = start + 100 * SECOND;
        let passed = (0..50).filter(|_| meter.take(rate, 1, later).is_ok()).count();
        assert_eq!(passed, 10);
    }

    #[test]
    fn over_a_long_time_no_more_passes_than_the_rate() {
        let rate = Rate::per_minute(90);
        let mut meter = Meter::default();
        let passed = (0..600_u64).filter(|tenth| meter.take(rate, 1, SECOND + tenth * SECOND / 10).is_ok()).count();
        assert!((90 + 88..=90 + 90).contains(&passed), "{passed} in a minute, the first minute's worth at once");
    }

    #[test]
    fn one_that_is_larger_than_all_passes_alone() {
        let rate = Rate::per_second(1000);
        let mut meter = Meter::default();
        assert_eq!(meter.take(rate, 5000, SECOND), Ok(()));
        assert!(meter.take(rate, 1, 2 * SECOND).is_err());
        assert!(meter.take(rate, 5000, 5 * SECOND).is_err());
        assert_eq!(meter.take(rate, 5000, 6 * SECOND), Ok(()));
    }

    #[test]
    fn addresses_are_apart_and_a_subnet_is_one() {
        let rates = Rates {
            connects_per_address: Some(Rate { amount: 1, per: Duration::from_secs(3600) }),
            ..Rates::default()
        };
        let addresses = Addresses::new(rates);
        let take = |address: &str| addresses.take(What::Connects, address.parse().unwrap(), 1).is_ok();
        assert!(take("192.0.2.1") && !take("192.0.2.1") && take("192.0.2.2"));
        assert!(!take("::ffff:192.0.2.1"), "the same, written otherwise");
        assert!(take("2001:db8::1") && !take("2001:db8::2") && take("2001:db8:0:1::1"));
        assert!(
            addresses.take(What::Messages, [192, 0, 2, 1].into(), 1_000_000).is_ok(),
            "of no rate, as much as they like"
        );
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_may_be() {
        let rates = Rates { messages_per_address: Some(Rate::per_minute(1)), ..Rates::default() };
        let addresses = Addresses::new(rates);
        for number in 0..3 * MAX_ADDRESSES as u32 {
            assert!(addresses.take(What::Messages, IpAddr::from(number.to_be_bytes()), 1).is_ok());
        }
        assert!(addresses.remembered() <= MAX_ADDRESSES, "{}", addresses.remembered());
    }
}
