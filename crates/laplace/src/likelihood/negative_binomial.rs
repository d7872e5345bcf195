//! `y ~ NegativeBinomial(size n, mean E e^η)`, variance `μ(1 + μ/n)`, `θ = log n`.
//!
//! With the odds `o = η + log E − θ = log(μ/n)` and `p = μ/(n + μ)`: `ℓ = log Γ(y + n) − log Γ(n) − log y! + y log p + n log(1 − p)`, in `η`
//! the density of `y` successes in `n + y` trials under the logit link. `∂ℓ/∂θ = n(ψ(y + n) − ψ(n)) + n log(1 − p) − ℓ′`,
//! `∂ℓ′/∂θ = −np − ℓ″`, `∂ℓ″/∂θ = −np(1 − p) − ℓ‴`.

use std::ops::Range;

use gmrf::HyperparameterBlock;
use gmrf::special::polygamma;

use super::incomplete::incomplete_beta;
use super::logistic::Rows;
use super::{Derivatives, Likelihood, Order, PIECE, data};
use crate::error::LaplaceError;
use crate::link::Link;

/// Overdispersed counts.
#[derive(Debug)]
pub struct NegativeBinomial {
    counts: Vec<f64>,
    log_exposure: Vec<f64>,
    /// The different counts, ascending, and the place of each row's among them.
    distinct: Vec<f64>,
    places: Vec<u32>,
    /// `log y!` of the different counts.
    ln_factorials: Vec<f64>,
    blocks: Vec<HyperparameterBlock>,
}

impl NegativeBinomial {
    /// From counts (NaN is missing), exposures `E > 0` (`None`: 1) and the block of `log n`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn likelihood(
        counts: &[f64],
        exposure: Option<&[f64]>,
        size: HyperparameterBlock,
    ) -> Result<Self, LaplaceError> {
        let counts = data::responses("nbinomial", counts, data::count)?;
        let ones = vec![1.0; counts.len()];
        let exposure = data::positive("nbinomial", "exposure", &counts, exposure.unwrap_or(&ones))?;
        let log_exposure = exposure.iter().map(|e| e.ln()).collect();
        let mut distinct: Vec<f64> = counts.iter().copied().filter(|y| !y.is_nan()).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let place = |y: &f64| distinct.partition_point(|other| other < y) as u32;
        let places = counts.iter().map(|y| if y.is_nan() { 0 } else { place(y) }).collect();
        let ln_factorials = distinct.iter().map(|y| libm::lgamma(y + 1.0)).collect();
        Ok(Self { counts, log_exposure, distinct, places, ln_factorials, blocks: vec![size] })
    }

    /// `f(y)` of the counts of `rows` into `out`: once for each different count, unless they are more than the rows.
    fn fill(&self, rows: Range<usize>, out: &mut Vec<f64>, f: impl Fn(usize) -> f64) {
        let places = &self.places[rows];
        out.clear();
        if self.distinct.len() <= places.len() {
            let table: Vec<f64> = (0..self.distinct.len()).map(&f).collect();
            out.extend(places.iter().map(|&place| table.get(place as usize).copied().unwrap_or(0.0)));
        } else {
            out.extend(places.iter().map(|&place| f(place as usize)));
        }
    }
}

impl Likelihood for NegativeBinomial {
    fn family(&self) -> &'static str {
        "nbinomial"
    }

    fn len(&self) -> usize {
        self.counts.len()
    }

    fn link(&self) -> Link {
        Link::Log
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.blocks
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.counts[row].is_nan()
    }

    fn evaluate(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        let size = theta[0].exp();
        let (mut constants, mut slopes) = (Vec::with_capacity(rows.len()), Vec::new());
        let of_size = libm::lgamma(size);
        self.fill(rows.clone(), &mut constants, |k| {
            libm::lgamma(size + self.distinct[k]) - of_size - self.ln_factorials[k]
        });
        if order >= Order::Fourth {
            let of_size = polygamma(0, size);
            self.fill(rows.clone(), &mut slopes, |k| size * (polygamma(0, size + self.distinct[k]) - of_size));
        }
        let (mut odds, mut trials) = ([0.0; PIECE], [0.0; PIECE]);
        for start in (0..rows.len()).step_by(PIECE) {
            let end = rows.len().min(start + PIECE);
            let own = rows.start + start..rows.start + end;
            let (odds, trials) = (&mut odds[..end - start], &mut trials[..end - start]);
            let counts = &self.counts[own.clone()];
            for (k, (eta, exposure)) in eta[start..end].iter().zip(&self.log_exposure[own]).enumerate() {
                odds[k] = eta + exposure - theta[0];
                trials[k] = size + counts[k];
            }
            let piece = Rows { y: counts, n: trials, constant: &constants[start..end], eta: odds };
            let shares = piece.evaluate(order, (start, &mut *out));
            if order < Order::Fourth {
                continue;
            }
            let of_theta = &mut out.theta[0];
            for (k, i) in (start..end).enumerate() {
                let (p, high) = (0.5 * (1.0 - shares.difference[k]), if odds[k] > 0.0 { odds[k] } else { 0.0 });
                let known = counts[k] >= 0.0 && out.value[i] > f64::NEG_INFINITY;
                let slope = slopes[i] - size * (high + shares.logs[k]) - out.first[i];
                let v = 0.25 * (1.0 - shares.difference[k] * shares.difference[k]);
                of_theta.value[i] = if known { slope } else { 0.0 };
                of_theta.first[i] = if known { -size * p - out.second[i] } else { 0.0 };
                of_theta.second[i] = if known { -size * v - out.third[i] } else { 0.0 };
            }
        }
        Ok(())
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        // I_p(n, y + 1), p = n/(n + μ)
        let (n, y) = (theta[0].exp(), self.counts[row]);
        let p = 1.0 / (1.0 + (eta + self.log_exposure[row] - theta[0]).exp());
        self.is_observed(row).then(|| incomplete_beta(p, n, y + 1.0))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        self.is_observed(row).then(|| (self.counts[row] + 0.5).ln() - self.log_exposure[row])
    }
}
