//! Binary data in small clusters, where Laplace's approximation is known to be biased: the design of Fong, Rue and Wakefield (2010)
//! with one to eight trials, against the posterior of `log τ` by quadrature.
//!
//! `y_ij ~ Binomial(k, p_ij)`, `logit p_ij = β₀ + β₁t_j + β₂x_i + β₃x_it_j + b_i`, 100 clusters of 7 occasions `t = −3 … 3`, `x = 1` in
//! half of them, `b ~ N(0, 1/τ)`; `β = (−2.5, 1, −1, −0.5)`, `τ = 1`. Priors: `τ ~ Gamma(0.5, 0.0164)`, `β ~ N(0, 1000)`.

use faer::linalg::solvers::Solve;
use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Mat, Par, Side};
use inla::{Effect, Fit, ModelBuilder, Table};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution as _, StandardNormal};

use crate::cases::Failure;

const CLUSTERS: usize = 100;
const OCCASIONS: usize = 7;
const TRUTH: [f64; 4] = [-2.5, 1.0, -1.0, -0.5];
/// Shape and rate of the prior of `τ`.
const PRIOR: (f64, f64) = (0.5, 0.0164);
const COEFFICIENT_PRECISION: f64 = 0.001;

/// One simulated data set.
#[derive(Debug)]
pub struct Clusters {
    trials: f64,
    /// Successes, cluster by cluster.
    successes: Vec<[f64; OCCASIONS]>,
}

fn occasion(j: usize) -> f64 {
    j as f64 - 3.0
}

fn treated(cluster: usize) -> f64 {
    f64::from(u8::from(cluster >= CLUSTERS / 2))
}

/// `(1, t, x, xt)`.
fn covariates(x: f64, j: usize) -> [f64; 4] {
    let t = occasion(j);
    [1.0, t, x, x * t]
}

fn linear(beta: &[f64], x: f64, j: usize) -> f64 {
    covariates(x, j).iter().zip(beta).map(|(c, b)| c * b).sum()
}

impl Clusters {
    /// Data set `seed` with so many trials on each occasion.
    pub fn simulate(trials: u32, seed: u64) -> Self {
        let mut random = ChaCha12Rng::seed_from_u64(1000 * u64::from(trials) + seed);
        let mut cluster = |i: usize| {
            let effect: f64 = StandardNormal.sample(&mut random);
            std::array::from_fn(|j| {
                let p = 1.0 / (1.0 + (-linear(&TRUTH, treated(i), j) - effect).exp());
                (0..trials).filter(|_| random.random::<f64>() < p).count() as f64
            })
        };
        Self { trials: f64::from(trials), successes: (0..CLUSTERS).map(&mut cluster).collect() }
    }

