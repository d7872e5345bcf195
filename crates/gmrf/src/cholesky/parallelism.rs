//! Whether a factor uses more than one thread.

use std::ops::Range;

/// How many threads one factorisation or selected inversion may use; the result has the same bits either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parallelism {
    /// The calling thread alone: right where every thread has a factor of its own.
    Sequential,
    /// The subtrees of the elimination tree and the blocks of its largest fronts, on the threads of the rayon pool in which the
    /// caller runs. Small factors stay on the calling thread.
    #[default]
    Tree,
}

/// Operations, about a millisecond, below which a factor never leaves its thread.
const WORTH_JOINING: f64 = 5e6;

impl Parallelism {
    /// What a factor of so many operations uses.
    pub(crate) fn for_operations(self, operations: f64) -> Self {
        if operations < WORTH_JOINING { Self::Sequential } else { self }
    }

    /// The result of `work`, on a thread of the pool if parallel: there a join costs a fraction of what it costs from outside.
    pub(crate) fn enter<T: Send>(self, work: impl FnOnce() -> T + Send) -> T {
        match self {
            Parallelism::Tree if rayon::current_thread_index().is_none() => rayon::scope(|_| work()),
            _ => work(),
        }
    }

    /// Both results; on two threads if parallel.
    pub(crate) fn join<A: Send, B: Send>(self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        match self {
            Parallelism::Sequential => (a(), b()),
            Parallelism::Tree => rayon::join(a, b),
        }
    }

    /// What `part` makes of the pieces of a range, `merge`d in their order; pieces of more than `most` are halved, so that what they are
    /// does not depend on the threads.
    pub fn halves<T: Send>(
        self,
        range: Range<usize>,
        most: usize,
        part: &(impl Fn(Range<usize>) -> T + Sync),
        merge: &(impl Fn(T, T) -> T + Sync),
    ) -> T {
        self.enter(|| self.halves_within(range, most, part, merge))
    }

    fn halves_within<T: Send>(
        self,
        range: Range<usize>,
        most: usize,
        part: &(impl Fn(Range<usize>) -> T + Sync),
        merge: &(impl Fn(T, T) -> T + Sync),
    ) -> T {
        if range.len() <= most.max(1) {
            return part(range);
        }
        let middle = range.start + range.len() / 2;
        let (left, right) = self.join(
            || self.halves_within(range.start..middle, most, part, merge),
            || self.halves_within(middle..range.end, most, part, merge),
        );
        merge(left, right)
    }

    /// Calls `work` with pieces of `slice` and where each starts, in `unit`s of the slice; pieces of fewer than `least` entries are not
    /// cut. What a piece holds must not depend on where it was cut.
    pub(crate) fn pieces<T: Send>(
        self,
        slice: &mut [T],
        (unit, least): (usize, usize),
        work: &(impl Fn(usize, &mut [T]) + Sync),
    ) {
        self.pieces_from(0, slice, (unit, least), work);
    }

    fn pieces_from<T: Send>(
        self,
        start: usize,
        slice: &mut [T],
        (unit, least): (usize, usize),
        work: &(impl Fn(usize, &mut [T]) + Sync),
    ) {
        let units = slice.len() / unit.max(1);
        if self == Self::Sequential || slice.len() < 2 * least || units < 2 {
            return work(start, slice);
        }
        let at = units / 2;
        let (left, right) = slice.split_at_mut(at * unit);
        self.join(
            || self.pieces_from(start, left, (unit, least), work),
            || self.pieces_from(start + at, right, (unit, least), work),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::Parallelism;

    #[test]
    fn pieces_cover_a_slice_in_whole_units() {
        let mut found = vec![0; 35];
        Parallelism::Tree.pieces(&mut found, (5, 7), &|start, piece| {
            assert_eq!(piece.len() % 5, 0);
            piece.iter_mut().enumerate().for_each(|(k, value)| *value = 5 * start + k);
        });
        assert_eq!(found, (0..35).collect::<Vec<usize>>());
    }

    #[test]
    fn halves_are_merged_in_order_and_are_the_same_on_any_number_of_threads() {
        let pieces = |parallelism: Parallelism| {
            parallelism.halves(3..40, 5, &|range| vec![range], &|mut left, right| {
                left.extend(right);
                left
            })
        };
        let found = pieces(Parallelism::Sequential);
        assert!(
            found.iter().all(|piece| piece.len() <= 5) && found.windows(2).all(|pair| pair[0].end == pair[1].start)
        );
        assert_eq!((found[0].start, found[found.len() - 1].end), (3, 40));
        assert_eq!(found, pieces(Parallelism::Tree));
    }
}
