//! Integration over `θ` by the no-U-turn sampler on `log p̃(θ|y)` with its exact gradient, for many or strongly non-Gaussian
//! hyperparameters: the latent field is integrated out, so that chains of `p` numbers mix where those of the whole model do not.

mod bridge;
pub(crate) mod calibration;
mod chain;
pub mod convergence;
pub(crate) mod cubic;
pub(crate) mod importance;
pub(crate) mod normals;
pub(crate) mod scores;

use std::sync::Arc;

use faer::Mat;
use faer::linalg::solvers::SolveLstsq;

use crate::design::DesignPoint;
use crate::error::IntegrationError;
use crate::evaluated::{Evaluated, normalised};
use crate::executor::map;
use crate::exploration::Exploration;
use crate::joint::Joint;
use crate::mixing::mixing_weights;
use crate::objective::ObjectiveValue;

use bridge::Proposal;
use chain::ChainDraws;
use convergence::{least_effective_draws, split_r_hat};
pub use importance::ImportanceReport;

/// The seed: results do not depend on it but for the Monte Carlo error.
const SEED: u64 = 20_11;
/// Parts of mixtures that are kept, over all nodes and predictors, some 100 MB.
const MOST_PARTS: usize = 4_000_000;
/// The least and the most draws that carry moments: given `θ` those are known, so that few draws say what is between them.
const LEAST_KEPT: usize = 100;
const MOST_KEPT: usize = 500;
/// Draws that carry moments, for `n + m` nodes and rows.
pub(crate) fn kept(marginals: usize) -> usize {
    (MOST_PARTS / marginals.max(1)).clamp(LEAST_KEPT, MOST_KEPT)
}

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

/// Draws of `θ` with the weights of `log p̃(θ|y)`: all of them give the marginals of the hyperparameters, some of them carry moments.
pub(crate) struct ThetaDraws {
    pub(crate) zs: Vec<Vec<f64>>,
    /// The same on the internal scale.
    thetas: Arc<Vec<Vec<f64>>>,
    pub(crate) weights: Vec<f64>,
}

impl ThetaDraws {
    /// Their joint distribution by other weights.
    pub(crate) fn joint(&self, weights: Vec<f64>) -> Joint {
        Joint::given(self.thetas.clone(), weights)
    }
}

