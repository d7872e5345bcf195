//! `y ~ N(0, e^η)`: `ℓ = −½ log 2π − ½ η − ½ y² e^{−η}`.

use std::f64::consts::{PI, SQRT_2};

use super::data;
use super::from_density::{FromDensity, LogDensity, MOST_COMMON};
use super::jet::Real;
use crate::error::LaplaceError;
use crate::link::Link;

/// Returns whose log variance is the predictor.
#[derive(Debug)]
pub struct StochasticVolatility {
    y: Vec<f64>,
}

impl StochasticVolatility {
    /// From returns (NaN is missing).
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`].
    pub fn likelihood(y: &[f64]) -> Result<FromDensity<Self>, LaplaceError> {
        let y = data::responses("stochvol", y, |_| Ok(()))?;
        FromDensity::new(Self { y }, Link::Log, Vec::new())
    }
}

impl LogDensity for StochasticVolatility {
    fn family(&self) -> &'static str {
        "stochvol"
    }

    fn len(&self) -> usize {
        self.y.len()
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.y[row].is_nan()
    }

    fn log_density<R: Real>(&self, row: usize, eta: R, _common: &[R; MOST_COMMON]) -> R {
        let y = self.y[row];
        eta * -0.5 - (-eta).exp() * (0.5 * y * y) - 0.5 * (2.0 * PI).ln()
    }

    fn cumulative(&self, _theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        Some(0.5 * libm::erfc(-self.y[row] * (-0.5 * eta).exp() / SQRT_2))
    }

    fn response_grows(&self) -> Option<bool> {
        None
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        Some((self.y[row] * self.y[row]).max(1e-8).ln())
    }
}
