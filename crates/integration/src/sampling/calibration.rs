//! Weights of draws that make what is known of their density exact.
//!
//! With the gradient `g` of a log-density, `E(Δm + gᵀ∇m) = 0` for every polynomial `m`, whatever the density (Stein's identity; as control
//! variates: Mira, Solgi and Imparato 2013): of `m = z_i` it says `E g_i = 0`, of `m = z_i²/2` that `E(z_i g_i) = −1`. Of all weights with these means over the draws at hand, those nearest to the draws' own in
//! entropy are taken: averages of whatever resembles a combination of these functions lose most of their Monte Carlo error, and for a
//! Gaussian density means and covariances lose all of it.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::solvers::Solve;
use faer::{Accum, Mat, MatRef, Par, Side};

use crate::evaluated::{effective, normalised};
use crate::executor::{Executor, map};

/// Degrees of the monomials whose identities are set, the highest that the draws have room for: of that many draws for each of them. Fewer
/// would follow the noise of the draws, and the higher ones bend the weights more.
const DEGREES: [(u32, usize); 3] = [(4, 16), (3, 16), (2, 8)];
/// Draws for each coordinate and its square where there is no room for products.
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
    let single = |m: &Vec<u32>| m.iter().filter(|k| **k > 0).count() == 1;
    let alone = || (monomials(p, 2).into_iter().filter(single).collect(), DRAWS_FOR_EACH);
    let room = |(degree, each): &(u32, usize)| n >= each * count(p, *degree);
    let crossed = DEGREES.iter().filter(|choice| room(choice)).map(|&(degree, each)| (monomials(p, degree), each));
    for (all, each) in crossed.chain(std::iter::once_with(alone)) {
        if all.is_empty() || n < each * all.len() {
            continue;
        }
        let rows: Vec<Vec<f64>> = zs.iter().zip(slopes).map(|(z, g)| functions(z, g, &all)).collect();
        let worth = |weights: &Vec<f64>| effective(weights) >= LEAST_EFFECTIVE * effective(own);
        if let Some(weights) = balanced(&rows, own).filter(worth) {
            return weights;
        }
    }
    own.to_vec()
}

/// Monomials of `p` coordinates from degree one to `degree`.
fn count(p: usize, degree: u32) -> usize {
    (1..=degree as usize).fold(1, |all, d| all * (p + d) / d) - 1
}

