//! What went wrong, by reason, and how often.

use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(BTreeMap<String, Trouble>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) count: u64,
    /// What the first one said beside its reason.
    pub(super) example: String,
}

impl Troubles {
    /// One more, for this reason.
    pub(super) fn add(&mut self, reason: impl Into<String>, example: impl FnOnce() -> String) {
        let reason = self.room_for(reason.into());
        self.0.entry(reason).or_insert_with(|| Trouble { count: 0, example: example() }).count += 1;
    }

    pub(super) fn merge(&mut self, others: Self) {
        for (reason, other) in others.0 {
            let reason = self.room_for(reason);
            let trouble = self.0.entry(reason).or_default();
            trouble.count += other.count;
            if trouble.example.is_empty() {
                trouble.example = other.example;
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.values().map(|trouble| trouble.count).sum()
    }

    /// The most frequent first.
    pub(super) fn by_count(&self) -> Vec<(&str, &Trouble)> {
        let mut all: Vec<_> = self.0.iter().map(|(reason, trouble)| (reason.as_str(), trouble)).collect();
        all.sort_by(|a, b| b.1.count.cmp(&a.1.count).then(a.0.cmp(b.0)));
        all
    }

    /// Peers may say something else each time; those that come late share a line.
    fn room_for(&self, reason: String) -> String {
        if self.0.len() < MAX_REASONS || self.0.contains_key(&reason) { reason } else { OTHER.to_owned() }
    }
}

/// More than anybody reads.
const MAX_REASONS: usize = 20;

const OTHER: &str = "for other reasons";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_bounded() {
        let mut troubles = Troubles::default();
        for number in 0..100 {
            troubles.add(format!("reason {number}"), || format!("example {number}"));
            troubles.add("often", || "first".to_owned());
        }
        let mut all = Troubles::default();
        all.merge(troubles.clone());
        all.merge(troubles);
        assert_eq!(all.count(), 400);
        assert!(all.by_count().len() <= MAX_REASONS + 1);
        assert_eq!(all.by_count()[0], ("often", &Trouble { count: 200, example: "first".to_owned() }));
        assert_eq!(all.by_count()[1].0, OTHER);
    }
}
