//! Latent models: one file each.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use crate::cholesky::SymbolicFactor;
use crate::constraint::LinearConstraints;
use crate::error::GmrfError;
use crate::hyperparameter::{Hyperparameter, HyperparameterBlock};
use crate::pattern::SparsityPattern;

/// `log |VᵀQ(θ)V|` over the space that the prior fixes, with its gradient.
///
/// `V` is an orthonormal basis of the constrained space without the null space that the constraints leave free;
/// `rank` is its dimension, so that the log-density of `x` is `½ value − ½ rank log 2π − ½ (x−μ)ᵀQ(x−μ)`.
#[derive(Debug, Clone, PartialEq)]
pub struct LogDeterminant {
    /// The logarithm of the determinant.
    pub value: f64,
    /// Its derivatives in `θ`, one for each hyperparameter, fixed ones included.
    pub gradient: Vec<f64>,
    /// The dimension of the space.
    pub rank: usize,
}

/// A named range of a model's nodes: bym2 has its total first and `structured` behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What stands behind the effect's name, `None` for the part that is the effect.
    pub suffix: Option<&'static str>,
    /// The nodes of the part.
    pub nodes: Range<usize>,
}

/// `x | θ ~ N(μ(θ), Q(θ)⁻¹)` of one effect, on a pattern that does not depend on `θ`.
///
/// `theta` always holds all hyperparameters of the model in the order of [`hyperparameters`](Self::hyperparameters),
/// fixed ones included, on the internal scale.
pub trait LatentModel: Send + Sync + Debug {
    /// The name of the model: `iid`, `rw2`, …
    fn name(&self) -> &'static str;

    /// Blocks of hyperparameters, each with one joint prior.
    fn hyperparameters(&self) -> &[HyperparameterBlock];

    /// The pattern of `Q(θ)`, of order `n`.
    fn pattern(&self) -> &Arc<SparsityPattern>;

    /// `Q(θ)` into `values` (length `nnz`, pattern order).
    ///
    /// # Errors
    /// [`GmrfError::HyperparameterOutOfRange`] where `Q` cannot be evaluated.
    fn fill_precision(&self, theta: &[f64], values: &mut [f64]) -> Result<(), GmrfError>;

    /// `∂Q/∂θⱼ` into `values` (length `nnz`, pattern order); exact.
    ///
    /// # Errors
    /// As [`fill_precision`](Self::fill_precision).
    fn fill_precision_derivative(&self, theta: &[f64], j: usize, values: &mut [f64]) -> Result<(), GmrfError>;

    /// `log |VᵀQV|`, see [`LogDeterminant`]. By default from a factor of `Q` under its constraints and the selected
    /// inverse; models with a closed form override it.
    ///
    /// # Errors
    /// [`GmrfError::NotPositiveDefinite`] if `Q` is singular beyond constraints and null space.
    fn log_determinant(&self, theta: &[f64]) -> Result<LogDeterminant, GmrfError> {
        numeric::log_determinant(self, theta)
    }

    /// An analysis of the pattern of `Q` that the model has made for itself: what is analysed around it may take over its order.
    fn analysis(&self) -> Option<&Arc<SymbolicFactor>> {
        None
    }

    /// `μ(θ)` into `mean` (length `n`); returns false, and writes nothing, if the mean is zero whatever `θ`.
    fn fill_mean(&self, _theta: &[f64], _mean: &mut [f64]) -> bool {
        false
    }

    /// `∂μ/∂θⱼ` into `mean` (length `n`); returns false, and writes nothing, if it is zero.
    fn fill_mean_derivative(&self, _theta: &[f64], _j: usize, _mean: &mut [f64]) -> bool {
        false
    }

    /// Linear constraints that the effect obeys.
    fn constraints(&self) -> &LinearConstraints;

    /// Directions `v` with `Q v = 0` and `C v = 0`, which the data must fix: sparse rows, linearly independent.
    fn null_space(&self) -> &LinearConstraints;

    /// Functions of several hyperparameters that people report: standard deviations and correlations of a covariance matrix.
    /// Name and transforms as those of a hyperparameter; [`fill_derived`](Self::fill_derived) gives the internal values.
    fn derived(&self) -> &[Hyperparameter] {
        &[]
    }

    /// The derived quantities at `theta` on their internal, unconstrained scales, into `values` (length of
    /// [`derived`](Self::derived)).
    fn fill_derived(&self, _theta: &[f64], _values: &mut [f64]) {}

    /// The named parts of the nodes, in order, covering all of them.
    fn parts(&self) -> Vec<Part> {
        vec![Part { suffix: None, nodes: 0..self.pattern().order() }]
    }
}

/// The number of hyperparameters of `blocks`, fixed ones included.
pub fn hyperparameter_count(blocks: &[HyperparameterBlock]) -> usize {
    blocks.iter().map(|block| block.parameters.len()).sum()
}

mod ar1;
mod areal;
mod besag;
mod besag_proper;
mod bym;
mod bym2;
mod connectivity;
mod constrained;
mod coupled;
mod covariance;
mod fixed;
mod generic;
mod group;
mod grouped;
mod iid;
mod iid_kd;
mod kernel;
mod numeric;
mod random_walk;
mod replicated;
mod shifted;
pub mod structure;

pub use ar1::Ar1;
pub use areal::ArealOptions;
pub use besag::Besag;
pub use besag_proper::BesagProper;
pub use bym::Bym;
pub use bym2::Bym2;
pub use constrained::Constrained;
pub use coupled::Coupled;
pub use covariance::{CovarianceScale, LARGEST_COVARIANCE};
pub use fixed::{FixedEffects, JointPrecision};
pub use generic::{Generic0, GenericNullSpace};
pub use group::GroupModel;
pub use grouped::Grouped;
pub use iid::Iid;
pub use iid_kd::IidKd;
pub use numeric::constrained_mean_shift;
pub use random_walk::{RandomWalk, RandomWalkOptions, RandomWalkOrder};
pub use replicated::Replicated;
pub use structure::StructuredPrecision;
