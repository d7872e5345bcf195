//! Elimination tree, postorder and column counts of a symmetric pattern (Davis 2006, ch. 4).

use crate::ordering::Adjacency;

/// No position; positions take 32 bits, as patterns guarantee, for half the memory to go through.
pub(crate) const NONE: u32 = u32::MAX;

/// The graph of a pattern in elimination order.
pub(crate) struct OrderedGraph {
    starts: Vec<usize>,
    /// Where the later neighbours of each position start.
    middles: Vec<usize>,
    /// Of each position the neighbours before it, then those after it, as positions.
    neighbours: Vec<u32>,
}

impl OrderedGraph {
    fn new(adjacency: &Adjacency, order: &[usize]) -> Self {
        let mut position = vec![NONE; adjacency.order()];
        for (p, &node) in order.iter().enumerate() {
            position[node] = p as u32;
        }
        let (mut starts, mut middles) = (Vec::with_capacity(order.len() + 1), Vec::with_capacity(order.len()));
        let mut neighbours = vec![0; adjacency.len()];
        let mut start = 0;
        starts.push(start);
        for (p, &node) in order.iter().enumerate() {
            let own = adjacency.of(node);
            let (mut front, mut back) = (start, start + own.len());
            for &neighbour in own {
                let q = position[neighbour as usize];
                // no branch, which nothing could predict
                let is_earlier = usize::from(q < p as u32);
                neighbours[if is_earlier == 1 { front } else { back - 1 }] = q;
                front += is_earlier;
                back -= 1 - is_earlier;
            }
            start += own.len();
            starts.push(start);
            middles.push(front);
        }
        Self { starts, middles, neighbours }
    }

    fn order(&self) -> usize {
        self.middles.len()
    }

    fn earlier(&self, p: usize) -> &[u32] {
        &self.neighbours[self.starts[p]..self.middles[p]]
    }

    pub(crate) fn later(&self, p: usize) -> &[u32] {
        &self.neighbours[self.middles[p]..self.starts[p + 1]]
    }
}

/// The elimination tree of a pattern in elimination order.
pub(crate) struct EliminationTree {
    pub(crate) graph: OrderedGraph,
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
        let graph = OrderedGraph::new(adjacency, order);
        let parent = parents(&graph);
        Self::counted(graph, parent)
    }

    /// The tree under `order`, unless its operations are seen to be more than `limit` before its columns are counted.
    pub(crate) fn within(adjacency: &Adjacency, order: &[usize], limit: f64) -> Option<Self> {
        let graph = OrderedGraph::new(adjacency, order);
        let parent = parents(&graph);
        (least_operations(&graph, &parent) <= limit).then(|| Self::counted(graph, parent))
    }

    fn counted(graph: OrderedGraph, parent: Vec<u32>) -> Self {
        let postorder = postorder(&parent);
        let column_counts = column_counts(&graph, &parent, &postorder);
        Self { graph, parent, column_counts, postorder }
    }

    /// `Σⱼ c_j²` over the columns of the factor, `c_j` its entries: the operations of the factorisation.
    pub(crate) fn operations(&self) -> f64 {
        self.column_counts.iter().map(|&c| f64::from(c).powi(2)).sum()
    }
}

/// No factor takes fewer operations: a row of it holds the path from each neighbour up the tree, and the squares of columns are least
/// where all have the same length.
fn least_operations(graph: &OrderedGraph, parent: &[u32]) -> f64 {
    let n = parent.len();
    let mut depth = vec![0u32; n];
    for j in (0..n).rev().filter(|&j| parent[j] != NONE) {
        depth[j] = depth[parent[j] as usize] + 1;
    }
    let longest = |row: usize| graph.earlier(row).iter().map(|&j| depth[j as usize] - depth[row]).max().unwrap_or(0);
    let entries: f64 = (0..n).map(|row| f64::from(longest(row)) + 1.0).sum();
    entries * entries / n.max(1) as f64
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
fn parents(graph: &OrderedGraph) -> Vec<u32> {
    let n = graph.order();
    let (mut parent, mut ancestor) = (vec![NONE; n], vec![NONE; n]);
    for row in 0..n {
        for &neighbour in graph.earlier(row) {
            let mut j = neighbour;
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
fn column_counts(graph: &OrderedGraph, parent: &[u32], postorder: &[u32]) -> Vec<u32> {
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
        for &row in graph.later(j as usize) {
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

#[cfg(test)]
mod tests {
    use super::{Adjacency, EliminationTree, OrderedGraph, least_operations, parents};

    /// A ring whose nodes meet the tenth after them too, a pair apart, and a shuffle by a step prime to the number of nodes.
    fn ring() -> (Adjacency, Vec<usize>) {
        let chords = (0..108).flat_map(|k| [(k, (k + 1) % 108), (k, (k + 10) % 108)]);
        (Adjacency::from_entries(110, chords.chain([(108, 109)])), (0..110).map(|p| p * 37 % 110).collect())
    }

    /// Entries in each column by eliminating node after node.
    fn counts(adjacency: &Adjacency, order: &[usize]) -> Vec<u32> {
        let graph = adjacency.restricted(order);
        let n = order.len();
        let mut met: Vec<Vec<bool>> =
            (0..n).map(|p| (0..n).map(|q| graph.of(p).contains(&(q as u32))).collect()).collect();
        (0..n)
            .map(|p| {
                let later: Vec<usize> = (p + 1..n).filter(|&q| met[p][q]).collect();
                for &a in &later {
                    later.iter().filter(|&&b| b != a).for_each(|&b| met[a][b] = true);
                }
                1 + later.len() as u32
            })
            .collect()
    }

    #[test]
    fn columns_are_counted_as_by_elimination() {
        let (adjacency, shuffled) = ring();
        for order in [(0..110).collect(), shuffled] {
            assert_eq!(EliminationTree::new(&adjacency, &order).column_counts, counts(&adjacency, &order));
        }
    }

    #[test]
    fn a_tree_is_given_up_only_beyond_its_limit() {
        let (adjacency, shuffled) = ring();
        for order in [(0..110).collect(), shuffled] {
            let operations = EliminationTree::new(&adjacency, &order).operations();
            let graph = OrderedGraph::new(&adjacency, &order);
            let least = least_operations(&graph, &parents(&graph));
            // a bound worth having: half of the operations and more
            assert!(least <= operations && least > 0.5 * operations, "{least} of {operations}");
            assert!(EliminationTree::within(&adjacency, &order, operations).is_some());
            assert!(EliminationTree::within(&adjacency, &order, 0.5 * operations).is_none());
        }
    }
}