    /// The engine's fit.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn fit(&self, approximation: &str) -> Result<Fit, Failure> {
        let rows = || (0..CLUSTERS).flat_map(|i| (0..OCCASIONS).map(move |j| (i, j)));
        let column = |f: &dyn Fn(usize, usize) -> f64| rows().map(|(i, j)| f(i, j)).collect::<Vec<f64>>();
        let table = Table::new()
            .with_numeric("y", &column(&|i, j| self.successes[i][j]))?
            .with_numeric("t", &column(&|_, j| occasion(j)))?
            .with_numeric("x", &column(&|i, _| treated(i)))?
            .with_numeric("cluster", &column(&|i, _| i as f64))?
            .with_numeric("trials", &vec![self.trials; CLUSTERS * OCCASIONS])?;
        let prior = format!("loggamma({}, {})", PRIOR.0, PRIOR.1);
        let effect = Effect::new("cluster", "iid").option("precision", &prior);
        let model = ModelBuilder::new("y", "binomial").fixed("t").fixed("x").fixed("x:t").effect(effect);
        let model = model.trials("trials").fixed_precision(COEFFICIENT_PRECISION);
        let model = model.intercept_precision(COEFFICIENT_PRECISION).approximation(approximation);
        Ok(model.fit(&table)?)
    }

    /// Mean and standard deviation of `log τ` by quadrature: the trapezoid rule in `log τ` about `near` and in every `b_i`, a product
    /// Gauss–Hermite rule of `nodes` points in each coefficient about their mode given `log τ`.
    ///
    /// # Errors
    /// A Hessian of the coefficients that is not positive definite.
    pub fn exact(&self, near: (f64, f64), nodes: usize) -> Result<(f64, f64), Failure> {
        const HALF: i32 = 11;
        const SPACING: f64 = 0.5;
        let rule = integration_rule(nodes)?;
        let mut beta = TRUTH.to_vec();
        let mut points = Vec::new();
        for k in -HALF..=HALF {
            let theta = near.0 + SPACING * f64::from(k) * near.1;
            points.push((theta, self.log_marginal(theta, &mut beta, &rule)?));
        }
        let greatest = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = points.iter().map(|p| (p.1 - greatest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mean = points.iter().zip(&weights).map(|(p, w)| p.0 * w).sum::<f64>() / total;
        let variance = points.iter().zip(&weights).map(|(p, w)| (p.0 - mean).powi(2) * w).sum::<f64>() / total;
        Ok((mean, variance.sqrt()))
    }

    /// `log p(θ, y)` but for constants, the coefficients integrated out; `beta` is where their mode is sought and found.
    fn log_marginal(&self, theta: f64, beta: &mut [f64], rule: &[(f64, f64)]) -> Result<f64, Failure> {
        let posterior = |beta: &[f64]| {
            let prior: f64 = beta.iter().map(|b| -0.5 * COEFFICIENT_PRECISION * b * b).sum();
            prior + self.log_likelihood(theta, beta)
        };
        let factor = newton(&posterior, beta)?;
        // β = β* + L⁻ᵀz
        let mut root = Mat::<f64>::identity(4, 4);
        solve_upper_triangular_in_place(factor.L().transpose(), root.as_mut(), Par::Seq);
        let at = |z: [f64; 4]| -> [f64; 4] {
            std::array::from_fn(|i| beta[i] + (i..4).map(|j| root[(i, j)] * z[j]).sum::<f64>())
        };
        let log_scale: f64 = -(0..4).map(|i| factor.L()[(i, i)].ln()).sum::<f64>();
        let mut terms = Vec::with_capacity(rule.len().pow(4));
        for a in rule {
            for b in rule {
                for c in rule {
                    for d in rule {
                        let z = [a.0, b.0, c.0, d.0];
                        let normal: f64 = z.iter().map(|z| 0.5 * z * z).sum();
                        terms.push((a.1 * b.1 * c.1 * d.1).ln() + normal + posterior(&at(z)));
                    }
                }
            }
        }
        let (shape, rate) = PRIOR;
        Ok(log_sum(&terms) + log_scale + shape * theta - rate * theta.exp())
    }

    /// `log p(y | β, θ)` but for binomial coefficients, every `b_i` integrated out.
    fn log_likelihood(&self, theta: f64, beta: &[f64]) -> f64 {
        const REACH: f64 = 6.5;
        let sd = (-0.5 * theta).exp();
        // a cluster's likelihood is no narrower than its prior or a third of a logit
        let spacing = 0.35 / sd.max(1.0);
        let nodes = (2.0 * REACH / spacing).ceil() as usize;
        let node = |k: usize| spacing * k as f64 - REACH;
        // Σ k log(1 + e^η) of each arm at each node, and the prior
        let saturated = |x: f64| -> Vec<f64> {
            let at = |k: usize| {
                let effect = sd * node(k);
                let sum: f64 = (0..OCCASIONS).map(|j| log_one_plus_exp(linear(beta, x, j) + effect)).sum();
                self.trials * sum + 0.5 * node(k) * node(k)
            };
            (0..=nodes).map(at).collect()
        };
        let arms = [saturated(0.0), saturated(1.0)];
        let mut total = 0.0;
        for (i, successes) in self.successes.iter().enumerate() {
            let x = treated(i);
            let fixed: f64 = successes.iter().enumerate().map(|(j, y)| y * linear(beta, x, j)).sum();
            let count: f64 = successes.iter().sum();
            let arm = &arms[usize::from(x > 0.5)];
            let values: Vec<f64> = arm.iter().enumerate().map(|(k, arm)| count * sd * node(k) - arm).collect();
            total += fixed + log_sum(&values) + spacing.ln();
        }
        total
    }
}

fn integration_rule(nodes: usize) -> Result<Vec<(f64, f64)>, Failure> {
    let (z, weights) = integration::design::gauss_hermite(nodes)?;
    Ok(z.into_iter().zip(weights).collect())
}

fn log_one_plus_exp(eta: f64) -> f64 {
    eta.max(0.0) + (-eta.abs()).exp().ln_1p()
}

fn log_sum(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest + values.iter().map(|v| (v - greatest).exp()).sum::<f64>().ln()
}

/// Newton's iteration with differences; returns the Cholesky factor of the negative Hessian at the mode.
fn newton(f: &impl Fn(&[f64]) -> f64, x: &mut [f64]) -> Result<faer::linalg::solvers::Llt<f64>, Failure> {
    const STEP: f64 = 1e-3;
    let p = x.len();
    let mut last = None;
    for _ in 0..20 {
        let moved = |i: usize, a: f64, j: usize, b: f64| {
            let mut x = x.to_owned();
            x[i] += a * STEP;
            x[j] += b * STEP;
            f(&x)
        };
        let centre = f(x);
        let gradient = Mat::from_fn(p, 1, |i, _| (moved(i, 1.0, i, 0.0) - moved(i, -1.0, i, 0.0)) / (2.0 * STEP));
        let hessian = Mat::from_fn(p, p, |i, j| {
            let second = match i == j {
                true => moved(i, 1.0, i, 0.0) - 2.0 * centre + moved(i, -1.0, i, 0.0),
                false => {
                    let even = moved(i, 1.0, j, 1.0) + moved(i, -1.0, j, -1.0);
                    0.25 * (even - moved(i, 1.0, j, -1.0) - moved(i, -1.0, j, 1.0))
                }
            };
            -second / (STEP * STEP)
        });
        let factor = hessian.llt(Side::Lower).map_err(|error| format!("the coefficients: {error:?}"))?;
        let step = factor.solve(&gradient);
        (0..p).for_each(|i| x[i] += step[(i, 0)]);
        let size = (0..p).map(|i| step[(i, 0)].abs()).fold(0.0, f64::max);
        last = Some(factor);
        // a rule about a point that is so near the mode has no error that counts
        if size < 1e-3 {
            break;
        }
    }
    last.ok_or_else(|| "no iteration".into())
}
