//! Integration over `θ` by draws from the densities of the axes, bent by what couples them, each weighed by the density itself.

use super::{ThetaDraws, calibration};
use crate::certificate::pareto_shape;
use crate::error::IntegrationError;
use crate::evaluated::{Evaluated, log_sum, normalised};
use crate::exploration::{Exploration, Integrated};
use crate::hyper_marginal::Axis;
use crate::joint::proposals;

/// Draws.
const DRAWS: usize = 2000;
/// Pareto index of the weights beyond which not even means exist (Vehtari et al. 2024); beyond 0.7 the certificate says so.
const MOST_TAIL: f64 = 1.0;
/// Independent draws that the weights must leave.
const LEAST_EFFECTIVE: f64 = 100.0;

/// What the weights say of themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImportanceReport {
    /// Draws.
    pub draws: usize,
    /// What they are worth.
    pub effective: f64,
    /// Pareto shape of their weights.
    pub tail_index: f64,
}

impl Exploration<'_> {
    /// The weighed draws as a design; `None` where the weights cannot be believed.
    pub(crate) fn weigh_draws(
        &mut self,
        found: &Integrated,
    ) -> Result<Option<(Evaluated, ImportanceReport)>, IntegrationError> {
        let axes: Vec<Axis> = found.axes.iter().map(|(_, plain)| plain.clone()).collect();
        let couplings = self.couplings(&found.evaluated, &axes);
        let (zs, log_proposal) = proposals(&axes, &self.bends, &couplings, DRAWS);
        let drawn = self.drawn(zs);
        let ratios: Vec<f64> = drawn.kept.iter().zip(&drawn.logs).map(|(&k, log)| log - log_proposal[k]).collect();
        if ratios.is_empty() {
            return Ok(None);
        }
        let own = normalised(&ratios);
        let effective = 1.0 / own.iter().map(|w| w * w).sum::<f64>();
        let report = ImportanceReport { draws: ratios.len(), effective, tail_index: pareto_shape(&ratios) };
        if report.tail_index > MOST_TAIL || effective < LEAST_EFFECTIVE {
            return Ok(None);
        }
        // a draw that could not be evaluated has no weight, but it was drawn
        let log_integral = log_sum(&ratios) - (log_proposal.len() as f64).ln();
        let weights = calibration::weights(&drawn.zs, &drawn.slopes, &own);
        let evaluated = self.thinned(ThetaDraws { zs: drawn.zs, weights }, log_integral)?;
        Ok(Some((evaluated, report)))
    }
}
