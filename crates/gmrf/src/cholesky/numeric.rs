//! The values of the factor: refilled in place for every θ.

use std::fmt;
use std::sync::Arc;

use faer::dyn_stack::MemBuffer;

use super::dense::{factor_buffer, factor_panel, schur_update};
use super::symbolic::{Supernode, SymbolicFactor};
use crate::error::{GmrfError, expect_length};

/// A pivot that falls below this share of the diagonal entry it came from is rounding: the matrix is singular.
const SINGULAR_PIVOT: f64 = 8.0 * f64::EPSILON;

/// A signed Cholesky factor, with the buffers to refactor it without allocation.
pub struct CholeskyFactor {
    pub(crate) symbolic: Arc<SymbolicFactor>,
    pub(crate) values: Vec<f64>,
    stack: Vec<f64>,
    /// Least acceptable pivot of each position.
    least: Vec<f64>,
    buffer: MemBuffer,
    log_determinant: f64,
}

impl fmt::Debug for CholeskyFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CholeskyFactor")
            .field("order", &self.symbolic.order())
            .field("log_determinant", &self.log_determinant)
            .finish_non_exhaustive()
    }
}

impl CholeskyFactor {
    /// Room for a factor; [`refactor`](Self::refactor) fills it. Memory [`SymbolicFactor::memory`].
    pub fn new(symbolic: Arc<SymbolicFactor>) -> Self {
        let widest = symbolic.supernodes.iter().map(|s| s.width).max().unwrap_or(0);
        Self {
            values: vec![0.0; symbolic.values_length],
            stack: vec![0.0; symbolic.stack_length],
            least: vec![0.0; symbolic.order.len()],
            buffer: factor_buffer(widest),
            log_determinant: f64::NAN,
            symbolic,
        }
    }

    /// The analysed pattern.
    pub fn symbolic(&self) -> &Arc<SymbolicFactor> {
        &self.symbolic
    }

    /// Factors the matrix with `values` in pattern order. Cost `Σ c_j²`, nothing allocated.
    ///
    /// # Errors
    /// [`GmrfError::NotPositiveDefinite`] names the node at which the matrix is singular or indefinite on the constrained
    /// space, [`GmrfError::RedundantConstraint`] the constraint; [`GmrfError::NotFinite`] a bad value.
    pub fn refactor(&mut self, values: &[f64]) -> Result<(), GmrfError> {
        let symbolic = self.symbolic.clone();
        expect_length("precision values", symbolic.pattern.nnz(), values.len())?;
        self.log_determinant = f64::NAN;
        self.values.fill(0.0);
        for (&slot, &value) in symbolic.slots.iter().zip(values) {
            self.values[slot] = value;
        }
        let mut slots = symbolic.constraint_slots.iter();
        for k in 0..symbolic.constraints.len() {
            for (&value, &slot) in symbolic.constraints.row(k).1.iter().zip(&mut slots) {
                self.values[slot] = value;
            }
        }
        self.fill_least(values)?;
        for constraint in &symbolic.trailing {
            let curvature = constraint.diagonal.iter().fold(1.0_f64, |a, &entry| a.max(values[entry].abs()));
            for &(slot, product) in &constraint.products {
                self.values[slot] += curvature * product;
            }
        }
        let mut top = 0;
        for (s, node) in symbolic.supernodes.iter().enumerate() {
            top = self.eliminate(&symbolic, s, node, top)?;
        }
        let mut log_determinant = -symbolic.log_det_constraints;
        for node in &symbolic.supernodes {
            for k in 0..node.width {
                log_determinant += 2.0 * self.values[node.values_start + k * (node.height() + 1)].ln();
            }
        }
        if !log_determinant.is_finite() {
            return Err(GmrfError::NotFinite { what: "log-determinant", index: 0, value: log_determinant });
        }
        self.log_determinant = log_determinant;
        Ok(())
    }

    fn fill_least(&mut self, values: &[f64]) -> Result<(), GmrfError> {
        let symbolic = &self.symbolic;
        let pattern = &symbolic.pattern;
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let column = (0..pattern.order()).rfind(|&j| pattern.column_start(j) <= index).unwrap_or(0);
            return Err(GmrfError::NotFinite { what: "precision", index: column, value: values[index] });
        }
        for j in 0..pattern.order() {
            self.least[symbolic.position[j]] = SINGULAR_PIVOT * values[pattern.column_start(j)].abs();
        }
        Ok(())
    }

    /// Assembles the front of supernode `s` from its children on the stack, factors it, leaves its update there.
    fn eliminate(
        &mut self,
        symbolic: &SymbolicFactor,
        s: usize,
        node: &Supernode,
        top: usize,
    ) -> Result<usize, GmrfError> {
        let (height, width, below) = (node.height(), node.width, node.below);
        let panel = &mut self.values[node.values_start..node.values_start + height * width];
        let (children, rest) = self.stack.split_at_mut(top);
        let update = &mut rest[..below * below];
        let mut base = top;
        let is_leaf = symbolic.children[s].is_empty();
        if !is_leaf {
            update.fill(0.0);
        }
        // the updates of the children lie on the stack in their order, the last on top
        for &child in symbolic.children[s].iter().rev() {
            let child = &symbolic.supernodes[child];
            base -= child.below * child.below;
            let block = &children[base..base + child.below * child.below];
            extend_add(block, symbolic.relative_rows(child), panel, (height, width), update);
        }
        let sign = if node.multiplier { -1.0 } else { 1.0 };
        if node.multiplier {
            let scale = panel[0].abs();
            for value in panel.iter_mut() {
                *value = -*value;
            }
            self.least[node.first] = SINGULAR_PIVOT * scale.max(f64::MIN_POSITIVE);
        }
        let least = &self.least[node.first..node.first + width];
        factor_panel(panel, (height, width), least, &mut self.buffer)
            .map_err(|column| not_positive_definite(symbolic, node.first + column))?;
        schur_update(panel, (height, width), sign, update, is_leaf);
        self.stack.copy_within(top..top + below * below, base);
        Ok(base + below * below)
    }

    /// `log |VᵀQV|` over an orthonormal basis `V` of the constrained space; NaN before the first factorisation.
    pub fn log_determinant(&self) -> f64 {
        self.log_determinant
    }
}

fn not_positive_definite(symbolic: &SymbolicFactor, position: usize) -> GmrfError {
    let (node, order) = (symbolic.order[position], symbolic.order());
    if node < order {
        GmrfError::NotPositiveDefinite { node, order }
    } else {
        GmrfError::RedundantConstraint { row: node - order }
    }
}

/// Adds a child's update (lower triangle) to the parent's panel and update through the relative rows.
fn extend_add(
    block: &[f64],
    relative: &[usize],
    panel: &mut [f64],
    (height, width): (usize, usize),
    update: &mut [f64],
) {
    let below = height - width;
    for (j, column) in block.chunks_exact(relative.len()).enumerate() {
        let target_column = relative[j];
        if target_column < width {
            let target = &mut panel[target_column * height..(target_column + 1) * height];
            for (&row, &value) in relative[j..].iter().zip(&column[j..]) {
                target[row] += value;
            }
        } else {
            let target = &mut update[(target_column - width) * below..][..below];
            for (&row, &value) in relative[j..].iter().zip(&column[j..]) {
                target[row - width] += value;
            }
        }
    }
}
