//! Draws of all hyperparameters together, for functions of several of them.
//!
//! The density is that of independent axes, times the exponential of what couples them: how the slope along every axis changes on
//! the other axes (the derivatives `f_iij` and `f_iiij` of the log-density, which the gradients on the axes hold), and what the
//! gradients at the corners of a composite design say beyond that (`f_ijk` for three different axes, `f_iijj` averaged over the
//! pairs of an axis). Its corners are a design of resolution V: products of two coordinates are orthogonal there.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::evaluated::{log_sum, normalised};
use crate::hessian::Reparametrisation;
use crate::hyper_marginal::Axis;
use crate::marginal::{Marginal, Table};
use crate::sampling::resample;

/// Antithetic pairs of draws for each hyperparameter, and the least and the most of them: their second moments are made exact, so
/// that third ones decide, and what the weights vary by, which grows with the dimension.
const PAIRS: (usize, usize, usize) = (1024, 2048, 8192);
/// Points of an axis' table.
const TABLE: usize = 401;
/// Bins of a smoothed density, from end to end of the draws.
const BINS: usize = 1200;
/// The least and the greatest width of the smoothing kernel in standard deviations.
const BANDWIDTH: (f64, f64) = (0.2, 0.35);
/// The slope on another axis is followed up to this many standard deviations.
const REACH: f64 = 3.5;
/// The couplings change the log-density by no more than this.
const MOST_TILT: f64 = 3.0;
/// How much wider than the axes' densities the far half of the draws to be weighed is.
const STRETCH: f64 = 2.0;
/// The seed: results do not depend on it but for the Monte Carlo error.
const SEED: u64 = 20_09;

/// The slopes along every axis at `z = −at` and `z = +at` of one axis.
#[derive(Debug, Clone)]
pub(crate) struct Bend {
    pub(crate) at: f64,
    pub(crate) below: Vec<f64>,
    pub(crate) above: Vec<f64>,
}

impl Bend {
    /// `α z² + β z³` through the slopes along axis `j`.
    fn slope(&self, j: usize, z: f64) -> f64 {
        let z = z.clamp(-REACH, REACH) / self.at;
        let (even, odd) = (0.5 * (self.above[j] + self.below[j]), 0.5 * (self.above[j] - self.below[j]));
        z * z * (even + odd * z)
    }
}

/// What couples three axes, and two by their squares.
#[derive(Debug, Clone, Default)]
pub(crate) struct Couplings {
    /// `(i, j, k)`, `i < j < k`, and `f_ijk`.
    third: Vec<([usize; 3], f64)>,
    /// The mean of `f_iijj` over `j ≠ i`.
    fourth: Vec<f64>,
}

impl Couplings {
    /// From corners `(z, slopes along the axes there)`; nothing from fewer than there are pairs of axes.
    pub(crate) fn at_corners(corners: &[(Vec<f64>, Vec<f64>)], axes: &[Axis], bends: &[Bend]) -> Self {
        let p = axes.len();
        if p < 3 || corners.len() < p * (p - 1) / 2 || bends.len() < p {
            return Self::default();
        }
        let rest = |(z, slopes): &(Vec<f64>, Vec<f64>)| -> Vec<f64> {
            let of = |j: usize| {
                let others = || (0..p).filter(move |&i| i != j);
                let from: f64 = others().map(|i| bends[i].slope(j, z[i])).sum();
                let own: f64 = others().map(|k| difference(|t| bends[j].slope(k, t), z[j]) * z[k]).sum();
                slopes[j] - difference(|t| axes[j].at(t), z[j]) - from - own
            };
            (0..p).map(of).collect()
        };
        let rests: Vec<Vec<f64>> = corners.iter().map(rest).collect();
        // the coefficient of a function of the corner in the slope along axis j
        let coefficient = |j: usize, of: &dyn Fn(&[f64]) -> f64| {
            let pairs = corners.iter().zip(&rests).map(|((z, _), rest)| (of(z), rest[j]));
            let (cross, square) = pairs.fold((0.0, 0.0), |(c, s), (f, r)| (c + f * r, s + f * f));
            cross / square
        };
        let mut third = Vec::new();
        for i in 0..p {
            for j in i + 1..p {
                for k in j + 1..p {
                    let one = |a: usize, b: usize, c: usize| coefficient(a, &|z| z[b] * z[c]);
                    third.push(([i, j, k], (one(i, j, k) + one(j, i, k) + one(k, i, j)) / 3.0));
                }
            }
        }
        let squares = |z: &[f64], j: usize| z.iter().map(|v| v * v).sum::<f64>() - z[j] * z[j];
        let fourth = (0..p).map(|j| coefficient(j, &|z| z[j] * squares(z, j))).collect();
        Self { third, fourth }
    }

