//! The whole exploration: mode, Hessian, design, weights, marginals, evidence, criteria.

use std::time::{Duration, Instant};

use laplace::{LatentGaussianModel, NewtonOptions};

use crate::certificate::Checks;
use crate::criteria::Criteria;
use crate::design::GridOptions;
use crate::engine::Engine;
use crate::error::IntegrationError;
use crate::executor::Executor;
use crate::exploration::Exploration;
use crate::hessian::Reparametrisation;
use crate::marginal::Marginal;
use crate::mode::{Mode, ModeOptions};
use crate::rung::{Chosen, Rung};
use crate::sampling::{ImportanceReport, NutsOptions, SamplingReport};

/// How the hyperparameters are integrated out.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Strategy {
    /// Grid for up to two hyperparameters (three where a factor is cheap), halved where it disagrees with every second of its points,
    /// central composite design up to eight, refined by weighed draws where its marginals and its points disagree, weighed draws up to fifty where they take ten seconds or so, the no-U-turn
    /// sampler where their weights cannot be believed, the mode alone beyond.
    #[default]
    Automatic,
    /// The mode alone.
    EmpiricalBayes,
    /// A lattice explored outwards; `None`: the defaults of [`GridOptions::for_dimension`].
    Grid(Option<GridOptions>),
    /// Central composite design.
    CentralComposite,
    /// Weighed draws from a density that follows the gradients on the axes, and at the draws, to third order.
    Importance,
    /// Product Gauss–Hermite with this many nodes in each dimension.
    GaussHermite(usize),
    /// Draws of the no-U-turn sampler.
    Nuts(NutsOptions),
}

/// Options of [`Posterior::explore`].
#[derive(Debug, Clone, PartialEq)]
pub struct ExploreOptions {
    /// The design.
    pub strategy: Strategy,
    /// How the latent field is approximated; `None`: simplified Laplace, or expectation propagation where the second-order terms at
    /// the mode show that it is needed.
    pub rung: Option<Rung>,
    /// The nodes of `x` whose densities the rung `laplace` finds; `None`: all of them, where that is affordable.
    pub laplace_nodes: Option<Vec<usize>>,
    /// Whether the rung `laplace` finds the densities of the linear predictors too; `None`: where all nodes are asked for and that is
    /// affordable.
    pub laplace_predictors: Option<bool>,
    /// The search for the mode of `θ`.
    pub mode: ModeOptions,
    /// The search for the mode of `x`.
    pub newton: NewtonOptions,
    /// Whether DIC, WAIC, CPO and PIT are computed.
    pub criteria: bool,
    /// Whether the evidence of the fit's own accuracy is gathered.
    pub certificate: bool,
}

impl Default for ExploreOptions {
    fn default() -> Self {
        Self {
            strategy: Strategy::Automatic,
            rung: None,
            laplace_nodes: None,
            laplace_predictors: None,
            mode: ModeOptions::default(),
            newton: NewtonOptions::default(),
            criteria: true,
            certificate: true,
        }
    }
}

impl ExploreOptions {
    /// Refuses what does not belong to the rung.
    fn check(&self) -> Result<(), IntegrationError> {
        let given = [
            ("laplace_nodes", self.laplace_nodes.is_some()),
            ("laplace_predictors", self.laplace_predictors.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given && self.rung != Some(Rung::Laplace)) {
            Some((option, _)) => {
                Err(IntegrationError::InvalidOption { option, reason: "it belongs to the rung laplace".to_owned() })
            }
            None => Ok(()),
        }
    }
}

/// A design point with its posterior weight.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegrationPoint {
    /// Standardised coordinates.
    pub z: Vec<f64>,
    /// Internal scale.
    pub theta: Vec<f64>,
    /// Posterior weight; the weights of a design sum to one.
    pub weight: f64,
    /// Laplace's `log p̃(θ, y)`.
    pub log_posterior: f64,
    /// The second-order term of `log p̃(y|θ)`, whether used or not.
    pub second_order: f64,
}

/// `log p(y)` by several rules.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence {
    /// The design's quadrature, second-order terms included where they are used.
    pub integrated: f64,
    /// The design's quadrature of the Laplace approximation alone.
    pub without_second_order: f64,
    /// Laplace's method in `θ` too.
    pub gaussian: f64,
}

