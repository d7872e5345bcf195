//! Gaussian Markov random fields `x | θ ~ N(μ(θ), Q(θ)⁻¹)` on a fixed sparsity pattern.
//!
//! The crate knows no data. It holds the precision matrices and their priors ([`latent`], [`prior`]), factors them under
//! exact linear constraints and reads marginal variances off the pattern of the factor.

pub mod constraint;
pub mod error;
pub mod hyperparameter;
pub mod latent;
pub mod pattern;
pub mod prior;

pub use constraint::LinearConstraints;
pub use error::GmrfError;
pub use hyperparameter::{Hyperparameter, HyperparameterBlock, Reported, Transform};
pub use latent::{LatentModel, LogDeterminant, Part};
pub use pattern::SparsityPattern;
pub use prior::Prior;
