//! Priors of hyperparameters, as log-densities on the internal scale `θ`, Jacobian and normalising constant included.

use std::fmt::Debug;

/// A prior of a block of hyperparameters.
pub trait Prior: Send + Sync + Debug {
    /// The number of hyperparameters it is a joint density of.
    fn dimension(&self) -> usize {
        1
    }

    /// `log π(θ)` on the internal scale, and its gradient into `gradient` (length [`dimension`](Self::dimension)).
    ///
    /// Normalised where the prior is proper. May be `−∞` outside its support, never NaN.
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64;

    /// Whether the density integrates to one.
    fn is_proper(&self) -> bool {
        true
    }

    /// The prior as a user would write it: `pc.prec(1, 0.01)`.
    fn description(&self) -> String;
}
