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

/// The order of elimination of nodes `0..n` and multipliers `n..n+k`.
pub(crate) struct EliminationOrder {
    /// `order[position]` is a node or a multiplier.
    pub(crate) order: Vec<usize>,
    /// The constraints whose multipliers stand behind all of their nodes.
    pub(crate) trailing: Vec<usize>,
}

/// The order of elimination under `constraints`.
///
/// Each multiplier stands just before the node that its constraint determines, so that every pivot of the signed
/// factor has a known sign. A constraint none of whose earlier nodes is free to balance it, such as one on a single node
/// or on two that other constraints determine, stands behind its nodes; the factor then adds `κ CᵀC` of it to `Q`.
///
/// # Errors
/// [`GmrfError::RedundantConstraint`] for a constraint that the others imply.
pub(crate) fn elimination_order(
    pattern: &SparsityPattern,
    constraints: &LinearConstraints,
    ordering: Ordering,
) -> Result<EliminationOrder, GmrfError> {
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

fn insert_multipliers(nodes: Vec<usize>, constraints: &LinearConstraints) -> Result<EliminationOrder, GmrfError> {
    if constraints.is_empty() {
        return Ok(EliminationOrder { order: nodes, trailing: Vec::new() });
    }
    let n = nodes.len();
    let position = inverse(&nodes);
    let determined = determined_positions(constraints, &position)?;
    let trailing = unbalanced(constraints, &position, &determined);
    let (mut before, mut behind) = (vec![Vec::new(); n], vec![Vec::new(); n]);
    let mut first = Vec::new();
    for (k, &at) in determined.iter().enumerate() {
        let columns = constraints.row(k).0;
        if columns.len() == 1 {
            // eliminated first, a pinned node fills nothing
            first.push(columns[0]);
            behind[position[columns[0]]].push(n + k);
        } else if trailing.contains(&k) {
            behind[columns.iter().map(|&i| position[i]).max().unwrap_or(at)].push(n + k);
        } else {
            before[at].push(n + k);
        }
    }
    let mut placed = vec![false; n];
    let mut order = Vec::with_capacity(n + constraints.len());
    for node in first.into_iter().chain(nodes) {
        let p = position[node];
        if !std::mem::replace(&mut placed[p], true) {
            order.append(&mut before[p]);
            order.push(node);
            order.append(&mut behind[p]);
        }
    }
    Ok(EliminationOrder { order, trailing })
}

/// Relative size below which an eliminated coefficient is rounding.
const ROUNDING: f64 = 1e-12;

/// A row of `C` in positions, descending, scaled to a largest coefficient of one.
fn descending_row(constraints: &LinearConstraints, k: usize, position: &[usize]) -> Vec<(usize, f64)> {
    let (columns, values) = constraints.row(k);
    let scale = values.iter().fold(0.0_f64, |a, v| a.max(v.abs()));
    let mut row: Vec<(usize, f64)> = columns.iter().zip(values).map(|(&i, &c)| (position[i], c / scale)).collect();
    row.sort_by_key(|&(p, _)| std::cmp::Reverse(p));
    row
}

/// Rows in echelon form, each led by its last position.
struct Echelon {
    rows: Vec<Vec<(usize, f64)>>,
    led_by: Vec<usize>,
}

impl Echelon {
    fn new(n: usize) -> Self {
        Self { rows: Vec::new(), led_by: vec![usize::MAX; n] }
    }

    /// Reduces `row` and keeps it; its leading position, or `None` if the others imply it.
    fn insert(&mut self, mut row: Vec<(usize, f64)>) -> Option<usize> {
        while let Some(&(leading, value)) = row.first() {
            let other = self.led_by[leading];
            if other == usize::MAX {
                self.led_by[leading] = self.rows.len();
                self.rows.push(row);
                return Some(leading);
            }
            row = subtract(&row, &self.rows[other], value / self.rows[other][0].1, ROUNDING);
        }
        None
    }
}

/// The position of the node that each constraint determines: the pivots of a sparse elimination of `C` from the last
/// position backwards.
///
/// Disjoint constraints cost their entries only; overlapping ones the fill of the elimination.
fn determined_positions(constraints: &LinearConstraints, position: &[usize]) -> Result<Vec<usize>, GmrfError> {
    let mut echelon = Echelon::new(position.len());
    (0..constraints.len())
        .map(|k| {
            let row = descending_row(constraints, k, position);
            echelon.insert(row).ok_or(GmrfError::RedundantConstraint { row: k })
        })
        .collect()
}

/// The constraints that have no free node before the one they determine.
///
/// A multiplier's pivot is `−c Q⁻¹ cᵀ` of its row on the nodes eliminated so far, less what earlier multipliers took: it
/// vanishes where the rows so far are dependent there.
fn unbalanced(constraints: &LinearConstraints, position: &[usize], determined: &[usize]) -> Vec<usize> {
    let mut by_position: Vec<usize> = (0..constraints.len()).collect();
    by_position.sort_by_key(|&k| determined[k]);
    let mut echelon = Echelon::new(position.len());
    by_position.retain(|&k| {
        let mut row = descending_row(constraints, k, position);
        row.retain(|&(p, _)| p < determined[k]);
        echelon.insert(row).is_none()
    });
    by_position
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
