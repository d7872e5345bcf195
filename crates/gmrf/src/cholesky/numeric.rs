//! The values of the factor: refilled in place for every θ.

use std::fmt;
use std::sync::Arc;

use super::Parallelism;
use super::multifrontal::Multifrontal;
use super::symbolic::SymbolicFactor;
use crate::error::{GmrfError, expect_length};
use crate::sums::sum_of_logarithms;

/// A pivot that falls below this share of the diagonal entry it came from is rounding: the matrix is singular.
pub(super) const SINGULAR_PIVOT: f64 = 8.0 * f64::EPSILON;

/// A signed Cholesky factor, with the buffers to refactor it without allocation.
pub struct CholeskyFactor {
    pub(crate) symbolic: Arc<SymbolicFactor>,
    pub(crate) values: Vec<f64>,
    /// Updates on their way to their parents.
    arena: Vec<f64>,
    /// What the constraints add to the matrix beyond the precision.
    extra: Vec<f64>,
    /// The inverse of each pivot; while a factorisation runs, the least that is acceptable, then the pivot itself.
    pub(super) pivots: Vec<f64>,
    parallelism: Parallelism,
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
        Self {
            values: vec![0.0; symbolic.values_length],
            arena: vec![0.0; symbolic.branch.updates.end],
            pivots: vec![0.0; symbolic.order.len()],
            extra: symbolic.constraint_values.clone(),
            parallelism: Parallelism::default(),
            log_determinant: f64::NAN,
            symbolic,
        }
    }

    /// The analysed pattern.
    pub fn symbolic(&self) -> &Arc<SymbolicFactor> {
        &self.symbolic
    }

    /// Sets how many threads the next factorisation may use.
    pub fn set_parallelism(&mut self, parallelism: Parallelism) {
        self.parallelism = parallelism;
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
        self.fill_least(values)?;
        for constraint in &symbolic.trailing {
            let curvature = constraint.diagonal.iter().fold(1.0_f64, |a, &entry| a.max(values[entry].abs()));
            let room = &mut self.extra[constraint.start..][..constraint.products.len()];
            room.iter_mut().zip(&constraint.products).for_each(|(room, product)| *room = curvature * product);
        }
        let elimination =
            Multifrontal { symbolic: &symbolic, sources: (values, &self.extra), parallelism: self.threads() };
        self.threads()
            .enter(|| elimination.run(&mut self.values, &mut self.pivots, &mut self.arena))
            .map_err(|position| not_positive_definite(&symbolic, position))?;
        let log_determinant = 2.0 * sum_of_logarithms(&self.pivots) - symbolic.log_det_constraints;
        if !log_determinant.is_finite() {
            return Err(GmrfError::NotFinite { what: "log-determinant", index: 0, value: log_determinant });
        }
        self.pivots.iter_mut().for_each(|pivot| *pivot = 1.0 / *pivot);
        self.log_determinant = log_determinant;
        Ok(())
    }

    /// Small factors stay on the calling thread.
    fn threads(&self) -> Parallelism {
        self.parallelism.for_operations(self.symbolic.shared_operations)
    }

    fn fill_least(&mut self, values: &[f64]) -> Result<(), GmrfError> {
        let symbolic = &self.symbolic;
        let pattern = &symbolic.pattern;
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            let column = (0..pattern.order()).rfind(|&j| pattern.column_start(j) <= index).unwrap_or(0);
            return Err(GmrfError::NotFinite { what: "precision", index: column, value: values[index] });
        }
        for j in 0..pattern.order() {
            self.pivots[symbolic.position[j]] = SINGULAR_PIVOT * values[pattern.column_start(j)].abs();
        }
        Ok(())
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
