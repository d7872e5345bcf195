//! Nested dissection (George 1973).

use rayon::prelude::*;

use super::Adjacency;
use super::alike::Alike;
use super::hierarchy::Hierarchy;
use super::leaf::Leaves;
use super::minimum_degree::minimum_degree;
use super::separator::Separators;
use super::sweep::SEPARATOR;
use crate::Parallelism;

/// Parts of at most so many nodes are left to minimum degree, which orders them as well and costs less.
const LEAF: usize = 400;
/// Parts of fewer nodes are dissected on one thread.
const WORTH_JOINING: usize = 5000;
/// Leaves are ordered by at most so many tasks, each of which has room for the whole graph.
const TASKS: usize = 16;

/// `order[position] = node`: each part's sides, then what separates them. The same on any number of threads of the pool in which the
/// caller runs. `None` for graphs of more than 2³¹ entries, or out of memory.
pub(super) fn nested_dissection(adjacency: &Adjacency) -> Option<Vec<usize>> {
    let Some(alike) = Alike::find(adjacency) else { return dissect(adjacency, &vec![1; adjacency.order()]) };
    dissect(&alike.graph(adjacency), &alike.sizes()).map(|order| alike.expanded(&order))
}

fn dissect(adjacency: &Adjacency, weights: &[usize]) -> Option<Vec<usize>> {
    let hierarchy = Hierarchy::new(adjacency, weights)?;
    let whole = Part::new((0..adjacency.order() as u32).collect(), || hierarchy);
    let parallelism = if adjacency.order() < WORTH_JOINING { Parallelism::Sequential } else { Parallelism::Tree };
    parallelism.enter(|| {
        let mut pieces = Vec::new();
        whole.dissected(&mut Separators::default(), &mut pieces);
        let each = pieces.len().div_ceil(TASKS).max(1);
        let ordered = |chunk: &mut [Piece]| {
            let mut leaves = Leaves::new(adjacency);
            chunk.iter_mut().try_for_each(|piece| piece.order(adjacency, &mut leaves))
        };
        match parallelism {
            Parallelism::Sequential => ordered(&mut pieces)?,
            Parallelism::Tree => pieces.par_chunks_mut(each).map(ordered).collect::<Option<()>>()?,
        }
        Some(pieces.into_iter().flat_map(|piece| piece.nodes).collect())
    })
}

/// Nodes that stand together in the order.
struct Piece {
    nodes: Vec<usize>,
    kind: Kind,
}

enum Kind {
    /// To be ordered by minimum degree beside the nodes around them.
    Leaf,
    /// Too many for that, and nothing separates them.
    Block,
    Separator,
}

impl Piece {
    fn new(nodes: Vec<u32>, kind: Kind) -> Self {
        Self { nodes: nodes.into_iter().map(|k| k as usize).collect(), kind }
    }

    fn order(&mut self, adjacency: &Adjacency, leaves: &mut Leaves) -> Option<()> {
        match self.kind {
            Kind::Leaf => {
                let mut order = Vec::with_capacity(self.nodes.len());
                leaves.order(&self.nodes, &mut order);
                self.nodes = order;
            }
            Kind::Block => self.nodes = unseparated(adjacency, &self.nodes)?,
            Kind::Separator => {}
        }
        Some(())
    }
}

/// The order of nodes, ascending, that nothing separates: they may be many, too many for sets of all of them.
fn unseparated(adjacency: &Adjacency, nodes: &[usize]) -> Option<Vec<usize>> {
    let order = minimum_degree(&adjacency.restricted(nodes)).ok()?;
    Some(order.into_iter().map(|k| nodes[k]).collect())
}

/// A part of the graph.
enum Part {
    Small(Vec<u32>),
    Large(Vec<u32>, Hierarchy),
}

impl Part {
    fn new(nodes: Vec<u32>, hierarchy: impl FnOnce() -> Hierarchy) -> Self {
        if nodes.len() <= LEAF { Self::Small(nodes) } else { Self::Large(nodes, hierarchy()) }
    }

