//! Plain models and families, written against the traits as a user would, to test the engine apart from its own list.
#![allow(dead_code, clippy::unwrap_used)] // each test file uses its part; what fails in a helper fails the test

use std::ops::Range;
use std::sync::Arc;

use gmrf::{
    GmrfError, Hyperparameter, HyperparameterBlock, LatentModel, LinearConstraints, Prior, SparsityPattern, Transform,
};
use laplace::{
    Approximation, Derivatives, Design, Determinant, Effect, Held, LaplaceError, LatentGaussianModel, Likelihood, Link,
    Observations, Order, Workspace,
};

/// `θ ~ N(0, 1/precision)`.
#[derive(Debug)]
pub struct Normal(pub f64);

impl Prior for Normal {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        gradient[0] = -self.0 * theta[0];
        0.5 * (self.0 / (2.0 * std::f64::consts::PI)).ln() - 0.5 * self.0 * theta[0] * theta[0]
    }

    fn description(&self) -> String {
        format!("normal(0, {})", self.0)
    }
}

pub fn block(name: &str, initial: f64) -> HyperparameterBlock {
    HyperparameterBlock::single(Hyperparameter::new(name, Transform::Exp, initial), Arc::new(Normal(0.1)))
}

/// `Q = e^{θ₀}(R + e^{θ₁} I)` or, intrinsic, `e^{θ₀} R`, with a mean `θ₂` where asked for.
#[derive(Debug)]
pub struct Chain {
    pattern: Arc<SparsityPattern>,
    structure: Vec<f64>,
    intrinsic: bool,
    blocks: Vec<HyperparameterBlock>,
    constraints: LinearConstraints,
    none: LinearConstraints,
    with_mean: bool,
}

impl Chain {
    pub fn new(n: usize, intrinsic: bool, with_mean: bool, constraints: LinearConstraints) -> Self {
        let pattern = Arc::new(SparsityPattern::from_entries(n, (1..n).map(|i| (i, i - 1))).unwrap());
        let end = |i| i == 0 || i == n - 1;
        let structure = pattern
            .entries()
            .map(|(i, j)| {
                if i != j {
                    -1.0
                } else if end(i) {
                    1.0
                } else {
                    2.0
                }
            })
            .collect();
        let mut blocks = vec![block("precision", 0.3)];
        if !intrinsic {
            blocks.push(block("diagonal", -0.4));
        }
        if with_mean {
            blocks.push(block("mean", 0.2));
        }
        Self { pattern, structure, intrinsic, blocks, constraints, none: LinearConstraints::none(n), with_mean }
    }
}

impl LatentModel for Chain {
    fn name(&self) -> &'static str {
        "chain"
    }
    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.blocks
    }
    fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }
    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        let diagonal = if self.intrinsic { 0.0 } else { theta[1].exp() };
        for (((i, j), value), r) in self.pattern.entries().zip(values).zip(&self.structure) {
            *value = theta[0].exp() * (r + if i == j { diagonal } else { 0.0 });
        }
        Ok(())
    }
    fn fill_precision_derivative(&self, theta: &[f64], k: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        match k {
            0 => return self.fill_precision(theta, values),
            1 if !self.intrinsic => {
                for ((i, j), value) in self.pattern.entries().zip(values) {
                    *value = if i == j { (theta[0] + theta[1]).exp() } else { 0.0 };
                }
            }
            _ => values.fill(0.0),
        }
        Ok(())
    }
    fn fill_mean(&self, theta: &[f64], mean: &mut [f64]) -> bool {
        if self.with_mean {
            let last = theta[theta.len() - 1];
            mean.iter_mut().enumerate().for_each(|(i, m)| *m = last * (1.0 + i as f64));
        }
        self.with_mean
    }
    fn fill_mean_derivative(&self, theta: &[f64], j: usize, mean: &mut [f64]) -> bool {
        if self.with_mean && j == theta.len() - 1 {
            mean.iter_mut().enumerate().for_each(|(i, m)| *m = 1.0 + i as f64);
            return true;
        }
        false
    }
    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }
    fn null_space(&self) -> &LinearConstraints {
        &self.none
    }
}

/// Coefficients with fixed precisions; zero is flat.
#[derive(Debug)]
pub struct Coefficients {
    pattern: Arc<SparsityPattern>,
    precisions: Vec<f64>,
    none: LinearConstraints,
}

impl Coefficients {
    pub fn new(precisions: &[f64]) -> Self {
        let n = precisions.len();
        Self {
            pattern: Arc::new(SparsityPattern::diagonal(n)),
            precisions: precisions.to_vec(),
            none: LinearConstraints::none(n),
        }
    }
}

impl LatentModel for Coefficients {
    fn name(&self) -> &'static str {
        "coefficients"
    }
    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &[]
    }
    fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }
    fn fill_precision(&self, _theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        values.copy_from_slice(&self.precisions);
        Ok(())
    }
    fn fill_precision_derivative(&self, _theta: &[f64], _j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        values.fill(0.0);
        Ok(())
    }
    fn log_determinant(&self, _theta: &[f64]) -> Result<gmrf::LogDeterminant, GmrfError> {
        let proper = self.precisions.iter().filter(|&&p| p > 0.0);
        let (rank, value) = proper.fold((0, 0.0), |(rank, value), p| (rank + 1, value + p.ln()));
        Ok(gmrf::LogDeterminant { value, gradient: Vec::new(), rank })
    }
    fn constraints(&self) -> &LinearConstraints {
        &self.none
    }
    fn null_space(&self) -> &LinearConstraints {
        &self.none
    }
}

