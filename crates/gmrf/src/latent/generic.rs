//! A given structure matrix: `x ~ N(0, (τC)⁻¹)`, `θ = log τ`.

use std::sync::Arc;

use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;
use crate::scaling::structure_constants;

/// What a given structure matrix annihilates.
#[derive(Debug, Clone, PartialEq)]
pub enum GenericNullSpace {
    /// Nothing: the matrix is positive definite.
    None,
    /// The constants.
    Constant,
    /// The span of these rows, linearly independent.
    Rows(LinearConstraints),
}

/// Precision `τC` with a given symmetric matrix `C`.
#[derive(Debug, Clone)]
pub struct Generic0 {
    hyperparameters: [HyperparameterBlock; 1],
    precision: StructuredPrecision,
    log_determinant: f64,
    rank: usize,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

impl Generic0 {
    /// `C` has `values` on `pattern`; its null space is constrained to zero if `constrained`, and left free otherwise.
    /// `precision` is `log τ`.
    ///
    /// # Errors
    /// [`GmrfError::NotPositiveDefinite`] if `C` is not on the complement of the null space,
    /// [`GmrfError::InvalidModel`] if it does not annihilate the null space; sizes and numbers as usual.
    pub fn new(
        pattern: &Arc<SparsityPattern>,
        values: &[f64],
        null_space: &GenericNullSpace,
        constrained: bool,
        precision: HyperparameterBlock,
    ) -> Result<Self, GmrfError> {
        expect_single("generic0", &precision)?;
        let n = pattern.order();
        let structure = StructuredPrecision::new(pattern.clone(), vec![values.to_vec()])?;
        let rows = match null_space {
            GenericNullSpace::None => LinearConstraints::none(n),
            GenericNullSpace::Constant => LinearConstraints::sums_to_zero(n, std::iter::once(0..n))?,
            GenericNullSpace::Rows(rows) => rows.homogeneous(),
        };
        let constants = structure_constants(pattern, values, &rows)?;
        let none = LinearConstraints::none(n);
        let (constraints, null_space) = if constrained { (rows, none) } else { (none, rows) };
        Ok(Self {
            hyperparameters: [precision],
            precision: structure,
            log_determinant: constants.log_determinant,
            rank: constants.rank,
            constraints,
            null_space,
        })
    }
}

impl LatentModel for Generic0 {
    fn name(&self) -> &'static str {
        "generic0"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, None)?;
        self.precision.fill("generic0", theta, &[theta[0].exp()], values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, Some(j))?;
        self.fill_precision(theta, values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 1, None)?;
        let rank = self.rank as f64;
        Ok(LogDeterminant { value: rank * theta[0] + self.log_determinant, gradient: vec![rank], rank: self.rank })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }
}
