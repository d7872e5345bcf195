//! Gaussian Markov random fields `x | θ ~ N(μ(θ), Q(θ)⁻¹)` on a fixed sparsity pattern.
//!
//! The crate knows no data. It holds the precision matrices and their priors ([`latent`], [`prior`]), factors them under
//! exact linear constraints and reads marginal variances off the pattern of the factor.

mod cholesky;
pub mod constraint;
pub mod contract;
pub mod cubes;
pub mod elementary;
pub mod error;
pub mod field;
pub mod graph;
pub mod hyperparameter;
pub mod latent;
mod memory;
pub mod ordering;
pub mod pattern;
pub mod prior;
pub mod rows;
pub mod scaling;
pub mod selected_inverse;
pub mod special;
pub mod suggestion;
pub mod sums;

pub use cholesky::{CholeskyFactor, Parallelism, SymbolicFactor};
pub use constraint::LinearConstraints;
pub use error::GmrfError;
pub use field::Gmrf;
pub use graph::Graph;
pub use hyperparameter::{Hyperparameter, HyperparameterBlock, Reported, Transform};
pub use latent::{LatentModel, LogDeterminant, Part};
pub use memory::physical as physical_memory;
pub use ordering::Ordering;
pub use pattern::SparsityPattern;
pub use prior::Prior;
pub use scaling::{StructureConstants, structure_constants};
pub use selected_inverse::SelectedInverse;