/// A family by its density alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Gaussian,
    /// With unit variance and fixed, without saying that it is Gaussian.
    Unsaid,
    Poisson,
    Bernoulli,
}

#[derive(Debug)]
pub struct Family {
    pub kind: Kind,
    pub y: Vec<f64>,
    blocks: Vec<HyperparameterBlock>,
}

impl Family {
    pub fn new(kind: Kind, y: &[f64]) -> Self {
        let blocks = if kind == Kind::Gaussian { vec![block("precision", 0.5)] } else { Vec::new() };
        Self { kind, y: y.to_vec(), blocks }
    }
}

impl Likelihood for Family {
    fn family(&self) -> &'static str {
        "test"
    }
    fn len(&self) -> usize {
        self.y.len()
    }
    fn link(&self) -> Link {
        Link::Identity
    }
    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.blocks
    }
    fn is_observed(&self, _row: usize) -> bool {
        true
    }
    fn is_gaussian(&self) -> bool {
        self.kind == Kind::Gaussian
    }
    fn evaluate(
        &self,
        theta: &[f64],
        rows: Range<usize>,
        eta: &[f64],
        _order: Order,
        out: &mut Derivatives,
    ) -> Result<(), LaplaceError> {
        for (k, i) in rows.enumerate() {
            let (y, eta) = (self.y[i], eta[k]);
            let d = match self.kind {
                Kind::Gaussian => {
                    let (tau, r) = (theta[0].exp(), y - eta);
                    let t = &mut out.theta[0];
                    (t.value[k], t.first[k], t.second[k]) = (0.5 - 0.5 * tau * r * r, tau * r, -tau);
                    [0.5 * (theta[0] - (2.0 * std::f64::consts::PI).ln()) - 0.5 * tau * r * r, tau * r, -tau, 0.0, 0.0]
                }
                Kind::Unsaid => [-0.5 * (y - eta) * (y - eta), y - eta, -1.0, 0.0, 0.0],
                Kind::Poisson => {
                    let mean = eta.exp();
                    [y * eta - mean - libm::lgamma(y + 1.0), y - mean, -mean, -mean, -mean]
                }
                Kind::Bernoulli => {
                    let p = 1.0 / (1.0 + (-eta).exp());
                    let v = p * (1.0 - p);
                    let value = y * eta - eta.max(0.0) - (-eta.abs()).exp().ln_1p();
                    [value, y - p, -v, -v * (1.0 - 2.0 * p), -v * (1.0 - 6.0 * v)]
                }
            };
            (out.value[k], out.first[k], out.second[k], out.third[k], out.fourth[k]) = (d[0], d[1], d[2], d[3], d[4]);
        }
        Ok(())
    }
    fn cumulative(&self, _theta: &[f64], _row: usize, _eta: f64) -> Option<f64> {
        None
    }
    fn initial_predictor(&self, _row: usize) -> Option<f64> {
        None
    }
}

/// Nodes of the chain.
pub const N: usize = 9;

pub fn effect(name: &str, model: impl LatentModel + 'static) -> Effect {
    Effect { name: name.to_owned(), model: Arc::new(model) }
}

pub fn counts() -> Vec<f64> {
    (0..2 * N).map(|i| ((i * 5 + 2) % 7) as f64).collect()
}

/// Intercept, slope and a chain seen twice at each node, with an offset.
pub fn model(kind: Kind, chain: Chain, intercept: f64) -> LatentGaussianModel {
    let y: Vec<f64> = match kind {
        Kind::Bernoulli => counts().iter().map(|y| f64::from(*y > 2.5)).collect(),
        _ => counts(),
    };
    let mut design = Design::new(2 + N);
    for i in 0..2 * N {
        design.push_row(&[(0, 1.0), (1, (i as f64 - 8.0) / 9.0), (2 + i % N, 1.0)], 0.1 * (i % 3) as f64).unwrap();
    }
    let effects = vec![effect("fixed", Coefficients::new(&[intercept, 0.01])), effect("chain", chain)];
    let observations = vec![Observations { name: "likelihood".into(), likelihood: Arc::new(Family::new(kind, &y)) }];
    LatentGaussianModel::new(effects, observations, design).unwrap()
}

pub fn chains() -> Vec<Chain> {
    let none = LinearConstraints::none(N);
    let sum = LinearConstraints::sums_to_zero(N, [0..N]).unwrap();
    let mut shifted = LinearConstraints::none(N);
    shifted.push(&[(0, 1.0), (3, 2.0)], 0.7).unwrap();
    vec![
        Chain::new(N, false, false, none.clone()),
        Chain::new(N, false, true, none),
        Chain::new(N, true, false, sum.clone()),
        Chain::new(N, false, true, sum),
        Chain::new(N, false, true, shifted.clone()),
        Chain::new(N, false, false, shifted),
    ]
}

/// The profiles of everything that is held.
pub fn profiles(
    found: &Approximation,
    model: &LatentGaussianModel,
    workspace: &mut Workspace,
    held: &[Held],
    way: (&[f64], Determinant),
) -> Vec<Vec<f64>> {
    let profiles = found.conditional_profiles(model, workspace, held, way).unwrap();
    profiles.into_iter().collect::<Result<_, _>>().unwrap()
}
