//! `y ~ NegativeBinomial(size n, mean E e^η)`, variance `μ(1 + μ/n)`, `θ = log n`.
//!
//! `ℓ = log Γ(y + n) − log Γ(n) − log y! + y(η + log E − θ) − (n + y) log(1 + μ/n)`.

use gmrf::HyperparameterBlock;

use super::data;
use super::from_density::{FromDensity, LogDensity};
use super::incomplete::incomplete_beta;
use super::jet::Real;
use crate::error::LaplaceError;
use crate::link::Link;

/// Overdispersed counts.
#[derive(Debug)]
pub struct NegativeBinomial {
    counts: Vec<f64>,
    log_exposure: Vec<f64>,
}

impl NegativeBinomial {
    /// From counts (NaN is missing), exposures `E > 0` (`None`: 1) and the block of `log n`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn likelihood(
        counts: &[f64],
        exposure: Option<&[f64]>,
        size: HyperparameterBlock,
    ) -> Result<FromDensity<Self>, LaplaceError> {
        let counts = data::responses("nbinomial", counts, data::count)?;
        let ones = vec![1.0; counts.len()];
        let exposure = data::positive("nbinomial", "exposure", &counts, exposure.unwrap_or(&ones))?;
        let log_exposure = exposure.iter().map(|e| e.ln()).collect();
        FromDensity::new(Self { counts, log_exposure }, Link::Log, vec![size])
    }
}

impl LogDensity for NegativeBinomial {
    fn family(&self) -> &'static str {
        "nbinomial"
    }

    fn len(&self) -> usize {
        self.counts.len()
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.counts[row].is_nan()
    }

    fn log_density<R: Real>(&self, row: usize, eta: R, theta: &[R]) -> R {
        let (y, n) = (self.counts[row], theta[0].exp());
        // log(μ/n)
        let odds = eta + self.log_exposure[row] - theta[0];
        let constant = (n + y).ln_gamma() - n.ln_gamma() - libm::lgamma(y + 1.0);
        constant + odds * y - (n + y) * odds.ln_1p_exp()
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        // I_p(n, y + 1), p = n/(n + μ)
        let (n, y) = (theta[0].exp(), self.counts[row]);
        let p = 1.0 / (1.0 + (eta + self.log_exposure[row] - theta[0]).exp());
        Some(incomplete_beta(p, n, y + 1.0))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        Some((self.counts[row] + 0.5).ln() - self.log_exposure[row])
    }
}
