//! Independent effects: `x ~ N(0, (τ diag(s))⁻¹)`, `θ = log τ`.

use std::sync::Arc;

use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;

/// Independent Gaussian effects with common precision `τ` and fixed scales `s`.
#[derive(Debug, Clone)]
pub struct Iid {
    hyperparameters: [HyperparameterBlock; 1],
    precision: StructuredPrecision,
    log_scale: f64,
    none: LinearConstraints,
}

impl Iid {
    /// `n` effects. `scale` holds `s` (length `n`, positive), all one if `None`; `precision` is `log τ`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`], [`GmrfError::InvalidModel`] for a scale that is not positive or not finite.
    pub fn new(n: usize, scale: Option<&[f64]>, precision: HyperparameterBlock) -> Result<Self, GmrfError> {
        expect_single("iid", &precision)?;
        let scale = scale.map_or_else(|| vec![1.0; n], <[f64]>::to_vec);
        expect_length("scale", n, scale.len())?;
        if let Some(node) = scale.iter().position(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(GmrfError::InvalidModel {
                model: "iid",
                reason: format!("the scale of node {node} is {}; scales must be positive and finite", scale[node]),
            });
        }
        let log_scale = scale.iter().map(|s| s.ln()).sum();
        let pattern = Arc::new(SparsityPattern::diagonal(n));
        Ok(Self {
            hyperparameters: [precision],
            precision: StructuredPrecision::new(pattern, vec![scale])?,
            log_scale,
            none: LinearConstraints::none(n),
        })
    }
}

impl LatentModel for Iid {
    fn name(&self) -> &'static str {
        "iid"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, None)?;
        self.precision.fill("iid", theta, &[theta[0].exp()], values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, Some(j))?;
        self.fill_precision(theta, values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 1, None)?;
        let rank = self.none.order();
        Ok(LogDeterminant { value: rank as f64 * theta[0] + self.log_scale, gradient: vec![rank as f64], rank })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.none
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.none
    }
}
