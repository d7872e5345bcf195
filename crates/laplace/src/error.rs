//! What can go wrong in the approximation of the latent field, and what to do about it.

use gmrf::GmrfError;
use thiserror::Error;

/// Errors of the crate. Rows are numbered from 0 in the order of the data.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum LaplaceError {
    /// The latent field's precision could not be built or factored.
    #[error(transparent)]
    Gmrf(#[from] GmrfError),
    /// An observation that the family cannot have produced.
    #[error("{family}: observation {row}: {reason}")]
    InvalidObservation {
        /// The family.
        family: &'static str,
        /// The row of the likelihood.
        row: usize,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A family was asked for with arguments that it cannot have.
    #[error("{family}: {reason}")]
    InvalidLikelihood {
        /// The family.
        family: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// Two sizes that must agree do not.
    #[error("{what} has length {found}, expected {expected}")]
    LengthMismatch {
        /// The argument.
        what: &'static str,
        /// Its expected length.
        expected: usize,
        /// Its length.
        found: usize,
    },
    /// The model as a whole cannot be fitted.
    #[error("model: {reason}")]
    InvalidModel {
        /// What is wrong and what to do.
        reason: String,
    },
    /// A direction of the latent field that nothing fixes.
    #[error(
        "nothing fixes a direction through {effects}: at θ = {theta:?} the posterior precision is singular; \
         remove a confounded effect, give it a proper prior or a constraint"
    )]
    Singular {
        /// The effects, by name.
        effects: String,
        /// The hyperparameters on the internal scale.
        theta: Vec<f64>,
    },
    /// The Newton iteration for the mode of the latent field did not converge.
    #[error("the mode of the latent field was not found at θ = {theta:?} after {iterations} Newton steps: {reason}")]
    NoMode {
        /// The hyperparameters on the internal scale.
        theta: Vec<f64>,
        /// The number of steps.
        iterations: usize,
        /// Why it stopped.
        reason: String,
    },
    /// Expectation propagation did not reach a fixed point.
    #[error("expectation propagation found no fixed point at θ = {theta:?} after {iterations} iterations: {reason}")]
    NoFixedPoint {
        /// The hyperparameters on the internal scale.
        theta: Vec<f64>,
        /// The number of iterations.
        iterations: usize,
        /// Why it stopped.
        reason: String,
    },
    /// The variational Gaussian was not found.
    #[error("no variational Gaussian was found at θ = {theta:?} after {iterations} steps: {reason}")]
    NoVariationalOptimum {
        /// The hyperparameters on the internal scale.
        theta: Vec<f64>,
        /// The number of steps.
        iterations: usize,
        /// Why it stopped.
        reason: String,
    },
    /// A number became infinite or undefined.
    #[error("{what} is not finite at θ = {theta:?}")]
    NotFinite {
        /// The quantity.
        what: String,
        /// The hyperparameters on the internal scale.
        theta: Vec<f64>,
    },
}
