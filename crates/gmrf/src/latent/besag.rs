//! The intrinsic conditional autoregression of Besag: `Q = τR`, `xᵀRx = Σ_{i~j} (x_i − x_j)²`.

use std::sync::Arc;

use super::areal::{ArealOptions, ArealStructure};
use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant};
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::graph::Graph;
use crate::hyperparameter::HyperparameterBlock;
use crate::pattern::SparsityPattern;

/// Besag's model on a graph, `θ = log τ`.
#[derive(Debug, Clone)]
pub struct Besag {
    hyperparameters: [HyperparameterBlock; 1],
    precision: StructuredPrecision,
    structure: ArealStructure,
}

impl Besag {
    /// On a graph; `precision` is `log τ`. Cost one factorisation of `R`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for an empty graph or a block of more than one hyperparameter.
    pub fn new(graph: &Graph, options: ArealOptions, precision: HyperparameterBlock) -> Result<Self, GmrfError> {
        expect_single("besag", &precision)?;
        let structure = ArealStructure::new("besag", graph, options)?;
        let form = StructuredPrecision::new(structure.pattern.clone(), vec![structure.values.clone()])?;
        Ok(Self { hyperparameters: [precision], precision: form, structure })
    }
}

impl LatentModel for Besag {
    fn name(&self) -> &'static str {
        "besag"
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, None)?;
        self.precision.fill("besag", theta, &[theta[0].exp()], values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 1, Some(j))?;
        self.fill_precision(theta, values)
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 1, None)?;
        let rank = self.structure.rank;
        let value = rank as f64 * theta[0] + self.structure.log_determinant;
        Ok(LogDeterminant { value, gradient: vec![rank as f64], rank })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.structure.constraints
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.structure.null_space
    }
}
