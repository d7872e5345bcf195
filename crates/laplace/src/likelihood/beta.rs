//! `y ~ Beta(μφ, (1 − μ)φ)`, `logit μ = η`, variance `μ(1 − μ)/(1 + φ)`; the precision is `sφ`, `θ = log φ`.

use gmrf::HyperparameterBlock;

use super::data;
use super::from_density::{FromDensity, LogDensity, MOST_COMMON};
use super::incomplete::incomplete_beta;
use super::jet::Real;
use crate::error::LaplaceError;
use crate::link::Link;

/// Proportions inside `(0, 1)`.
#[derive(Debug)]
pub struct Beta {
    y: Vec<f64>,
    /// `log y` and `log(1 − y)`.
    logs: Vec<(f64, f64)>,
    scale: Vec<f64>,
}

impl Beta {
    /// From responses inside `(0, 1)` (NaN is missing), scales `s > 0` (`None`: 1) and the block of `log φ`.
    ///
    /// # Errors
    /// [`LaplaceError::InvalidObservation`], [`LaplaceError::LengthMismatch`].
    pub fn likelihood(
        y: &[f64],
        scale: Option<&[f64]>,
        precision: HyperparameterBlock,
    ) -> Result<FromDensity<Self>, LaplaceError> {
        let inside = |y: f64| match y > 0.0 && y < 1.0 {
            true => Ok(()),
            false => Err(format!("the response is {y}; a proportion lies between 0 and 1, both excluded")),
        };
        let y = data::responses("beta", y, inside)?;
        let ones = vec![1.0; y.len()];
        let scale = data::positive("beta", "scale", &y, scale.unwrap_or(&ones))?;
        let logs = y.iter().map(|y| (y.ln(), (-y).ln_1p())).collect();
        FromDensity::new(Self { y, logs, scale }, Link::Logit, vec![precision])
    }
}

impl LogDensity for Beta {
    fn family(&self) -> &'static str {
        "beta"
    }

    fn len(&self) -> usize {
        self.y.len()
    }

    fn is_observed(&self, row: usize) -> bool {
        !self.y[row].is_nan()
    }

    /// `log φ` and `log Γ(φ)`.
    fn common<R: Real>(&self, theta: &[R]) -> [R; MOST_COMMON] {
        let zero = R::constant(0.0);
        [theta[0], theta[0].exp().ln_gamma(), zero, zero]
    }

    fn log_density<R: Real>(&self, row: usize, eta: R, &[log_phi, ln_gamma, ..]: &[R; MOST_COMMON]) -> R {
        let (scale, (ln_y, ln_1m_y)) = (self.scale[row], self.logs[row]);
        let (mut log_phi, mut ln_gamma) = (log_phi, ln_gamma);
        if scale != 1.0 {
            log_phi = log_phi + scale.ln();
            ln_gamma = log_phi.exp().ln_gamma();
        }
        // both shapes by their logarithms: neither underflows before the other overflows
        let log_a = log_phi - (-eta).ln_1p_exp();
        let (a, b) = (log_a.exp(), (log_a - eta).exp());
        ln_gamma - a.ln_gamma() - b.ln_gamma() + (a - 1.0) * ln_y + (b - 1.0) * ln_1m_y
    }

    fn cumulative(&self, theta: &[f64], row: usize, eta: f64) -> Option<f64> {
        let (phi, mean) = (self.scale[row] * theta[0].exp(), Link::Logit.inverse(eta));
        let (a, b) = (mean * phi, Link::Logit.inverse(-eta) * phi);
        Some(incomplete_beta(self.y[row], a, b))
    }

    fn initial_predictor(&self, row: usize) -> Option<f64> {
        Some(Link::Logit.apply(self.y[row]))
    }
}
