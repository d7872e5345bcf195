//! Evaluations of `log p̃(θ|y)` on a model: buffers leased from a pool, batches on an executor.

use std::ops::Range;
use std::sync::Mutex;

use gmrf::Parallelism;
use laplace::{
    Approximation, LaplaceError, LatentGaussianModel, Moments, NewtonOptions, PropagationOptions, Sites, Workspace,
};

use crate::error::IntegrationError;
use crate::executor::{Executor, Sequential, map};
use crate::objective::{Curvature, Objective, ObjectiveValue};
use crate::profiled::Profiles;
use crate::reading::Reading;
use crate::start::Start;

/// What is kept of one design point: `O(n + m)` numbers, no factor.
#[derive(Debug, Clone)]
pub struct PointEvaluation {
    /// Value, gradient and mode.
    pub approximation: Approximation,
    /// Moments of nodes and predictors.
    pub moments: Moments,
    /// Densities of nodes and linear predictors by Laplace's method, where they were asked for.
    pub profiles: Option<Profiles>,
    /// `∂x*/∂θ`, one vector for each hyperparameter, where they were asked for.
    pub slopes: Vec<Vec<f64>>,
}

/// Operations of a factor from which solves cost little beside it: a search then takes the estimated curvature.
const CURVED: f64 = 1e6;

/// What is asked for at one point of a batch.
pub(crate) struct Asked<'t> {
    pub(crate) theta: &'t [f64],
    /// A mode to start from instead of what the common start predicts.
    pub(crate) guess: Option<Vec<f64>>,
    /// Whether the slopes of the mode are wanted.
    pub(crate) with_slopes: bool,
    pub(crate) reading: Reading,
}

/// What evaluations took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Evaluations of `log p̃(θ|y)` and its gradient.
    pub evaluations: usize,
    /// Newton steps.
    pub newton_steps: usize,
    /// Factorisations of the posterior precision of `x`.
    pub factorisations: usize,
}

/// Evaluates a model at any `θ`. A pure function of the model, `θ` and the start.
pub struct Engine<'a> {
    model: &'a LatentGaussianModel,
    executor: &'a dyn Executor,
    newton: NewtonOptions,
    /// Workspaces that fill half of the physical memory.
    room: usize,
    /// `None`: Laplace's approximation.
    propagation: Option<PropagationOptions>,
    pool: Mutex<Vec<Workspace>>,
    /// Where the next sequential evaluation starts: the last one.
    last: Mutex<Option<Start>>,
    counts: Mutex<Counts>,
}

impl<'a> Engine<'a> {
    /// An engine for `model` with batches on `executor`.
    pub fn new(model: &'a LatentGaussianModel, executor: &'a dyn Executor, newton: NewtonOptions) -> Self {
        let (pool, last, counts) = (Mutex::new(Vec::new()), Mutex::new(None), Mutex::default());
        let mut engine = Self { model, executor, newton, room: 0, propagation: None, pool, last, counts };
        engine.room = gmrf::physical_memory() / 2 / engine.workspace_bytes().max(1);
        engine
    }

    /// The same engine by expectation propagation, to set out from `start`; counts go on.
    pub fn propagating(&self, options: PropagationOptions, start: Start) -> Self {
        let pool = Mutex::new(std::mem::take(&mut *lock(&self.pool)));
        let (last, counts) = (Mutex::new(Some(start)), Mutex::new(self.counts()));
        Self { propagation: Some(options), pool, last, counts, ..*self }
    }

    /// Whether it evaluates by expectation propagation.
    pub fn propagates(&self) -> bool {
        self.propagation.is_some()
    }

