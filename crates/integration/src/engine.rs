//! Evaluations of `log p̃(θ|y)` on a model: buffers leased from a pool, batches on an executor.

use std::sync::Mutex;

use gmrf::Parallelism;
use laplace::{
    Approximation, LaplaceError, LatentGaussianModel, Moments, NewtonOptions, PropagationOptions, Sites, Workspace,
};

use crate::error::IntegrationError;
use crate::executor::{Executor, Sequential, map};
use crate::hessian::Reparametrisation;
use crate::objective::{Objective, ObjectiveValue};
use crate::profiled::Profiles;
use crate::reading::Reading;

/// What is kept of one design point: `O(n + m)` numbers, no factor.
#[derive(Debug, Clone)]
pub struct PointEvaluation {
    /// Value, gradient and mode.
    pub approximation: Approximation,
    /// Moments of nodes and predictors.
    pub moments: Moments,
    /// Densities of nodes by Laplace's method, where they were asked for.
    pub profiles: Option<Profiles>,
}

/// The mode of the latent field at one `θ` and how it moves with `θ`: where searches nearby start.
#[derive(Debug, Clone)]
pub struct Start {
    theta: Vec<f64>,
    mode: Vec<f64>,
    derivatives: Vec<Vec<f64>>,
    bend: Option<Bend>,
    /// Of expectation propagation: those here, or with a map those of a skeleton around it.
    sites: Vec<Sites>,
    sites_map: Option<Reparametrisation>,
}

/// Second and third order along every axis of a standardised map.
#[derive(Debug, Clone)]
struct Bend {
    map: Reparametrisation,
    reach: f64,
    /// Coefficients of `z_k²` and of `z_k³`.
    orders: Vec<[Vec<f64>; 2]>,
}

/// A prediction reaches no further than this in any hyperparameter: beyond it the mode is no longer near its tangent.
const FARTHEST_PREDICTION: f64 = 1.0;

impl Start {
    /// The mode predicted at `theta`.
    fn at(&self, theta: &[f64]) -> Vec<f64> {
        let mut x = self.mode.clone();
        let Some(bend) = &self.bend else {
            let farthest = theta.iter().zip(&self.theta).fold(0.0_f64, |a, (t, s)| a.max((t - s).abs()));
            let share = (FARTHEST_PREDICTION / farthest).min(1.0);
            for ((t, s), slope) in theta.iter().zip(&self.theta).zip(&self.derivatives) {
                add(share * (t - s), slope, &mut x);
            }
            return x;
        };
        let (z, origin) = (bend.map.z(theta), bend.map.z(&self.theta));
        let z: Vec<f64> =
            z.iter().zip(&origin).map(|(z, o)| (z - o).clamp(-1.5 * bend.reach, 1.5 * bend.reach)).collect();
        for (j, slope) in self.derivatives.iter().enumerate() {
            let step: f64 = bend.map.loading(j).iter().zip(&z).map(|(a, z)| a * z).sum();
            add(step, slope, &mut x);
        }
        for ([second, third], z) in bend.orders.iter().zip(&z) {
            add(z * z, second, &mut x);
            add(z * z * z, third, &mut x);
        }
        x
    }

    /// The sites predicted at `theta`.
    fn sites_at(&self, theta: &[f64]) -> Option<Sites> {
        let Some(map) = &self.sites_map else { return self.sites.first().cloned() };
        let weights = crate::skeleton::weights(map, theta);
        let mut out = self.sites.first()?.clone();
        let sum = |of: &dyn Fn(&Sites) -> &Vec<f64>, out: &mut [f64]| {
            out.fill(0.0);
            self.sites.iter().zip(&weights).for_each(|(sites, weight)| add(*weight, of(sites), out));
        };
        sum(&|sites| &sites.precision, &mut out.precision);
        sum(&|sites| &sites.shift, &mut out.shift);
        Some(out)
    }

    /// Adds the parabolas through the sites of a skeleton.
    pub(crate) fn bend_sites(&mut self, map: &Reparametrisation, sites: Vec<Sites>) {
        (self.sites, self.sites_map) = (sites, Some(map.clone()));
    }

    /// Adds the cubics through the modes at `∓reach` on every axis of `map`, whose centre this start is.
    pub(crate) fn bend<'b>(&mut self, map: &Reparametrisation, reach: f64, ends: impl Iterator<Item = [&'b [f64]; 2]>) {
        let orders = ends.enumerate().map(|(k, [low, high])| {
            let mut slope = vec![0.0; self.mode.len()];
            for (j, derivative) in self.derivatives.iter().enumerate() {
                add(map.loading(j)[k], derivative, &mut slope);
            }
            let second = low.iter().zip(high).zip(&self.mode);
            let second = second.map(|((low, high), x)| (low + high - 2.0 * x) / (2.0 * reach * reach)).collect();
            let third = low.iter().zip(high).zip(&slope);
            let third =
                third.map(|((low, high), d)| (0.5 * (high - low) - reach * d) / (reach * reach * reach)).collect();
            [second, third]
        });
        let orders = orders.collect();
        self.bend = Some(Bend { map: map.clone(), reach, orders });
    }
}

