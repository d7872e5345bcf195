//! `√(sτ)(y − η)` follows a t distribution of `ν > 2` degrees of freedom scaled to unit variance; `θ = (log τ, log(ν − 2))`.
//!
//! Not log-concave: `ℓ″ > 0` where the residual passes `√((ν − 2)/(sτ))`.

use std::f64::consts::PI;

use gmrf::HyperparameterBlock;

use super::data;
use super::from_density::{FromDensity, LogDensity, MOST_COMMON};
use super::incomplete::incomplete_beta;
use super::jet::Real;
use crate::error::LaplaceError;
use crate::link::Link;

/// Normal observations but for outliers.
#[derive(Debug)]
pub struct StudentT {
    y: Vec<f64>,
    scale: Vec<f64>,
}

impl StudentT {
    /// From responses (NaN is missing), scales `s > 0` (`None`: 1), and the blocks of `log τ` and of `log(ν − 2)`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn likelihood(
        y: &[f64],
        scale: Option<&[f64]>,
        precision: HyperparameterBlock,
        freedom: HyperparameterBlock,
    ) -> Result<FromDensity<Self>, LaplaceError> {
        let y = data::responses("t", y, |_| Ok(()))?;
        let ones = vec![1.0; y.len()];
        let scale = data::positive("t", "scale", &y, scale.unwrap_or(&ones))?;
        FromDensity::new(Self { y, scale }, Link::Identity, vec![precision, freedom])
    }
}

impl LogDensity for StudentT {
    fn family(&self) -> &'static str {
        "t"
    }

    fn len(&self) -> usize {
        self.y.len()
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.y[row].is_nan()
    }

    /// `τ/(ν − 2)`, `(ν + 1)/2`, and the normalising constant without the scale.
    fn common<R: Real>(&self, theta: &[R]) -> [R; MOST_COMMON] {
        let excess = theta[1].exp();
        let (half, log_ratio) = ((excess + 3.0) * 0.5, theta[0] - theta[1]);
        let constant = half.ln_gamma() - (excess * 0.5 + 1.0).ln_gamma() + (log_ratio - PI.ln()) * 0.5;
        [log_ratio.exp(), half, constant, R::constant(0.0)]
    }

    fn log_density<R: Real>(&self, row: usize, eta: R, &[ratio, half, constant, _]: &[R; MOST_COMMON]) -> R {
        let scale = self.scale[row];
        let square = ratio * (-eta + self.y[row]).square() * scale;
        let constant = if scale == 1.0 { constant } else { constant + 0.5 * scale.ln() };
        constant - half * square.ln_1p()
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let nu = 2.0 + theta[1].exp();
        let residual = self.y[row] - eta;
        // t² = ν z²/(ν − 2); P(T ≤ −|t|) = ½ I_x(ν/2, ½), x = ν/(ν + t²)
        let square = self.scale[row] * (theta[0] - theta[1]).exp() * residual * residual;
        let tail = 0.5 * incomplete_beta(1.0 / (1.0 + square), 0.5 * nu, 0.5);
        Some(if residual > 0.0 { 1.0 - tail } else { tail }.clamp(0.0, 1.0))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        Some(self.y[row])
    }
}
