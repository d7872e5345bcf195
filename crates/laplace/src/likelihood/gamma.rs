//! `y ~ Gamma(shape sφ, mean e^η)`, variance `μ²/(sφ)`, `θ = log φ`.
//!
//! With `a = sφ`: `ℓ = a(log a − η + log y − y e^{−η}) − log y − log Γ(a)`.

use super::incomplete::incomplete_gamma;
use gmrf::HyperparameterBlock;

use super::data;
use super::from_density::{FromDensity, LogDensity};
use super::jet::Real;
use crate::error::LaplaceError;
use crate::link::Link;

/// Positive responses with a constant coefficient of variation.
#[derive(Debug)]
pub struct Gamma {
    y: Vec<f64>,
    scale: Vec<f64>,
}

impl Gamma {
    /// From positive responses (NaN is missing), scales `s > 0` (`None`: 1) and the block of `log φ`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn likelihood(
        y: &[f64],
        scale: Option<&[f64]>,
        precision: HyperparameterBlock,
    ) -> Result<FromDensity<Self>, LaplaceError> {
        let y = data::responses("gamma", y, data::positive_response)?;
        let ones = vec![1.0; y.len()];
        let scale = data::positive("gamma", "scale", &y, scale.unwrap_or(&ones))?;
        FromDensity::new(Self { y, scale }, Link::Log, vec![precision])
    }
}

impl LogDensity for Gamma {
    fn family(&self) -> &'static str {
        "gamma"
    }

    fn len(&self) -> usize {
        self.y.len()
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.y[row].is_nan()
    }

    fn log_density<R: Real>(&self, row: usize, eta: R, theta: &[R]) -> R {
        let (y, log_shape) = (self.y[row], theta[0] + self.scale[row].ln());
        let shape = log_shape.exp();
        shape * (log_shape - eta + y.ln() - (-eta).exp() * y) - shape.ln_gamma() - y.ln()
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let shape = self.scale[row] * theta[0].exp();
        let x = shape * self.y[row] * (-eta).exp();
        Some(incomplete_gamma(x, shape))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        Some(self.y[row].ln())
    }
}
