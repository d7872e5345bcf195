//! A graph and ever coarser ones of it, on which separators are found (Hendrickson and Leland 1995).

use super::Adjacency;
use super::matching::Matching;

/// One graph of a hierarchy.
pub(super) struct Level {
    pub(super) starts: Vec<u32>,
    pub(super) neighbours: Vec<u32>,
    /// How many nodes of the whole graph each node stands for.
    pub(super) weights: Vec<u32>,
    /// The node of the next coarser graph that holds each node; empty in the coarsest.
    pub(super) coarser: Vec<u32>,
}

impl Level {
    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn of(&self, node: usize) -> &[u32] {
        &self.neighbours[self.starts[node] as usize..self.starts[node + 1] as usize]
    }

    /// The graph among the nodes `kept`, numbered as `number` says.
    fn restricted(&self, kept: &[u32], number: &[u32], weights: Vec<u32>) -> Self {
        let entries = kept.iter().map(|&k| self.of(k as usize).len()).sum();
        let mut neighbours = vec![0; entries];
        let mut starts = Vec::with_capacity(kept.len() + 1);
        starts.push(0);
        let mut len = 0;
        for &k in kept {
            for &other in self.of(k as usize) {
                let own = number[other as usize];
                neighbours[len] = own;
                len += usize::from(own != NONE);
            }
            starts.push(len as u32);
        }
        neighbours.truncate(len);
        Self { starts, neighbours, weights, coarser: Vec::new() }
    }
}

/// Graphs from the finest, that of a part's own nodes, to the coarsest.
pub(super) struct Hierarchy {
    pub(super) levels: Vec<Level>,
}

/// A graph of so few nodes is not made coarser; a part's hierarchy ends at twice as many.
const COARSEST: usize = 120;
/// Share of the nodes that a coarser graph keeps at most; graphs that shrink less end the hierarchy.
const SHRUNK: f64 = 0.95;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

impl Hierarchy {
    /// Of a whole graph. Cost linear in the edges. `None` where its entries or weights exceed 2³¹.
    pub(super) fn new(adjacency: &Adjacency, weights: &[usize]) -> Option<Self> {
        i32::try_from(adjacency.len().max(weights.iter().sum())).ok()?;
        let nodes = adjacency.order();
        let mut finest = Level {
            starts: Vec::with_capacity(nodes + 1),
            neighbours: Vec::with_capacity(adjacency.len()),
            weights: weights.iter().map(|&weight| weight as u32).collect(),
            coarser: Vec::new(),
        };
        finest.starts.push(0);
        for node in 0..nodes {
            finest.neighbours.extend_from_slice(adjacency.of(node));
            finest.starts.push(finest.neighbours.len() as u32);
        }
        let (mut levels, mut current, mut edges) = (Vec::new(), finest, Vec::new());
        while current.len() > COARSEST {
            let matching = Matching::of(&current, &edges);
            if matching.count as f64 > SHRUNK * current.len() as f64 {
                break;
            }
            let (coarse, sums) = matching.contracted(&current, &edges);
            current.coarser = matching.coarser;
            levels.push(std::mem::replace(&mut current, coarse));
            edges = sums;
        }
        levels.push(current);
        Some(Self { levels })
    }

    pub(super) fn finest(&self) -> &Level {
        &self.levels[0]
    }

    /// The hierarchy among the nodes on one side. A coarser node stays while any of its nodes does, and so does an edge
    /// while both of its ends do: coarser graphs may have more edges than they need, never fewer.
    pub(super) fn side(&self, side: u8, sides: &[u8]) -> Self {
        let mut number = vec![NONE; sides.len()];
        let (mut kept, mut weights) = (Vec::with_capacity(sides.len()), Vec::with_capacity(sides.len()));
        for k in (0..sides.len()).filter(|&k| sides[k] == side) {
            number[k] = kept.len() as u32;
            kept.push(k as u32);
            weights.push(self.finest().weights[k]);
        }
        let mut levels: Vec<Level> = Vec::with_capacity(self.levels.len());
        for (depth, level) in self.levels.iter().enumerate() {
            let mut own = level.restricted(&kept, &number, std::mem::take(&mut weights));
            if depth + 1 == self.levels.len() || kept.len() <= 2 * COARSEST {
                levels.push(own);
                break;
            }
            number = vec![NONE; self.levels[depth + 1].len()];
            own.coarser.reserve(kept.len());
            let mut next = Vec::with_capacity(kept.len());
            for (&k, &weight) in kept.iter().zip(&own.weights) {
                let coarse = level.coarser[k as usize];
                let place = &mut number[coarse as usize];
                if *place == NONE {
                    *place = next.len() as u32;
                    next.push(coarse);
                    weights.push(0);
                }
                weights[*place as usize] += weight;
                own.coarser.push(*place);
            }
            kept = next;
            levels.push(own);
        }
        Self { levels }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Adjacency, Hierarchy, Level};

    pub(in super::super) fn level(adjacency: &Adjacency, weight: impl Fn(usize) -> u32) -> Level {
        let weights: Vec<usize> = (0..adjacency.order()).map(|k| weight(k) as usize).collect();
        Hierarchy::new(adjacency, &weights).unwrap().levels.swap_remove(0)
    }

    pub(in super::super) fn lattice(side: usize) -> Vec<(usize, usize)> {
        let right = (0..side * side).filter(|i| (i + 1) % side != 0).map(|i| (i + 1, i));
        right.chain((side..side * side).map(|i| (i, i - side))).collect()
    }

    /// Coarser graphs hold the weight of the finer ones, and an edge wherever those have one.
    fn check(hierarchy: &Hierarchy) {
        for pair in hierarchy.levels.windows(2) {
            let mut weights = vec![0; pair[1].len()];
            for k in 0..pair[0].len() {
                let own = pair[0].coarser[k];
                weights[own as usize] += pair[0].weights[k];
                for &other in pair[0].of(k) {
                    let other = pair[0].coarser[other as usize];
                    assert!(other == own || pair[1].of(own as usize).contains(&other));
                }
            }
            assert_eq!(weights, pair[1].weights);
        }
    }

    #[test]
    fn sides_inherit_the_coarser_graphs() {
        let adjacency = Adjacency::from_entries(3600, lattice(60).into_iter());
        let whole = Hierarchy::new(&adjacency, &[2; 3600]).unwrap();
        check(&whole);
        assert!(whole.levels.len() > 4 && whole.levels.last().unwrap().len() <= 120);
        // a crooked line between two sides
        let sides: Vec<u8> =
            (0..3600usize).map(|k| (k % 60).cmp(&(25 + k / 600)) as i8 + 1).map(|s| [0, 2, 1][s as usize]).collect();
        for side in 0..2 {
            let part = whole.side(side, &sides);
            check(&part);
            let nodes: Vec<usize> = (0..3600).filter(|&k| sides[k] == side).collect();
            let own = adjacency.restricted(&nodes);
            assert_eq!(part.finest().len(), nodes.len());
            (0..nodes.len()).for_each(|k| assert_eq!(part.finest().of(k), own.of(k)));
            assert!(part.levels.last().unwrap().len() <= 240);
        }
        assert_eq!(whole.side(1, &[0; 3600]).finest().len(), 0);
    }
}