    fn log_density(&self, z: &[f64]) -> f64 {
        let third: f64 = self.third.iter().map(|([i, j, k], f)| f * z[*i] * z[*j] * z[*k]).sum();
        let squares: f64 = z.iter().map(|v| v * v).sum();
        let pairs = self.fourth.iter().zip(z).map(|(f, z)| f * z * z * (squares - z * z));
        third + 0.25 * pairs.sum::<f64>()
    }
}

/// The derivative of a smooth function by central differences.
fn difference(f: impl Fn(f64) -> f64, z: f64) -> f64 {
    const STEP: f64 = 1e-4;
    (f(z + STEP) - f(z - STEP)) / (2.0 * STEP)
}

/// Weighted draws of `θ`.
#[derive(Debug, Clone)]
pub(crate) struct Joint {
    thetas: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

/// The density of independent axes, bent by what couples them.
struct Bent<'a> {
    tables: Vec<Table>,
    bends: &'a [Bend],
    couplings: &'a Couplings,
}

impl Bent<'_> {
    /// Equally likely draws of the independent axes.
    fn draws(&self) -> Vec<Vec<f64>> {
        let mut zs = standard_normals(self.tables.len());
        for z in &mut zs {
            let axes = z.iter_mut().zip(&self.tables);
            axes.for_each(|(z, table)| *z = table.quantile(0.5 * libm::erfc(-*z * 0.5f64.sqrt())));
        }
        zs
    }

    /// What the couplings add to the log-density; beyond some units the expansion says the direction, not the size.
    fn tilt(&self, z: &[f64]) -> f64 {
        let along = |i: usize| (0..z.len()).filter(move |&j| j != i);
        let of = |i: usize| along(i).map(|j| self.bends[i].slope(j, z[i]) * z[j]).sum::<f64>();
        let total = (0..self.bends.len()).map(of).sum::<f64>() + self.couplings.log_density(z);
        total.clamp(-MOST_TILT, MOST_TILT)
    }

    /// The log-density of the independent axes, stretched by a factor.
    fn of_axes(&self, z: &[f64], stretch: f64) -> f64 {
        z.iter().zip(&self.tables).map(|(z, table)| (table.pdf(z / stretch) / stretch).ln()).sum()
    }
}

/// Draws to be weighed, with the logarithm of the density that they were drawn from: one half bent, the other half independent and
/// stretched, so that no tail is thinner than what it stands for.
pub(crate) fn proposals(
    axes: &[Axis],
    bends: &[Bend],
    couplings: &Couplings,
    count: usize,
) -> (Vec<Vec<f64>>, Vec<f64>) {
    let bent = Bent { tables: axes.iter().map(table).collect(), bends, couplings };
    let zs = bent.draws();
    let logs: Vec<f64> = zs.iter().map(|z| bent.tilt(z)).collect();
    let constant = log_sum(&logs) - (logs.len() as f64).ln();
    let near = resample(&normalised(&logs), count / 2).into_iter().map(|k| zs[k].clone());
    // the pairs of a draw and its mirror stand half of the draws apart
    let half = zs.len() / 2;
    let far = (0..count - count / 2).map(|k| if k % 2 == 0 { k / 2 } else { half + k / 2 });
    let far = far.map(|k| zs[k % zs.len()].iter().map(|z| STRETCH * z).collect::<Vec<f64>>());
    let all: Vec<Vec<f64>> = near.chain(far).collect();
    let log_density = |z: &Vec<f64>| {
        let parts = [bent.of_axes(z, 1.0) + bent.tilt(z) - constant, bent.of_axes(z, STRETCH)];
        log_sum(&parts) - 2.0f64.ln()
    };
    let densities = all.iter().map(log_density).collect();
    (all, densities)
}

impl Joint {
    pub(crate) fn draw(map: &Reparametrisation, axes: &[Axis], bends: &[Bend], couplings: &Couplings) -> Self {
        let bent = Bent { tables: axes.iter().map(table).collect(), bends, couplings };
        let zs = bent.draws();
        let logs: Vec<f64> = zs.iter().map(|z| bent.tilt(z)).collect();
        Self { thetas: zs.iter().map(|z| map.theta(z)).collect(), weights: normalised(&logs) }
    }

    /// From draws with weights that sum to one.
    pub(crate) fn given(thetas: Vec<Vec<f64>>, weights: Vec<f64>) -> Self {
        Self { thetas, weights }
    }

