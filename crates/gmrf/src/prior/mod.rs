//! Priors of hyperparameters, as log-densities on the internal scale `θ`, Jacobian and normalising constant included.

mod correlation;
mod covariance;
mod dispersion;
mod gamma;
mod mixing;
mod named;
mod normal;
mod precision;
mod proportion;
mod table;

use std::fmt::Debug;

pub use correlation::{PcCorrelation0, PcCorrelation1};
pub use covariance::{LkjPc, Wishart};
pub use dispersion::{PcGammaMixture, PcWeibull};
pub use gamma::LogGamma;
pub use mixing::{MixingConstants, PcMixing};
pub use named::{NAMES, from_name};
pub use normal::{LogTNormal, Normal};
pub use precision::PcPrecision;
pub use proportion::{BetaOn, Improper};
pub use table::Tabulated;

use crate::error::GmrfError;

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

/// A refusal of arguments.
fn invalid(prior: &str, reason: impl Into<String>) -> GmrfError {
    GmrfError::InvalidPrior { prior: prior.to_owned(), reason: reason.into() }
}

/// Checks that an argument is positive and finite.
fn positive(prior: &str, what: &str, value: f64) -> Result<f64, GmrfError> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(invalid(prior, format!("{what} is {value}; it must be positive and finite")))
    }
}

/// Checks that an argument is a probability strictly between 0 and 1.
fn probability(prior: &str, what: &str, value: f64) -> Result<f64, GmrfError> {
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(invalid(prior, format!("{what} is {value}; it must lie between 0 and 1")))
    }
}

#[cfg(test)]
mod tests;
