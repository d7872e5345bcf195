//! Integration over `θ` by the no-U-turn sampler on `log p̃(θ|y)` with its exact gradient, for many or strongly non-Gaussian
//! hyperparameters: the latent field is integrated out, so that chains of `p` numbers mix where those of the whole model do not.

mod bridge;
mod calibration;
mod chain;
pub mod convergence;

use crate::design::DesignPoint;
use crate::engine::PointEvaluation;
use crate::error::IntegrationError;
use crate::evaluated::Evaluated;
use crate::executor::map;
use crate::exploration::Exploration;
use crate::objective::ObjectiveValue;

use bridge::Proposal;
use chain::ChainDraws;
use convergence::{least_effective_draws, split_r_hat};

/// The seed: results do not depend on it but for the Monte Carlo error.
const SEED: u64 = 20_11;
/// Parts of mixtures that are kept, over all nodes and predictors, some 100 MB.
const MOST_PARTS: usize = 4_000_000;
/// Draws that carry moments even then.
const LEAST_KEPT: usize = 400;
/// Draws of the Gaussian that the integral is found against.
const PROPOSALS: usize = 500;

/// Options of the sampler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NutsOptions {
    /// Chains, run in parallel.
    pub chains: usize,
    /// Draws of each chain that tune its steps and are thrown away.
    pub tuning: usize,
    /// Draws of each chain that are kept.
    pub draws: usize,
}

impl Default for NutsOptions {
    fn default() -> Self {
        Self { chains: 4, tuning: 300, draws: 500 }
    }
}

/// What the chains say of themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingReport {
    /// Chains.
    pub chains: usize,
    /// Draws of all chains after tuning.
    pub draws: usize,
    /// Draws whose trajectory met a point that cannot be evaluated or lost its energy.
    pub divergences: usize,
    /// The largest split `R̂`, and whose it is among the free hyperparameters.
    pub largest_r_hat: (f64, usize),
    /// The least effective number of draws of a hyperparameter, of its centre or of a tail.
    pub least_effective: f64,
}

impl NutsOptions {
    /// Draws that carry moments, for `n + m` nodes and rows.
    pub(crate) fn kept(&self, marginals: usize) -> usize {
        let all = self.chains * self.draws;
        all.min((MOST_PARTS / marginals.max(1)).max(LEAST_KEPT))
    }

    fn check(&self) -> Result<(), IntegrationError> {
        let fits = (1..=1000).contains(&self.chains) && (10..=1_000_000).contains(&self.draws);
        if fits && (10..=1_000_000).contains(&self.tuning) {
            return Ok(());
        }
        let reason = format!(
            "{} chains of {} draws after {} of tuning: give 1 to 1000 chains, and 10 to 1000000 of each",
            self.chains, self.draws, self.tuning
        );
        Err(IntegrationError::InvalidOption { option: "nuts", reason })
    }
}

impl Exploration<'_> {
    /// The draws as a design whose weights hold the density's integral, and what the chains say.
    pub(crate) fn sample(&mut self, options: NutsOptions) -> Result<(Evaluated, SamplingReport), IntegrationError> {
        options.check()?;
        let p = self.map.mode.len();
        let density = |z: &[f64]| -> Result<ObjectiveValue, IntegrationError> {
            let found = self.engine.approximate_alone(&self.map.theta(z), &self.start)?;
            Ok(ObjectiveValue { value: found.value, gradient: self.map.slope(&found.gradient) })
        };
        let length = (options.tuning, options.draws);
        let run = |k: usize| chain::run(&density, p, (k, SEED), length);
        let chains = map(self.executor, options.chains, run).into_iter().collect::<Result<Vec<_>, _>>()?;
        let report = self.report(&chains);
        let marginals = self.engine.model().nodes() + self.engine.model().rows();
        let all: Vec<&Vec<f64>> = chains.iter().flat_map(|chain| &chain.zs).collect();
        let kept = options.kept(marginals);
        // equally far apart over all chains
        let zs: Vec<Vec<f64>> = (0..kept).map(|k| all[k * all.len() / kept].clone()).collect();
        let mut points = Vec::with_capacity(kept);
        let mut used = Vec::with_capacity(kept);
        for (z, result) in zs.iter().zip(self.evaluate(&zs)) {
            if let Some(point) = result {
                used.push(z.clone());
                points.push(point);
            }
        }
        self.weigh(used, points).map(|evaluated| (evaluated, report))
    }

    /// Weights of the draws, and the integral that they stand for.
    fn weigh(&self, zs: Vec<Vec<f64>>, points: Vec<PointEvaluation>) -> Result<Evaluated, IntegrationError> {
        if points.is_empty() {
            let reason = self.failed.first().map_or_else(String::new, |(_, reason)| reason.clone());
            return Err(IntegrationError::EmptyDesign { points: 0, reason });
        }
        let slopes: Vec<Vec<f64>> = points.iter().map(|point| self.map.slope(&point.approximation.gradient)).collect();
        let weights = calibration::weights(&zs, &slopes);
        let logs: Vec<f64> = points.iter().map(|point| point.approximation.log_posterior).collect();
        let log_integral = self.log_integral(&zs, &logs, &weights);
        let design = zs
            .into_iter()
            .zip(weights)
            .zip(&logs)
            .map(|((z, weight), log)| DesignPoint { z, log_weight: weight.ln() + log_integral - log })
            .collect();
        Ok(Evaluated { design, points, grid: None })
    }

    fn log_integral(&self, zs: &[Vec<f64>], logs: &[f64], weights: &[f64]) -> f64 {
        let Some(proposal) = Proposal::new(zs, weights) else {
            // a density without width: that of the mode
            let p = self.map.mode.len() as f64;
            return self.mode.value + 0.5 * p * (2.0 * std::f64::consts::PI).ln();
        };
        let draws = proposal.draws(PROPOSALS, SEED);
        let thetas: Vec<Vec<f64>> = draws.iter().map(|z| self.map.theta(z)).collect();
        let values = self.engine.approximate_batch(&thetas, &self.start);
        let ratio = |(z, value): (&Vec<f64>, Result<ObjectiveValue, IntegrationError>)| {
            value.map_or(f64::NEG_INFINITY, |found| found.value - proposal.log_density(z))
        };
        let at_proposals: Vec<f64> = draws.iter().zip(values).map(ratio).collect();
        let at_draws: Vec<f64> = zs.iter().zip(logs).map(|(z, log)| log - proposal.log_density(z)).collect();
        bridge::log_integral((&at_draws, weights), &at_proposals)
    }

    fn report(&self, chains: &[ChainDraws]) -> SamplingReport {
        let p = self.map.mode.len();
        let of = |j: usize| -> Vec<Vec<f64>> {
            chains.iter().map(|chain| chain.zs.iter().map(|z| self.map.theta(z)[j]).collect()).collect()
        };
        let (mut largest, mut least) = ((f64::NEG_INFINITY, 0), f64::INFINITY);
        for j in 0..p {
            let chains = of(j);
            let r_hat = split_r_hat(&chains);
            if r_hat > largest.0 {
                largest = (r_hat, j);
            }
            least = least.min(least_effective_draws(&chains));
        }
        SamplingReport {
            chains: chains.len(),
            draws: chains.iter().map(|chain| chain.zs.len()).sum(),
            divergences: chains.iter().map(|chain| chain.divergences).sum(),
            largest_r_hat: largest,
            least_effective: least,
        }
    }
}
