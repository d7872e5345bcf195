//! Kernels of sparse rows.

use crate::constraint::LinearConstraints;
use crate::error::GmrfError;

/// A pivot below this share of its row's largest entry before elimination is a sum of rounding errors.
const DEPENDENT: f64 = 1e-10;

/// A sparse basis of `ker C`, `n − rank` vectors as `(node, value)`.
///
/// Rows without a common node give a unit vector for every node outside them and differences of neighbours within;
/// other rows are reduced to echelon form, at cost `k² n`, with at most `k + 1` entries a vector. Dependent rows of `C`
/// are passed over.
pub(super) fn kernel_basis(rows: &LinearConstraints) -> Result<Vec<Vec<(usize, f64)>>, GmrfError> {
    let n = rows.order();
    let mut owners = vec![0_usize; n];
    for k in 0..rows.len() {
        rows.row(k).0.iter().for_each(|&i| owners[i] += 1);
    }
    let unowned = (0..n).filter(|&i| owners[i] == 0).map(|i| vec![(i, 1.0)]);
    if owners.iter().all(|&count| count <= 1) {
        let differences = (0..rows.len()).flat_map(|k| {
            let (nodes, c) = rows.row(k);
            (1..nodes.len()).map(move |a| vec![(nodes[a - 1], 1.0), (nodes[a], -c[a - 1] / c[a])])
        });
        return Ok(unowned.chain(differences).collect());
    }
    let echelon = echelon(rows);
    let is_pivot: Vec<bool> = {
        let mut flags = vec![false; n];
        echelon.iter().for_each(|&(pivot, _)| flags[pivot] = true);
        flags
    };
    let vector = |free: usize| {
        let fixed = echelon.iter().map(|(pivot, row)| (*pivot, -row[free])).filter(|&(_, value)| value != 0.0);
        std::iter::once((free, 1.0)).chain(fixed).collect()
    };
    Ok((0..n).filter(|&i| !is_pivot[i]).map(vector).collect())
}

/// Columns on which the rows are a nonsingular matrix, one a row.
///
/// # Errors
/// [`GmrfError::RedundantConstraint`] if the rows are dependent.
pub(super) fn pivots(rows: &LinearConstraints) -> Result<Vec<usize>, GmrfError> {
    let echelon = echelon(rows);
    if echelon.len() < rows.len() {
        return Err(GmrfError::RedundantConstraint { row: echelon.len() });
    }
    Ok(echelon.into_iter().map(|(pivot, _)| pivot).collect())
}

/// The reduced echelon form by the largest pivot of each row: pivot column and dense row, which is 1 there and 0 at the
/// other pivots.
fn echelon(rows: &LinearConstraints) -> Vec<(usize, Vec<f64>)> {
    let mut done: Vec<(usize, Vec<f64>)> = Vec::new();
    for k in 0..rows.len() {
        let mut row = vec![0.0; rows.order()];
        let (columns, values) = rows.row(k);
        columns.iter().zip(values).for_each(|(&i, &v)| row[i] += v);
        let largest = row.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
        for (pivot, above) in &done {
            eliminate(&mut row, above, *pivot);
        }
        let Some(pivot) = (0..row.len()).max_by(|&a, &b| row[a].abs().total_cmp(&row[b].abs())) else { continue };
        if row[pivot].abs() <= DEPENDENT * largest {
            continue;
        }
        let scale = row[pivot];
        row.iter_mut().for_each(|v| *v /= scale);
        done.iter_mut().for_each(|(_, above)| eliminate(above, &row, pivot));
        done.push((pivot, row));
    }
    done
}

fn eliminate(row: &mut [f64], by: &[f64], pivot: usize) {
    let factor = row[pivot];
    if factor != 0.0 {
        row.iter_mut().zip(by).for_each(|(v, b)| *v -= factor * b);
        row[pivot] = 0.0;
    }
}
