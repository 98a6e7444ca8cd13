//! What every address has used up.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::meter::Meter;
use super::{Rate, What};

/// So many addresses are remembered: some 5 MB. Whoever has more of them than that is not to be held by addresses.
const MAX_ADDRESSES: usize = 1 << 16;

/// Locks that they are spread over.
const SHARDS: usize = 16;

/// What every address has used up, by what was taken.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    hasher: RandomState,
    shards: [Mutex<HashMap<IpAddr, [Meter; 4]>>; SHARDS],
}

impl Addresses {
    /// Takes so much from an address.
    ///
    /// # Errors
    /// It is too much: how long until it is not.
    pub(super) fn take(&self, what: What, rate: Rate, address: IpAddr, amount: u64, now: u64) -> Result<(), Duration> {
        let address = household(address);
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
        meters[what as usize].take(rate, amount, now)
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOURLY: Rate = Rate { amount: 1, per: Duration::from_secs(3600) };

    #[test]
    fn addresses_are_apart_and_a_subnet_is_one() {
        let addresses = Addresses::default();
        let take = |address: &str| addresses.take(What::Connects, HOURLY, address.parse().unwrap(), 1, 0).is_ok();
        assert!(take("192.0.2.1") && !take("192.0.2.1") && take("192.0.2.2"));
        assert!(!take("::ffff:192.0.2.1"), "the same, written otherwise");
        assert!(take("2001:db8::1") && !take("2001:db8::2") && take("2001:db8:0:1::1"));
    }

    #[test]
    fn no_more_addresses_are_remembered_than_there_may_be() {
        let addresses = Addresses::default();
        for number in 0..3 * MAX_ADDRESSES as u32 {
            let address = IpAddr::from(number.to_be_bytes());
            assert!(addresses.take(What::Messages, HOURLY, address, 1, 0).is_ok());
        }
        assert!(addresses.remembered() <= MAX_ADDRESSES, "{}", addresses.remembered());
    }
}
