//! The constrained covariance on the pattern of the factor.

use std::sync::Arc;

use crate::cholesky::dense::invert_panel;
use crate::cholesky::{CholeskyFactor, SymbolicFactor};
use crate::error::{GmrfError, expect_length};

/// Entries of the constrained covariance `Σ` (the node block of `K⁻¹`) on the pattern of the factor.
///
/// Supernodal recursion from the root to the leaves (Takahashi, Fagan and Chen 1973; Erisman and Tinney 1975): each
/// supernode gathers the covariances of its rows from its parent's front.
#[derive(Debug)]
pub struct SelectedInverse {
    symbolic: Arc<SymbolicFactor>,
    panels: Vec<f64>,
    stack: Vec<f64>,
    scratch: Vec<f64>,
    /// Supernodes whose fronts are on the stack, with their places.
    open: Vec<(usize, usize)>,
    values: Vec<f64>,
}

impl SelectedInverse {
    /// Room for a selected inverse; [`compute`](Self::compute) fills it. Memory [`SymbolicFactor::memory`].
    pub fn new(symbolic: &Arc<SymbolicFactor>) -> Self {
        let scratch = symbolic.supernodes.iter().map(|s| s.height() * s.width).max().unwrap_or(0);
        Self {
            panels: vec![0.0; symbolic.values_length],
            stack: vec![0.0; symbolic.front_stack_length],
            scratch: vec![0.0; scratch],
            open: Vec::with_capacity(symbolic.supernodes.len()),
            values: vec![0.0; symbolic.pattern.nnz()],
            symbolic: symbolic.clone(),
        }
    }

    /// Computes the entries from a factor of the same symbolic analysis. Cost about twice the factor's; nothing allocated.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`] if the factor belongs to another analysis.
    pub fn compute(&mut self, factor: &CholeskyFactor) -> Result<(), GmrfError> {
        expect_length("factor", self.symbolic.values_length, factor.values.len())?;
        let symbolic = self.symbolic.clone();
        self.open.clear();
        for (s, node) in symbolic.supernodes.iter().enumerate().rev() {
            while self.open.last().is_some_and(|&(above, _)| above != node.parent) {
                self.open.pop();
            }
            let (height, width) = (node.height(), node.width);
            let start = match self.open.last() {
                Some(&(parent, place)) => place + symbolic.supernodes[parent].height().pow(2),
                None => 0,
            };
            let (fronts, rest) = self.stack.split_at_mut(start);
            let front = &mut rest[..height * height];
            if let Some(&(parent, place)) = self.open.last() {
                let parent_height = symbolic.supernodes[parent].height();
                let relative = symbolic.relative_rows(node);
                gather(&fronts[place..], parent_height, relative, front, (height, width));
            }
            let sign = if node.multiplier { -1.0 } else { 1.0 };
            let range = node.values_start..node.values_start + height * width;
            invert_panel(&factor.values[range.clone()], (height, width), sign, front, &mut self.scratch);
            self.panels[range].copy_from_slice(&front[..height * width]);
            self.open.push((s, start));
        }
        for (value, &slot) in self.values.iter_mut().zip(&symbolic.slots) {
            *value = self.panels[slot];
        }
        Ok(())
    }

    /// `Σ_ij` for every entry of the pattern, in pattern order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The marginal variances `Σ_ii` into `out` (length `n`), in node order.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn fill_variances(&self, out: &mut [f64]) -> Result<(), GmrfError> {
        let pattern = &self.symbolic.pattern;
        expect_length("variances", pattern.order(), out.len())?;
        for (j, variance) in out.iter_mut().enumerate() {
            *variance = self.values[pattern.column_start(j)];
        }
        Ok(())
    }

    /// `Σ_ij` where `(i, j)` lies on the pattern of the factor, which is larger than that of the matrix.
    pub fn entry(&self, i: usize, j: usize) -> Option<f64> {
        let symbolic = &self.symbolic;
        let (p, q) = (*symbolic.position.get(i)?, *symbolic.position.get(j)?);
        let (row, column) = (p.max(q), p.min(q));
        let s = symbolic.supernodes.partition_point(|node| node.first <= column) - 1;
        let node = &symbolic.supernodes[s];
        let local = if row < node.first + node.width {
            row - node.first
        } else {
            node.width + symbolic.rows_below(node).binary_search(&row).ok()?
        };
        Some(self.panels[node.values_start + (column - node.first) * node.height() + local])
    }
}

/// The trailing block of a front from its parent's front, both triangles.
fn gather(
    parent: &[f64],
    parent_height: usize,
    relative: &[usize],
    front: &mut [f64],
    (height, width): (usize, usize),
) {
    for (k, &column) in relative.iter().enumerate() {
        let source = &parent[column * parent_height..(column + 1) * parent_height];
        let target = &mut front[(width + k) * height + width..(width + k + 1) * height];
        for (t, &row) in target.iter_mut().zip(relative) {
            *t = source[row];
        }
    }
}
