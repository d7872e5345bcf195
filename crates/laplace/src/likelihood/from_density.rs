//! Likelihoods from a log-density alone.

use std::fmt::Debug;
use std::ops::Range;

use gmrf::HyperparameterBlock;

use super::jet::{Jet, MOST_HYPERPARAMETERS, Real};
use super::{Derivatives, Likelihood, Order};
use crate::error::LaplaceError;
use crate::link::Link;

/// The log-density of a family, written once for numbers and for jets: every derivative that the engine needs follows from it.
pub trait LogDensity: Send + Sync + Debug {
    /// The name of the family.
    fn family(&self) -> &'static str;

    /// The number of observations, missing ones included.
    fn len(&self) -> usize;

    /// Whether there is no observation.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the response of `row` is present.
    fn is_observed(&self, row: usize) -> bool;

    /// `ℓ(η)` of an observed row, all normalising constants included; `theta` holds the hyperparameters on the internal scale.
    fn log_density<R: Real>(&self, row: usize, eta: R, theta: &[R]) -> R;

    /// `P(Y ≤ y_row | η, θ)`; `None` where it is not known, and there is then no probability integral transform.
    fn cumulative(&self, _theta: &[f64], _row: usize, _eta: f64) -> Option<f64> {
        None
    }

    /// Whether greater predictors go with greater responses; `None`: neither, as with a variance.
    fn response_grows(&self) -> Option<bool> {
        Some(true)
    }

    /// A starting value of `η` (`None`: zero).
    fn initial_predictor(&self, _row: usize) -> Option<f64> {
        None
    }
}

/// A likelihood whose derivatives come from its log-density by truncated Taylor series. Cost: some ten times the density's.
#[derive(Debug)]
pub struct FromDensity<D> {
    density: D,
    link: Link,
    blocks: Vec<HyperparameterBlock>,
}

impl<D: LogDensity> FromDensity<D> {
    /// From the density, its link and the blocks of its hyperparameters.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidLikelihood`] for more than three hyperparameters.
    pub fn new(density: D, link: Link, blocks: Vec<HyperparameterBlock>) -> Result<Self, LaplaceError> {
        let count = gmrf::latent::hyperparameter_count(&blocks);
        if count > MOST_HYPERPARAMETERS {
            let reason = format!("it has {count} hyperparameters; a log-density can have {MOST_HYPERPARAMETERS}");
            return Err(LaplaceError::InvalidLikelihood { family: density.family(), reason });
        }
        Ok(Self { density, link, blocks })
    }

    fn value(&self, row: usize, eta: f64, theta: &[f64]) -> f64 {
        let value = self.density.log_density(row, eta, theta);
        if value.is_finite() { value } else { f64::NEG_INFINITY }
    }

    fn jet(&self, row: usize, eta: f64, theta: &[Jet]) -> Jet {
        let jet = self.density.log_density(row, Jet::predictor(eta), theta);
        let finite = (0..theta.len()).all(|j| jet.slopes(j).iter().all(|s| s.is_finite()));
        if finite && jet.derivatives().iter().all(|d| d.is_finite()) { jet } else { Jet::constant(f64::NEG_INFINITY) }
    }
}

impl<D: LogDensity> Likelihood for FromDensity<D> {
    fn family(&self) -> &'static str {
        self.density.family()
    }

    fn len(&self) -> usize {
        self.density.len()
    }

    fn link(&self) -> Link {
        self.link
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.blocks
    }

    fn is_observed(&self, row: usize) -> bool {
        self.density.is_observed(row)
    }

    fn evaluate(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        let mut jets = [Jet::constant(0.0); MOST_HYPERPARAMETERS];
        for (j, (jet, theta)) in jets.iter_mut().zip(theta).enumerate() {
            *jet = Jet::hyperparameter(j, *theta);
        }
        let jets = &jets[..theta.len().min(MOST_HYPERPARAMETERS)];
        for (k, row) in rows.enumerate() {
            let observed = self.density.is_observed(row);
            if order == Order::Value {
                out.value[k] = if observed { self.value(row, eta[k], theta) } else { 0.0 };
                continue;
            }
            let jet = if observed { self.jet(row, eta[k], jets) } else { Jet::constant(0.0) };
            let mut derivatives = jet.derivatives();
            if observed && derivatives[0].is_finite() {
                // the same bits whatever the order asked for
                derivatives[0] = self.value(row, eta[k], theta);
            }
            super::store(&derivatives, k, order, out);
            if order >= Order::Fourth {
                for (j, slopes) in out.theta.iter_mut().enumerate() {
                    [slopes.value[k], slopes.first[k], slopes.second[k]] = jet.slopes(j);
                }
            }
        }
        Ok(())
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        if self.density.is_observed(row) { self.density.cumulative(theta, row, eta) } else { None }
    }

    fn response_grows(&self) -> Option<bool> {
        self.density.response_grows()
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        if self.density.is_observed(row) { self.density.initial_predictor(row) } else { None }
    }
}
