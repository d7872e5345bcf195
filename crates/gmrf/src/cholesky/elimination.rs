//! Elimination tree, postorder and column counts of a symmetric pattern (Davis 2006, ch. 4).

use crate::ordering::Adjacency;

/// No position; positions take 32 bits, as patterns guarantee, for half the memory to go through.
pub(crate) const NONE: u32 = u32::MAX;

/// The elimination tree of a pattern in elimination order.
pub(crate) struct EliminationTree {
    /// The parent of each position, `NONE` at a root.
    pub(crate) parent: Vec<u32>,
    /// Entries in each column of the factor, diagonal included.
    pub(crate) column_counts: Vec<u32>,
    /// `postorder[new] = old`: every subtree is contiguous, children before parents.
    pub(crate) postorder: Vec<u32>,
}

impl EliminationTree {
    /// The tree under `order`. Cost nearly linear in the entries of the matrix.
    pub(crate) fn new(adjacency: &Adjacency, order: &[usize]) -> Self {
        let mut position = vec![0; order.len()];
        order.iter().enumerate().for_each(|(p, &node)| position[node] = p as u32);
        let neighbours = Neighbours { adjacency, order, position: &position };
        let parent = parents(&neighbours);
        let postorder = postorder(&parent);
        let column_counts = column_counts(&neighbours, &parent, &postorder);
        Self { parent, column_counts, postorder }
    }

    /// `Σⱼ c_j²` over the columns of the factor, `c_j` its entries: the operations of the factorisation.
    pub(crate) fn operations(&self) -> f64 {
        self.column_counts.iter().map(|&c| f64::from(c).powi(2)).sum()
    }
}

/// The neighbours of the node at each position, as positions.
struct Neighbours<'a> {
    adjacency: &'a Adjacency,
    order: &'a [usize],
    position: &'a [u32],
}

impl Neighbours<'_> {
    fn of(&self, position: usize) -> impl Iterator<Item = u32> + '_ {
        self.adjacency.of(self.order[position]).iter().map(|&neighbour| self.position[neighbour as usize])
    }
}

fn postorder(parent: &[u32]) -> Vec<u32> {
    let n = parent.len();
    let (mut first_child, mut next_sibling) = (vec![NONE; n], vec![NONE; n]);
    for j in (0..n).rev().filter(|&j| parent[j] != NONE) {
        next_sibling[j] = first_child[parent[j] as usize];
        first_child[parent[j] as usize] = j as u32;
    }
    let (mut order, mut stack) = (Vec::with_capacity(n), Vec::new());
    for root in (0..n).filter(|&j| parent[j] == NONE) {
        stack.push(root as u32);
        while let Some(&j) = stack.last() {
            let child = first_child[j as usize];
            if child == NONE {
                order.push(j);
                stack.pop();
            } else {
                first_child[j as usize] = next_sibling[child as usize];
                stack.push(child);
            }
        }
    }
    order
}

/// Liu's algorithm with path compression.
fn parents(neighbours: &Neighbours<'_>) -> Vec<u32> {
    let n = neighbours.order.len();
    let (mut parent, mut ancestor) = (vec![NONE; n], vec![NONE; n]);
    for row in 0..n {
        for mut j in neighbours.of(row) {
            while (j as usize) < row {
                let next = std::mem::replace(&mut ancestor[j as usize], row as u32);
                if next == NONE {
                    parent[j as usize] = row as u32;
                }
                j = next;
            }
        }
    }
    parent
}

/// Skeleton leaves and their least common ancestors (Gilbert, Ng and Peyton 1994).
fn column_counts(neighbours: &Neighbours<'_>, parent: &[u32], postorder: &[u32]) -> Vec<u32> {
    let n = parent.len();
    let mut first = vec![NONE; n];
    // counts may pass through negative values: they are differences until summed up the tree
    let mut counts = vec![0i64; n];
    for (k, &node) in postorder.iter().enumerate() {
        counts[node as usize] = i64::from(first[node as usize] == NONE);
        let mut j = node;
        while j != NONE && first[j as usize] == NONE {
            first[j as usize] = k as u32;
            j = parent[j as usize];
        }
    }
    let mut leaves =
        Leaves { first: &first, latest: vec![NONE; n], previous: vec![NONE; n], ancestor: (0..n as u32).collect() };
    for &j in postorder {
        let up = parent[j as usize];
        if up != NONE {
            counts[up as usize] -= 1;
        }
        for row in neighbours.of(j as usize).filter(|&row| row > j) {
            match leaves.leaf(row, j) {
                Leaf::Inner => {}
                Leaf::First => counts[j as usize] += 1,
                Leaf::Later { shared } => {
                    counts[j as usize] += 1;
                    counts[shared as usize] -= 1;
                }
            }
        }
        if up != NONE {
            leaves.ancestor[j as usize] = up;
        }
    }
    for j in 0..n {
        if parent[j] != NONE {
            counts[parent[j] as usize] += counts[j];
        }
    }
    counts.into_iter().map(|count| count as u32).collect()
}

/// What a column is in the subtree of a row.
enum Leaf {
    Inner,
    First,
    /// `shared` is the least common ancestor with the leaf before it.
    Later {
        shared: u32,
    },
}

/// Finds the leaves of each row's subtree as the columns pass by in postorder.
struct Leaves<'a> {
    first: &'a [u32],
    /// Greatest first descendant seen in each row.
    latest: Vec<u32>,
    /// The last leaf of each row.
    previous: Vec<u32>,
    ancestor: Vec<u32>,
}

impl Leaves<'_> {
    fn leaf(&mut self, row: u32, j: u32) -> Leaf {
        let (latest, first) = (&mut self.latest[row as usize], self.first[j as usize]);
        if *latest != NONE && first <= *latest {
            return Leaf::Inner;
        }
        *latest = first;
        let before = std::mem::replace(&mut self.previous[row as usize], j);
        if before == NONE {
            return Leaf::First;
        }
        let mut shared = before;
        while shared != self.ancestor[shared as usize] {
            shared = self.ancestor[shared as usize];
        }
        let mut s = before;
        while s != shared {
            s = std::mem::replace(&mut self.ancestor[s as usize], shared);
        }
        Leaf::Later { shared }
    }
}