/// `x += step · slope`.
fn add(step: f64, slope: &[f64], x: &mut [f64]) {
    if step != 0.0 {
        x.iter_mut().zip(slope).for_each(|(x, d)| *x += step * d);
    }
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
        Self { model, executor, newton, propagation: None, pool, last, counts }
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

    /// How many of `tasks` points are evaluated at a time: one for every thread, or one alone on all threads where there are
    /// fewer points or the workspaces would fill half of the physical memory.
    fn concurrency(&self, tasks: usize) -> usize {
        let threads = self.executor.threads();
        let fit = gmrf::physical_memory() / 2 / self.workspace_bytes().max(1);
        if tasks < threads || fit < threads { 1 } else { threads }
    }

    /// The results of `tasks` evaluations in order.
    fn batch<T: Send>(&self, tasks: usize, work: impl Fn(usize, &mut Workspace) -> T + Sync) -> Vec<T> {
        let alone = self.concurrency(tasks) == 1;
        let executor = if alone { &Sequential } else { self.executor };
        map(executor, tasks, |i| self.lease(alone, |workspace| work(i, workspace)))
    }

    /// A workspace for one evaluation, which uses all threads if it is `alone`.
    fn lease<T>(&self, alone: bool, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let leased = lock(&self.pool).pop();
        let mut workspace = leased.unwrap_or_else(|| Workspace::new(self.model));
        let tree = alone && self.executor.threads() > 1;
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
        start: Option<&Start>,
    ) -> Result<Approximation, IntegrationError> {
        let mode = start.map(|start| start.at(theta));
        let sites = start.and_then(|start| start.sites_at(theta));
        let mut result = self.approximate_from(workspace, theta, (mode.as_deref(), sites.as_ref()));
        if result.is_err() && start.is_some() {
            result = self.approximate_from(workspace, theta, (None, None));
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
    ) -> Result<Approximation, LaplaceError> {
        match &self.propagation {
            None => Approximation::evaluate(self.model, theta, mode, workspace, &self.newton),
            Some(options) => {
                Approximation::propagate(self.model, theta, (mode, sites), workspace, (&self.newton, options))
            }
        }
    }

    /// The mode of the latent field at `theta` with its derivatives: those of the last sequential evaluation if it was there, else
    /// from a cold start.
    ///
    /// # Errors
    /// Those of [`Approximation::evaluate`].
    pub fn start_at(&self, theta: &[f64]) -> Result<Start, IntegrationError> {
        let last = lock(&self.last).clone();
        match last.filter(|last| last.theta == theta) {
            Some(last) => Ok(last),
            None => Ok(self.evaluate_from(theta, None)?.1),
        }
    }

    /// An evaluation and where its neighbours' searches start.
    fn evaluate_from(&self, theta: &[f64], start: Option<&Start>) -> Result<(Approximation, Start), IntegrationError> {
        self.lease(true, |workspace| {
            let approximation = self.approximate_in(workspace, theta, start)?;
            // a quadratic is climbed in one step from anywhere, and sites need no mode
            let derivatives = match self.model.is_gaussian() || self.propagates() {
                true => Vec::new(),
                false => approximation.mode_derivatives(self.model, workspace)?,
            };
            let (mode, sites) = (approximation.mode.clone(), approximation.sites.clone().into_iter().collect());
            Ok((approximation, Start { theta: theta.to_vec(), mode, derivatives, bend: None, sites, sites_map: None }))
        })
    }

    /// Value and gradient at one `theta` from `start`, on the calling thread: for several callers at a time.
    ///
    /// # Errors
    /// Those of [`Approximation::evaluate`].
    pub fn approximate_alone(&self, theta: &[f64], start: &Start) -> Result<ObjectiveValue, IntegrationError> {
        let approximation = self.lease(false, |workspace| self.approximate_in(workspace, theta, Some(start)))?;
        Ok(ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient })
    }

    /// Values and gradients of a batch, all from `start`, in order.
    pub fn approximate_batch(
        &self,
        thetas: &[Vec<f64>],
        start: &Start,
    ) -> Vec<Result<ObjectiveValue, IntegrationError>> {
        self.batch(thetas.len(), |i, workspace| {
            let approximation = self.approximate_in(workspace, &thetas[i], Some(start))?;
            Ok(ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient })
        })
    }

    /// Values with moments of a batch, all from `start`, in order; `reading(i)` says what is read at point `i`.
    pub fn evaluate_batch(
        &self,
        thetas: &[Vec<f64>],
        start: &Start,
        reading: impl Fn(usize) -> Reading + Sync,
    ) -> Vec<Result<PointEvaluation, IntegrationError>> {
        self.batch(thetas.len(), |i, workspace| {
            let approximation = self.approximate_in(workspace, &thetas[i], Some(start))?;
            let (moments, profiles) = reading(i).read(self.model, &approximation, workspace)?;
            Ok(PointEvaluation { approximation, moments, profiles })
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
            let Ok(found) = self.approximate_in(workspace, &approximation.theta, Some(start)) else {
                return Vec::new();
            };
            nodes.iter().map_while(|&node| found.profile(self.model, workspace, node, ts).ok()).collect()
        })
    }
}

impl Objective for Engine<'_> {
    fn dimension(&self) -> usize {
        self.model.free_count()
    }

    fn evaluate(&self, theta: &[f64]) -> Result<ObjectiveValue, IntegrationError> {
        let start = lock(&self.last).clone();
        let (approximation, start) = self.evaluate_from(theta, start.as_ref())?;
        *lock(&self.last) = Some(start);
        Ok(ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient })
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
