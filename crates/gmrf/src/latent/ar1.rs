//! The stationary autoregression `xₜ = ρ xₜ₋₁ + eₜ` with marginal precision `κ`.
//!
//! `Q = κ/(1−ρ²) · tridiag` with corners 1, interior `1+ρ²`, off the diagonal `−ρ`. With `ψ = log((1+ρ)/(1−ρ))`, so that
//! `ρ = tanh(ψ/2)`, these are `κ(1+cosh ψ)/2`, `κ cosh ψ` and `−κ sinh(ψ)/2`: nothing cancels as `ρ → ±1`.

use std::f64::consts::LN_2;
use std::sync::Arc;

use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;

/// An autoregression of order one, `θ = (log κ, log((1+ρ)/(1−ρ)))`, `κ` the marginal precision.
#[derive(Debug, Clone)]
pub struct Ar1 {
    hyperparameters: [HyperparameterBlock; 2],
    precision: StructuredPrecision,
    none: LinearConstraints,
}

impl Ar1 {
    /// `n` time points; blocks of `log κ` and of `log((1+ρ)/(1−ρ))`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for `n = 0` or a block that has not one hyperparameter.
    pub fn new(n: usize, precision: HyperparameterBlock, correlation: HyperparameterBlock) -> Result<Self, GmrfError> {
        expect_single("ar1", &precision)?;
        expect_single("ar1", &correlation)?;
        Ok(Self {
            hyperparameters: [precision, correlation],
            precision: ar1_structures(n)?,
            none: LinearConstraints::none(n),
        })
    }
}

/// The structure matrices of `1`, `cosh ψ` and `sinh ψ` in the precision of unit marginal variances.
pub(super) fn ar1_structures(n: usize) -> Result<StructuredPrecision, GmrfError> {
    if n == 0 {
        return Err(GmrfError::InvalidModel { model: "ar1", reason: "no node, at least 1 is needed".into() });
    }
    if n == 1 {
        return StructuredPrecision::from_entries(1, &[vec![(0, 0, 1.0)], Vec::new(), Vec::new()]);
    }
    let constant = vec![(0, 0, 0.5), (n - 1, n - 1, 0.5)];
    let even = (0..n).map(|i| (i, i, if i == 0 || i == n - 1 { 0.5 } else { 1.0 })).collect();
    let odd = (1..n).map(|i| (i, i - 1, -0.5)).collect();
    StructuredPrecision::from_entries(n, &[constant, even, odd])
}

/// `log |Q|` of unit marginal variances, `−(n−1) log(1−ρ²)`, and its derivative in `ψ`.
pub(super) fn ar1_log_determinant(n: usize, psi: f64) -> (f64, f64) {
    let steps = n as f64 - 1.0;
    let minus_log = psi.abs() + 2.0 * (-psi.abs()).exp().ln_1p() - 2.0 * LN_2;
    (steps * minus_log, steps * (0.5 * psi).tanh())
}

impl LatentModel for Ar1 {
    fn name(&self) -> &'static str {
        "ar1"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, None)?;
        let (kappa, psi) = (theta[0].exp(), theta[1]);
        self.precision.fill("ar1", theta, &[kappa, kappa * psi.cosh(), kappa * psi.sinh()], values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, Some(j))?;
        if j == 0 {
            return self.fill_precision(theta, values);
        }
        let (kappa, psi) = (theta[0].exp(), theta[1]);
        self.precision.fill("ar1", theta, &[0.0, kappa * psi.sinh(), kappa * psi.cosh()], values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 2, None)?;
        let n = self.none.order();
        let (value, slope) = ar1_log_determinant(n, theta[1]);
        Ok(LogDeterminant { value: n as f64 * theta[0] + value, gradient: vec![n as f64, slope], rank: n })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.none
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.none
    }
}
