//! `y ~ N(η, 1/(s τ))`, `θ = log τ`.
//!
//! `ℓ = ½(log s + θ − log 2π) − ½ s τ (y − η)²`, `ℓ′ = s τ (y − η)`, `ℓ″ = −s τ`.

use std::f64::consts::{PI, SQRT_2};
use std::ops::Range;

use gmrf::HyperparameterBlock;

use super::{Derivatives, GaussianIntegrals, Likelihood, Order, data};
use crate::error::LaplaceError;
use crate::link::Link;

/// Normal observations with a common log precision and known scales.
#[derive(Debug)]
pub struct Gaussian {
    y: Vec<f64>,
    scale: Vec<f64>,
    /// `½(log s − log 2π)`.
    constant: Vec<f64>,
    blocks: Vec<HyperparameterBlock>,
}

impl Gaussian {
    /// From responses (NaN is missing), scales `s > 0` (`None`: 1) and the block of `log τ`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn new(y: &[f64], scale: Option<&[f64]>, precision: HyperparameterBlock) -> Result<Self, LaplaceError> {
        let y = data::responses("gaussian", y, |_| Ok(()))?;
        let ones = vec![1.0; y.len()];
        let scale = data::positive("gaussian", "scale", &y, scale.unwrap_or(&ones))?;
        let constant = scale.iter().map(|s| 0.5 * (s / (2.0 * PI)).ln()).collect();
        Ok(Self { y, scale, constant, blocks: vec![precision] })
    }

    /// The variance of `y − mean` where `η ~ N(mean, variance)`.
    fn predictive_variance(&self, theta: &[f64], row: usize, variance: f64) -> f64 {
        variance + (-theta[0]).exp() / self.scale[row]
    }
}

impl Likelihood for Gaussian {
    fn family(&self) -> &'static str {
        "gaussian"
    }

    fn len(&self) -> usize {
        self.y.len()
    }

    fn link(&self) -> Link {
        Link::Identity
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.blocks
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.y[row].is_nan()
    }

    fn is_gaussian(&self) -> bool {
        true
    }

    fn evaluate(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        let (log_tau, tau) = (theta[0], theta[0].exp());
        if !tau.is_finite() {
            return Err(LaplaceError::NotFinite {
                what: "the precision of the likelihood".into(),
                theta: theta.to_vec(),
            });
        }
        for (k, i) in rows.enumerate() {
            let (y, s) = (self.y[i], self.scale[i]);
            let observed = if y.is_nan() { 0.0 } else { 1.0 };
            let residual = if y.is_nan() { 0.0 } else { y - eta[k] };
            let quadratic = 0.5 * s * tau * residual * residual;
            out.value[k] = observed * (self.constant[i] + 0.5 * log_tau - quadratic);
            if order >= Order::Second {
                out.first[k] = s * tau * residual;
                out.second[k] = -observed * s * tau;
            }
            if order >= Order::Fourth {
                (out.third[k], out.fourth[k]) = (0.0, 0.0);
                let slopes = &mut out.theta[0];
                slopes.value[k] = observed * 0.5 - quadratic;
                (slopes.first[k], slopes.second[k]) = (out.first[k], out.second[k]);
            }
        }
        Ok(())
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let z = (self.scale[row] * theta[0].exp()).sqrt() * (self.y[row] - eta);
        self.is_observed(row).then(|| 0.5 * libm::erfc(-z / SQRT_2))
    }

    fn over_gaussian(&self, theta: &[f64], row: usize, mean: f64, variance: f64) -> Option<GaussianIntegrals> {
        if !self.is_observed(row) {
            return None;
        }
        let (tau, residual) = (self.scale[row] * theta[0].exp(), self.y[row] - mean);
        let predictive = self.predictive_variance(theta, row, variance);
        let square = residual * residual;
        let log_density = self.constant[row] + 0.5 * theta[0] - 0.5 * tau * (square + variance);
        // the variance of a squared normal variable
        let spread = 0.25 * tau * tau * variance * (2.0 * variance + 4.0 * square);
        Some(GaussianIntegrals {
            density: (-0.5 * square / predictive).exp() / (2.0 * PI * predictive).sqrt(),
            log_density,
            log_density_squared: log_density * log_density + spread,
        })
    }

    fn cumulative_over_gaussian(&self, theta: &[f64], row: usize, mean: f64, variance: f64) -> Option<f64> {
        let z = (self.y[row] - mean) / self.predictive_variance(theta, row, variance).sqrt();
        self.is_observed(row).then(|| 0.5 * libm::erfc(-z / SQRT_2))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.is_observed(row).then_some(self.y[row])
    }
}
