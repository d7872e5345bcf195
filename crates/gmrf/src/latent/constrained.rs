//! An effect under further linear constraints.

use std::sync::Arc;

use super::kernel::kernel_basis;
use super::{LatentModel, Part};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::{Hyperparameter, HyperparameterBlock};
use crate::pattern::SparsityPattern;

/// `inner` under its own constraints and `extra` ones; its log-determinant is the numeric one.
#[derive(Debug, Clone)]
pub struct Constrained {
    inner: Arc<dyn LatentModel>,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

impl Constrained {
    /// Adds `extra`, rows on the nodes of `inner`. Of the inner null space those directions stay free that the extra
    /// constraints do not see.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`]; [`GmrfError::RedundantConstraint`] by the row of all constraints, inner ones first.
    pub fn new(inner: Arc<dyn LatentModel>, extra: &LinearConstraints) -> Result<Self, GmrfError> {
        expect_length("extra constraints", inner.pattern().order(), extra.order())?;
        let mut constraints = inner.constraints().clone();
        constraints.append_block(extra, 0)?;
        // dependent rows show in the analysis of a pattern whatever its values
        crate::cholesky::SymbolicFactor::analyze(inner.pattern(), &constraints)?;
        let null_space = unseen(inner.null_space(), extra)?;
        Ok(Self { inner, constraints, null_space })
    }
}

/// A basis of the combinations `Nᵀa` of the rows of `N` with `C Nᵀ a = 0`.
fn unseen(null_space: &LinearConstraints, extra: &LinearConstraints) -> Result<LinearConstraints, GmrfError> {
    let (n, r) = (null_space.order(), null_space.len());
    let homogeneous = extra.homogeneous();
    let mut seen = vec![Vec::new(); extra.len()];
    let mut v = vec![0.0; n];
    for direction in 0..r {
        let (columns, values) = null_space.row(direction);
        columns.iter().zip(values).for_each(|(&i, &c)| v[i] += c);
        for (k, value) in homogeneous.residuals(&v)?.into_iter().enumerate() {
            let (nodes, coefficients) = extra.row(k);
            let size: f64 = nodes.iter().zip(coefficients).map(|(&i, c)| (c * v[i]).abs()).sum();
            if value.abs() > SEEN * size {
                seen[k].push((direction, value));
            }
        }
        columns.iter().for_each(|&i| v[i] = 0.0);
    }
    let mut on_directions = LinearConstraints::none(r);
    for row in seen.iter().filter(|row| !row.is_empty()) {
        on_directions.push(row, 0.0)?;
    }
    let mut free = LinearConstraints::none(n);
    for combination in kernel_basis(&on_directions)? {
        let mut row = std::collections::BTreeMap::new();
        for (direction, a) in combination {
            let (columns, values) = null_space.row(direction);
            columns.iter().zip(values).for_each(|(&i, c)| *row.entry(i).or_insert(0.0) += a * c);
        }
        free.push(&row.into_iter().collect::<Vec<_>>(), 0.0)?;
    }
    Ok(free)
}

/// Largest share of the sum of absolute terms at which a sum is zero but for rounding.
const SEEN: f64 = 1e-12;

impl LatentModel for Constrained {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        self.inner.hyperparameters()
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.inner.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        self.inner.fill_precision(theta, values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        self.inner.fill_precision_derivative(theta, j, values)
    }

    fn fill_mean(&self, theta: &[f64], mean: &mut [f64]) -> bool {
        self.inner.fill_mean(theta, mean)
    }

    fn fill_mean_derivative(&self, theta: &[f64], j: usize, mean: &mut [f64]) -> bool {
        self.inner.fill_mean_derivative(theta, j, mean)
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
        self.inner.parts()
    }
}