    /// The model.
    pub fn model(&self) -> &'a LatentGaussianModel {
        self.model
    }

    /// What the evaluations took so far.
    pub fn counts(&self) -> Counts {
        *lock(&self.counts)
    }

    /// Forgets where the last sequential evaluation ended.
    pub fn forget_start(&self) {
        *lock(&self.last) = None;
    }

    /// Bytes of one workspace's factor and selected inverse, of which there is one for every point evaluated at a time.
    pub fn workspace_bytes(&self) -> usize {
        let (factor, inverse) = self.model.symbolic().memory();
        factor + inverse
    }

    /// Bytes of workspaces for points evaluated at a time, and of what is kept of `points` points and their mixtures.
    pub(crate) fn predicted_bytes(&self, points: usize) -> usize {
        let (n, m) = (self.model.nodes(), self.model.rows());
        let vectors = 10 * n + 12 * m + 4 * self.model.symbolic().pattern().nnz();
        // mode, moments of nodes, moments and cavities of predictors; a part of each mixture
        let kept = (1 + 3) * n + (3 + 2) * m + 5 * (n + m);
        self.concurrency(usize::MAX) * (self.workspace_bytes() + 8 * vectors) + 8 * points * kept
    }

    /// How many of `tasks` points are evaluated at a time: all of them, up to one for every thread; one alone on all threads where
    /// the workspaces would fill half of the physical memory.
    fn concurrency(&self, tasks: usize) -> usize {
        let most = self.executor.threads().min(tasks);
        if self.room < most { 1 } else { most }
    }

    /// The results of `tasks` evaluations in order.
    fn batch<T: Send>(&self, tasks: usize, work: impl Fn(usize, &mut Workspace) -> T + Sync) -> Vec<T> {
        let (concurrency, threads) = (self.concurrency(tasks), self.executor.threads());
        // what is left over beside full rounds would leave most threads idle
        let left = if concurrency == threads && tasks > threads { tasks % threads } else { 0 };
        let left = if 2 * left <= threads { left } else { 0 };
        let mut results = self.round(0..tasks - left, concurrency, &work);
        results.extend(self.round(tasks - left..tasks, left, &work));
        results
    }

    /// The results of some tasks in order, so many at a time.
    fn round<T: Send>(
        &self,
        tasks: Range<usize>,
        concurrency: usize,
        work: &(impl Fn(usize, &mut Workspace) -> T + Sync),
    ) -> Vec<T> {
        let executor = if concurrency == 1 { &Sequential } else { self.executor };
        // factors use the threads that are left; a thread that waits for a share may begin another task, of which there are fewer than threads
        let idle = concurrency < self.executor.threads();
        map(executor, tasks.len(), |i| self.lease(idle, |workspace| work(tasks.start + i, workspace)))
    }

    /// A workspace for one evaluation, which uses `idle` threads if there are some.
    fn lease<T>(&self, idle: bool, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let leased = lock(&self.pool).pop();
        let mut workspace = leased.unwrap_or_else(|| Workspace::new(self.model));
        let tree = idle && self.executor.threads() > 1;
        workspace.set_parallelism(if tree { Parallelism::Tree } else { Parallelism::Sequential });
        let result = work(&mut workspace);
        lock(&self.pool).push(workspace);
        result
    }

    fn count(&self, approximation: &Approximation) {
        let mut counts = lock(&self.counts);
        counts.evaluations += 1;
        counts.newton_steps += approximation.newton_steps;
        counts.factorisations += approximation.factorisations;
    }

    /// `log p̃(θ, y)` and its gradient from what `start` predicts; from a cold start where the warm one fails.
    fn approximate_in(
        &self,
        workspace: &mut Workspace,
        theta: &[f64],
        (start, guess): (Option<&Start>, Option<Vec<f64>>),
        newton: &NewtonOptions,
    ) -> Result<Approximation, IntegrationError> {
        let mode = guess.or_else(|| start.map(|start| start.at(theta)));
        let sites = start.and_then(|start| start.sites_at(theta));
        let mut result = self.approximate_from(workspace, theta, (mode.as_deref(), sites.as_ref()), newton);
        if result.is_err() && start.is_some() {
            result = self.approximate_from(workspace, theta, (None, None), newton);
        }
        let approximation = result?;
        self.count(&approximation);
        Ok(approximation)
    }

    fn approximate_from(
        &self,
        workspace: &mut Workspace,
        theta: &[f64],
        (mode, sites): (Option<&[f64]>, Option<&Sites>),
        newton: &NewtonOptions,
    ) -> Result<Approximation, LaplaceError> {
        match &self.propagation {
            None => Approximation::evaluate(self.model, theta, mode, workspace, newton),
            Some(options) => Approximation::propagate(self.model, theta, (mode, sites), workspace, (newton, options)),
        }
    }

    /// The mode of the latent field at `theta` with its derivatives: those of the last sequential evaluation if it was there, else
    /// from a cold start.
    ///
    /// # Errors
    /// Those of [`Approximation::evaluate`].
    pub fn start_at(&self, theta: &[f64]) -> Result<Start, IntegrationError> {
        let last = lock(&self.last).clone();
        match last.filter(|last| last.theta() == theta) {
            Some(last) => Ok(last),
            None => Ok(self.evaluate_from(theta, None, false)?.1),
        }
    }

    /// An evaluation and where its neighbours' searches start; with its curvature where it is `curved`.
    fn evaluate_from(
        &self,
        theta: &[f64],
        start: Option<&Start>,
        curved: bool,
    ) -> Result<(Approximation, Start, Option<Curvature>), IntegrationError> {
        self.lease(true, |workspace| {
            let approximation = self.approximate_in(workspace, theta, (start, None), &self.newton)?;
            let derivatives = match self.starts_from_a_mode() || curved {
                true => approximation.mode_derivatives(self.model, workspace)?,
                false => Vec::new(),
            };
            let curvature = match curved {
                // a search goes on without
                true => approximation.curvature(self.model, &derivatives, workspace).ok().flatten(),
                false => None,
            };
            let (mode, sites) = (approximation.mode.clone(), approximation.sites.clone().into_iter().collect());
            Ok((approximation, Start::new(theta, (mode, derivatives), sites), curvature))
        })
    }

    /// Whether it matters where a search for the mode starts: a quadratic is climbed in one step from anywhere, and sites need no mode.
    pub(crate) fn starts_from_a_mode(&self) -> bool {
        !self.model.is_gaussian() && !self.propagates()
    }

    /// Whether an estimate of the curvature costs less than differences of gradients do.
    fn is_curved(&self) -> bool {
        !self.propagates() && self.model.free_count() > 0 && self.model.symbolic().operations() > CURVED
    }

    fn evaluate_next(
        &self,
        theta: &[f64],
        curved: bool,
    ) -> Result<(ObjectiveValue, Option<Curvature>), IntegrationError> {
        let start = lock(&self.last).clone();
        let (approximation, start, curvature) = self.evaluate_from(theta, start.as_ref(), curved)?;
        *lock(&self.last) = Some(start);
        let value = ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient };
        Ok((value, curvature))
    }

    /// Value and gradient at one `theta` from `start`, on the calling thread: for several callers at a time.
    ///
    /// # Errors
    /// Those of [`Approximation::evaluate`].
    pub fn approximate_alone(&self, theta: &[f64], start: &Start) -> Result<ObjectiveValue, IntegrationError> {
        let approximation =
            self.lease(false, |workspace| self.approximate_in(workspace, theta, (Some(start), None), &self.newton))?;
        Ok(ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient })
    }

    /// Values and gradients of a batch, all from `start`, in order.
    pub fn approximate_batch(
        &self,
        thetas: &[Vec<f64>],
        start: &Start,
    ) -> Vec<Result<ObjectiveValue, IntegrationError>> {
        self.batch(thetas.len(), |i, workspace| {
            let approximation = self.approximate_in(workspace, &thetas[i], (Some(start), None), &self.newton)?;
            Ok(ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient })
        })
    }

    /// Values with moments of a batch of so many points, in order.
    pub(crate) fn evaluate_batch<'t>(
        &self,
        points: usize,
        start: &Start,
        asked: impl Fn(usize) -> Asked<'t> + Sync,
    ) -> Vec<Result<PointEvaluation, IntegrationError>> {
        self.batch(points, |i, workspace| {
            let Asked { theta, guess, with_slopes, reading } = asked(i);
            // the other readings set out from a factor at the mode
            let newton = NewtonOptions { keeps_factor: matches!(reading, Reading::Expansion(_)), ..self.newton };
            let approximation = self.approximate_in(workspace, theta, (Some(start), guess), &newton)?;
            let slopes = match with_slopes {
                true => approximation.mode_derivatives(self.model, workspace)?,
                false => Vec::new(),
            };
            let (moments, profiles) = reading.read(self.model, &approximation, workspace)?;
            let mut all = moments.nodes.iter().chain(&moments.predictors);
            if !all.all(|moment| moment.mean.is_finite() && moment.variance.is_finite()) {
                let what = "a mean or variance of the latent field".to_owned();
                return Err(LaplaceError::NotFinite { what, theta: theta.to_vec() }.into());
            }
            Ok(PointEvaluation { approximation, moments, profiles, slopes })
        })
    }
}