    /// Appends the pieces of the part in the order of their elimination.
    fn dissected(self, finder: &mut Separators, pieces: &mut Vec<Piece>) {
        let (nodes, hierarchy) = match self {
            Self::Small(nodes) => return pieces.push(Piece::new(nodes, Kind::Leaf)),
            Self::Large(nodes, hierarchy) => (nodes, hierarchy),
        };
        let sides = finder.find(&hierarchy);
        let on = |side| nodes.iter().zip(&sides).filter(|&(_, &own)| own == side).map(|(&node, _)| node).collect();
        let (left, right, separator): (Vec<u32>, Vec<u32>, Vec<u32>) = (on(0), on(1), on(SEPARATOR));
        if left.is_empty() || right.is_empty() {
            return pieces.push(Piece::new(nodes, Kind::Block));
        }
        let [left, right] =
            [(0, left), (1, right)].map(|(side, nodes)| Self::new(nodes, || hierarchy.side(side, &sides)));
        drop(hierarchy);
        if nodes.len() < WORTH_JOINING {
            left.dissected(finder, pieces);
            right.dissected(finder, pieces);
        } else {
            let mut others = Vec::new();
            let right = || right.dissected(&mut Separators::default(), &mut others);
            rayon::join(|| left.dissected(finder, pieces), right);
            pieces.append(&mut others);
        }
        pieces.push(Piece::new(separator, Kind::Separator));
    }
}

#[cfg(test)]
mod tests {
    use super::{Adjacency, minimum_degree, nested_dissection, unseparated};
    use crate::cholesky::elimination::EliminationTree;
    use crate::ordering::hierarchy::tests::lattice;

    fn work(adjacency: &Adjacency, order: &[usize]) -> f64 {
        EliminationTree::new(adjacency, order).operations()
    }

    fn dissected(n: usize, edges: &[(usize, usize)]) -> (Adjacency, Vec<usize>) {
        let adjacency = Adjacency::from_entries(n, edges.iter().copied());
        let order = nested_dissection(&adjacency).unwrap();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| nested_dissection(&adjacency).unwrap()), order);
        (adjacency, order)
    }

    #[test]
    fn a_lattice_takes_less_work_than_by_minimum_degree() {
        let (adjacency, order) = dissected(10_000, &lattice(100));
        let other = work(&adjacency, &minimum_degree(&adjacency).unwrap());
        assert!(work(&adjacency, &order) < 0.9 * other);
    }

    #[test]
    fn several_fields_on_a_lattice_are_dissected_as_one() {
        let (side, fields) = (40, 3);
        let (n, edges) = (side * side, lattice(side));
        let mut all = Vec::new();
        for a in 0..fields {
            for b in 0..fields {
                all.extend(edges.iter().map(|&(i, j)| (i * fields + a, j * fields + b)));
            }
            all.extend((0..n).flat_map(|i| (0..a).map(move |b| (i * fields + a, i * fields + b))));
        }
        let (one, single) = dissected(n, &edges);
        let (many, order) = dissected(fields * n, &all);
        assert!(order.chunks(fields).all(|chunk| chunk.iter().all(|&k| k / fields == chunk[0] / fields)));
        // columns three times as high and three times as many of them, at most
        assert!(work(&many, &order) <= 27.0 * work(&one, &single));
    }

    #[test]
    fn graphs_without_separators_keep_all_their_nodes() {
        let complete: Vec<(usize, usize)> = (0..500).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
        dissected(500, &complete);
        let star: Vec<(usize, usize)> = (1..900).map(|i| (i, 0)).collect();
        dissected(900, &star);
        // two lattices and nodes without any neighbour
        let twice: Vec<(usize, usize)> =
            lattice(30).into_iter().flat_map(|(i, j)| [(i, j), (i + 900, j + 900)]).collect();
        dissected(2000, &twice);
        dissected(0, &[]);
        // every node but its twin: nothing separates them
        let matched: Vec<(usize, usize)> = complete.into_iter().filter(|(i, j)| i / 2 != j / 2).collect();
        let (adjacency, _) = dissected(500, &matched);
        let some: Vec<usize> = (100..350).collect();
        let mut order = unseparated(&adjacency, &some).unwrap();
        order.sort_unstable();
        assert_eq!(order, some);
    }
}
