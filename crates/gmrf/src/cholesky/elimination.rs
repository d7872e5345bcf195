//! Elimination tree, postorder and column counts of a symmetric pattern (Davis 2006, ch. 4).

use crate::ordering::UpperNeighbours;

/// The elimination tree of a pattern in elimination order.
pub(crate) struct EliminationTree {
    /// The parent of each position, `usize::MAX` at a root.
    pub(crate) parent: Vec<usize>,
    /// Entries in each column of the factor, diagonal included.
    pub(crate) column_counts: Vec<usize>,
}

impl EliminationTree {
    /// Cost `O(nnz(L))`.
    pub(crate) fn new(neighbours: &UpperNeighbours) -> Self {
        let n = neighbours.order();
        let parent = parents(neighbours);
        let mut column_counts = vec![1; n];
        let mut seen = vec![usize::MAX; n];
        for row in 0..n {
            seen[row] = row;
            for &start in neighbours.of(row) {
                let mut j = start;
                while seen[j] != row {
                    seen[j] = row;
                    column_counts[j] += 1;
                    j = parent[j];
                }
            }
        }
        Self { parent, column_counts }
    }

    /// `postorder[new] = old`: every subtree is contiguous, children before parents.
    pub(crate) fn postorder(&self) -> Vec<usize> {
        let n = self.parent.len();
        let (mut first_child, mut next_sibling) = (vec![usize::MAX; n], vec![usize::MAX; n]);
        for j in (0..n).rev() {
            let parent = self.parent[j];
            if parent != usize::MAX {
                next_sibling[j] = first_child[parent];
                first_child[parent] = j;
            }
        }
        let (mut order, mut stack) = (Vec::with_capacity(n), Vec::new());
        for root in (0..n).filter(|&j| self.parent[j] == usize::MAX) {
            stack.push(root);
            while let Some(&j) = stack.last() {
                let child = first_child[j];
                if child == usize::MAX {
                    order.push(j);
                    stack.pop();
                } else {
                    first_child[j] = next_sibling[child];
                    stack.push(child);
                }
            }
        }
        order
    }
}

/// Liu's algorithm with path compression.
fn parents(neighbours: &UpperNeighbours) -> Vec<usize> {
    let n = neighbours.order();
    let (mut parent, mut ancestor) = (vec![usize::MAX; n], vec![usize::MAX; n]);
    for row in 0..n {
        for &start in neighbours.of(row) {
            let mut j = start;
            while j != usize::MAX && j != row {
                let next = ancestor[j];
                ancestor[j] = row;
                if next == usize::MAX {
                    parent[j] = row;
                }
                j = next;
            }
        }
    }
    parent
}
