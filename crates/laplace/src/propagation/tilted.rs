//! Moments of the tilted distributions: the Gaussian of each row with its site replaced by its likelihood.
//!
//! With `q_i = N(m_i, v_i)` the marginal of row `i` and `h(z) = ℓ(m + √v z) − (ν − Tm)√v z + ½Tv z²`, the tilted density in
//! standardised `z` is proportional to `φ(z) e^{h(z)}`. No cavity is formed, so a row that alone fixes its predictor does no harm.

use std::ops::Range;

use crate::error::LaplaceError;
use crate::likelihood::{Derivatives, Likelihood, Order};

/// Spacing of the nodes in standard deviations of `q_i`. At the fixed point the tilted density is as wide, and the trapezoid rule
/// on a smooth density of unit width has no error but rounding; one with a pole `d` standard deviations off the real axis, such
/// as a logistic curve's, leaves `exp(−5πd)`.
const SPACING: f64 = 0.4;
/// Nodes on either side: the exponential tail of a log-gamma density, unlike a Gaussian's, still holds `10⁻⁷` beyond them.
const HALF: i32 = 22;
const NODES: usize = 2 * HALF as usize + 1;
/// Rows that are evaluated at a time: their nodes fit a cache.
const ROWS: usize = 256;

/// The tilted moments of one row in units of its Gaussian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tilted {
    /// `log E_q e^h`: what the row contributes to `log Z` beside the Gaussian.
    pub(super) log_density: f64,
    pub(super) mean: f64,
    pub(super) variance: f64,
    /// The third and the fourth cumulant.
    pub(super) third: f64,
    pub(super) fourth: f64,
}

impl Tilted {
    /// Of a row without likelihood.
    pub(super) const UNTOUCHED: Self = Self { log_density: 0.0, mean: 0.0, variance: 1.0, third: 0.0, fourth: 0.0 };

    /// How far the row's Gaussian is from its tilted distribution; NaN where a moment is.
    pub(super) fn distance(&self) -> f64 {
        larger(self.mean.abs(), (self.variance - 1.0).abs())
    }
}

/// The larger of two numbers, NaN if either is.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

/// One row's Gaussian and site.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// `m_i`, offset included.
    pub(super) eta: f64,
    /// `v_i`.
    pub(super) variance: f64,
    /// `ν − Tm`, the site's slope at `m`.
    pub(super) slope: f64,
    /// `T`.
    pub(super) precision: f64,
}

/// Buffers of the quadrature.
#[derive(Debug)]
pub(crate) struct Quadrature {
    eta: Vec<f64>,
    /// `h`, node by node.
    exponents: Vec<f64>,
    out: Derivatives,
    z: [f64; NODES],
    weights: [f64; NODES],
}

impl Quadrature {
    pub(crate) fn new(hyperparameters: usize) -> Self {
        let z: [f64; NODES] = std::array::from_fn(|k| SPACING * f64::from(k as i32 - HALF));
        let total: f64 = z.iter().map(|z| (-0.5 * z * z).exp()).sum();
        Self {
            eta: vec![0.0; ROWS],
            exponents: vec![0.0; ROWS * NODES],
            out: Derivatives::zeros(ROWS, hyperparameters),
            weights: z.map(|z| (-0.5 * z * z).exp() / total),
            z,
        }
    }

    /// The tilted moments of all rows of a block into `out`; with `slopes`, `E ∂ℓ/∂θ_j` of every row into `slopes[j]`.
    pub(super) fn moments(
        &mut self,
        likelihood: &dyn Likelihood,
        theta: &[f64],
        site: impl Fn(usize) -> Site,
        out: &mut [Tilted],
        mut slopes: Option<&mut [Vec<f64>]>,
    ) -> Result<(), LaplaceError> {
        for start in (0..out.len()).step_by(ROWS) {
            let range = start..out.len().min(start + ROWS);
            self.fill_exponents(likelihood, theta, &site, range.clone())?;
            for (r, row) in range.clone().enumerate() {
                let observed = likelihood.is_observed(row);
                out[row] = if observed { self.row(r, &site(row)) } else { Tilted::UNTOUCHED };
            }
            if let Some(slopes) = slopes.as_deref_mut() {
                self.add_slopes(likelihood, theta, &site, range, slopes)?;
            }
        }
        Ok(())
    }

