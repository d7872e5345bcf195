//! Nested dissection (George 1973) with separators by METIS (Karypis and Kumar 1998).

use std::sync::{Mutex, PoisonError};

use metis_sys::idx_t;

use super::Adjacency;
use super::alike::Alike;
use super::leaf::Leaves;
use super::minimum_degree::minimum_degree;

/// METIS draws from the C library's generator and is not reentrant; with the lock held and its default seed, its result
/// depends on the graph alone.
static METIS: Mutex<()> = Mutex::new(());

/// Parts of at most so many nodes are left to minimum degree, which orders them as well and costs less.
const LEAF: usize = 400;

/// Thousandths by which the larger side may exceed the half. More room finds narrower separators: a mean tenth less work than METIS's 200
/// on lattices, over several seeds; still more leaves trees that threads share badly.
const IMBALANCE: idx_t = 300;

/// `order[position] = node`: the parts that the separators leave, then the separators, the widest last. `None` where METIS cannot: more
/// than 2³¹ entries, or out of memory.
pub(super) fn nested_dissection(adjacency: &Adjacency) -> Option<Vec<usize>> {
    let Some(alike) = Alike::find(adjacency) else { return dissect(adjacency, &vec![1; adjacency.order()]) };
    dissect(&alike.graph(adjacency), &alike.sizes()).map(|order| alike.expanded(&order))
}

fn dissect(adjacency: &Adjacency, weights: &[usize]) -> Option<Vec<usize>> {
    let mut parts = vec![Part::whole(adjacency, weights)?];
    let mut leaves = Leaves::new(adjacency);
    let (mut order, mut separators) = (Vec::with_capacity(adjacency.order()), Vec::new());
    while let Some(mut part) = parts.pop() {
        if part.nodes.len() <= LEAF {
            leaves.order(&part.nodes, &mut order);
            continue;
        }
        let sides = part.separate()?;
        let [left, right] = [0, 1].map(|side| part.side(side, &sides));
        if left.nodes.is_empty() || right.nodes.is_empty() {
            order.append(&mut unseparated(adjacency, &part.nodes)?);
            continue;
        }
        separators.extend(part.nodes.iter().zip(&sides).filter(|&(_, &side)| side == SEPARATOR).map(|(&node, _)| node));
        parts.extend([left, right]);
    }
    order.extend(separators.into_iter().rev());
    Some(order)
}

/// The order of nodes, ascending, that nothing separates: they may be many, too many for sets of all of them.
fn unseparated(adjacency: &Adjacency, nodes: &[usize]) -> Option<Vec<usize>> {
    let order = minimum_degree(&adjacency.restricted(nodes)).ok()?;
    Some(order.into_iter().map(|k| nodes[k]).collect())
}

/// The side of a node that separates the two others.
const SEPARATOR: idx_t = 2;

/// A part of the graph.
struct Part {
    nodes: Vec<usize>,
    weights: Vec<idx_t>,
    starts: Vec<idx_t>,
    /// Neighbours inside the part, by their places in it.
    neighbours: Vec<idx_t>,
}

impl Part {
    fn whole(adjacency: &Adjacency, weights: &[usize]) -> Option<Self> {
        let n = adjacency.order();
        idx_t::try_from(adjacency.len().max(weights.iter().sum())).ok()?;
        let mut part = Self {
            nodes: (0..n).collect(),
            weights: weights.iter().map(|&weight| weight as idx_t).collect(),
            starts: Vec::with_capacity(n + 1),
            neighbours: Vec::with_capacity(adjacency.len()),
        };
        part.starts.push(0);
        for node in 0..n {
            part.neighbours.extend(adjacency.of(node).iter().map(|&k| k as idx_t));
            part.starts.push(part.neighbours.len() as idx_t);
        }
        Some(part)
    }

