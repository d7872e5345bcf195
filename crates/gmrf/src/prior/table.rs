//! A prior given by points of its log-density: piecewise linear in between and beyond, so that it is normalised in closed
//! form and keeps every shape that the points have.

use super::{Prior, invalid};
use crate::error::GmrfError;

/// `table(theta₁, log-density₁, theta₂, …)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tabulated {
    theta: Vec<f64>,
    log_density: Vec<f64>,
    log_mass: f64,
}

impl Tabulated {
    /// From increasing `theta` on the internal scale and the log-densities there, up to a constant.
    ///
    /// The first and last pieces continue beyond the ends and must fall outwards.
    ///
    /// # Errors
    /// [`GmrfError::InvalidPrior`] for fewer than three points, points out of order, or tails that do not fall.
    pub fn new(theta: Vec<f64>, log_density: Vec<f64>) -> Result<Self, GmrfError> {
        let n = theta.len();
        if n < 3 || log_density.len() != n {
            return Err(invalid(
                "table",
                format!("{n} points are given; three pairs (theta, log-density) are the least"),
            ));
        }
        if theta.iter().chain(&log_density).any(|v| !v.is_finite()) {
            return Err(invalid("table", "a value is not finite"));
        }
        if theta.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(invalid("table", "theta must increase from point to point"));
        }
        let slope = |i: usize| (log_density[i + 1] - log_density[i]) / (theta[i + 1] - theta[i]);
        let (left, right) = (slope(0), slope(n - 2));
        if left <= 0.0 || right >= 0.0 {
            return Err(invalid("table", "the log-density must fall beyond the first and the last point"));
        }
        let greatest = log_density.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut mass = (log_density[0] - greatest).exp() / left - (log_density[n - 1] - greatest).exp() / right;
        for i in 0..n - 1 {
            let (h, change) = (theta[i + 1] - theta[i], log_density[i + 1] - log_density[i]);
            let ratio = if change.abs() < 1e-8 { 1.0 + 0.5 * change } else { change.exp_m1() / change };
            mass += h * (log_density[i] - greatest).exp() * ratio;
        }
        Ok(Self { theta, log_density, log_mass: greatest + mass.ln() })
    }
}

impl Prior for Tabulated {
    fn log_density(&self, theta: &[f64], gradient: &mut [f64]) -> f64 {
        let i = self.theta.partition_point(|&t| t <= theta[0]).clamp(1, self.theta.len() - 1) - 1;
        let slope = (self.log_density[i + 1] - self.log_density[i]) / (self.theta[i + 1] - self.theta[i]);
        gradient[0] = slope;
        self.log_density[i] + slope * (theta[0] - self.theta[i]) - self.log_mass
    }

    fn description(&self) -> String {
        let pairs: Vec<String> = self.theta.iter().zip(&self.log_density).map(|(t, l)| format!("{t}, {l}")).collect();
        format!("table({})", pairs.join(", "))
    }
}
