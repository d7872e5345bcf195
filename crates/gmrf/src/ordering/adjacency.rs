//! Neighbours of every node: what orderings and elimination trees read.

use crate::pattern::SparsityPattern;

/// The symmetric adjacency of `n` nodes, without the diagonal. Memory: four bytes for each stored direction.
#[derive(Clone)]
pub(crate) struct Adjacency {
    starts: Vec<usize>,
    neighbours: Vec<u32>,
}

impl Adjacency {
    /// Of the nodes of a pattern, ascending. Column by column: all smaller neighbours of a node stand before its own column's rows.
    pub(crate) fn of_pattern(pattern: &SparsityPattern) -> Self {
        let n = pattern.order();
        let mut starts = vec![0usize; n + 1];
        for j in 0..n {
            let below = &pattern.column(j)[1..];
            starts[j + 1] += below.len();
            below.iter().for_each(|&i| starts[i + 1] += 1);
        }
        for i in 0..n {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut neighbours = vec![0u32; starts[n]];
        for j in 0..n {
            let below = &pattern.column(j)[1..];
            for (to, &i) in neighbours[next[j]..].iter_mut().zip(below) {
                *to = i as u32;
            }
            for &i in below {
                neighbours[next[i]] = j as u32;
                next[i] += 1;
            }
        }
        Self { starts, neighbours }
    }

    /// From entries of either triangle; the diagonal is ignored. Indices are below `u32::MAX`, as patterns guarantee.
    pub(crate) fn from_entries(n: usize, entries: impl Iterator<Item = (usize, usize)> + Clone) -> Self {
        let mut starts = vec![0usize; n + 1];
        for (i, j) in entries.clone().filter(|(i, j)| i != j) {
            starts[i + 1] += 1;
            starts[j + 1] += 1;
        }
        for i in 0..n {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut neighbours = vec![0u32; starts[n]];
        for (i, j) in entries.filter(|(i, j)| i != j) {
            neighbours[next[i]] = j as u32;
            neighbours[next[j]] = i as u32;
            next[i] += 1;
            next[j] += 1;
        }
        Self { starts, neighbours }
    }

    pub(crate) fn order(&self) -> usize {
        self.starts.len() - 1
    }

    /// The stored directions, twice the edges.
    pub(crate) fn len(&self) -> usize {
        self.neighbours.len()
    }

    pub(crate) fn of(&self, node: usize) -> &[u32] {
        &self.neighbours[self.starts[node]..self.starts[node + 1]]
    }

    pub(crate) fn degree(&self, node: usize) -> usize {
        self.starts[node + 1] - self.starts[node]
    }

    /// The adjacency among `nodes` only, numbered in their order.
    pub(crate) fn restricted(&self, nodes: &[usize]) -> Self {
        let mut number = vec![u32::MAX; self.order()];
        for (k, &node) in nodes.iter().enumerate() {
            number[node] = k as u32;
        }
        let most = nodes.iter().map(|&node| self.degree(node)).sum();
        let (mut starts, mut neighbours) = (Vec::with_capacity(nodes.len() + 1), Vec::with_capacity(most));
        starts.push(0);
        for &node in nodes {
            neighbours.extend(self.of(node).iter().map(|&k| number[k as usize]).filter(|&k| k != u32::MAX));
            starts.push(neighbours.len());
        }
        Self { starts, neighbours }
    }

    /// Nodes of at most one neighbour among those that are left, in the order in which they are taken away, and the nodes that stay,
    /// each of which has two neighbours or more among them.
    pub(crate) fn peeled(&self) -> (Vec<usize>, Vec<usize>) {
        let mut degrees: Vec<usize> = (0..self.order()).map(|i| self.degree(i)).collect();
        let mut taken: Vec<usize> = (0..self.order()).filter(|&i| degrees[i] <= 1).collect();
        let mut gone = vec![false; self.order()];
        taken.iter().for_each(|&i| gone[i] = true);
        let mut next = 0;
        while next < taken.len() {
            for &k in self.of(taken[next]) {
                let k = k as usize;
                degrees[k] -= 1;
                if !gone[k] && degrees[k] <= 1 {
                    gone[k] = true;
                    taken.push(k);
                }
            }
            next += 1;
        }
        (taken, (0..self.order()).filter(|&i| !gone[i]).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Adjacency;
    use crate::pattern::SparsityPattern;

    #[test]
    fn a_pattern_and_its_entries_have_the_same_neighbours() {
        let edges = [(1, 0), (4, 1), (5, 0), (3, 2), (5, 4), (5, 1)];
        let pattern = SparsityPattern::from_entries(7, edges).unwrap();
        let (ours, other) = (Adjacency::of_pattern(&pattern), Adjacency::from_entries(7, pattern.entries()));
        for node in 0..7 {
            assert_eq!(ours.of(node), other.of(node));
            assert!(ours.of(node).is_sorted());
        }
    }

    #[test]
    fn trees_are_peeled_and_cycles_stay() {
        // a triangle 0-1-2 with the path 2-3-4, a pair 5-6, and node 7 alone
        let edges = [(1, 0), (2, 1), (2, 0), (3, 2), (4, 3), (6, 5)];
        let (taken, core) = Adjacency::from_entries(8, edges.into_iter()).peeled();
        assert_eq!((taken, core), (vec![4, 5, 6, 7, 3], vec![0, 1, 2]));
        let (taken, core) = Adjacency::from_entries(3, edges.into_iter().take(3)).peeled();
        assert!(taken.is_empty() && core.len() == 3);
    }
}