    /// The nodes on one side.
    fn side(&self, side: idx_t, sides: &[idx_t]) -> Self {
        let mut number = vec![0; sides.len()];
        let (mut nodes, mut weights) = (Vec::with_capacity(sides.len()), Vec::with_capacity(sides.len()));
        for k in (0..sides.len()).filter(|&k| sides[k] == side) {
            number[k] = nodes.len() as idx_t;
            nodes.push(self.nodes[k]);
            weights.push(self.weights[k]);
        }
        let mut part = Self {
            starts: Vec::with_capacity(nodes.len() + 1),
            neighbours: Vec::with_capacity(self.neighbours.len() / 2),
            nodes,
            weights,
        };
        part.starts.push(0);
        for k in (0..sides.len()).filter(|&k| sides[k] == side) {
            let neighbours = &self.neighbours[self.starts[k] as usize..self.starts[k + 1] as usize];
            part.neighbours
                .extend(neighbours.iter().filter(|&&j| sides[j as usize] == side).map(|&j| number[j as usize]));
            part.starts.push(part.neighbours.len() as idx_t);
        }
        part
    }

    /// The side of each node: 0, 1 or [`SEPARATOR`].
    #[allow(unsafe_code)] // the one foreign function of the workspace
    fn separate(&mut self) -> Option<Vec<idx_t>> {
        use metis_sys::{
            METIS_ComputeVertexSeparator, METIS_SetDefaultOptions, moptions_et_METIS_OPTION_UFACTOR,
            rstatus_et_METIS_OK,
        };
        let mut order = self.nodes.len() as idx_t;
        let mut options: [idx_t; metis_sys::METIS_NOPTIONS as usize] = [0; metis_sys::METIS_NOPTIONS as usize];
        let (mut sides, mut size) = (vec![0; self.nodes.len()], 0);
        let guard = METIS.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: `starts` has one more entry than there are nodes, ascending; they index `neighbours`, whose entries are places of
        // nodes; `sides` and `weights` have one entry a node, `options` as many as METIS names. METIS keeps none of the pointers.
        let status = unsafe {
            METIS_SetDefaultOptions(options.as_mut_ptr());
            options[moptions_et_METIS_OPTION_UFACTOR as usize] = IMBALANCE;
            METIS_ComputeVertexSeparator(
                &mut order,
                self.starts.as_mut_ptr(),
                self.neighbours.as_mut_ptr(),
                self.weights.as_mut_ptr(),
                options.as_mut_ptr(),
                &mut size,
                sides.as_mut_ptr(),
            )
        };
        drop(guard);
        (status == rstatus_et_METIS_OK).then_some(sides)
    }
}

#[cfg(test)]
mod tests {
    use super::{Adjacency, minimum_degree, nested_dissection, unseparated};
    use crate::cholesky::elimination::EliminationTree;

    fn work(adjacency: &Adjacency, order: &[usize]) -> f64 {
        EliminationTree::new(adjacency, order).operations()
    }

    fn lattice(side: usize) -> Vec<(usize, usize)> {
        let right = (0..side * side).filter(|i| (i + 1) % side != 0).map(|i| (i + 1, i));
        right.chain((side..side * side).map(|i| (i, i - side))).collect()
    }

    fn dissected(n: usize, edges: &[(usize, usize)]) -> (Adjacency, Vec<usize>) {
        let adjacency = Adjacency::from_entries(n, edges.iter().copied());
        let order = nested_dissection(&adjacency).unwrap();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..n).collect::<Vec<_>>());
        (adjacency, order)
    }

    #[test]
    fn a_lattice_takes_less_work_than_by_minimum_degree() {
        let (adjacency, order) = dissected(10_000, &lattice(100));
        let other = work(&adjacency, &minimum_degree(&adjacency).unwrap());
        // some per cent less; the C library's random numbers differ from system to system
        assert!(work(&adjacency, &order) < 1.1 * other);
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
        // what METIS would leave in one piece
        let matched: Vec<(usize, usize)> = complete.into_iter().filter(|(i, j)| i / 2 != j / 2).collect();
        let (adjacency, _) = dissected(500, &matched);
        let some: Vec<usize> = (100..350).collect();
        let mut order = unseparated(&adjacency, &some).unwrap();
        order.sort_unstable();
        assert_eq!(order, some);
    }
}
