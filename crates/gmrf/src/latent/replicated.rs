//! Independent copies of an effect that share its hyperparameters.

use std::sync::Arc;

use super::{LatentModel, LogDeterminant, Part};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::{Hyperparameter, HyperparameterBlock};
use crate::pattern::SparsityPattern;

/// `count` independent copies of `inner`, one behind the other: `Q = I ⊗ Q_inner`.
#[derive(Debug, Clone)]
pub struct Replicated {
    inner: Arc<dyn LatentModel>,
    count: usize,
    pattern: Arc<SparsityPattern>,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

impl Replicated {
    /// The copies; constraints and null space are those of every copy.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for no copy.
    pub fn new(inner: Arc<dyn LatentModel>, count: usize) -> Result<Self, GmrfError> {
        if count == 0 {
            return Err(GmrfError::InvalidModel { model: "replicated", reason: "at least one copy is needed".into() });
        }
        let pattern = SparsityPattern::block_diagonal(std::iter::repeat_n(&**inner.pattern(), count));
        Ok(Self {
            count,
            pattern: Arc::new(pattern),
            constraints: repeated(inner.constraints(), count)?,
            null_space: repeated(inner.null_space(), count)?,
            inner,
        })
    }

    /// Copies the values of the first copy to the others.
    fn spread(values: &mut [f64], length: usize) {
        let (first, rest) = values.split_at_mut(length);
        for copy in rest.chunks_exact_mut(length.max(1)) {
            copy.copy_from_slice(first);
        }
    }

    fn spread_mean(&self, mean: &mut [f64], fill: impl FnOnce(&mut [f64]) -> bool) -> bool {
        let n = self.inner.pattern().order();
        let filled = fill(&mut mean[..n]);
        if filled {
            Self::spread(mean, n);
        }
        filled
    }
}

/// The rows on every one of `count` copies.
pub(super) fn repeated(rows: &LinearConstraints, count: usize) -> Result<LinearConstraints, GmrfError> {
    let mut all = LinearConstraints::none(rows.order() * count);
    for copy in 0..count {
        all.append_block(rows, copy * rows.order())?;
    }
    Ok(all)
}

/// The parts of every one of `count` copies of `n` nodes, in order.
pub(super) fn repeated_parts(parts: &[Part], n: usize, count: usize) -> Vec<Part> {
    let copy = |c: usize| {
        let moved =
            move |part: &Part| Part { suffix: part.suffix, nodes: part.nodes.start + c * n..part.nodes.end + c * n };
        parts.iter().map(moved)
    };
    (0..count).flat_map(copy).collect()
}

impl LatentModel for Replicated {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        self.inner.hyperparameters()
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_length("precision values", self.pattern.nnz(), values.len())?;
        let length = self.inner.pattern().nnz();
        self.inner.fill_precision(theta, &mut values[..length])?;
        Self::spread(values, length);
        Ok(())
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_length("precision values", self.pattern.nnz(), values.len())?;
        let length = self.inner.pattern().nnz();
        self.inner.fill_precision_derivative(theta, j, &mut values[..length])?;
        Self::spread(values, length);
        Ok(())
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        let mut one = self.inner.log_determinant(theta)?;
        let count = self.count as f64;
        one.gradient.iter_mut().for_each(|g| *g *= count);
        Ok(LogDeterminant { value: one.value * count, gradient: one.gradient, rank: one.rank * self.count })
    }

    fn fill_mean(&self, theta: &[f64], mean: &mut [f64]) -> bool {
        self.spread_mean(mean, |first| self.inner.fill_mean(theta, first))
    }

    fn fill_mean_derivative(&self, theta: &[f64], j: usize, mean: &mut [f64]) -> bool {
        self.spread_mean(mean, |first| self.inner.fill_mean_derivative(theta, j, first))
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }

    fn derived(&self) -> &[Hyperparameter] {
        self.inner.derived()
    }

    fn fill_derived(&self, theta: &[f64], values: &mut [f64]) {
        self.inner.fill_derived(theta, values);
    }

    fn parts(&self) -> Vec<Part> {
        repeated_parts(&self.inner.parts(), self.inner.pattern().order(), self.count)
    }
}
