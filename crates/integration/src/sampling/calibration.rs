//! Weights of draws that make what is known of their density exact.
//!
//! With the gradient `g` of a log-density, `E g_i = 0` and `E(z_i g_j + δ_ij) = 0` whatever the density (Stein's identity; as control
//! variates: Mira, Solgi and Imparato 2013). Of all weights with these means over the draws at hand, those nearest to the draws' own in
//! entropy are taken: averages of whatever resembles a combination of these functions lose most of their Monte Carlo error, and for a
//! Gaussian density means and covariances lose all of it.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use crate::evaluated::effective;

/// Draws for each function whose mean is set: fewer would follow the noise of the draws.
const DRAWS_FOR_EACH: usize = 8;
/// Newton steps.
const MOST_STEPS: usize = 60;
/// Means of the standardised functions that count as zero.
const TOLERANCE: f64 = 1e-9;
/// Effective share of the draws' own below which weights are not worth having.
const LEAST_EFFECTIVE: f64 = 0.4;

/// Weights for draws `zs` of weights `own`, with the slopes of their log-density; both sum to one. Cost: `O(n k²)` for `k` functions,
/// at most 60 times.
pub(crate) fn weights(zs: &[Vec<f64>], slopes: &[Vec<f64>], own: &[f64]) -> Vec<f64> {
    let n = effective(own) as usize;
    let p = zs.first().map_or(0, Vec::len);
    let pairs = p * p.saturating_sub(1) / 2;
    for (count, crossed) in [(2 * p + pairs, true), (2 * p, false)] {
        if count > 0 && n >= DRAWS_FOR_EACH * count {
            let rows: Vec<Vec<f64>> = zs.iter().zip(slopes).map(|(z, g)| functions(z, g, crossed)).collect();
            let worth = |weights: &Vec<f64>| effective(weights) >= LEAST_EFFECTIVE * effective(own);
            if let Some(weights) = balanced(&rows, own).filter(worth) {
                return weights;
            }
        }
    }
    own.to_vec()
}

/// What has mean zero.
fn functions(z: &[f64], g: &[f64], crossed: bool) -> Vec<f64> {
    let mut out = g.to_vec();
    out.extend(z.iter().zip(g).map(|(z, g)| z * g + 1.0));
    if crossed {
        for i in 0..z.len() {
            out.extend((0..i).map(|j| z[i] * g[j] + z[j] * g[i]));
        }
    }
    out
}

/// `w ∝ own exp(λᵀh)` with `Σ w h = 0`: the minimum of a convex function of `λ`; `None` where there are no such weights.
pub(crate) fn balanced(rows: &[Vec<f64>], own: &[f64]) -> Option<Vec<f64>> {
    let (n, k) = (rows.len(), rows[0].len());
    let scales: Vec<f64> = (0..k)
        .map(|j| (rows.iter().map(|row| row[j] * row[j]).sum::<f64>() / n as f64).sqrt().max(f64::MIN_POSITIVE))
        .collect();
    let h = Mat::from_fn(n, k, |i, j| rows[i][j] / scales[j]);
    let mut lambda = vec![0.0; k];
    let at = |lambda: &[f64]| {
        let logs: Vec<f64> = (0..n).map(|i| own[i].ln() + (0..k).map(|j| h[(i, j)] * lambda[j]).sum::<f64>()).collect();
        let value = crate::evaluated::log_sum(&logs);
        (value, logs.iter().map(|log| (log - value).exp()).collect::<Vec<f64>>())
    };
    let (mut value, mut weights) = at(&lambda);
    for _ in 0..MOST_STEPS {
        let mean = Mat::from_fn(k, 1, |j, _| (0..n).map(|i| weights[i] * h[(i, j)]).sum::<f64>());
        if (0..k).all(|j| mean[(j, 0)].abs() < TOLERANCE) {
            return Some(weights);
        }
        let weighted = Mat::from_fn(n, k, |i, j| weights[i] * h[(i, j)]);
        let covariance = weighted.transpose() * &h - &mean * mean.transpose();
        let step = covariance.llt(Side::Lower).ok()?.solve(&mean);
        let slope: f64 = (0..k).map(|j| mean[(j, 0)] * step[(j, 0)]).sum();
        let mut length = 1.0;
        loop {
            let trial: Vec<f64> = (0..k).map(|j| lambda[j] - length * step[(j, 0)]).collect();
            let (found, tilted) = at(&trial);
            // near the minimum the value no longer tells steps apart
            if found <= value - 1e-4 * length * slope || slope < 1e-14 {
                (lambda, value, weights) = (trial, found, tilted);
                break;
            }
            length *= 0.5;
            if length < 1e-6 {
                return None;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    #[test]
    fn gaussian_draws_get_their_means_and_covariances_to_rounding() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let zs: Vec<Vec<f64>> =
            (0..200).map(|_| (0..3).map(|_| StandardNormal.sample(&mut random)).collect()).collect();
        let slopes: Vec<Vec<f64>> = zs.iter().map(|z: &Vec<f64>| z.iter().map(|z| -z).collect()).collect();
        let weights = weights(&zs, &slopes, &[0.005; 200]);
        let mean = |of: &dyn Fn(&[f64]) -> f64| zs.iter().zip(&weights).map(|(z, w)| w * of(z)).sum::<f64>();
        assert!((mean(&|_| 1.0) - 1.0).abs() < 1e-12);
        for i in 0..3 {
            assert!(mean(&|z| z[i]).abs() < 1e-8);
            (0..=i).for_each(|j| assert!((mean(&|z| z[i] * z[j]) - f64::from(u8::from(i == j))).abs() < 1e-8));
        }
        assert!(weights.iter().all(|w| *w > 0.0));
    }

    #[test]
    fn too_few_draws_keep_equal_weights() {
        let zs = vec![vec![0.1, 0.2], vec![-0.3, 0.4]];
        assert_eq!(weights(&zs, &[vec![-0.1, -0.2], vec![0.3, -0.4]], &[0.4, 0.6]), [0.4, 0.6]);
        // no weights give these slopes the mean zero
        let zs: Vec<Vec<f64>> = (0..50).map(|k| vec![f64::from(k)]).collect();
        let slopes: Vec<Vec<f64>> = (0..50).map(|k| vec![1.0 + f64::from(k % 3)]).collect();
        assert_eq!(weights(&zs, &slopes, &[0.02; 50]), vec![0.02; 50]);
    }
}
