//! Markov chains on the exact posterior of hyperparameters and latent field together.
//!
//! The state is `(θ, z)` with `x = x*(θ) + T(θ) z`: mode and factor move with `θ`, and the density in these coordinates, their Jacobian
//! included, is `p̃(θ|y) φ(z) w(θ, z)` with `w` the exact density of `x` over its Gaussian approximation's. Both kinds of update turn
//! the state along the circles that leave a Gaussian alone, between kicks by the slope of what is not Gaussian, and are accepted by
//! the exact density; for `θ` the slope is that of `p̃`, which any function of `θ` may stand for.

mod chain;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use laplace::{LatentGaussianModel, NewtonOptions};

use chain::Chain;

use crate::error::IntegrationError;
use crate::executor::{Executor, map};
use crate::hessian::Reparametrisation;
use crate::sampling::convergence::{effective_draws, least_effective_draws, split_r_hat};

/// Numbers that are kept, some 160 MB; of longer chains every second, third, … draw is.
const MOST_NUMBERS: usize = 20_000_000;
/// The seed: results do not depend on it but for the Monte Carlo error.
const SEED: u64 = 1953;
/// Below these nothing can be said of a chain.
const LEAST_DRAWS: usize = 20;

/// Options of [`verify`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VerifyOptions {
    /// Chains, run in parallel; at least 2.
    pub chains: usize,
    /// Draws of each chain that tune its steps and are thrown away; at least 10.
    pub tuning: usize,
    /// Draws of each chain that are kept; at least 20.
    pub draws: usize,
    /// Seconds after which the chains stop with what they have; `None`: no limit. A chain that was stopped depends on the machine.
    pub seconds: Option<f64>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self { chains: 4, tuning: 300, draws: 2000, seconds: None }
    }
}

/// What the chains say of one scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampledScalar {
    /// Posterior mean.
    pub mean: f64,
    /// Its Monte Carlo standard error.
    pub mean_error: f64,
    /// Posterior standard deviation.
    pub sd: f64,
    /// Its Monte Carlo standard error.
    pub sd_error: f64,
    /// The 2.5 %, 50 % and 97.5 % points.
    pub quantiles: [f64; 3],
    /// Independent draws that the chains are worth for the mean.
    pub effective: f64,
    /// The same for the centre and for the 5 % and 95 % points, the least of them.
    pub least_effective: f64,
    /// Split `R̂`.
    pub r_hat: f64,
}

/// What the chains found.
#[derive(Debug, Clone, PartialEq)]
pub struct SampledPosterior {
    /// Of the free hyperparameters, internal scale.
    pub hyperparameters: Vec<SampledScalar>,
    /// Of what [`LatentGaussianModel::derived`] names, internal scale.
    pub derived: Vec<SampledScalar>,
    /// Of every latent node.
    pub nodes: Vec<SampledScalar>,
    /// Of every linear predictor; empty where draws of all of them would not fit in memory.
    pub predictors: Vec<SampledScalar>,
    /// Draws of each chain after tuning.
    pub draws: usize,
    /// Every so many draws one was kept.
    pub thinning: usize,
    /// Whether the time limit ended the chains.
    pub stopped: bool,
    /// Share of updates of the hyperparameters, and of the latent field, that were accepted.
    pub acceptance: [f64; 2],
}

