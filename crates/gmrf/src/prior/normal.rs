//! Normal priors: of `θ` itself, and of a standard deviation.

use std::f64::consts::{PI, SQRT_2};

use super::{Prior, invalid, positive};
use crate::error::GmrfError;

/// `θ ~ N(mean, 1/precision)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normal {
    mean: f64,
    precision: f64,
}

impl Normal {
    /// From mean and precision.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] for a mean that is not finite or a precision that is not positive.
    pub fn new(mean: f64, precision: f64) -> Result<Self, GmrfError> {
        if !mean.is_finite() {
            return Err(invalid("normal", format!("the mean is {mean}; it must be finite")));
        }
        Ok(Self { mean, precision: positive("normal", "the precision", precision)? })
    }
}

impl Prior for Normal {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let deviation = theta[0] - self.mean;
        gradient[0] = -self.precision * deviation;
        0.5 * (self.precision / (2.0 * PI)).ln() - 0.5 * self.precision * deviation * deviation
    }

    fn description(&self) -> String {
        format!("normal({}, {})", self.mean, self.precision)
    }
}

/// `σ = exp(−θ/2)` is normal with given mean and precision, truncated to `σ > 0`: `logtnormal`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogTNormal {
    mean: f64,
    precision: f64,
    /// `log P(σ > 0)` of the untruncated normal.
    log_mass: f64,
}

impl LogTNormal {
    /// From mean and precision of the untruncated normal.
    ///
    /// # Errors
    /// As [`Normal::new`].
    pub fn new(mean: f64, precision: f64) -> Result<Self, GmrfError> {
        let checked = Normal::new(mean, precision)?;
        let log_mass = (0.5 * libm::erfc(-mean * precision.sqrt() / SQRT_2)).ln();
        if !log_mass.is_finite() {
            return Err(invalid("logtnormal", "the normal has no mass above zero; raise the mean"));
        }
        Ok(Self { mean: checked.mean, precision, log_mass })
    }
}

impl Prior for LogTNormal {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        // capped where its square would overflow
        let sd = (-0.5 * theta[0]).exp().min(1e150);
        let deviation = sd - self.mean;
        gradient[0] = 0.5 * sd * self.precision * deviation - 0.5;
        0.5 * (self.precision / (2.0 * PI)).ln()
            - 0.5 * self.precision * deviation * deviation
            - self.log_mass
            - 0.5 * theta[0]
            - std::f64::consts::LN_2
    }

    fn description(&self) -> String {
        format!("logtnormal({}, {})", self.mean, self.precision)
    }
}
