//! The last of many things, and the number of those before.

use std::collections::VecDeque;

/// The number of things that are kept.
pub(super) const KEPT: usize = 64;

/// The last [`KEPT`] things.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Past<T> {
    /// The things, in their order.
    pub kept: VecDeque<T>,
    /// The number of earlier ones.
    pub dropped: u32,
}

impl<T> Default for Past<T> {
    fn default() -> Self {
        Self { kept: VecDeque::new(), dropped: 0 }
    }
}

impl<T> Past<T> {
    /// Keeps a thing.
    pub(super) fn keep(&mut self, thing: T) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.kept.push_back(thing);
    }
}
