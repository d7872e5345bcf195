//! Minimum degree (Tinney and Walker 1967) for the small parts that a dissection leaves, beside the separators around them.

use pulp::{Arch, Simd, WithSimd};

use super::Adjacency;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// Orders small parts, with room that serves one after the other.
pub(super) struct Leaves<'a> {
    adjacency: &'a Adjacency,
    /// The place of each node in the part at hand or around it.
    place: Vec<u32>,
    /// The separators around the part.
    around: Vec<u32>,
    /// For each node of the part, a set of places: its neighbours, as elimination fills them in.
    sets: Vec<u64>,
    /// Their sizes, `GONE` once a node is eliminated.
    degrees: Vec<u32>,
    /// The set of the last pivot, its members in the part, and those that leave with it.
    pivot: Vec<u64>,
    neighbours: Vec<usize>,
    alike: Vec<u64>,
    order: Vec<usize>,
}

const NOWHERE: u32 = u32::MAX;
const GONE: u32 = u32::MAX;

impl<'a> Leaves<'a> {
    pub(super) fn new(adjacency: &'a Adjacency) -> Self {
        Self {
            adjacency,
            place: vec![NOWHERE; adjacency.order()],
            around: Vec::new(),
            sets: Vec::new(),
            degrees: Vec::new(),
            pivot: Vec::new(),
            neighbours: Vec::new(),
            alike: Vec::new(),
            order: Vec::new(),
        }
    }

    /// Appends `nodes` to `order` in the order of their elimination. Their neighbours outside count in their degrees but stay: they
    /// are eliminated later.
    pub(super) fn order(&mut self, nodes: &[usize], order: &mut Vec<usize>) {
        let words = self.fill(nodes);
        self.order.clear();
        Arch::new().dispatch(Elimination { leaves: self, count: nodes.len(), words });
        order.extend(self.order.iter().map(|&k| nodes[k]));
    }

    /// Fills the sets and their sizes; the words of a set.
    fn fill(&mut self, nodes: &[usize]) -> usize {
        nodes.iter().enumerate().for_each(|(k, &node)| self.place[node] = k as u32);
        self.around.clear();
        for &neighbour in nodes.iter().flat_map(|&node| self.adjacency.of(node)) {
            let place = &mut self.place[neighbour as usize];
            if *place == NOWHERE {
                *place = (nodes.len() + self.around.len()) as u32;
                self.around.push(neighbour);
            }
        }
        let words = (nodes.len() + self.around.len()).div_ceil(WORD);
        self.sets.clear();
        self.sets.resize(nodes.len() * words, 0);
        self.degrees.clear();
        for (k, &node) in nodes.iter().enumerate() {
            for &neighbour in self.adjacency.of(node) {
                let place = self.place[neighbour as usize] as usize;
                self.sets[k * words + place / WORD] |= 1 << (place % WORD);
            }
            self.degrees.push(self.adjacency.degree(node) as u32);
        }
        nodes.iter().for_each(|&node| self.place[node] = NOWHERE);
        self.around.iter().for_each(|&node| self.place[node as usize] = NOWHERE);
        words
    }

    /// Eliminates the node of least degree, and with it every node that has become like it: all of its neighbours, and no other.
    #[inline(always)]
    fn eliminate(&mut self, count: usize, words: usize) {
        let mut least = (GONE, 0);
        for (k, &degree) in self.degrees.iter().enumerate() {
            if degree < least.0 {
                least = (degree, k);
            }
        }
        let (degree, pivot) = least;
        self.pivot.clear();
        self.pivot.extend_from_slice(&self.sets[pivot * words..][..words]);
        self.leave(pivot);
        self.list_neighbours(count);
        let mut alike = 0;
        for &k in &self.neighbours {
            let set = &mut self.sets[k * words..][..words];
            let mut size = 0;
            for (own, &other) in set.iter_mut().zip(&self.pivot) {
                *own |= other;
                size += own.count_ones();
            }
            // the pivot and the node itself
            set[pivot / WORD] &= !(1 << (pivot % WORD));
            set[k / WORD] &= !(1 << (k % WORD));
            self.degrees[k] = size - 2;
            alike += u32::from(size - 1 == degree);
        }
        if alike > 0 {
            self.eliminate_alike(words, degree - 1, alike);
        }
    }

