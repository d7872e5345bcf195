//! Expectations of the log-density and its derivatives over the Gaussian of each row.

use crate::error::LaplaceError;
use crate::likelihood::{Derivatives, Likelihood, Order};

/// Nodes and weights of the Gauss–Hermite rule of 15 points for the standard normal density, from the middle outwards.
const RULE: [(f64, f64); 8] = [
    (0.0, 3.182_595_182_595_182_6e-1),
    (0.799_129_068_324_548, 2.324_622_936_097_322_2e-1),
    (1.606_710_069_028_729_7, 8.941_779_539_984_44e-2),
    (2.432_436_827_009_758, 1.736_577_449_213_760_6e-2),
    (3.289_082_424_398_766_4, 1.567_357_503_549_956_2e-3),
    (4.196_207_711_269_016, 5.642_146_405_189_017e-5),
    (5.190_093_591_304_781, 5.975_419_597_920_605e-7),
    (6.363_947_888_829_84, 8.589_649_899_633_27e-10),
];
/// The widest Gaussian, in units of the predictor, for which that rule is used: `E exp(2z)` is off by 1e-11 of itself, and the expectation of a
/// logistic curve, whose poles lie `π` off the real axis, by 1e-8.
const WIDEST: f64 = 2.0;
/// Beyond it the trapezoid rule: its error falls with the exponential of `2π²/√v` over the spacing, 1e-6 for a standard deviation of 6.
const SPACING: f64 = 0.25;
const HALF: i32 = 36;
/// Rows that are evaluated at a time: their nodes fit a cache.
const ROWS: usize = 256;

/// Gaussians of the rows of one block of observations.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) mean: &'a [f64],
    pub(super) variance: &'a [f64],
}

/// Buffers of the quadrature.
#[derive(Debug)]
pub(crate) struct Expectation {
    /// Nodes and weights.
    rule: Vec<(f64, f64)>,
    eta: Vec<f64>,
    out: Derivatives,
}

impl Expectation {
    pub(super) fn new(hyperparameters: usize) -> Self {
        Self { rule: Vec::new(), eta: vec![0.0; ROWS], out: Derivatives::zeros(ROWS, hyperparameters) }
    }

    /// Chooses the rule for a block whose predictors have these variances: one rule for a whole ascent, which must compare its bounds.
    pub(super) fn choose(&mut self, variances: &[f64]) {
        let widest = variances.iter().copied().fold(0.0, f64::max).sqrt();
        self.rule = if widest <= WIDEST {
            RULE.iter().flat_map(|&(z, weight)| [(-z, weight), (z, weight)]).skip(1).collect()
        } else {
            let z = (-HALF..=HALF).map(|k| SPACING * f64::from(k));
            let weights: Vec<(f64, f64)> = z.map(|z| (z, (-0.5 * z * z).exp())).collect();
            let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
            weights.into_iter().map(|(z, weight)| (z, weight / total)).collect()
        };
    }

    /// `Σ E ℓ` over the rows of a block; `E ℓ′` and `E ℓ″` of every row into `first` and `second`. Cost: 15 evaluations of the likelihood
    /// for each row, 73 where a predictor is wide; nothing allocated.
    pub(super) fn fill(
        &mut self,
        (likelihood, theta): (&dyn Likelihood, &[f64]),
        rows: Rows<'_>,
        (first, second): (&mut [f64], &mut [f64]),
    ) -> Result<f64, LaplaceError> {
        first.fill(0.0);
        second.fill(0.0);
        let mut total = 0.0;
        for start in (0..first.len()).step_by(ROWS) {
            let range = start..first.len().min(start + ROWS);
            for &(z, weight) in &self.rule {
                let own = rows.mean[range.clone()].iter().zip(&rows.variance[range.clone()]);
                self.eta.iter_mut().zip(own).for_each(|(eta, (mean, variance))| *eta = mean + variance.sqrt() * z);
                likelihood.evaluate(theta, range.clone(), &self.eta[..range.len()], Order::Second, &mut self.out)?;
                total += weight * self.out.value[..range.len()].iter().sum::<f64>();
                for (sums, values) in [(&mut *first, &self.out.first), (&mut *second, &self.out.second)] {
                    sums[range.clone()].iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_has_the_moments_of_the_normal_density_up_to_its_degree() {
        let mut exact = 1.0;
        for k in 0..15_i32 {
            let found: f64 = 2.0 * RULE.iter().map(|(z, w)| w * z.powi(2 * k)).sum::<f64>();
            // (2k − 1)!!; the node at zero counts once
            let found = found - if k == 0 { RULE[0].1 } else { 0.0 };
            // sixteen digits of a node to the power of 28
            assert!((found / exact - 1.0).abs() < 1e-13, "{k}: {found} of {exact}");
            exact *= f64::from(2 * k + 1);
        }
    }
}