impl Engine<'_> {
    /// Of each of `nodes` the Gaussian's standard deviation and the profile of its density at `approximation`; none where the
    /// approximation cannot be found again.
    pub(crate) fn profiles(
        &self,
        approximation: &Approximation,
        start: &Start,
        nodes: &[usize],
        ts: &[f64],
    ) -> Vec<(f64, Vec<f64>)> {
        self.lease(true, |workspace| {
            let Ok(found) = self.approximate_in(workspace, &approximation.theta, (Some(start), None), &self.newton)
            else {
                return Vec::new();
            };
            let (model, workspace): (_, &Workspace) = (self.model, workspace);
            let profile = |k: usize| found.profile(model, workspace, nodes[k], ts).ok();
            map(self.executor, nodes.len(), profile).into_iter().map_while(|profile| profile).collect()
        })
    }
}

impl Objective for Engine<'_> {
    fn dimension(&self) -> usize {
        self.model.free_count()
    }

    fn evaluate(&self, theta: &[f64]) -> Result<ObjectiveValue, IntegrationError> {
        Ok(self.evaluate_next(theta, false)?.0)
    }

    fn evaluate_curved(&self, theta: &[f64]) -> Result<(ObjectiveValue, Option<Curvature>), IntegrationError> {
        self.evaluate_next(theta, self.is_curved())
    }

    fn evaluate_near(&self, thetas: &[Vec<f64>]) -> Vec<Result<ObjectiveValue, IntegrationError>> {
        let last = lock(&self.last).clone();
        match last {
            Some(start) => self.approximate_batch(thetas, &start),
            None => thetas.iter().map(|theta| self.evaluate(theta)).collect(),
        }
    }
}

/// A poisoned lock only means that another thread panicked: the data behind it are plain buffers and counters.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
