//! Reproducible random numbers.

/// A stream of numbers from a seed, which is the same on every machine (splitmix64).
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
    /// Whether nothing is left to chance: numbers only grow, and every chance is missed.
    plain: bool,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed, plain: false }
    }

    /// Returns a stream for a world in which whatever is to happen first happens first, and in which
    /// nothing happens by chance.
    #[cfg(feature = "ctl")]
    pub(super) fn plain() -> Self {
        Self { state: 0, plain: true }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    pub(super) fn next(&mut self) -> u64 {
        if self.plain {
            self.state += 1;
            return self.state;
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns another stream, which does not change this one, so that additions leave earlier
    /// lives as they were.
    pub(super) fn apart(&self, which: u64) -> Self {
        let state = self.state.rotate_left(17) ^ which.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self { state, ..*self }
    }

    /// Returns a number below `bound`, which must not be 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let scaled = u128::from(self.next()) * bound as u128;
        usize::try_from(scaled >> 64).unwrap_or(0)
    }

    /// Returns true with a probability in percent.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        !self.plain && self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    /// Returns a value with a probability in percent.
    pub(super) fn maybe<T>(
        &mut self,
        percent: usize,
        make: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        self.chance(percent).then(|| make(self))
    }
}