    /// Mean and standard deviation of a function.
    fn moments(&self, values: &[f64]) -> (f64, f64) {
        let mean: f64 = values.iter().zip(&self.weights).map(|(v, w)| w * v).sum();
        let variance: f64 = values.iter().zip(&self.weights).map(|(v, w)| w * (v - mean).powi(2)).sum();
        (mean, variance.sqrt())
    }

    /// Means of functions of `θ`.
    pub(crate) fn mean_of(&self, functions: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
        let mut means = Vec::new();
        for (theta, weight) in self.thetas.iter().zip(&self.weights) {
            let values = functions(theta);
            means.resize(values.len(), 0.0);
            means.iter_mut().zip(values).for_each(|(mean, value)| *mean += weight * value);
        }
        means
    }

    /// Mean and standard deviation of hyperparameter `j`.
    pub(crate) fn theta_moments(&self, j: usize) -> (f64, f64) {
        self.moments(&self.thetas.iter().map(|theta| theta[j]).collect::<Vec<_>>())
    }

    /// The densities of functions of `θ`, each the smoothed histogram of its draws with their mean and standard deviation.
    pub(crate) fn marginals(&self, functions: impl Fn(&[f64]) -> Vec<f64>) -> Vec<Marginal> {
        let rows: Vec<Vec<f64>> = self.thetas.iter().map(|theta| functions(theta)).collect();
        let count = rows.first().map_or(0, Vec::len);
        (0..count).map(|k| self.smoothed(&rows.iter().map(|row| row[k]).collect::<Vec<_>>())).collect()
    }

    fn smoothed(&self, values: &[f64]) -> Marginal {
        let (mean, sd) = self.moments(values);
        // Silverman's rule, a little wider: weighed draws leave bumps
        let effective = 1.0 / self.weights.iter().map(|w| w * w).sum::<f64>();
        let width = sd * (1.2 * effective.powf(-0.2)).clamp(BANDWIDTH.0, BANDWIDTH.1);
        let ends = values.iter().fold((mean, mean), |(a, b), v| (a.min(*v), b.max(*v)));
        let (low, high) = (ends.0 - 4.0 * width, ends.1 + 4.0 * width);
        let cell = (high - low) / BINS as f64;
        if !(cell > 0.0 && cell.is_finite()) {
            return Marginal::Mixture(vec![(1.0, crate::SkewedGaussian::new(mean, 0.0, 0.0))]);
        }
        let mut mass = vec![0.0; BINS + 2];
        for (value, weight) in values.iter().zip(&self.weights) {
            let place = (value - low) / cell;
            let (bin, share) = (place as usize, place.fract());
            mass[bin] += weight * (1.0 - share);
            mass[bin + 1] += weight * share;
        }
        let taps = (4.0 * width / cell).ceil() as usize;
        let kernel: Vec<f64> = (0..=taps).map(|t| (-0.5 * (t as f64 * cell / width).powi(2)).exp()).collect();
        let mut density = vec![0.0; mass.len()];
        for (bin, m) in mass.iter().enumerate().filter(|(_, m)| **m > 0.0) {
            for (at, d) in density.iter_mut().enumerate().take(bin + taps + 1).skip(bin.saturating_sub(taps)) {
                *d += m * kernel[at.abs_diff(bin)];
            }
        }
        let x = (0..density.len()).map(|k| low + cell * k as f64).collect();
        let log: Vec<f64> = density.iter().map(|d| d.ln()).collect();
        Marginal::Tabulated(Arc::new(Table::new(x, &log).moved(mean, sd)))
    }
}

fn table(axis: &Axis) -> Table {
    let (low, high) = axis.extent();
    let grid: Vec<f64> = (0..TABLE).map(|k| low + (high - low) * k as f64 / (TABLE - 1) as f64).collect();
    let log: Vec<f64> = grid.iter().map(|&z| axis.at(z)).collect();
    Table::new(grid, &log)
}

