//! Elimination tree, postorder and column counts of a symmetric pattern (Davis 2006, ch. 4).

use crate::ordering::Adjacency;

const NONE: usize = usize::MAX;

/// The elimination tree of a pattern in elimination order.
pub(crate) struct EliminationTree {
    /// The parent of each position, `usize::MAX` at a root.
    pub(crate) parent: Vec<usize>,
    /// Entries in each column of the factor, diagonal included.
    pub(crate) column_counts: Vec<usize>,
    /// `postorder[new] = old`: every subtree is contiguous, children before parents.
    pub(crate) postorder: Vec<usize>,
}

impl EliminationTree {
    /// The tree under `order`, whose inverse is `position`. Cost nearly linear in the entries of the matrix.
    pub(crate) fn new(adjacency: &Adjacency, order: &[usize], position: &[usize]) -> Self {
        let parent = parents(adjacency, order, position);
        let postorder = postorder(&parent);
        let column_counts = column_counts(adjacency, (order, position), &parent, &postorder);
        Self { parent, column_counts, postorder }
    }
}

fn postorder(parent: &[usize]) -> Vec<usize> {
    let n = parent.len();
    let (mut first_child, mut next_sibling) = (vec![NONE; n], vec![NONE; n]);
    for j in (0..n).rev().filter(|&j| parent[j] != NONE) {
        next_sibling[j] = first_child[parent[j]];
        first_child[parent[j]] = j;
    }
    let (mut order, mut stack) = (Vec::with_capacity(n), Vec::new());
    for root in (0..n).filter(|&j| parent[j] == NONE) {
        stack.push(root);
        while let Some(&j) = stack.last() {
            let child = first_child[j];
            if child == NONE {
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

/// Liu's algorithm with path compression.
fn parents(adjacency: &Adjacency, order: &[usize], position: &[usize]) -> Vec<usize> {
    let n = order.len();
    let (mut parent, mut ancestor) = (vec![NONE; n], vec![NONE; n]);
    for row in 0..n {
        for &neighbour in adjacency.of(order[row]) {
            let mut j = position[neighbour as usize];
            while j < row {
                let next = ancestor[j];
                ancestor[j] = row;
                if next == NONE {
                    parent[j] = row;
                }
                j = next;
            }
        }
    }
    parent
}

/// Skeleton leaves and their least common ancestors (Gilbert, Ng and Peyton 1994).
fn column_counts(
    adjacency: &Adjacency,
    (order, position): (&[usize], &[usize]),
    parent: &[usize],
    postorder: &[usize],
) -> Vec<usize> {
    let n = parent.len();
    let mut first = vec![NONE; n];
    // counts may pass through negative values: they are differences until summed up the tree
    let mut counts = vec![0isize; n];
    for (k, &node) in postorder.iter().enumerate() {
        counts[node] = isize::from(first[node] == NONE);
        let mut j = node;
        while j != NONE && first[j] == NONE {
            first[j] = k;
            j = parent[j];
        }
    }
    let mut leaves =
        Leaves { first: &first, latest: vec![NONE; n], previous: vec![NONE; n], ancestor: (0..n).collect() };
    for &j in postorder {
        if parent[j] != NONE {
            counts[parent[j]] -= 1;
        }
        for &neighbour in adjacency.of(order[j]) {
            let row = position[neighbour as usize];
            if row <= j {
                continue;
            }
            match leaves.leaf(row, j) {
                Leaf::Inner => {}
                Leaf::First => counts[j] += 1,
                Leaf::Later { shared } => {
                    counts[j] += 1;
                    counts[shared] -= 1;
                }
            }
        }
        if parent[j] != NONE {
            leaves.ancestor[j] = parent[j];
        }
    }
    for j in 0..n {
        if parent[j] != NONE {
            counts[parent[j]] += counts[j];
        }
    }
    counts.into_iter().map(isize::unsigned_abs).collect()
}

/// What a column is in the subtree of a row.
enum Leaf {
    Inner,
    First,
    /// `shared` is the least common ancestor with the leaf before it.
    Later {
        shared: usize,
    },
}

/// Finds the leaves of each row's subtree as the columns pass by in postorder.
struct Leaves<'a> {
    first: &'a [usize],
    /// Greatest first descendant seen in each row.
    latest: Vec<usize>,
    /// The last leaf of each row.
    previous: Vec<usize>,
    ancestor: Vec<usize>,
}

impl Leaves<'_> {
    fn leaf(&mut self, row: usize, j: usize) -> Leaf {
        if self.latest[row] != NONE && self.first[j] <= self.latest[row] {
            return Leaf::Inner;
        }
        self.latest[row] = self.first[j];
        let before = std::mem::replace(&mut self.previous[row], j);
        if before == NONE {
            return Leaf::First;
        }
        let mut shared = before;
        while shared != self.ancestor[shared] {
            shared = self.ancestor[shared];
        }
        let mut s = before;
        while s != shared {
            s = std::mem::replace(&mut self.ancestor[s], shared);
        }
        Leaf::Later { shared }
    }
}
