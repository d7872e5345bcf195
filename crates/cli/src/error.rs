//! Errors of the command line.

use thiserror::Error;

/// What can go wrong between a command and its result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CliError {
    /// The model file cannot be read.
    #[error("{path}: {reason}")]
    ModelFile {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The data, the model or the fit.
    #[error(transparent)]
    Inla(#[from] inla::InlaError),
    /// A result cannot be written.
    #[error("cannot write {path}: {reason}")]
    Write {
        /// The file.
        path: String,
        /// The reason that the system gives.
        reason: String,
    },
}
