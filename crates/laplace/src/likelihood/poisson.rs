//! `y ~ Poisson(E μ)`, `log μ = η` or `μ = η`.
//!
//! Log link: `ℓ = y(η + log E) − E e^η − log y!`, `ℓ′ = y − E e^η`, `ℓ″ = ℓ‴ = ℓ⁗ = −E e^η`.
//! Identity link: `ℓ = y log(E η) − E η − log y!` for `η > 0`.

use std::ops::Range;

use super::incomplete::incomplete_gamma;
use gmrf::HyperparameterBlock;

use super::{Derivatives, Likelihood, Order, data};
use crate::error::LaplaceError;
use crate::link::Link;

/// Poisson counts with exposures.
#[derive(Debug)]
pub struct Poisson {
    counts: Vec<f64>,
    exposure: Vec<f64>,
    /// `y log E − log y!`.
    constant: Vec<f64>,
    link: Link,
}

impl Poisson {
    /// The links it allows.
    pub const LINKS: [Link; 2] = [Link::Log, Link::Identity];

    /// From counts (NaN is missing), exposures `E > 0` (`None`: 1) and the link, `log` or `identity`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::InvalidLikelihood`] for another link.
    pub fn new(counts: &[f64], exposure: Option<&[f64]>, link: Link) -> Result<Self, LaplaceError> {
        let link = Link::from_name("poisson", link.name(), &Self::LINKS)?;
        let counts = data::responses("poisson", counts, data::count)?;
        let ones = vec![1.0; counts.len()];
        let exposure = data::positive("poisson", "exposure", &counts, exposure.unwrap_or(&ones))?;
        let constant = |(y, e): (&f64, &f64)| if y.is_nan() { 0.0 } else { y * e.ln() - libm::lgamma(y + 1.0) };
        let constant = counts.iter().zip(&exposure).map(constant).collect();
        Ok(Self { counts, exposure, constant, link })
    }

    fn identity_link(&self, i: usize, eta: f64) -> [f64; 5] {
        let (y, e) = (self.counts[i], self.exposure[i]);
        if eta <= 0.0 {
            let value = if eta == 0.0 && y == 0.0 { 0.0 } else { f64::NEG_INFINITY };
            return [value, 0.0, 0.0, 0.0, 0.0];
        }
        let r = 1.0 / eta;
        let value = if y == 0.0 { 0.0 } else { y * eta.ln() };
        [value - e * eta + self.constant[i], y * r - e, -y * r * r, 2.0 * y * r.powi(3), -6.0 * y * r.powi(4)]
    }
}

impl Likelihood for Poisson {
    fn family(&self) -> &'static str {
        "poisson"
    }

    fn len(&self) -> usize {
        self.counts.len()
    }

    fn link(&self) -> Link {
        self.link
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &[]
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.counts[row].is_nan()
    }

    fn evaluate(
        &self,
        _theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        for (k, i) in rows.enumerate() {
            let y = self.counts[i];
            let d = if y.is_nan() {
                [0.0; 5]
            } else if self.link == Link::Identity {
                self.identity_link(i, eta[k])
            } else {
                let mean = self.exposure[i] * eta[k].exp();
                if mean.is_finite() {
                    [y * eta[k] - mean + self.constant[i], y - mean, -mean, -mean, -mean]
                } else {
                    [f64::NEG_INFINITY, 0.0, 0.0, 0.0, 0.0]
                }
            };
            super::store(&d, k, order, out);
        }
        Ok(())
    }

    fn cumulative(&self, _theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let mean = self.exposure[row] * self.link.inverse(eta);
        let y = self.counts[row];
        if y.is_nan() {
            return None;
        }
        // P(Y ≤ y) = Q(y + 1, mean)
        Some(1.0 - incomplete_gamma(mean, y + 1.0))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.is_observed(row).then(|| self.link.apply((self.counts[row] + 0.5) / self.exposure[row]))
    }
}
