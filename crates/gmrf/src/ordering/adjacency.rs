//! Neighbours of every node: what orderings and elimination trees read.

/// The symmetric adjacency of `n` nodes, without the diagonal. Memory: four bytes for each stored direction.
pub(crate) struct Adjacency {
    starts: Vec<usize>,
    neighbours: Vec<u32>,
}

impl Adjacency {
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
        let (mut starts, mut neighbours) = (Vec::with_capacity(nodes.len() + 1), Vec::new());
        starts.push(0);
        for &node in nodes {
            neighbours.extend(self.of(node).iter().map(|&k| number[k as usize]).filter(|&k| k != u32::MAX));
            starts.push(neighbours.len());
        }
        Self { starts, neighbours }
    }
}