    /// The members of the pivot's set that belong to the part of `count` nodes.
    #[inline(always)]
    fn list_neighbours(&mut self, count: usize) {
        self.neighbours.clear();
        for (word, &bits) in self.pivot[..count.div_ceil(WORD)].iter().enumerate() {
            let mut bits = if (word + 1) * WORD > count { bits & ((1 << (count % WORD)) - 1) } else { bits };
            while bits != 0 {
                self.neighbours.push(word * WORD + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }

    /// Eliminates those neighbours of the last pivot whose degree is `degree`: they are neighbours of all others, which forget them.
    #[inline(always)]
    fn eliminate_alike(&mut self, words: usize, degree: u32, alike: u32) {
        self.alike.clear();
        self.alike.resize(words, 0);
        for i in 0..self.neighbours.len() {
            let k = self.neighbours[i];
            if self.degrees[k] == degree {
                self.alike[k / WORD] |= 1 << (k % WORD);
                self.leave(k);
            }
        }
        for &k in self.neighbours.iter().filter(|&&k| self.alike[k / WORD] >> (k % WORD) & 1 == 0) {
            self.degrees[k] -= alike;
            for (own, alike) in self.sets[k * words..][..words].iter_mut().zip(&self.alike) {
                *own &= !alike;
            }
        }
    }

    fn leave(&mut self, k: usize) {
        self.order.push(k);
        self.degrees[k] = GONE;
    }
}

/// The elimination of a part of `count` nodes, with the instructions of the machine.
struct Elimination<'l, 'a> {
    leaves: &'l mut Leaves<'a>,
    count: usize,
    words: usize,
}

impl WithSimd for Elimination<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        while self.leaves.order.len() < self.count {
            self.leaves.eliminate(self.count, self.words);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Adjacency, Leaves};

    /// Every node that is eliminated has the least degree of those that are left, by an elimination on sets.
    fn check(adjacency: &Adjacency, nodes: &[usize], order: &[usize]) {
        let mut sets: Vec<BTreeSet<usize>> =
            (0..adjacency.order()).map(|i| adjacency.of(i).iter().map(|&k| k as usize).collect()).collect();
        let mut left: BTreeSet<usize> = nodes.iter().copied().collect();
        for &node in order {
            let least = left.iter().map(|&i| sets[i].len()).min();
            assert_eq!(least, Some(sets[node].len()), "node {node}");
            assert!(left.remove(&node));
            let neighbours = std::mem::take(&mut sets[node]);
            for &k in &neighbours {
                sets[k].extend(neighbours.iter().filter(|&&other| other != k));
                sets[k].remove(&node);
            }
        }
        assert!(left.is_empty());
    }

    #[test]
    fn the_node_of_least_degree_goes_first() {
        let mut state = 7_u64;
        let mut random = move |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for (n, edges) in [(1, 0), (5, 4), (64, 100), (65, 300), (150, 220), (200, 900), (70, 2000)] {
            let pairs: BTreeSet<(usize, usize)> = (0..edges)
                .map(|_| (random(n), random(n)))
                .filter(|(i, j)| i != j)
                .map(|(i, j)| (i.max(j), i.min(j)))
                .collect();
            let adjacency = Adjacency::from_entries(n, pairs.iter().copied());
            let mut leaves = Leaves::new(&adjacency);
            // all of them, and two parts with the others around, by the same room
            let parts: [Vec<usize>; 3] = [
                (0..n).collect(),
                (0..n).filter(|i| i % 3 > 0).collect(),
                (0..n).filter(|i| i % 3 == 0).rev().collect(),
            ];
            for nodes in parts {
                let mut order = Vec::new();
                leaves.order(&nodes, &mut order);
                check(&adjacency, &nodes, &order);
            }
        }
    }
}
