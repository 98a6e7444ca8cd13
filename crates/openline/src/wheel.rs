//! A hierarchical timer wheel: what is to be found at a tick lies in a slot, and nothing is sorted.
//!
//! It knows neither clock nor task: whoever has it says what tick it is, and gets back what has come due.

use slab::Slab;

/// Slots of a level: as many as bits that fit one word.
const SLOTS: usize = 64;

/// Bits of a tick that choose a slot of one level.
const BITS: u32 = SLOTS.trailing_zeros();

/// Levels: the lowest has a slot per tick, each next one a slot for all of the level below. Ticks of a millisecond reach
/// two years ahead in six.
const LEVELS: usize = 6;

/// How far ahead the wheel reaches: not quite around the highest level. What is due later is given back then, and may be
/// entered again.
const REACH: u64 = (SLOTS as u64 - 1) << (BITS * (LEVELS as u32 - 1));

/// No entry.
const NONE: u32 = u32::MAX;

/// What waits for its tick, by the key it was given.
#[derive(Debug)]
pub(crate) struct Wheel<T> {
    entries: Slab<Entry<T>>,
    levels: [Level; LEVELS],
    /// The tick up to which everything was given back.
    elapsed: u64,
}

/// Where each slot's list begins, and which of them have any.
#[derive(Debug)]
struct Level {
    first: [u32; SLOTS],
    occupied: u64,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    /// When it is due; zero, in which nothing can be, once it was given back.
    at: u64,
    previous: u32,
    next: u32,
}

impl<T> Wheel<T> {
    /// Empty, at tick zero.
    pub(crate) fn new() -> Self {
        let levels = std::array::from_fn(|_| Level { first: [NONE; SLOTS], occupied: 0 });
        Self { entries: Slab::new(), levels, elapsed: 0 }
    }

    /// The tick up to which everything was given back.
    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// Enters a value, which is due at the next tick at the earliest.
    pub(crate) fn insert(&mut self, at: u64, value: T) -> u32 {
        let key = self.entries.insert(Entry { value, at: 0, previous: NONE, next: NONE }) as u32;
        self.link(key, at);
        key
    }

    /// Takes a value out, due or not.
    pub(crate) fn remove(&mut self, key: u32) -> T {
        self.unlink(key);
        let entry = self.entries.remove(key as usize);
        if self.entries.is_empty() {
            // The memory of many is not kept for the few that may follow.
            self.entries = Slab::new();
        }
        entry.value
    }

    /// Has a value come due at another tick, also one that was given back.
    pub(crate) fn put_off(&mut self, key: u32, at: u64) {
        self.unlink(key);
        self.link(key, at);
    }

    /// The value of a key.
    pub(crate) fn value_mut(&mut self, key: u32) -> &mut T {
        &mut self.entries[key as usize].value
    }

