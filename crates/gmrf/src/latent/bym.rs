//! Besag, York and Mollié's model: `x = (v + u, u)`, `v ~ N(0, I/τ_v)`, `u` Besag with precision `τ_u R`.
//!
//! With the total `t = v + u`: `τ_v (t − u)ᵀ(t − u) + τ_u uᵀRu`, and `|Q| = τ_v^n |τ_u R|*`.

use std::sync::Arc;

use super::areal::{ArealOptions, ArealStructure};
use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant, Part};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::graph::Graph;
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;

/// `bym` on a graph, `θ = (log τ_v, log τ_u)`; nodes: totals, then the structured part.
#[derive(Debug, Clone)]
pub struct Bym {
    hyperparameters: [HyperparameterBlock; 2],
    /// The coupling `[[I, −I], [−I, I]]` and the structure of `u`.
    precision: StructuredPrecision,
    nodes: usize,
    log_determinant: f64,
    rank: usize,
    constraints: LinearConstraints,
    null_space: LinearConstraints,
}

/// A block on the second half of the nodes.
pub(super) fn second_half(half: &LinearConstraints) -> Result<LinearConstraints, GmrfError> {
    let n = half.order();
    let mut whole = LinearConstraints::none(2 * n);
    whole.append_block(half, n)?;
    Ok(whole)
}

/// Directions that the structured part leaves free move the total with it.
pub(super) fn in_both_halves(half: &LinearConstraints) -> Result<LinearConstraints, GmrfError> {
    let n = half.order();
    let mut whole = LinearConstraints::none(2 * n);
    for k in 0..half.len() {
        let (columns, values) = half.row(k);
        let pairs = columns.iter().zip(values);
        let row: Vec<_> = pairs.flat_map(|(&i, &c)| [(i, c), (i + n, c)]).collect();
        whole.push(&row, 0.0)?;
    }
    Ok(whole)
}

impl Bym {
    /// On a graph; `unstructured` is `log τ_v`, `structured` is `log τ_u`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for an empty graph or a block of more than one hyperparameter.
    pub fn new(
        graph: &Graph,
        options: ArealOptions,
        unstructured: HyperparameterBlock,
        structured: HyperparameterBlock,
    ) -> Result<Self, GmrfError> {
        expect_single("bym", &unstructured)?;
        expect_single("bym", &structured)?;
        let areal = ArealStructure::new("bym", graph, options)?;
        let n = graph.order();
        let coupling = (0..n).flat_map(|i| [(i, i, 1.0), (i + n, i + n, 1.0), (i + n, i, -1.0)]).collect();
        let structure = areal.pattern.entries().zip(&areal.values).map(|((i, j), &r)| (i + n, j + n, r)).collect();
        Ok(Self {
            hyperparameters: [unstructured, structured],
            precision: StructuredPrecision::from_entries(2 * n, &[coupling, structure])?,
            nodes: n,
            // a free direction has the norm √2 of its half in each half: |Q|* of the pair doubles for each of them
            log_determinant: areal.log_determinant + areal.null_space.len() as f64 * std::f64::consts::LN_2,
            rank: areal.rank,
            constraints: second_half(&areal.constraints)?,
            null_space: in_both_halves(&areal.null_space)?,
        })
    }
}

impl LatentModel for Bym {
    fn name(&self) -> &'static str {
        "bym"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, None)?;
        self.precision.fill("bym", theta, &[theta[0].exp(), theta[1].exp()], values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, Some(j))?;
        let mut coefficients = [0.0; 2];
        coefficients[j] = theta[j].exp();
        self.precision.fill("bym", theta, &coefficients, values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 2, None)?;
        let (n, rank) = (self.nodes as f64, self.rank as f64);
        let value = n * theta[0] + rank * theta[1] + self.log_determinant;
        Ok(LogDeterminant { value, gradient: vec![n, rank], rank: self.nodes + self.rank })
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