impl Exploration<'_> {
    /// The draws of the chains as a design, and what the chains say.
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
        let zs: Vec<Vec<f64>> = chains.into_iter().flat_map(|chain| chain.zs).collect();
        let drawn = self.drawn(zs);
        if drawn.zs.is_empty() {
            return Err(self.nothing_drawn());
        }
        let equal = vec![1.0 / drawn.zs.len() as f64; drawn.zs.len()];
        let weights = calibration::weights(&drawn.zs, &drawn.slopes, &equal);
        let log_integral = self.log_integral(&drawn.zs, &drawn.logs, &weights);
        let evaluated = self.thinned(self.theta_draws(drawn.zs, weights), log_integral)?;
        Ok((evaluated, report))
    }

    pub(crate) fn nothing_drawn(&self) -> IntegrationError {
        let reason = self.failed.first().map_or_else(String::new, |(_, reason)| reason.clone());
        IntegrationError::EmptyDesign { points: 0, reason }
    }

    /// Values and slopes at draws; those that cannot be evaluated are left out.
    fn drawn(&self, zs: Vec<Vec<f64>>) -> Drawn {
        let thetas: Vec<Vec<f64>> = zs.iter().map(|z| self.map.theta(z)).collect();
        let mut out = Drawn::default();
        let values = self.engine.approximate_batch(&thetas, &self.start);
        for (k, (z, value)) in zs.into_iter().zip(values).enumerate() {
            if let Ok(found) = value {
                out.kept.push(k);
                out.zs.push(z);
                out.logs.push(found.value);
                out.slopes.push(self.map.slope(&found.gradient));
            }
        }
        out
    }

    /// The design of some of the draws, by their weights; all of them stay for the marginals of the hyperparameters.
    fn thinned(&mut self, draws: ThetaDraws, log_integral: f64) -> Result<Evaluated, IntegrationError> {
        let marginals = self.engine.model().nodes() + self.engine.model().rows();
        let kept = resample(&draws.weights, kept(marginals).min(draws.zs.len()));
        let zs: Vec<Vec<f64>> = kept.into_iter().map(|k| draws.zs[k].clone()).collect();
        let (mut used, mut points) = (Vec::new(), Vec::new());
        for (z, result) in zs.iter().zip(self.evaluate(&zs)) {
            if let Some(point) = result {
                used.push(z.clone());
                points.push(point);
            }
        }
        if points.is_empty() {
            return Err(self.nothing_drawn());
        }
        let joint = draws.joint(draws.weights.clone());
        let thetas: Vec<&[f64]> = points.iter().map(|point| point.approximation.theta.as_slice()).collect();
        let weights = mixing_weights(&thetas, &vec![1.0 / used.len() as f64; used.len()], &joint);
        let design = used.into_iter().zip(weights).zip(&points).map(|((z, weight), point)| DesignPoint {
            z,
            log_weight: weight.ln() + log_integral - point.approximation.log_posterior,
        });
        let design = design.collect();
        self.draws = Some(draws);
        Ok(Evaluated { design, points, grid: None })
    }

    /// The draws as a joint distribution, `with` the second-order terms: those are known at the points of the design and vary slowly,
    /// so that a plane through them serves the other draws.
    pub(crate) fn joint_of_draws(&self, draws: &ThetaDraws, evaluated: &Evaluated, with: bool) -> Joint {
        if !with {
            return draws.joint(draws.weights.clone());
        }
        let corrections: Vec<f64> = evaluated.points.iter().map(|p| p.moments.second_order.total()).collect();
        let points: Vec<&[f64]> = evaluated.design.iter().map(|point| point.z.as_slice()).collect();
        let plane = plane(&points, &corrections);
        let at = |z: &[f64]| plane[0] + plane[1..].iter().zip(z).map(|(b, z)| b * z).sum::<f64>();
        let logs: Vec<f64> = draws.zs.iter().zip(&draws.weights).map(|(z, w)| w.ln() + at(z)).collect();
        draws.joint(normalised(&logs))
    }

    fn theta_draws(&self, zs: Vec<Vec<f64>>, weights: Vec<f64>) -> ThetaDraws {
        let thetas = Arc::new(zs.iter().map(|z| self.map.theta(z)).collect());
        ThetaDraws { zs, thetas, weights }
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

/// Draws with the log-density and its slopes there.
#[derive(Default)]
struct Drawn {
    /// Which of those asked for could be evaluated.
    kept: Vec<usize>,
    zs: Vec<Vec<f64>>,
    logs: Vec<f64>,
    slopes: Vec<Vec<f64>>,
}

/// Indices of `count` draws by weights that sum to one, each as often as its weight says to within one (systematic resampling from
/// the middle of the first stratum).
pub(crate) fn resample(weights: &[f64], count: usize) -> Vec<usize> {
    let (mut out, mut sum) = (Vec::with_capacity(count), 0.0);
    for (k, weight) in weights.iter().enumerate() {
        sum += weight;
        while out.len() < count && (out.len() as f64 + 0.5) / count as f64 <= sum {
            out.push(k);
        }
    }
    // rounding may leave the sum below the last stratum
    let last = weights.len().saturating_sub(1);
    out.resize(count, last);
    out
}

/// The coefficients, constant first, of the plane of least squares through values at points; the mean value where points are few.
fn plane(points: &[&[f64]], values: &[f64]) -> Vec<f64> {
    let p = points.first().map_or(0, |z| z.len());
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let mut flat = vec![0.0; p + 1];
    flat[0] = mean;
    if points.len() < 3 * (p + 1) {
        return flat;
    }
    let design = Mat::from_fn(points.len(), p + 1, |i, j| if j == 0 { 1.0 } else { points[i][j - 1] });
    let solved = design.qr().solve_lstsq(Mat::from_fn(points.len(), 1, |i, _| values[i]));
    let found: Vec<f64> = (0..=p).map(|j| solved[(j, 0)]).collect();
    if found.iter().all(|b| b.is_finite()) { found } else { flat }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_taken_as_often_as_their_weights_say() {
        assert_eq!(resample(&[0.5, 0.0, 0.25, 0.25], 4), [0, 0, 2, 3]);
        assert_eq!(resample(&[0.1; 10], 10), (0..10).collect::<Vec<_>>());
        assert_eq!(resample(&[1.0 - 1e-12], 3), [0, 0, 0]);
        assert!(resample(&[], 0).is_empty());
    }

    #[test]
    fn a_plane_goes_through_its_points() {
        let points: Vec<Vec<f64>> = (0..12).map(|k| vec![f64::from(k % 4), f64::from(k / 4)]).collect();
        let refs: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        let values: Vec<f64> = points.iter().map(|z| 1.0 + 2.0 * z[0] - 0.5 * z[1]).collect();
        let found = plane(&refs, &values);
        assert!([1.0, 2.0, -0.5].iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        assert_eq!(plane(&refs[..2], &values[..2]), [2.0, 0.0, 0.0]);
    }
}
