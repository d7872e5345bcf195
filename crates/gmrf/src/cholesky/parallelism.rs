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

impl Parallelism {
    /// Both results; on two threads if parallel.
    pub(crate) fn join<A: Send, B: Send>(self, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
        match self {
            Parallelism::Sequential => (a(), b()),
            Parallelism::Tree => rayon::join(a, b),
        }
    }
}
