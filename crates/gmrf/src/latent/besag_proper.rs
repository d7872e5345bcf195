//! Proper conditional autoregressions: `besagproper`, `Q = τ(diag(n_i + d) − W)`, and Leroux's `besagproper2`,
//! `Q = τ((1 − λ)I + λR)`.

use std::sync::Arc;

use super::areal::laplacian;
use super::numeric;
use super::shifted::ShiftedDeterminant;
use super::structure::{StructuredPrecision, expect_single, expect_theta};
use super::{LatentModel, LogDeterminant};
use crate::cholesky::SymbolicFactor;
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::graph::Graph;
use crate::hyperparameter::{HyperparameterBlock, Transform};
use crate::pattern::SparsityPattern;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `θ = (log τ, log d)`.
    Diagonal,
    /// `θ = (log τ, logit λ)`.
    Leroux,
}

/// A proper conditional autoregression on a graph.
#[derive(Debug, Clone)]
pub struct BesagProper {
    form: Form,
    hyperparameters: [HyperparameterBlock; 2],
    /// `R` and `I`.
    precision: StructuredPrecision,
    none: LinearConstraints,
    /// `log|R + dI|`, `d = (1 − λ)/λ` in Leroux's form.
    determinant: ShiftedDeterminant,
}

impl BesagProper {
    /// `τ(R + dI)`; `precision` is `log τ`, `diagonal` is `log d`.
    ///
    /// # Errors
    /// [`GmrfError::InvalidModel`] for a block of more than one hyperparameter.
    pub fn new(
        graph: &Graph,
        precision: HyperparameterBlock,
        diagonal: HyperparameterBlock,
    ) -> Result<Self, GmrfError> {
        Self::with_form(Form::Diagonal, graph, [precision, diagonal])
    }

    /// `τ((1 − λ)I + λR)`; `precision` is `log τ`, `lambda` is `logit λ`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn leroux(
        graph: &Graph,
        precision: HyperparameterBlock,
        lambda: HyperparameterBlock,
    ) -> Result<Self, GmrfError> {
        Self::with_form(Form::Leroux, graph, [precision, lambda])
    }

    fn with_form(form: Form, graph: &Graph, hyperparameters: [HyperparameterBlock; 2]) -> Result<Self, GmrfError> {
        for block in &hyperparameters {
            expect_single("besagproper", block)?;
        }
        let (pattern, laplacian) = laplacian(graph)?;
        let identity = pattern.entries().map(|(i, j)| f64::from(u8::from(i == j))).collect();
        let none = LinearConstraints::none(graph.order());
        let determinant = ShiftedDeterminant::new(&pattern, laplacian.clone(), graph.components())?;
        Ok(Self {
            form,
            hyperparameters,
            precision: StructuredPrecision::new(pattern, vec![laplacian, identity])?,
            none,
            determinant,
        })
    }

    /// Coefficients of `R` and `I`, or their derivatives in `θ_j`.
    fn coefficients(&self, theta: &[f64], derivative: Option<usize>) -> [f64; 2] {
        let tau = theta[0].exp();
        match (self.form, derivative) {
            (Form::Diagonal, Some(1)) => [0.0, tau * theta[1].exp()],
            (Form::Diagonal, _) => [tau, tau * theta[1].exp()],
            (Form::Leroux, Some(1)) => {
                let slope = Transform::Logistic.derivative(theta[1]);
                [tau * slope, -tau * slope]
            }
            (Form::Leroux, _) => {
                [tau * Transform::Logistic.apply(theta[1]), tau * Transform::Logistic.apply(-theta[1])]
            }
        }
    }
}

impl LatentModel for BesagProper {
    fn name(&self) -> &'static str {
        match self.form {
            Form::Diagonal => "besagproper",
            Form::Leroux => "besagproper2",
        }
    }

    fn hyperparameters(&self) -> &[HyperparameterBlock] {
        &self.hyperparameters
    }

    fn pattern(&self) -> &Arc<SparsityPattern> {
        self.precision.pattern()
    }

    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, None)?;
        self.precision.fill(self.name(), theta, &self.coefficients(theta, None), values)
    }

    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError> {
        expect_theta(theta, 2, Some(j))?;
        self.precision.fill(self.name(), theta, &self.coefficients(theta, Some(j)), values)
    }

    fn analysis(&self) -> Option<&Arc<SymbolicFactor>> {
        Some(self.determinant.symbolic())
    }

    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        expect_theta(theta, 2, None)?;
        let n = self.pattern().order();
        let shift = if self.form == Form::Diagonal { theta[1] } else { -theta[1] };
        let Some((value, slope)) = self.determinant.at(shift)? else {
            return numeric::analysed_log_determinant(self, theta, self.determinant.symbolic());
        };
        let order = n as f64;
        let (own, slope) = match self.form {
            Form::Diagonal => (0.0, slope),
            // τ((1 − λ)I + λR) = τλ(R + dI)
            Form::Leroux => {
                (order * Transform::Logistic.apply(theta[1]).ln(), order * Transform::Logistic.apply(-theta[1]) - slope)
            }
        };
        Ok(LogDeterminant { value: order * theta[0] + own + value, gradient: vec![order, slope], rank: n })
    }

    fn constraints(&self) -> &LinearConstraints {
        &self.none
    }

    fn null_space(&self) -> &LinearConstraints {
        &self.none
    }
}
