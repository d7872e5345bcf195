//! The integral of a density from draws of it and from draws of a Gaussian like it: bridge sampling (Meng and Wong 1996).

use faer::{Mat, Side};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// Steps of the fixed point, which contracts by a factor of two or more.
const STEPS: usize = 60;

/// A Gaussian with the moments of weighted draws.
pub(crate) struct Proposal {
    mean: Vec<f64>,
    /// Lower Cholesky factor of the covariance.
    root: Mat<f64>,
}

impl Proposal {
    /// `None` where the covariance is not positive definite.
    pub(crate) fn new(zs: &[Vec<f64>], weights: &[f64]) -> Option<Self> {
        let p = zs.first()?.len();
        let mean: Vec<f64> = (0..p).map(|j| zs.iter().zip(weights).map(|(z, w)| w * z[j]).sum()).collect();
        let entry = |i: usize, j: usize| -> f64 {
            zs.iter().zip(weights).map(|(z, w)| w * (z[i] - mean[i]) * (z[j] - mean[j])).sum()
        };
        let root = Mat::from_fn(p, p, entry).llt(Side::Lower).ok()?.L().to_owned();
        Some(Self { mean, root })
    }

    /// Antithetic pairs, `2 ⌈count/2⌉` draws.
    pub(crate) fn draws(&self, count: usize, seed: u64) -> Vec<Vec<f64>> {
        let p = self.mean.len();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut out = Vec::with_capacity(count + 1);
        for _ in 0..count.div_ceil(2) {
            let u: Vec<f64> = (0..p).map(|_| StandardNormal.sample(&mut random)).collect();
            let moved: Vec<f64> = (0..p).map(|i| (0..=i).map(|j| self.root[(i, j)] * u[j]).sum()).collect();
            out.extend([1.0, -1.0].map(|side| self.mean.iter().zip(&moved).map(|(m, d)| m + side * d).collect()));
        }
        out
    }

    pub(crate) fn log_density(&self, z: &[f64]) -> f64 {
        let p = self.mean.len();
        let mut solved = vec![0.0; p];
        let mut total = -0.5 * p as f64 * (2.0 * std::f64::consts::PI).ln();
        for i in 0..p {
            let sum: f64 = (0..i).map(|j| self.root[(i, j)] * solved[j]).sum();
            solved[i] = (z[i] - self.mean[i] - sum) / self.root[(i, i)];
            total -= 0.5 * solved[i] * solved[i] + self.root[(i, i)].ln();
        }
        total
    }
}

/// `log ∫ p̃` from `log p̃ − log q` at weighted draws of `p̃` and at draws of the proposal `q`; `−∞` stands for a point outside.
pub(crate) fn log_integral(at_draws: (&[f64], &[f64]), at_proposals: &[f64]) -> f64 {
    let (ratios, weights) = at_draws;
    let (n, m) = (ratios.len() as f64, at_proposals.len() as f64);
    let (own, other) = (n / (n + m), m / (n + m));
    let mut level = median(ratios);
    for _ in 0..STEPS {
        let term = |ratio: f64| 1.0 / (own * (ratio - level).exp() + other);
        // both averages relative to the level, which keeps them of order one
        let upper = at_proposals.iter().map(|&r| (r - level).exp() * term(r)).sum::<f64>() / m;
        let lower: f64 = ratios.iter().zip(weights).map(|(&r, w)| w * term(r)).sum();
        level += (upper / lower).ln();
    }
    level
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_integral_of_a_skewed_density_is_found() {
        // independent exp(4z − e^z) in three coordinates: log Γ(4) each; draws by the probability integral of Γ(4)
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let gamma = rand_distr::Gamma::new(4.0, 1.0).unwrap();
        let zs: Vec<Vec<f64>> =
            (0..2000).map(|_| (0..3).map(|_| f64::ln(gamma.sample(&mut random))).collect()).collect();
        let weights = vec![1.0 / 2000.0; 2000];
        let log_density = |z: &[f64]| -> f64 { z.iter().map(|z| 4.0 * z - z.exp()).sum() };
        let proposal = Proposal::new(&zs, &weights).unwrap();
        let ratios: Vec<f64> = zs.iter().map(|z| log_density(z) - proposal.log_density(z)).collect();
        let others: Vec<f64> =
            proposal.draws(2000, 1).iter().map(|z| log_density(z) - proposal.log_density(z)).collect();
        let found = log_integral((&ratios, &weights), &others);
        // the overlap is near one: an error of some 0.5/√2000 nats
        assert!((found - 3.0 * 6.0f64.ln()).abs() < 0.04, "{found}");
        // and for a Gaussian the integral is exact
        let normal: Vec<Vec<f64>> = proposal.draws(50, 2);
        let equal = vec![1.7; 50];
        assert!((log_integral((&equal, &vec![0.02; 50]), &vec![1.7; normal.len()]) - 1.7).abs() < 1e-12);
    }
}
