//! Whether a factor uses more than one thread.

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
}
