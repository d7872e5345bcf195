//! What can go wrong with a Gaussian Markov random field, and what to do about it.

use thiserror::Error;

/// Errors of the crate. Nodes are numbered from 0 in the order of the caller, never in elimination order.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum GmrfError {
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
    /// An index points outside its range.
    #[error("{what}: index {index} is outside 0..{length}")]
    IndexOutOfRange {
        /// The argument.
        what: &'static str,
        /// The offending index.
        index: usize,
        /// The length of the range.
        length: usize,
    },
    /// A number that must be finite is not.
    #[error("{what} is {value} at {index}; it must be finite")]
    NotFinite {
        /// The argument.
        what: &'static str,
        /// Where.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The precision is not positive definite on the constrained space.
    #[error(
        "the precision matrix is not positive definite at node {node} of {order}: \
         no prior, constraint or observation fixes a direction through this node"
    )]
    NotPositiveDefinite {
        /// The node, in the caller's numbering.
        node: usize,
        /// The order of the matrix.
        order: usize,
    },
    /// A constraint is zero on the space that is left by the others.
    #[error("constraint {row} is redundant or contradicts the others: remove it")]
    RedundantConstraint {
        /// The row of the constraint matrix.
        row: usize,
    },
    /// The factor of a pattern would not fit into memory.
    #[error(
        "the factor of this pattern of order {order} and its selected inverse need {:.1} GB of memory, more than the {:.1} GB \
         there are: make the model smaller or sparser",
        *bytes as f64 / 1e9,
        *limit as f64 / 1e9
    )]
    TooLarge {
        /// The order of the matrix.
        order: usize,
        /// Bytes needed at least.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A model was asked for with arguments that it cannot have.
    #[error("{model}: {reason}")]
    InvalidModel {
        /// The model.
        model: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A prior was asked for with arguments that it cannot have.
    #[error("prior {prior}: {reason}")]
    InvalidPrior {
        /// The prior.
        prior: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A graph file or adjacency structure cannot be read.
    #[error("graph: {reason}")]
    InvalidGraph {
        /// What is wrong, with the line where there is one.
        reason: String,
    },
    /// A hyperparameter value at which the model cannot be evaluated.
    #[error("{model}: the precision matrix cannot be evaluated at θ = {theta:?}")]
    HyperparameterOutOfRange {
        /// The model.
        model: &'static str,
        /// The hyperparameters on the internal scale.
        theta: Vec<f64>,
    },
}

/// Checks a length once, at the door.
pub(crate) fn expect_length(what: &'static str, expected: usize, found: usize) -> Result<(), GmrfError> {
    if expected == found { Ok(()) } else { Err(GmrfError::LengthMismatch { what, expected, found }) }
}
