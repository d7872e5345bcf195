//! `y ~ Poisson(E μ)`, `log μ = η` or `μ = η`.
//!
//! Log link: `ℓ = y(η + log E) − E e^η − log y!`, `ℓ′ = y − E e^η`, `ℓ″ = ℓ‴ = ℓ⁗ = −E e^η`.
//! Identity link: `ℓ = y log(E η) − E η − log y!` for `η > 0`.

use std::ops::Range;

use gmrf::HyperparameterBlock;
use gmrf::elementary::exp_in_place;

use super::incomplete::incomplete_gamma;
use super::{Derivatives, Likelihood, Order, PIECE, data};
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

/// Counts up to which probabilities are summed: cheaper than a series of the incomplete gamma function.
const FEW_COUNTS: f64 = 32.0;
/// Means whose exponentials do not underflow.
const GREATEST_SUMMED: f64 = 700.0;

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

    /// At most [`PIECE`] rows, into `out` from `at` on.
    fn log_link(&self, rows: Range<usize>, eta: &[f64], order: Order, (at, out): (usize, &mut Derivatives)) {
        let (count, places) = (rows.len(), at..at + rows.len());
        let (counts, exposure) = (&self.counts[rows.clone()], &self.exposure[rows.clone()]);
        let constant = &self.constant[rows];
        let mut means = [0.0; PIECE];
        let means = &mut means[..count];
        means.copy_from_slice(eta);
        exp_in_place(means);
        let value = &mut out.value[places.clone()];
        for k in 0..count {
            means[k] *= exposure[k];
            // a missing count is NaN
            let inside = counts[k] * eta[k] - means[k] + constant[k];
            let present = if means[k] < f64::INFINITY { inside } else { f64::NEG_INFINITY };
            value[k] = if counts[k] >= 0.0 { present } else { 0.0 };
        }
        if order == Order::Value {
            return;
        }
        // where there is no density there are no derivatives
        for k in 0..count {
            means[k] = if counts[k] >= 0.0 && means[k] < f64::INFINITY { means[k] } else { f64::NAN };
        }
        let (first, second) = (&mut out.first[places.clone()], &mut out.second[places.clone()]);
        for k in 0..count {
            let known = means[k] >= 0.0;
            first[k] = if known { counts[k] - means[k] } else { 0.0 };
            second[k] = if known { -means[k] } else { 0.0 };
        }
        if order >= Order::Fourth {
            out.third[places.clone()].copy_from_slice(second);
            out.fourth[places].copy_from_slice(second);
        }
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
        if self.link == Link::Identity {
            for (k, i) in rows.enumerate() {
                let d = if self.counts[i].is_nan() { [0.0; 5] } else { self.identity_link(i, eta[k]) };
                super::store(&d, k, order, out);
            }
            return Ok(());
        }
        for start in (0..rows.len()).step_by(PIECE) {
            let end = rows.len().min(start + PIECE);
            let rows = rows.start + start..rows.start + end;
            self.log_link(rows, &eta[start..end], order, (start, &mut *out));
        }
        Ok(())
    }

    fn cumulative(&self, _theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let mean = self.exposure[row] * self.link.inverse(eta);
        let y = self.counts[row];
        if y.is_nan() {
            return None;
        }
        if y <= FEW_COUNTS && mean < GREATEST_SUMMED {
            // Σ μᵏ/k! from the last term inwards, all of one sign
            let sum = (1..=y as u32).rev().fold(1.0, |sum, k| 1.0 + sum * mean / f64::from(k));
            return Some((sum * (-mean).exp()).min(1.0));
        }
        // P(Y ≤ y) = Q(y + 1, mean)
        Some(1.0 - incomplete_gamma(mean, y + 1.0))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.is_observed(row).then(|| self.link.apply((self.counts[row] + 0.5) / self.exposure[row]))
    }
}
