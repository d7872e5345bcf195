//! The penalised-complexity prior of a precision (Simpson et al. 2017): `σ ~ Exponential(λ)`, `P(σ > u) = α`.
//!
//! On `θ = log τ`: `log π = log(λ/2) − λ e^{−θ/2} − θ/2`, `λ = −log(α)/u`.

use super::{Prior, positive, probability};
use crate::error::GmrfError;

/// `pc.prec(u, alpha)`.
#[derive(Debug, Clone, PartialEq)]
pub struct PcPrecision {
    u: f64,
    alpha: f64,
    rate: f64,
}

impl PcPrecision {
    /// From `u` and `alpha` with `P(σ > u) = alpha`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] unless `u > 0` and `0 < alpha < 1`.
    pub fn new(u: f64, alpha: f64) -> Result<Self, GmrfError> {
        let (u, alpha) = (positive("pc.prec", "u", u)?, probability("pc.prec", "alpha", alpha)?);
        Ok(Self { u, alpha, rate: -alpha.ln() / u })
    }
}

impl Prior for PcPrecision {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let distance = (self.rate * (-0.5 * theta[0]).exp()).min(f64::MAX);
        gradient[0] = 0.5 * distance - 0.5;
        (0.5 * self.rate).ln() - distance - 0.5 * theta[0]
    }

    fn description(&self) -> String {
        format!("pc.prec({}, {})", self.u, self.alpha)
    }
}
