//! bym2 (Riebler et al. 2016): `b = τ^{−1/2}(√(1−φ) v + √φ u*)`, `u*` scaled Besag; nodes `(b, u*)`.
//!
//! `b | u* ~ N(√(φ/τ) u*, (1−φ)/τ I)` gives the precision `[[τ/(1−φ) I, −√(τφ)/(1−φ) I], [·, R* + φ/(1−φ) I]]`, and
//! `|Q| = (τ/(1−φ))^n |R*|*`.

use std::sync::Arc;

use rayon::prelude::*;

use super::areal::{ArealOptions, ArealStructure};
use super::bym::second_half;
use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant, Part};
use crate::cholesky::{CholeskyFactor, Parallelism, SymbolicFactor};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::graph::Graph;
use crate::hyperparameter::{HyperparameterBlock, Transform};
use crate::pattern::SparsityPattern;
use crate::prior::{MixingConstants, PcMixing};

/// `bym2` on a graph, `θ = (log τ, logit φ)`; nodes: the total `b`, then the scaled structured part `u*`.
#[derive(Debug, Clone)]
pub struct Bym2 {
    hyperparameters: [HyperparameterBlock; 2],
    /// `I` on `b`, the coupling, `I` on `u*`, and `R*` on `u*`.
    precision: StructuredPrecision,
    nodes: usize,
    log_determinant: f64,
    rank: usize,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

/// Factors of more bytes than this are computed one after the other, not one a thread.
const LARGE: usize = 1 << 28;

fn structure(graph: &Graph) -> Result<ArealStructure, GmrfError> {
    ArealStructure::new("bym2", graph, ArealOptions { scale_model: true, sum_to_zero: true })
}

impl Bym2 {
    /// On a graph; `precision` is `log τ`, `mixing` is `logit φ`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for an empty graph or a block of more than one hyperparameter.
    pub fn new(graph: &Graph, precision: HyperparameterBlock, mixing: HyperparameterBlock) -> Result<Self, GmrfError> {
        expect_single("bym2", &precision)?;
        expect_single("bym2", &mixing)?;
        let areal = structure(graph)?;
        let n = graph.order();
        let total = (0..n).map(|i| (i, i, 1.0)).collect();
        let coupling = (0..n).map(|i| (i + n, i, 1.0)).collect();
        let identity = (0..n).map(|i| (i + n, i + n, 1.0)).collect();
        let scaled = areal.pattern.entries().zip(&areal.values).map(|((i, j), &r)| (i + n, j + n, r)).collect();
        Ok(Self {
            hyperparameters: [precision, mixing],
            precision: StructuredPrecision::from_entries(2 * n, &[total, coupling, identity, scaled])?,
            nodes: n,
            log_determinant: areal.log_determinant,
            rank: areal.rank,
            constraints: second_half(&areal.constraints)?,
            null_space: LinearConstraints::none(2 * n),
        })
    }

    /// The penalised-complexity prior of `logit φ` with `P(φ < u) = alpha` on this graph: one factor for each of about a
    /// hundred values of `φ`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`].
    pub fn mixing_prior(graph: &Graph, u: f64, alpha: f64) -> Result<PcMixing, GmrfError> {
        let areal = structure(graph)?;
        let n = graph.order();
        let symbolic = SymbolicFactor::analyze(&areal.pattern, &LinearConstraints::none(n))?;
        let constants = MixingConstants {
            nodes: n,
            rank_deficiency: n - areal.rank,
            trace: areal.trace,
            log_determinant: areal.log_determinant,
        };
        let some = |cs: &[f64]| {
            let mut factor = CholeskyFactor::new(symbolic.clone());
            factor.set_parallelism(Parallelism::Sequential);
            let mut at = |c: f64| {
                let mut values = areal.values.clone();
                (0..n).for_each(|i| values[areal.pattern.column_start(i)] += c);
                factor.refactor(&values).map(|()| factor.log_determinant())
            };
            cs.iter().map(|&c| at(c)).collect::<Result<Vec<f64>, GmrfError>>()
        };
        let log_determinants = |cs: &[f64]| {
            if symbolic.memory().0 > LARGE {
                return some(cs);
            }
            let share = cs.len().div_ceil(rayon::current_num_threads());
            let parts: Result<Vec<_>, GmrfError> = cs.par_chunks(share).map(some).collect();
            parts.map(|parts| parts.concat())
        };
        PcMixing::new(&constants, log_determinants, u, alpha)
    }

    /// Coefficients of the four structures, or their derivatives in `θ_j`; with `o = φ/(1−φ)`, `1/(1−φ) = 1 + o`.
    fn coefficients(theta: &[f64], derivative: Option<usize>) -> [f64; 4] {
        let (tau, odds) = (theta[0].exp(), theta[1].exp());
        // √(τφ)/(1−φ) = √τ √(o(1 + o))
        let coupling = tau.sqrt() * (odds * (1.0 + odds)).sqrt();
        match derivative {
            None => [tau * (1.0 + odds), -coupling, odds, 1.0],
            Some(0) => [tau * (1.0 + odds), -0.5 * coupling, 0.0, 0.0],
            // d log √(o(1+o)) / d logit φ = ½ + ½ φ
            Some(_) => [tau * odds, -coupling * 0.5 * (1.0 + Transform::Logistic.apply(theta[1])), odds, 0.0],
        }
    }
}

impl LatentModel for Bym2 {
    fn name(&self) -> &'static str {
        "bym2"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, None)?;
        self.precision.fill("bym2", theta, &Self::coefficients(theta, None), values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, Some(j))?;
        self.precision.fill("bym2", theta, &Self::coefficients(theta, Some(j)), values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 2, None)?;
        let n = self.nodes as f64;
        // log(1 + o) = log(1 + e^θ), its derivative φ
        let log_complement = theta[1].max(0.0) + (-theta[1].abs()).exp().ln_1p();
        let value = n * (theta[0] + log_complement) + self.log_determinant;
        let gradient = vec![n, n * Transform::Logistic.apply(theta[1])];
        Ok(LogDeterminant { value, gradient, rank: self.nodes + self.rank })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.null_space
    }

    fn parts(&self) -> Vec<Part> {
        let n = self.nodes;
        vec![Part { suffix: None, nodes: 0..n }, Part { suffix: Some("structured"), nodes: n..2 * n }]
    }
}
