//! Likelihoods from a log-density alone.

use std::fmt::Debug;
use std::ops::Range;

use gmrf::HyperparameterBlock;

use super::jet::{MOST_HYPERPARAMETERS, Real, Taylor};
use super::{Derivatives, Likelihood, Order};
use crate::error::LaplaceError;
use crate::link::Link;

/// What may be computed once for all rows.
pub const MOST_COMMON: usize = 4;

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

    /// What [`log_density`](Self::log_density) is given: by default the hyperparameters on the internal scale, in their order, then zeros;
    /// a family may compute here, once for all rows, what depends on them alone.
    fn common<R: Real>(&self, theta: &[R]) -> [R; MOST_COMMON] {
        std::array::from_fn(|j| theta.get(j).copied().unwrap_or(R::constant(0.0)))
    }

    /// `ℓ(η)` of an observed row, all normalising constants included; `common` holds what [`common`](Self::common) makes of the
    /// hyperparameters.
    fn log_density<R: Real>(&self, row: usize, eta: R, common: &[R; MOST_COMMON]) -> R;

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

    fn value(&self, row: usize, eta: f64, common: &[f64; MOST_COMMON]) -> f64 {
        let value = self.density.log_density(row, eta, common);
        if value.is_finite() { value } else { f64::NEG_INFINITY }
    }

    /// The derivatives of all rows by series of `N` coefficients, with slopes in `P` hyperparameters.
    fn fill<const N: usize, const P: usize>(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        (eta, order): (&[f64], Order),
        out: &mut Derivatives,
    ) {
        let mut jets = [Taylor::<N, P>::constant(0.0); MOST_HYPERPARAMETERS];
        for (j, (jet, theta)) in jets.iter_mut().zip(theta).enumerate() {
            *jet = Taylor::hyperparameter(j, *theta);
        }
        let (plain, common) = (self.density.common(theta), self.density.common(&jets[..theta.len()]));
        for (k, row) in rows.enumerate() {
            let (mut jet, mut derivatives) = (Taylor::constant(0.0), [0.0; 5]);
            if self.density.is_observed(row) {
                jet = self.density.log_density(row, Taylor::predictor(eta[k]), &common);
                if !jet.is_finite() {
                    jet = Taylor::constant(f64::NEG_INFINITY);
                }
                derivatives = jet.derivatives();
                if derivatives[0].is_finite() {
                    // the same bits whatever the order asked for
                    derivatives[0] = self.value(row, eta[k], &plain);
                }
            }
            super::store(&derivatives, k, order, out);
            if order >= Order::Fourth {
                for (j, slopes) in out.theta.iter_mut().enumerate().take(P) {
                    [slopes.value[k], slopes.first[k], slopes.second[k]] = jet.slopes(j);
                }
            }
        }
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
        match (order, theta.len()) {
            (Order::Value, _) => {
                let common = self.density.common(theta);
                for (k, row) in rows.enumerate() {
                    let observed = self.density.is_observed(row);
                    out.value[k] = if observed { self.value(row, eta[k], &common) } else { 0.0 };
                }
            }
            (Order::Second, _) => self.fill::<3, 0>(theta, rows, (eta, order), out),
            (Order::Fourth, 0) => self.fill::<5, 0>(theta, rows, (eta, order), out),
            (Order::Fourth, 1) => self.fill::<5, 1>(theta, rows, (eta, order), out),
            (Order::Fourth, 2) => self.fill::<5, 2>(theta, rows, (eta, order), out),
            (Order::Fourth, _) => self.fill::<5, MOST_HYPERPARAMETERS>(theta, rows, (eta, order), out),
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
