//! Evaluations of `log p̃(θ|y)` on a model: buffers leased from a pool, batches on an executor.

use std::sync::Mutex;

use laplace::{Approximation, LatentGaussianModel, Moments, NewtonOptions, Workspace};

use crate::error::IntegrationError;
use crate::executor::{Executor, map};
use crate::objective::{Objective, ObjectiveValue};

/// What is kept of one design point: `O(n + m)` numbers, no factor.
#[derive(Debug, Clone)]
pub struct PointEvaluation {
    /// Value, gradient and mode.
    pub approximation: Approximation,
    /// Moments of nodes and predictors.
    pub moments: Moments,
}

/// The mode of the latent field at one `θ` and how it moves with `θ`: where searches nearby start.
#[derive(Debug, Clone)]
pub struct Start {
    theta: Vec<f64>,
    mode: Vec<f64>,
    derivatives: Vec<Vec<f64>>,
}

/// A prediction reaches no further than this in any hyperparameter: beyond it the mode is no longer near its tangent.
const FARTHEST_PREDICTION: f64 = 1.0;

impl Start {
    /// The mode predicted at `theta` to first order.
    fn at(&self, theta: &[f64]) -> Vec<f64> {
        let mut x = self.mode.clone();
        let farthest = theta.iter().zip(&self.theta).fold(0.0_f64, |a, (t, s)| a.max((t - s).abs()));
        let share = (FARTHEST_PREDICTION / farthest).min(1.0);
        for ((t, s), slope) in theta.iter().zip(&self.theta).zip(&self.derivatives) {
            let step = share * (t - s);
            if step != 0.0 {
                x.iter_mut().zip(slope).for_each(|(x, d)| *x += step * d);
            }
        }
        x
    }
}

/// Evaluates a model at any `θ`. A pure function of the model, `θ` and the start.
pub struct Engine<'a> {
    model: &'a LatentGaussianModel,
    executor: &'a dyn Executor,
    newton: NewtonOptions,
    pool: Mutex<Vec<Workspace>>,
    /// Where the next sequential evaluation starts: the mode of the last one.
    last_mode: Mutex<Option<Vec<f64>>>,
    evaluations: Mutex<(usize, usize)>,
}

impl<'a> Engine<'a> {
    /// An engine for `model` with batches on `executor`.
    pub fn new(model: &'a LatentGaussianModel, executor: &'a dyn Executor, newton: NewtonOptions) -> Self {
        Self {
            model,
            executor,
            newton,
            pool: Mutex::new(Vec::new()),
            last_mode: Mutex::new(None),
            evaluations: Mutex::new((0, 0)),
        }
    }

    /// The model.
    pub fn model(&self) -> &'a LatentGaussianModel {
        self.model
    }

    /// Evaluations of `log p̃` and Newton steps so far.
    pub fn counts(&self) -> (usize, usize) {
        *lock(&self.evaluations)
    }

    /// Forgets where the last sequential evaluation ended.
    pub fn forget_start(&self) {
        *lock(&self.last_mode) = None;
    }

    fn lease<T>(&self, work: impl FnOnce(&mut Workspace) -> T) -> T {
        let leased = lock(&self.pool).pop();
        let mut workspace = leased.unwrap_or_else(|| Workspace::new(self.model));
        let result = work(&mut workspace);
        lock(&self.pool).push(workspace);
        result
    }

    fn count(&self, approximation: &Approximation) {
        let mut counts = lock(&self.evaluations);
        counts.0 += 1;
        counts.1 += approximation.newton_steps;
    }

    /// `log p̃(θ, y)` and its gradient from `start`; from a cold start where the warm one fails.
    ///
    /// # Errors
    /// Those of [`Approximation::evaluate`].
    pub fn approximate(&self, theta: &[f64], start: Option<&[f64]>) -> Result<Approximation, IntegrationError> {
        self.lease(|workspace| self.approximate_in(workspace, theta, start))
    }

    fn approximate_in(
        &self,
        workspace: &mut Workspace,
        theta: &[f64],
        start: Option<&[f64]>,
    ) -> Result<Approximation, IntegrationError> {
        let mut result = Approximation::evaluate(self.model, theta, start, workspace, &self.newton);
        if result.is_err() && start.is_some() {
            result = Approximation::evaluate(self.model, theta, None, workspace, &self.newton);
        }
        let approximation = result?;
        self.count(&approximation);
        Ok(approximation)
    }

    /// The mode of the latent field at `theta` with its derivatives, from a cold start: independent of what came before.
    ///
    /// # Errors
    /// Those of [`Approximation::evaluate`].
    pub fn start_at(&self, theta: &[f64]) -> Result<Start, IntegrationError> {
        self.lease(|workspace| {
            let approximation = self.approximate_in(workspace, theta, None)?;
            let derivatives = approximation.mode_derivatives(self.model, workspace)?;
            Ok(Start { theta: theta.to_vec(), mode: approximation.mode, derivatives })
        })
    }

    /// Values and gradients of a batch, all from `start`, in order.
    pub fn approximate_batch(
        &self,
        thetas: &[Vec<f64>],
        start: &Start,
    ) -> Vec<Result<ObjectiveValue, IntegrationError>> {
        map(self.executor, thetas.len(), |i| {
            let approximation = self.approximate(&thetas[i], Some(&start.at(&thetas[i])))?;
            Ok(ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient })
        })
    }

    /// Values with moments of a batch, all from `start`, in order.
    pub fn evaluate_batch(
        &self,
        thetas: &[Vec<f64>],
        start: &Start,
        with_correction: bool,
    ) -> Vec<Result<PointEvaluation, IntegrationError>> {
        map(self.executor, thetas.len(), |i| {
            self.lease(|workspace| {
                let approximation = self.approximate_in(workspace, &thetas[i], Some(&start.at(&thetas[i])))?;
                let moments = Moments::read(self.model, &approximation, workspace, with_correction)?;
                Ok(PointEvaluation { approximation, moments })
            })
        })
    }
}

impl Objective for Engine<'_> {
    fn dimension(&self) -> usize {
        self.model.free_count()
    }

    fn evaluate(&self, theta: &[f64]) -> Result<ObjectiveValue, IntegrationError> {
        let start = lock(&self.last_mode).clone();
        let approximation = self.approximate(theta, start.as_deref())?;
        *lock(&self.last_mode) = Some(approximation.mode);
        Ok(ObjectiveValue { value: approximation.log_posterior, gradient: approximation.gradient })
    }
}

/// A poisoned lock only means that another thread panicked: the data behind it are plain buffers and counters.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