/// Their exponents.
fn monomials(p: usize, degree: u32) -> Vec<Vec<u32>> {
    let mut all: Vec<Vec<u32>> = vec![Vec::new()];
    for _ in 0..p {
        let longer = |m: &Vec<u32>| -> Vec<Vec<u32>> {
            (0..=degree - m.iter().sum::<u32>()).map(|k| m.iter().copied().chain([k]).collect()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all.retain(|m| m.iter().any(|k| *k > 0));
    all
}

/// `Δm + gᵀ∇m` of every monomial `m`, whose mean is zero.
fn functions(z: &[f64], g: &[f64], monomials: &[Vec<u32>]) -> Vec<f64> {
    let power = |k: usize, exponent: u32| z[k].powi(exponent as i32);
    let along = |m: &[u32], k: usize| {
        let own = f64::from(m[k]);
        let others: f64 = (0..z.len()).filter(|&j| j != k && m[j] > 0).map(|j| power(j, m[j])).product();
        let second = if m[k] > 1 { (own - 1.0) * power(k, m[k] - 2) } else { 0.0 };
        own * others * (second + power(k, m[k] - 1) * g[k])
    };
    monomials.iter().map(|m| (0..z.len()).filter(|&k| m[k] > 0).map(|k| along(m, k)).sum()).collect()
}

/// Monomials of degree two beyond which products of coordinates are left out of [`nearly`].
const MOST_CROSSED: usize = 200;

/// `z_i g_i + 1`, `g_i` and, where they are not too many, `z_i g_j + z_j g_i`: what [`nearly`] sets, one draw after another.
pub(crate) fn second_degree(z: &[f64], g: &[f64], out: &mut Vec<f64>) {
    let crossed = count(z.len(), 2) <= MOST_CROSSED;
    out.extend_from_slice(g);
    for i in 0..z.len() {
        out.push(z[i] * g[i] + 1.0);
        if crossed {
            out.extend((0..i).map(|j| z[i] * g[j] + z[j] * g[i]));
        }
    }
}

/// Weights near `own` under which the means of functions of many draws nearly vanish: one step from where they are small. The functions
/// come in chunks of draws, those of a draw one after another. `own` where the step would cost a tenth of what the draws are worth. Cost:
/// `O(n k²)` for `k` functions.
pub(crate) fn nearly(executor: &dyn Executor, chunks: &[Vec<f64>], own: Vec<f64>) -> Vec<f64> {
    let (n, size) = (own.len(), chunks.iter().map(Vec::len).sum::<usize>());
    let k = size / n.max(1);
    if k == 0 || n < DRAWS_FOR_EACH * k {
        return own;
    }
    let starts: Vec<usize> =
        chunks.iter().scan(0, |start, chunk| Some(std::mem::replace(start, *start + chunk.len() / k))).collect();
    let weights = |c: usize| &own[starts[c]..starts[c] + chunks[c].len() / k];
    // sums over chunks, then in their order: the same on any number of threads
    let sums = map(executor, chunks.len(), |c| moments(&chunks[c], weights(c), k));
    let (mut mean, mut covariance) = (Mat::<f64>::zeros(k, 1), Mat::<f64>::zeros(k, k));
    for (first, second) in &sums {
        mean += first;
        covariance += second;
    }
    for j in 0..k {
        (j..k).for_each(|i| covariance[(i, j)] -= mean[(i, 0)] * mean[(j, 0)]);
    }
    let Ok(factor) = covariance.llt(Side::Lower) else { return own };
    let step = factor.solve(&mean);
    let tilt = |h: &[f64]| h.iter().enumerate().map(|(j, h)| h * step[(j, 0)]).sum::<f64>();
    let tilts = chunks.iter().flat_map(|chunk| chunk.chunks_exact(k)).map(tilt);
    let tilted = normalised(&own.iter().zip(tilts).map(|(w, tilt)| w.ln() - tilt).collect::<Vec<f64>>());
    if effective(&tilted) >= 0.9 * effective(&own) { tilted } else { own }
}

/// `Σ w h` and the lower triangle of `Σ w h hᵀ` over a chunk of draws.
fn moments(functions: &[f64], weights: &[f64], k: usize) -> (Mat<f64>, Mat<f64>) {
    let (mut mean, mut root) = (Mat::zeros(k, 1), functions.to_vec());
    for (h, weight) in root.chunks_exact_mut(k).zip(weights) {
        h.iter().enumerate().for_each(|(j, h)| mean[(j, 0)] += weight * h);
        h.iter_mut().for_each(|h| *h *= weight.sqrt());
    }
    let root = MatRef::from_column_major_slice(&root, k, weights.len());
    let (lower, full) = (BlockStructure::TriangularLower, BlockStructure::Rectangular);
    let mut second = Mat::zeros(k, k);
    triangular::matmul(&mut second, lower, Accum::Replace, root, full, root.transpose(), full, 1.0, Par::Seq);
    (mean, second)
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
    use crate::executor::Sequential;
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
    fn the_means_of_a_skewed_density_lose_most_of_their_error() {
        // log-gamma of shape 4, its mean ψ(4) − log 4
        let log_gamma = |random: &mut rand_chacha::ChaCha8Rng| {
            let sum: f64 = (0..4).map(|_| -rand::RngExt::random::<f64>(random).ln()).sum();
            (sum / 4.0).ln()
        };
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let zs: Vec<Vec<f64>> = (0..1500).map(|_| vec![log_gamma(&mut random), log_gamma(&mut random)]).collect();
        let slopes: Vec<Vec<f64>> = zs.iter().map(|z| z.iter().map(|z| 4.0 - 4.0 * z.exp()).collect()).collect();
        let equal = vec![1.0 / zs.len() as f64; zs.len()];
        let found = weights(&zs, &slopes, &equal);
        let exact = 1.256_117_668_431_8 - 4f64.ln();
        let error = |weights: &[f64]| {
            let off = (0..2).map(|k| zs.iter().zip(weights).map(|(z, w)| w * z[k]).sum::<f64>() - exact);
            off.map(f64::abs).fold(0.0, f64::max)
        };
        // polynomials of degree four are no more than near to what would remove it all
        assert!(error(&found) < 0.2 * error(&equal), "{} {}", error(&found), error(&equal));
    }

    #[test]
    fn monomials_are_as_many_as_counted() {
        for (p, degree) in [(0, 3), (1, 4), (3, 2), (4, 4), (7, 3)] {
            assert_eq!(monomials(p, degree).len(), count(p, degree));
        }
        assert_eq!(monomials(2, 2), [[0, 1], [0, 2], [1, 0], [1, 1], [2, 0]]);
    }

    #[test]
    fn one_step_from_many_draws_takes_most_of_their_error() {
        // a Gaussian known by its slopes, seen through draws of another
        let zs = crate::sampling::normals::standard_normals(&Sequential, 3, 800, 3);
        let (own, mut functions) = (vec![1.0 / 1600.0; 1600], Vec::new());
        for z in &zs {
            let slope: Vec<f64> = z.iter().map(|z| -1.05 * (z - 0.03)).collect();
            second_degree(z, &slope, &mut functions);
        }
        let weights = nearly(&Sequential, &[functions], own);
        let mean = |f: &dyn Fn(&[f64]) -> f64| zs.iter().zip(&weights).map(|(z, w)| w * f(z)).sum::<f64>();
        // what one step leaves is of the order of the square of what it takes
        assert!((mean(&|z| z[0]) - 0.03).abs() < 2e-3, "{}", mean(&|z| z[0]));
        assert!((mean(&|z| (z[1] - 0.03).powi(2)) - 1.0 / 1.05).abs() < 5e-3);
        assert_eq!(nearly(&Sequential, &[vec![1.0, 2.0]], vec![0.5, 0.5]), [0.5, 0.5]);
        assert!(nearly(&Sequential, &[], Vec::new()).is_empty());
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
