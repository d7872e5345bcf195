//! Elimination orders: fill-reducing for the nodes, and where the multipliers of the constraints belong.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::SymbolicSparseColMatRef;
use faer::sparse::linalg::amd;

use crate::cholesky::elimination::EliminationTree;
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::pattern::SparsityPattern;

/// How the nodes are ordered before a factorisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ordering {
    /// The cheaper of the others by the operations of the factor that they predict.
    #[default]
    Automatic,
    /// The caller's order: best for banded patterns such as random walks.
    Natural,
    /// Approximate minimum degree (Amestoy, Davis and Duff 1996).
    MinimumDegree,
}

/// The order of elimination of nodes `0..n` and multipliers `n..n+k`: `order[position]` is a node or a multiplier.
///
/// Each multiplier stands just before the node that its constraint determines, so that every pivot of the signed
/// factor has a known sign; a constraint on a single node stands just behind it, both first of all.
///
/// # Errors
/// [`GmrfError::RedundantConstraint`] for a constraint that the others imply.
pub(crate) fn elimination_order(
    pattern: &SparsityPattern,
    constraints: &LinearConstraints,
    ordering: Ordering,
) -> Result<Vec<usize>, GmrfError> {
    let nodes = match ordering {
        Ordering::Natural => (0..pattern.order()).collect(),
        Ordering::MinimumDegree => minimum_degree(pattern)?,
        Ordering::Automatic => {
            let natural: Vec<usize> = (0..pattern.order()).collect();
            let degree = minimum_degree(pattern)?;
            if predicted_work(pattern, &natural) <= predicted_work(pattern, &degree) { natural } else { degree }
        }
    };
    insert_multipliers(nodes, constraints)
}

/// `Σⱼ c_j²` over the columns of the factor, `c_j` its entries: the operations of the factorisation.
fn predicted_work(pattern: &SparsityPattern, order: &[usize]) -> f64 {
    let tree = EliminationTree::new(&UpperNeighbours::new(pattern, order));
    tree.column_counts.iter().map(|&c| (c as f64) * (c as f64)).sum()
}

/// For each position, the earlier positions that it shares an entry with.
pub(crate) struct UpperNeighbours {
    starts: Vec<usize>,
    earlier: Vec<usize>,
}

impl UpperNeighbours {
    pub(crate) fn new(pattern: &SparsityPattern, order: &[usize]) -> Self {
        let position = inverse(order);
        Self::from_entries(order.len(), pattern.entries().map(|(i, j)| (position[i], position[j])))
    }

