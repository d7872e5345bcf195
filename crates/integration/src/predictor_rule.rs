//! Rules of quadrature over a predictor.

use crate::design::gauss_hermite;
use crate::error::IntegrationError;

/// Nodes of the Gauss–Hermite rule over a predictor's conditional density. The density of the row with its cavity over that
/// density is nearly constant, and the log-density nearly a parabola.
const NODES: usize = 9;
/// The outer nodes of the rule of three, which is exact for polynomials of the fifth degree.
const THREE_NODES: f64 = 1.732_050_807_568_877_2;
/// Rise and bend between them up to which it errs by 1e-5 at most for the distribution function of a normal variable, whose sixth
/// derivative it is that counts: its scale is three and more of the predictor's then.
const MOST_RISE: f64 = 0.25;
const MOST_BENT: f64 = 0.25;
/// Nodes of the trapezoid rule over a row's predictive predictor for its PIT, and half its width in standard deviations.
const PIT_NODES: usize = 25;
const PIT_WIDTH: f64 = 5.0;
/// Rules for the standard normal density.
pub(crate) struct Rule {
    /// Gauss and Hermite's.
    pub(crate) z: Vec<f64>,
    pub(crate) weights: Vec<f64>,
    /// The trapezoid rule for probability integral transforms: nodes and weights.
    pub(crate) wide: Vec<(f64, f64)>,
}

impl Rule {
    pub(crate) fn new() -> Result<Self, IntegrationError> {
        let (z, weights) = gauss_hermite(NODES)?;
        let at = |node: usize| PIT_WIDTH * (2.0 * node as f64 / (PIT_NODES - 1) as f64 - 1.0);
        let wide: Vec<(f64, f64)> = (0..PIT_NODES).map(at).map(|z| (z, (-0.5 * z * z).exp())).collect();
        let total: f64 = wide.iter().map(|(_, w)| w).sum();
        let wide = wide.into_iter().map(|(z, w)| (z, w / total)).collect();
        Ok(Self { z, weights, wide })
    }

    /// The mean of a monotone function of a standard normal variable: by three nodes where they show that it is nearly a line, which most
    /// distribution functions are over the cavity of a row among many.
    pub(crate) fn of_monotone(&self, of: impl Fn(f64) -> f64) -> f64 {
        let (left, middle, right) = (of(-THREE_NODES), of(0.0), of(THREE_NODES));
        let (rise, bend) = (right - left, left - 2.0 * middle + right);
        if rise.abs() < MOST_RISE && bend.abs() <= MOST_BENT * rise.abs() {
            return middle + bend / 6.0;
        }
        self.z.iter().zip(&self.weights).map(|(&z, w)| w * of(z)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    fn normal(x: f64) -> f64 {
        0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
    }

    #[test]
    fn normal_distribution_functions_are_averaged_by_three_nodes_as_well_as_by_nine() {
        let rule = Rule::new().unwrap();
        for scale in [0.01, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0] {
            for k in -40..=40 {
                let place = 0.1 * f64::from(k);
                let count = std::cell::Cell::new(0);
                let of = |z: f64| {
                    count.set(count.get() + 1);
                    normal(place + scale * z)
                };
                let found = rule.of_monotone(of);
                let exact = normal(place / (1.0_f64 + scale * scale).sqrt());
                let nine: f64 = rule.z.iter().zip(&rule.weights).map(|(z, w)| w * normal(place + scale * z)).sum();
                // what the three are let do, and the accuracy of the nine
                assert!((found - exact).abs() < 1e-5 + (nine - exact).abs(), "{place} {scale}: {found} {exact} {nine}");
                assert!(scale > 0.06 || count.get() == 3, "{place} {scale}");
            }
        }
    }
}