/// Antithetic pairs of standard normal vectors whose sample covariance is the identity.
fn standard_normals(p: usize) -> Vec<Vec<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let pairs = (PAIRS.0 * p).clamp(PAIRS.1, PAIRS.2);
    let mut half: Vec<Vec<f64>> =
        (0..pairs).map(|_| (0..p).map(|_| StandardNormal.sample(&mut random)).collect()).collect();
    // Gram–Schmidt over the columns
    for k in 0..p {
        for j in 0..k {
            let dot: f64 = half.iter().map(|z| z[j] * z[k]).sum::<f64>() / pairs as f64;
            half.iter_mut().for_each(|z| z[k] -= dot * z[j]);
        }
        let norm = (half.iter().map(|z| z[k] * z[k]).sum::<f64>() / pairs as f64).sqrt();
        half.iter_mut().for_each(|z| z[k] /= norm);
    }
    let mirrored: Vec<Vec<f64>> = half.iter().map(|z| z.iter().map(|v| -v).collect()).collect();
    half.extend(mirrored);
    half
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hyper_marginal::Knot;

    fn identity(p: usize) -> Reparametrisation {
        let unit = |i: usize, j: usize| f64::from(u8::from(i == j));
        let matrix: Vec<Vec<f64>> = (0..p).map(|i| (0..p).map(|j| unit(i, j)).collect()).collect();
        Reparametrisation {
            mode: vec![0.0; p],
            hessian: matrix.clone(),
            vectors: matrix,
            scales: vec![1.0; p],
            replaced: Vec::new(),
        }
    }

    fn gaussian_axis() -> Axis {
        let knot = |z: f64| Knot { z, value: -0.5 * z * z, slope: -z, correction: 0.0 };
        Axis::through(&[-4.0, -2.0, 0.0, 2.0, 4.0].map(knot), false)
    }

    #[test]
    fn functions_of_gaussians_have_their_moments_and_quantiles() {
        let axes = vec![gaussian_axis(), gaussian_axis(), gaussian_axis()];
        let joint = Joint::draw(&identity(3), &axes, &[], &Couplings::default());
        let made = joint.marginals(|t| vec![t[0] + 2.0 * t[1], (0.3 * t[2]).exp()]);
        // linear functions: means exact by antithesis, second moments exact by orthogonalisation
        assert!(made[0].mean().abs() < 1e-3 && (made[0].sd() / 5.0f64.sqrt() - 1.0).abs() < 1e-3);
        assert!((made[0].quantile(0.975) / 5.0f64.sqrt() - 1.96).abs() < 0.05);
        assert!((made[1].mean() / 0.045f64.exp() - 1.0).abs() < 2e-3, "{}", made[1].mean());
    }

    #[test]
    fn couplings_of_three_axes_are_read_off_the_corners() {
        // −½|z|² + 0.2 z₀z₁z₂ − 0.05 (z₀²z₁² + z₀²z₂² + z₁²z₂²)
        let slope = |z: &[f64], a: usize, b: usize, c: usize| {
            -z[a] + 0.2 * z[b] * z[c] - 0.1 * z[a] * (z[b] * z[b] + z[c] * z[c])
        };
        let corners: Vec<(Vec<f64>, Vec<f64>)> = (0..8)
            .map(|bits| {
                let z: Vec<f64> = (0..3).map(|k| if bits >> k & 1 == 0 { -1.2 } else { 1.2 }).collect();
                let slopes = vec![slope(&z, 0, 1, 2), slope(&z, 1, 0, 2), slope(&z, 2, 0, 1)];
                (z, slopes)
            })
            .collect();
        let flat = Bend { at: 2.0, below: vec![0.0; 3], above: vec![0.0; 3] };
        let axes = vec![gaussian_axis(), gaussian_axis(), gaussian_axis()];
        let found = Couplings::at_corners(&corners, &axes, &[flat.clone(), flat.clone(), flat]);
        // the spline through a Gaussian's knots has its slope to 1e-9
        assert!(
            (found.third[0].1 - 0.2).abs() < 1e-6 && found.fourth.iter().all(|f| (f + 0.1).abs() < 1e-6),
            "{found:?}"
        );
    }

    #[test]
    fn a_bent_density_has_the_mean_of_quadrature() {
        // −½|z|² + 0.1 z₀² z₁: E z₁ = 0.1 to first order, 0.1014 by quadrature over |z| < 5
        let bend = |k: usize| Bend {
            at: 2.0,
            below: vec![0.0, if k == 0 { 0.4 } else { 0.0 }],
            above: vec![0.0, if k == 0 { 0.4 } else { 0.0 }],
        };
        let joint =
            Joint::draw(&identity(2), &[gaussian_axis(), gaussian_axis()], &[bend(0), bend(1)], &Couplings::default());
        let (mut mass, mut first) = (0.0, 0.0);
        for a in -500..=500 {
            for b in -500..=500 {
                let (x, y) = (f64::from(a) / 100.0, f64::from(b) / 100.0);
                let w = (-0.5 * (x * x + y * y) + 0.1 * x * x * y).exp();
                (mass, first) = (mass + w, first + w * y);
            }
        }
        // the Monte Carlo error of the weights
        assert!(
            (joint.theta_moments(1).0 - first / mass).abs() < 0.02,
            "{} {}",
            joint.theta_moments(1).0,
            first / mass
        );
    }
}
