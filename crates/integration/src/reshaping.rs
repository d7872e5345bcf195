//! The marginal of one hyperparameter, given the shape that a lattice of three or more knows.
//!
//! On a lattice the mean of any function of `θ_j` that is smooth on the scale of its spacing is known to the accuracy of the trapezoid
//! rule. Of all densities with these means, the one nearest in entropy to the density read along the axes is taken: it keeps the tails
//! of the axes, between which the lattice says how much lies where.

use crate::evaluated::normalised;
use crate::hessian::Reparametrisation;
use crate::hyper_marginal::Lattice;
use crate::marginal::Table;
use crate::sampling::calibration::balanced;

/// Where, in standard deviations from the mean, the share of the probability below is read: steps of [`WIDTH`].
const STEPS: [f64; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];
/// Standard deviation of the normal distribution functions that stand for the steps: at 0.8 the trapezoid rule of spacing 1 gives
/// their means under a Gaussian to 1e-4, whatever the direction of `θ_j` in the lattice.
const WIDTH: f64 = 0.8;

/// `θ_j` at every point of the lattice, and the weights of the points.
pub(crate) fn points_of(map: &Reparametrisation, lattice: &Lattice, j: usize) -> (Vec<f64>, Vec<f64>) {
    let logs: Vec<f64> = lattice.points.iter().map(|(_, value)| *value).collect();
    let z = |index: &[i32]| index.iter().map(|&i| lattice.step * f64::from(i)).collect::<Vec<f64>>();
    (lattice.points.iter().map(|(index, _)| map.theta(&z(index))[j]).collect(), normalised(&logs))
}

/// The density of `table` with the means that weighted points give mean, variance and smooth steps; `None` where no tilt of it has
/// them. Cost: some ten passes over the table.
pub(crate) fn reshaped(table: &Table, points: &[f64], weights: &[f64]) -> Option<Table> {
    let mean: f64 = points.iter().zip(weights).map(|(t, w)| w * t).sum();
    let sd = points.iter().zip(weights).map(|(t, w)| w * (t - mean).powi(2)).sum::<f64>().sqrt();
    let functions = |theta: f64| {
        let t = (theta - mean) / sd;
        let step = |at: &f64| 0.5 * libm::erfc((at - t) / (WIDTH * std::f64::consts::SQRT_2));
        [t, t * t].into_iter().chain(STEPS.iter().map(step)).collect::<Vec<f64>>()
    };
    let mut known = vec![0.0; STEPS.len() + 2];
    for (point, weight) in points.iter().zip(weights) {
        known.iter_mut().zip(functions(*point)).for_each(|(sum, f)| *sum += weight * f);
    }
    table.tilted(|rows_at, masses| {
        let rows: Vec<Vec<f64>> =
            rows_at.iter().map(|x| functions(*x).iter().zip(&known).map(|(f, mean)| f - mean).collect()).collect();
        balanced(&rows, masses)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_seen_only_through_points_is_recovered_from_a_gaussian() {
        // 0.7 N(0, 1) + 0.3 N(2, 0.7²): skewed; the points are a fine quadrature of it
        let density = |x: f64| 0.7 * (-0.5 * x * x).exp() + 0.3 / 0.7 * (-0.5 * ((x - 2.0) / 0.7).powi(2)).exp();
        let points: Vec<f64> = (0..1201).map(|k| -6.0 + 0.01 * f64::from(k)).collect();
        let total: f64 = points.iter().map(|x| density(*x)).sum();
        let weights: Vec<f64> = points.iter().map(|x| density(*x) / total).collect();
        let start: Vec<f64> = points.iter().map(|x| -0.5 * ((x - 0.3) / 1.3_f64).powi(2)).collect();
        let Some(found) = reshaped(&Table::new(points.clone(), &start), &points, &weights) else {
            panic!("the tilt exists");
        };
        let mut below = 0.0;
        for (x, weight) in points.iter().zip(&weights) {
            // between the smooth steps the shape is the nearest Gaussian's: half a per cent of the probability
            assert!((found.cdf(*x) - (below + 0.5 * weight)).abs() < 0.005, "{x}");
            below += weight;
        }
    }
}