/// What happened on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnostics {
    /// Evaluations of `log p̃`.
    pub evaluations: usize,
    /// Newton steps over all evaluations.
    pub newton_steps: usize,
    /// Factorisations of the posterior precision of `x`.
    pub factorisations: usize,
    /// Whether the mode of `θ` was reached within its tolerance.
    pub mode_converged: bool,
    /// Directions at the mode in which the log-density is not concave or nearly flat.
    pub replaced_directions: Vec<usize>,
    /// Design points that could not be evaluated, with the reason.
    pub failed_points: Vec<(Vec<f64>, String)>,
    /// Rows whose linear predictors the rung `laplace` could not hold far enough from their modes, as where a link bounds other rows: they have
    /// the moments of the expansion.
    pub unheld_predictors: Vec<usize>,
    /// Whether the grid was cut before the density had fallen everywhere.
    pub truncated: bool,
    /// Whether the design was moved to the weighted mean of `θ`.
    pub moved: bool,
    /// The largest second-order term over the design, nats for each effective parameter.
    pub second_order_share: f64,
    /// Whether the second-order terms weigh the design.
    pub second_order_used: bool,
    /// Whether every third-order sum was complete.
    pub third_order_exact: bool,
    /// Effective number of parameters at the mode.
    pub effective_parameters: f64,
    /// Name of the design.
    pub design: &'static str,
    /// What the chains say of themselves, where `θ` was sampled.
    pub sampling: Option<SamplingReport>,
    /// What the weights of draws say of themselves, where `θ` was integrated by them.
    pub importance: Option<ImportanceReport>,
    /// The rung of the approximation ladder, and why.
    pub approximation: Chosen,
}

/// Wall-clock times.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// The search for the mode and the Hessian.
    pub mode: Duration,
    /// The design's evaluations.
    pub design: Duration,
    /// Marginals and criteria.
    pub marginals: Duration,
}

/// The posterior of a latent Gaussian model.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// The mode of `θ`, internal scale.
    pub mode: Mode,
    /// The coordinates of the design.
    pub reparametrisation: Reparametrisation,
    /// The design with posterior weights.
    pub points: Vec<IntegrationPoint>,
    /// Marginals of the nodes of `x`, length `n`.
    pub nodes: Vec<Marginal>,
    /// Marginals of what [`LatentGaussianModel::derived`] names, on the internal scales.
    pub derived: Vec<Marginal>,
    /// Marginals of the linear predictors, length `m`.
    pub predictors: Vec<Marginal>,
    /// Marginals of the free hyperparameters on the internal scale, length `p`.
    pub hyperparameters: Vec<Marginal>,
    /// The same without the second-order terms in the weights.
    pub hyperparameters_without_second_order: Vec<Marginal>,
    /// `log p(y)`.
    pub evidence: Evidence,
    /// DIC, WAIC, CPO, PIT, if asked for.
    pub criteria: Option<Criteria>,
    /// The evidence of the fit's own accuracy, if asked for.
    pub checks: Option<Checks>,
    /// What happened on the way.
    pub diagnostics: Diagnostics,
    /// Wall-clock times.
    pub timing: Timing,
}

impl Posterior {
    /// Bytes that [`explore`](Self::explore) is predicted to take on so many threads; a design that grows with a density far from
    /// Gaussian takes more.
    pub fn predicted_memory(model: &LatentGaussianModel, threads: usize, options: &ExploreOptions) -> usize {
        let executor = Counted(threads);
        let engine = Engine::new(model, &executor, options.newton);
        engine.predicted_bytes(crate::choice::predicted_points(options.strategy, model))
    }

    /// Explores the hyperparameters of `model` and combines the approximations. Deterministic: the same bits with any executor.
    ///
    /// # Errors
    /// [`IntegrationError`]: the starting point cannot be evaluated, the posterior of `θ` has no mode, or an option does not fit.
    pub fn explore(
        model: &LatentGaussianModel,
        executor: &dyn Executor,
        options: &ExploreOptions,
    ) -> Result<Self, IntegrationError> {
        let started = Instant::now();
        options.check()?;
        let engine = Engine::new(model, executor, options.newton);
        let exploration = Exploration::set_out(engine, executor, options, &model.initial_theta())?;
        exploration.climb(started)?.finish()
    }
}

/// Nothing but a number of threads.
struct Counted(usize);

impl Executor for Counted {
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }

    fn threads(&self) -> usize {
        self.0
    }
}
