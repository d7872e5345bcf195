//! What can go wrong in the integration over the hyperparameters, and what to do about it.

use thiserror::Error;

/// Errors of the crate.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum IntegrationError {
    /// The latent field could not be approximated.
    #[error(transparent)]
    Laplace(#[from] laplace::LaplaceError),
    /// A numerical kernel failed.
    #[error(transparent)]
    Gmrf(#[from] gmrf::GmrfError),
    /// The mode of the hyperparameters was not found.
    #[error("the mode of the hyperparameters was not found; the search ended at θ = {theta:?}: {reason}")]
    NoMode {
        /// Where the search ended, internal scale.
        theta: Vec<f64>,
        /// Why, and what to do.
        reason: String,
    },
    /// An option has a value that it cannot have.
    #[error("option {option}: {reason}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The Laplace approximation of so many nodes would take too long.
    #[error(
        "the Laplace approximation of {nodes} nodes would take minutes; name at most {most} of them in \
         laplace_nodes, or take approximation = \"simplified-laplace\""
    )]
    TooManyNodes {
        /// The nodes that were asked for.
        nodes: usize,
        /// How many are affordable.
        most: usize,
    },
    /// The Laplace approximation of so many linear predictors beside the nodes would take too long.
    #[error(
        "the Laplace approximation of {predictors} linear predictors of different rows beside {nodes} nodes would take minutes: at most \
         {most} are affordable; leave out laplace_predictors = true, or name fewer nodes in laplace_nodes"
    )]
    TooManyPredictors {
        /// The linear predictors that are held themselves.
        predictors: usize,
        /// The nodes that are asked for.
        nodes: usize,
        /// How many linear predictors are affordable beside them.
        most: usize,
    },
    /// Every point of the design failed.
    #[error("none of the {points} points of the design could be evaluated: {reason}")]
    EmptyDesign {
        /// The number of points.
        points: usize,
        /// The first failure.
        reason: String,
    },
    /// A chain over the hyperparameters cannot go on.
    #[error("chain {chain} over the hyperparameters stopped: {reason}; give integration = \"ccd\" or stronger priors")]
    Sampler {
        /// The chain, from 0.
        chain: usize,
        /// Why.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("the fit was cancelled")]
    Cancelled,
}
