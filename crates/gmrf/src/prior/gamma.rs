//! `exp θ ~ Gamma(shape a, rate b)`: `log π(θ) = a log b − log Γ(a) + aθ − b e^θ`.

use super::{Prior, positive};
use crate::error::GmrfError;

/// `loggamma(a, b)`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogGamma {
    shape: f64,
    rate: f64,
    constant: f64,
}

impl LogGamma {
    /// From shape and rate.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] unless both are positive.
    pub fn new(shape: f64, rate: f64) -> Result<Self, GmrfError> {
        let (shape, rate) = (positive("loggamma", "the shape", shape)?, positive("loggamma", "the rate", rate)?);
        Ok(Self { shape, rate, constant: shape * rate.ln() - libm::lgamma(shape) })
    }
}

impl Prior for LogGamma {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let mean = (self.rate * theta[0].exp()).min(f64::MAX);
        gradient[0] = self.shape - mean;
        self.constant + self.shape * theta[0] - mean
    }

    fn description(&self) -> String {
        format!("loggamma({}, {})", self.shape, self.rate)
    }
}