/// Samples the exact posterior of `(θ, x)`.
///
/// `coordinates` standardise `θ` about its mode ([`Posterior`](crate::Posterior) has them). `told` hears how many draws of how many are
/// done, from any thread, and says whether to go on. The mode of `x` must be unique given `θ`. The same bits on any number of threads
/// where no time limit strikes. Cost: for each draw an evaluation of `p̃` and up to sixteen passes over data and factor; two workspaces a
/// chain, and 160 MB of draws at most.
///
/// # Errors
/// [`IntegrationError::InvalidOption`]; [`IntegrationError::Laplace`] if the mode cannot be evaluated; [`IntegrationError::Cancelled`].
pub fn verify(
    model: &LatentGaussianModel,
    coordinates: &Reparametrisation,
    (options, newton): (&VerifyOptions, NewtonOptions),
    executor: &dyn Executor,
    told: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Result<SampledPosterior, IntegrationError> {
    check(options)?;
    let few = model.free_count() + model.derived().len() + model.nodes();
    let with_predictors = (few + model.rows()) * options.draws * options.chains <= MOST_NUMBERS;
    let thinning = (few * options.draws * options.chains).div_ceil(MOST_NUMBERS);
    let (done, cancelled) = (AtomicUsize::new(0), AtomicBool::new(false));
    let each = options.tuning + options.draws;
    let waves = options.chains.div_ceil(executor.threads().max(1));
    let seconds = options.seconds.map_or(f64::INFINITY, |seconds| seconds / waves as f64);
    let chains = map(executor, options.chains, |chain| {
        let started = Instant::now();
        let mut walk = Chain::new(model, coordinates, newton, SEED + chain as u64)?;
        let mut kept: Vec<Vec<f64>> = vec![Vec::new(); few + if with_predictors { model.rows() } else { 0 }];
        for draw in 0..each {
            if started.elapsed().as_secs_f64() > seconds || cancelled.load(Ordering::Relaxed) {
                break;
            }
            walk.update((draw < options.tuning).then_some(draw))?;
            if draw >= options.tuning && (draw - options.tuning).is_multiple_of(thinning) {
                walk.keep(with_predictors, &mut kept)?;
            }
            if !told(done.fetch_add(1, Ordering::Relaxed) + 1, each * options.chains) {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
        Ok((kept, walk.acceptance()))
    });
    if cancelled.into_inner() {
        return Err(IntegrationError::Cancelled);
    }
    let chains = chains.into_iter().collect::<Result<Vec<_>, IntegrationError>>()?;
    summarised(model, options, (executor, thinning), &chains)
}

fn summarised(
    model: &LatentGaussianModel,
    options: &VerifyOptions,
    (executor, thinning): (&dyn Executor, usize),
    chains: &[(Vec<Vec<f64>>, [f64; 2])],
) -> Result<SampledPosterior, IntegrationError> {
    let lengths = chains.iter().filter_map(|(kept, _)| kept.first()).map(Vec::len);
    let (shortest, wanted) = (lengths.min().unwrap_or(0), options.draws.div_ceil(thinning));
    if shortest < LEAST_DRAWS {
        let seconds = options.seconds.unwrap_or(f64::INFINITY);
        let reason = format!("{seconds} seconds were enough for {shortest} draws of a chain; give ten times as many");
        return Err(IntegrationError::InvalidOption { option: "seconds", reason });
    }
    let scalar = |k: usize| {
        let draws: Vec<Vec<f64>> = chains.iter().map(|(kept, _)| kept[k][..shortest].to_vec()).collect();
        SampledScalar::new(&draws)
    };
    let mut all = map(executor, chains[0].0.len(), scalar).into_iter();
    let mut next = |count: usize| all.by_ref().take(count).collect::<Vec<_>>();
    let acceptance = [0, 1].map(|k| chains.iter().map(|(_, accepted)| accepted[k]).sum::<f64>() / chains.len() as f64);
    Ok(SampledPosterior {
        hyperparameters: next(model.free_count()),
        derived: next(model.derived().len()),
        nodes: next(model.nodes()),
        predictors: next(model.rows()),
        draws: if shortest < wanted { shortest * thinning } else { options.draws },
        thinning,
        stopped: shortest < wanted,
        acceptance,
    })
}

fn check(options: &VerifyOptions) -> Result<(), IntegrationError> {
    let limits = [
        ("chains", options.chains, 2, 1000),
        ("tuning", options.tuning, 10, 100_000_000),
        ("draws", options.draws, LEAST_DRAWS, 100_000_000),
    ];
    for (option, value, least, most) in limits {
        if !(least..=most).contains(&value) {
            let reason = format!("{value} lies outside {least} to {most}");
            return Err(IntegrationError::InvalidOption { option, reason });
        }
    }
    match options.seconds {
        Some(seconds) if !(seconds > 0.0 && seconds.is_finite()) => {
            let reason = format!("{seconds} is no time; give a positive number");
            Err(IntegrationError::InvalidOption { option: "seconds", reason })
        }
        _ => Ok(()),
    }
}

impl SampledScalar {
    /// From chains of one length.
    fn new(chains: &[Vec<f64>]) -> Self {
        let mut sorted = chains.concat();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / n;
        let square = |x: &f64| (x - mean).powi(2);
        let sd = (sorted.iter().map(square).sum::<f64>() / (n - 1.0)).sqrt();
        let squares: Vec<Vec<f64>> = chains.iter().map(|chain| chain.iter().map(square).collect()).collect();
        let spread = sorted.iter().map(|x| (square(x) - sd * sd).powi(2)).sum::<f64>() / n;
        let effective = effective_draws(chains);
        Self {
            mean,
            mean_error: sd / effective.sqrt(),
            sd,
            // that of the variance, over its derivative 2 sd
            sd_error: if sd > 0.0 { (spread / effective_draws(&squares)).sqrt() / (2.0 * sd) } else { 0.0 },
            quantiles: [0.025, 0.5, 0.975].map(|share| sorted[(share * (n - 1.0)).round() as usize]),
            effective,
            least_effective: least_effective_draws(chains),
            r_hat: split_r_hat(chains),
        }
    }
}
