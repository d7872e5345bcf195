//! `y ~ N(η, 1/(s τ))`, `θ = log τ`.
//!
//! `ℓ = ½(log s + θ − log 2π) − ½ s τ (y − η)²`, `ℓ′ = s τ (y − η)`, `ℓ″ = −s τ`.

use std::f64::consts::{PI, SQRT_2};
use std::ops::Range;

use gmrf::HyperparameterBlock;

use super::{Derivatives, Likelihood, Order, data};
use crate::error::LaplaceError;
use crate::link::Link;

/// Normal observations with a common log precision and known scales.
#[derive(Debug)]
pub struct Gaussian {
    y: Vec<f64>,
    scale: Vec<f64>,
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
        Ok(Self { y, scale, blocks: vec![precision] })
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
            out.value[k] = observed * (0.5 * (s.ln() + log_tau - (2.0 * PI).ln()) - quadratic);
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

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.is_observed(row).then_some(self.y[row])
    }
}