    /// Every value there is.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|(_, entry)| &entry.value)
    }

    /// The tick at which to look again: that of the next value, or an earlier one.
    pub(crate) fn next(&self) -> Option<u64> {
        self.next_slot().map(|(at, ..)| at)
    }

    /// Moves on to `now`, and hands out what has come due. It stays entered until it is removed.
    pub(crate) fn advance(&mut self, now: u64, mut due: impl FnMut(&T)) {
        while let Some((at, level, slot)) = self.next_slot()
            && at <= now
        {
            self.elapsed = at;
            let level = &mut self.levels[level];
            level.occupied &= !(1 << slot);
            let mut key = std::mem::replace(&mut level.first[slot], NONE);
            while key != NONE {
                let entry = &mut self.entries[key as usize];
                let (here, at) = (std::mem::replace(&mut key, entry.next), entry.at);
                if at > self.elapsed {
                    self.link(here, at);
                } else {
                    entry.at = 0;
                    due(&entry.value);
                }
            }
        }
        self.elapsed = self.elapsed.max(now);
    }

    /// The slot that comes first, and when it does.
    fn next_slot(&self) -> Option<(u64, usize, usize)> {
        // What is on a lower level comes before everything above.
        self.levels.iter().enumerate().find(|(_, level)| level.occupied != 0).map(|(at, level)| {
            let shift = BITS * at as u32;
            let here = (self.elapsed >> shift) as usize % SLOTS;
            let ahead = level.occupied.rotate_right(here as u32).trailing_zeros() as u64;
            let due = ((self.elapsed >> shift) + ahead) << shift;
            (due, at, (here + ahead as usize) % SLOTS)
        })
    }

    /// The level and the slot of a tick that is yet to come: the lowest level whose slots tell it from the present.
    fn place(&self, at: u64) -> (usize, usize) {
        let level = ((self.elapsed ^ at) | 1).ilog2() / BITS;
        let level = (level as usize).min(LEVELS - 1);
        (level, (at >> (BITS * level as u32)) as usize % SLOTS)
    }

    fn link(&mut self, key: u32, at: u64) {
        let at = at.clamp(self.elapsed + 1, self.elapsed + REACH);
        let (level, slot) = self.place(at);
        let level = &mut self.levels[level];
        let next = std::mem::replace(&mut level.first[slot], key);
        level.occupied |= 1 << slot;
        let entry = &mut self.entries[key as usize];
        (entry.at, entry.previous, entry.next) = (at, NONE, next);
        if next != NONE {
            self.entries[next as usize].previous = key;
        }
    }

    /// Takes an entry out of its slot, if it is in one.
    fn unlink(&mut self, key: u32) {
        let &Entry { at, previous, next, .. } = &self.entries[key as usize];
        if at == 0 {
            return;
        }
        self.entries[key as usize].at = 0;
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
            return;
        }
        // Time never passes the beginning of a slot that has any: it is still where it was put.
        let (level, slot) = self.place(at);
        let level = &mut self.levels[level];
        level.first[slot] = next;
        if next == NONE {
            level.occupied &= !(1 << slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// What comes due by `now`, sorted.
    fn advance(wheel: &mut Wheel<u64>, now: u64) -> Vec<u64> {
        let mut due = Vec::new();
        wheel.advance(now, |value| due.push(*value));
        due.sort_unstable();
        due
    }

    #[test]
    fn each_comes_due_at_its_tick_on_every_level() {
        let mut wheel = Wheel::new();
        let ticks = [1, 2, 63, 64, 65, 4_095, 4_096, 30_000, 262_143, 262_144, 1 << 24, 1 << 30, (1 << 35) + 1];
        for at in ticks {
            wheel.insert(at, at);
        }
        for at in ticks {
            assert_eq!(advance(&mut wheel, at - 1), [], "{at} too early");
            assert!(wheel.next().is_some_and(|next| next <= at), "{at} overslept");
            assert_eq!(advance(&mut wheel, at), [at]);
        }
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn the_past_is_due_at_the_next_tick_and_the_far_future_as_far_as_the_wheel_reaches() {
        let mut wheel = Wheel::new();
        assert_eq!(advance(&mut wheel, 1_000), []);
        wheel.insert(3, 3);
        assert_eq!(advance(&mut wheel, 1_000), []);
        assert_eq!(advance(&mut wheel, 1_001), [3]);
        let key = wheel.insert(u64::MAX, 7);
        assert_eq!(advance(&mut wheel, 1_000 + REACH), []);
        assert_eq!(advance(&mut wheel, 1_001 + REACH), [7]);
        // Given back, it is still there, and may wait again.
        wheel.put_off(key, 1_002 + REACH);
        assert_eq!(advance(&mut wheel, 1_002 + REACH), [7]);
        assert_eq!(wheel.remove(key), 7);
    }

    /// What is done to a wheel: with one of its entries, or a number of ticks ahead.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Remove(Index),
        PutOff(Index, u64),
        Advance(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let ahead = || (1..37_u32).prop_flat_map(|bits| 0..1_u64 << bits);
        let step = prop_oneof![
            4 => ahead().prop_map(Step::Insert),
            2 => any::<Index>().prop_map(Step::Remove),
            2 => (any::<Index>(), ahead()).prop_map(|(which, ahead)| Step::PutOff(which, ahead)),
            2 => ahead().prop_map(Step::Advance),
        ];
        prop::collection::vec(step, 1..300)
    }

    proptest! {
        #[test]
        fn a_wheel_does_what_a_sorted_map_does(steps in steps()) {
            // By key: when it is due, or zero once it was given back, and the value.
            let (mut wheel, mut model) = (Wheel::new(), BTreeMap::<u32, (u64, u64)>::new());
            let mut now = 0;
            let key_of = |which: Index, model: &BTreeMap<u32, _>| {
                (!model.is_empty()).then(|| *model.keys().nth(which.index(model.len())).unwrap())
            };
            for (value, step) in (0..).zip(steps) {
                match step {
                    Step::Insert(ahead) => {
                        let key = wheel.insert(now + ahead, value);
                        model.insert(key, ((now + ahead).clamp(now + 1, now + REACH), value));
                    }
                    Step::Remove(which) => {
                        if let Some(key) = key_of(which, &model) {
                            prop_assert_eq!(wheel.remove(key), model.remove(&key).unwrap().1);
                        }
                    }
                    Step::PutOff(which, ahead) => {
                        if let Some(key) = key_of(which, &model) {
                            wheel.put_off(key, now + ahead);
                            model.get_mut(&key).unwrap().0 = (now + ahead).clamp(now + 1, now + REACH);
                        }
                    }
                    Step::Advance(ahead) => {
                        now += ahead;
                        let mut expected = Vec::new();
                        for (at, value) in model.values_mut().filter(|(at, _)| (1..=now).contains(at)) {
                            *at = 0;
                            expected.push(*value);
                        }
                        expected.sort_unstable();
                        prop_assert_eq!(advance(&mut wheel, now), expected);
                    }
                }
                let first = model.values().map(|(at, _)| *at).filter(|at| *at > 0).min();
                prop_assert_eq!(wheel.next().is_some(), first.is_some());
                prop_assert!(wheel.next() <= first, "overslept");
                prop_assert!(wheel.next().is_none_or(|next| next > now), "time stands still");
            }
        }
    }

    #[test]
    fn no_memory_stays_with_an_empty_wheel() {
        let mut wheel = Wheel::new();
        let keys: Vec<_> = (0..1_000).map(|at| wheel.insert(at, at)).collect();
        keys.into_iter().for_each(|key| {
            wheel.remove(key);
        });
        assert_eq!(wheel.entries.capacity(), 0);
        assert_eq!(wheel.next(), None);
    }
}
