//! The function that is explored: a log-density of `θ` with its exact gradient.

use crate::error::IntegrationError;

/// Value and gradient from one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveValue {
    /// The unnormalised log posterior.
    pub value: f64,
    /// Its gradient, length `p`.
    pub gradient: Vec<f64>,
}

/// Minus the Hessian, row by row.
pub type Curvature = Vec<Vec<f64>>;

/// A log-density over `θ ∈ ℝᵖ`.
pub trait Objective: Sync {
    /// `p`.
    fn dimension(&self) -> usize;

    /// Value and gradient at `theta`.
    ///
    /// # Errors
    /// Where the density cannot be evaluated; a search takes a shorter step then.
    fn evaluate(&self, theta: &[f64]) -> Result<ObjectiveValue, IntegrationError>;

    /// The same with an estimate of minus the Hessian, `p` rows of `p`, where one costs less than differences of gradients do.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn evaluate_curved(&self, theta: &[f64]) -> Result<(ObjectiveValue, Option<Curvature>), IntegrationError> {
        Ok((self.evaluate(theta)?, None))
    }

    /// The same at several points near the last one, which do not depend on each other.
    fn evaluate_near(&self, thetas: &[Vec<f64>]) -> Vec<Result<ObjectiveValue, IntegrationError>> {
        thetas.iter().map(|theta| self.evaluate(theta)).collect()
    }
}