    fn fill_exponents(
        &mut self,
        likelihood: &dyn Likelihood,
        theta: &[f64],
        site: &impl Fn(usize) -> Site,
        range: Range<usize>,
    ) -> Result<(), LaplaceError> {
        for (k, &z) in self.z.iter().enumerate() {
            for (eta, row) in self.eta.iter_mut().zip(range.clone()) {
                let site = site(row);
                *eta = site.eta + site.variance.sqrt() * z;
            }
            likelihood.evaluate(theta, range.clone(), &self.eta[..range.len()], Order::Value, &mut self.out)?;
            for (r, row) in range.clone().enumerate() {
                let site = site(row);
                let moved = site.variance.sqrt() * z;
                self.exponents[r * NODES + k] =
                    self.out.value[r] - site.slope * moved + 0.5 * site.precision * moved * moved;
            }
        }
        Ok(())
    }

    /// Turns the exponents of row `r` of the chunk into probabilities and reads the moments.
    fn row(&mut self, r: usize, site: &Site) -> Tilted {
        let values = &mut self.exponents[r * NODES..(r + 1) * NODES];
        if site.variance == 0.0 {
            let log_density = values[HALF as usize];
            values.copy_from_slice(&self.weights);
            return Tilted { log_density, ..Tilted::UNTOUCHED };
        }
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut total = 0.0;
        for (value, weight) in values.iter_mut().zip(&self.weights) {
            *value = weight * (*value - greatest).exp();
            total += *value;
        }
        values.iter_mut().for_each(|value| *value /= total);
        let mean: f64 = values.iter().zip(&self.z).map(|(p, z)| p * z).sum();
        let (mut variance, mut third, mut fourth) = (0.0, 0.0, 0.0);
        for (p, z) in values.iter().zip(&self.z) {
            let d = z - mean;
            variance += p * d * d;
            third += p * d * d * d;
            fourth += p * d * d * d * d;
        }
        let fourth = fourth - 3.0 * variance * variance;
        Tilted { log_density: greatest + total.ln(), mean, variance, third, fourth }
    }

    /// `Σ_k p_k ∂ℓ/∂θ_j(z_k)` with the probabilities that [`row`](Self::row) left.
    fn add_slopes(
        &mut self,
        likelihood: &dyn Likelihood,
        theta: &[f64],
        site: &impl Fn(usize) -> Site,
        range: Range<usize>,
        slopes: &mut [Vec<f64>],
    ) -> Result<(), LaplaceError> {
        slopes.iter_mut().for_each(|slopes| slopes[range.clone()].fill(0.0));
        for (k, &z) in self.z.iter().enumerate() {
            for (eta, row) in self.eta.iter_mut().zip(range.clone()) {
                let site = site(row);
                *eta = site.eta + site.variance.sqrt() * z;
            }
            likelihood.evaluate(theta, range.clone(), &self.eta[..range.len()], Order::Fourth, &mut self.out)?;
            for (slopes, derivatives) in slopes.iter_mut().zip(&self.out.theta) {
                for (r, row) in range.clone().enumerate() {
                    let p = self.exponents[r * NODES + k];
                    if p > 0.0 && likelihood.is_observed(row) {
                        slopes[row] += p * derivatives.value[r];
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_is_not_a_number_is_no_small_distance() {
        let tilted = |mean: f64, variance: f64| Tilted { mean, variance, ..Tilted::UNTOUCHED };
        assert!(tilted(f64::NAN, 1.0).distance().is_nan() && tilted(0.0, f64::NAN).distance().is_nan());
        assert_eq!(tilted(-0.5, 1.2).distance(), 0.5);
        let all = [tilted(0.1, 1.0), tilted(f64::NAN, f64::NAN), tilted(0.2, 1.0)];
        assert!(all.iter().map(Tilted::distance).fold(0.0, larger).is_nan());
    }
}
