//! The subscriptions of a session, each by its tag: a small number that is given again when it is free.

/// Nearly all sessions have one or two of them: there is room for as many as there are, and no more.
#[derive(Debug)]
pub(super) struct Subscriptions<T>(Vec<Option<T>>);

impl<T> Subscriptions<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// The tag that the next one gets.
    pub(super) fn vacant(&self) -> usize {
        self.0.iter().position(Option::is_none).unwrap_or(self.0.len())
    }

    pub(super) fn insert(&mut self, one: T) {
        let tag = self.vacant();
        if tag < self.0.len() {
            self.0[tag] = Some(one);
            return;
        }
        if self.0.len() < 4 {
            self.0.reserve_exact(1);
        }
        self.0.push(Some(one));
    }

    pub(super) fn remove(&mut self, tag: usize) -> Option<T> {
        let removed = self.0.get_mut(tag)?.take();
        while let Some(None) = self.0.last() {
            self.0.pop();
        }
        removed
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    pub(super) fn get(&self, tag: usize) -> Option<&T> {
        self.0.get(tag)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, tag: usize) -> Option<&mut T> {
        self.0.get_mut(tag)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.0.iter().enumerate().filter_map(|(tag, one)| Some((tag, one.as_ref()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_given_again() {
        let mut subscriptions = Subscriptions::new();
        for name in ["a", "b", "c"] {
            subscriptions.insert(name);
        }
        assert_eq!(
            (subscriptions.remove(1), subscriptions.remove(1), subscriptions.remove(9)),
            (Some("b"), None, None)
        );
        assert_eq!((subscriptions.len(), subscriptions.vacant()), (2, 1));
        subscriptions.insert("d");
        assert_eq!(subscriptions.iter().collect::<Vec<_>>(), [(0, &"a"), (1, &"d"), (2, &"c")]);
        for tag in [2, 1, 0] {
            subscriptions.remove(tag);
        }
        assert_eq!((subscriptions.len(), subscriptions.vacant(), subscriptions.get(0)), (0, 0, None));
    }
}
