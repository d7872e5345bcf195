//! The matrix that is factored: `K = [[Q, Cᵀ], [C, 0]]` with what trailing constraints add to `Q`.

use std::sync::Arc;

use super::{CholeskyFactor, SymbolicFactor};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::pattern::SparsityPattern;

/// A constraint `c` with `κ ccᵀ` to be added to `Q`: no change on `cᵀx = 0`, and curvature enough for its nodes' pivots.
#[derive(Debug)]
pub(crate) struct TrailingConstraint {
    /// The diagonal entries of its nodes, in the pattern.
    pub(crate) diagonal: Vec<usize>,
    /// Where its products start among what the constraints add.
    pub(crate) start: usize,
    /// What `κ` is multiplied by.
    pub(crate) products: Vec<f64>,
}

/// Nodes up to which a constraint may fill a dense block of `Q`.
const LARGEST_TRAILING: usize = 256;

pub(super) fn check_support(constraints: &LinearConstraints, trailing: &[usize]) -> Result<(), GmrfError> {
    let wide = trailing.iter().find(|&&k| constraints.row(k).0.len() > LARGEST_TRAILING);
    wide.map_or(Ok(()), |&row| Err(GmrfError::RedundantConstraint { row }))
}

/// The lower triangle of a dense block.
pub(super) fn pairs(size: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..size).flat_map(|a| (0..=a).map(move |b| (a, b)))
}

/// The pattern of `K`, with the blocks of the trailing constraints.
pub(super) struct Kkt<'a> {
    pub(super) pattern: &'a SparsityPattern,
    pub(super) constraints: &'a LinearConstraints,
    pub(super) trailing: &'a [usize],
}

impl Kkt<'_> {
    /// Entries in either triangle, multiplier `k` numbered `n + k`.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, usize)> + Clone + '_ {
        let n = self.pattern.order();
        let nodes = self.pattern.entries();
        let multipliers =
            (0..self.constraints.len()).flat_map(move |k| self.constraints.row(k).0.iter().map(move |&i| (n + k, i)));
        let blocks = self.trailing.iter().flat_map(move |&k| {
            let columns = self.constraints.row(k).0;
            pairs(columns.len()).map(move |(a, b)| (columns[a], columns[b]))
        });
        nodes.chain(multipliers).chain(blocks)
    }
}

/// `log |C Cᵀ|` by a factor of the sparse Gram matrix.
pub(super) fn log_det_gram(constraints: &LinearConstraints) -> Result<f64, GmrfError> {
    let k = constraints.len();
    if k == 0 {
        return Ok(0.0);
    }
    let mut rows_of_node: Vec<Vec<(usize, f64)>> = vec![Vec::new(); constraints.order()];
    for row in 0..k {
        let (columns, values) = constraints.row(row);
        for (&i, &c) in columns.iter().zip(values) {
            rows_of_node[i].push((row, c));
        }
    }
    let products = rows_of_node.iter().flat_map(|rows| {
        rows.iter()
            .flat_map(move |&(a, ca)| rows.iter().filter(move |&&(b, _)| b <= a).map(move |&(b, cb)| (a, b, ca * cb)))
    });
    let pattern = Arc::new(SparsityPattern::from_entries(k, products.clone().map(|(a, b, _)| (a, b)))?);
    let mut values = vec![0.0; pattern.nnz()];
    for (a, b, product) in products {
        values[pattern.position(a, b).expect("the pattern was made from these entries")] += product;
    }
    if pattern.nnz() == k {
        return Ok(values.iter().map(|v| v.ln()).sum());
    }
    let mut factor = CholeskyFactor::new(SymbolicFactor::analyze(&pattern, &LinearConstraints::none(k))?);
    factor.refactor(&values).map_err(|error| match error {
        GmrfError::NotPositiveDefinite { node, .. } => GmrfError::RedundantConstraint { row: node },
        other => other,
    })?;
    Ok(factor.log_determinant())
}
