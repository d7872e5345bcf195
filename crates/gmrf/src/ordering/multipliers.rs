//! Where the multipliers of the constraints stand among the nodes.

use super::{EliminationOrder, inverse};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;

pub(super) fn insert_multipliers(
    nodes: Vec<usize>,
    constraints: &LinearConstraints,
) -> Result<EliminationOrder, GmrfError> {
    if constraints.is_empty() {
        return Ok(EliminationOrder { order: nodes, trailing: Vec::new(), tree: None });
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
    Ok(EliminationOrder { order, trailing, tree: None })
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
