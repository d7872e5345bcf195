//! A family whose log-densities are multiplied by known weights.

use std::ops::Range;
use std::sync::Arc;

use gmrf::HyperparameterBlock;

use super::{Derivatives, Likelihood, Order};
use crate::error::LaplaceError;
use crate::link::Link;

/// `w_i ℓ_i`: the weight counts an observation `w` times, zero leaves it out.
#[derive(Debug)]
pub struct Weighted {
    inner: Arc<dyn Likelihood>,
    weights: Vec<f64>,
}

impl Weighted {
    /// Weights of every row, not negative.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`], [`LaplaceError::InvalidObservation`] for a negative or infinite weight.
    pub fn new(inner: Arc<dyn Likelihood>, weights: &[f64]) -> Result<Self, LaplaceError> {
        crate::model::expect_length("weights", inner.len(), weights.len())?;
        if let Some(row) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
            let reason = format!("the weight is {}; weights are finite and not negative", weights[row]);
            return Err(LaplaceError::InvalidObservation { family: inner.family(), row, reason });
        }
        Ok(Self { inner, weights: weights.to_vec() })
    }
}

impl Likelihood for Weighted {
    fn family(&self) -> &'static str {
        self.inner.family()
    }

    fn len(&self) -> usize {
        self.inner.len()
    }

    fn link(&self) -> Link {
        self.inner.link()
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        self.inner.hyperparameters()
    }

    fn is_observed(&self, row: usize) -> bool {
        self.inner.is_observed(row) && self.weights[row] > 0.0
    }

    fn is_gaussian(&self) -> bool {
        self.inner.is_gaussian()
    }

    fn evaluate(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        let weights = &self.weights[rows.clone()];
        self.inner.evaluate(theta, rows, eta, order, out)?;
        let scale = |values: &mut [f64]| {
            for (value, w) in values.iter_mut().zip(weights) {
                *value = if *w == 0.0 { 0.0 } else { *value * w };
            }
        };
        scale(&mut out.value);
        if order >= Order::Second {
            [&mut out.first, &mut out.second].into_iter().for_each(|v| scale(v));
        }
        if order >= Order::Fourth {
            [&mut out.third, &mut out.fourth].into_iter().for_each(|v| scale(v));
            for slopes in &mut out.theta {
                [&mut slopes.value, &mut slopes.first, &mut slopes.second].into_iter().for_each(|v| scale(v));
            }
        }
        Ok(())
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        self.inner.cumulative(theta, row, eta)
    }

    fn response_grows(&self) -> Option<bool> {
        self.inner.response_grows()
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.inner.initial_predictor(row)
    }
}