    /// From entries in positions, either triangle, diagonal ignored.
    pub(crate) fn from_entries(n: usize, entries: impl Iterator<Item = (usize, usize)> + Clone) -> Self {
        let mut starts = vec![0; n + 1];
        for (i, j) in entries.clone().filter(|(i, j)| i != j) {
            starts[i.max(j) + 1] += 1;
        }
        for i in 0..n {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut earlier = vec![0; starts[n]];
        for (i, j) in entries.filter(|(i, j)| i != j) {
            let row = i.max(j);
            earlier[next[row]] = i.min(j);
            next[row] += 1;
        }
        Self { starts, earlier }
    }

    pub(crate) fn order(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn of(&self, row: usize) -> &[usize] {
        &self.earlier[self.starts[row]..self.starts[row + 1]]
    }
}

pub(crate) fn inverse(order: &[usize]) -> Vec<usize> {
    let mut position = vec![0; order.len()];
    for (p, &node) in order.iter().enumerate() {
        position[node] = p;
    }
    position
}

fn minimum_degree(pattern: &SparsityPattern) -> Result<Vec<usize>, GmrfError> {
    let n = pattern.order();
    let mut column_starts = vec![0usize; n + 1];
    let mut rows = Vec::with_capacity(pattern.nnz() - n);
    // AMD reads the upper triangle: column i holds the rows j < i
    let upper = UpperNeighbours::new(pattern, &(0..n).collect::<Vec<_>>());
    for i in 0..n {
        let start = rows.len();
        rows.extend_from_slice(upper.of(i));
        rows[start..].sort_unstable();
        column_starts[i + 1] = rows.len();
    }
    let matrix = SymbolicSparseColMatRef::new_checked(n, n, &column_starts, None, &rows);
    let (mut order, mut position) = (vec![0usize; n], vec![0usize; n]);
    let too_large = |_| GmrfError::InvalidModel {
        model: "ordering",
        reason: format!("a pattern of order {n} does not fit into memory; use a smaller model"),
    };
    let scratch = amd::order_scratch::<usize>(n, rows.len());
    let mut memory = MemBuffer::try_new(scratch).map_err(|_| too_large(()))?;
    amd::order(&mut order, &mut position, matrix, amd::Control::default(), MemStack::new(&mut memory))
        .map_err(|_| too_large(()))?;
    Ok(order)
}

fn insert_multipliers(nodes: Vec<usize>, constraints: &LinearConstraints) -> Result<Vec<usize>, GmrfError> {
    if constraints.is_empty() {
        return Ok(nodes);
    }
    let n = nodes.len();
    let position = inverse(&nodes);
    let determined = determined_nodes(constraints, &position)?;
    let mut multiplier_before = vec![usize::MAX; n];
    let mut order = Vec::with_capacity(n + constraints.len());
    for (k, &node) in determined.iter().enumerate() {
        if constraints.row(k).0.len() == 1 {
            order.extend([node, n + k]);
        } else {
            multiplier_before[node] = n + k;
        }
    }
    let mut placed = vec![false; n];
    for &node in order.iter().filter(|&&node| node < n) {
        placed[node] = true;
    }
    for node in nodes {
        if placed[node] {
            continue;
        }
        if multiplier_before[node] != usize::MAX {
            order.push(multiplier_before[node]);
        }
        order.push(node);
    }
    Ok(order)
}

/// The node that each constraint determines: the pivots of a sparse elimination of `C` from the last position backwards.
///
/// Disjoint constraints cost their entries only; overlapping ones the fill of the elimination.
fn determined_nodes(constraints: &LinearConstraints, position: &[usize]) -> Result<Vec<usize>, GmrfError> {
    /// Relative size below which an eliminated coefficient is rounding.
    const ROUNDING: f64 = 1e-12;
    let n = position.len();
    let mut pivot_row = vec![usize::MAX; n];
    let mut reduced: Vec<Vec<(usize, f64)>> = Vec::with_capacity(constraints.len());
    let mut nodes = Vec::with_capacity(constraints.len());
    for k in 0..constraints.len() {
        let (columns, values) = constraints.row(k);
        let scale = values.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
        let mut row: Vec<(usize, f64)> = columns.iter().zip(values).map(|(&i, &c)| (position[i], c / scale)).collect();
        row.sort_by_key(|&(p, _)| std::cmp::Reverse(p));
        while let Some(&(leading, value)) = row.first() {
            let other = pivot_row[leading];
            if other == usize::MAX {
                break;
            }
            row = subtract(&row, &reduced[other], value / reduced[other][0].1, ROUNDING);
        }
        let Some(&(leading, _)) = row.first() else {
            return Err(GmrfError::RedundantConstraint { row: k });
        };
        pivot_row[leading] = k;
        nodes.push(leading);
        reduced.push(row);
    }
    let mut node_at = vec![0; n];
    for (node, &p) in position.iter().enumerate() {
        node_at[p] = node;
    }
    Ok(nodes.into_iter().map(|p| node_at[p]).collect())
}

/// `a − factor b` of two rows sorted by descending position, their common leading entry dropped.
fn subtract(a: &[(usize, f64)], b: &[(usize, f64)], factor: f64, rounding: f64) -> Vec<(usize, f64)> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (1, 1);
    while i < a.len() || j < b.len() {
        let (pa, pb) = (a.get(i).map(|e| e.0), b.get(j).map(|e| e.0));
        let (p, value) = if pa > pb {
            i += 1;
            a[i - 1]
        } else if pb > pa {
            j += 1;
            (b[j - 1].0, -factor * b[j - 1].1)
        } else {
            (i, j) = (i + 1, j + 1);
            (a[i - 1].0, a[i - 1].1 - factor * b[j - 1].1)
        };
        if value.abs() > rounding {
            out.push((p, value));
        }
    }
    out
}
