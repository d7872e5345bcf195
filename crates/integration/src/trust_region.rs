//! Newton's method inside a trust region, for objectives that estimate their curvature: one evaluation a step.

use argmin::core::{Error, KV, Problem, Solver, TerminationStatus};
use faer::{Mat, Side};

use crate::mode::{FARTHEST, ModeOptions, SUFFICIENT_INCREASE, SearchState, dot, rounding, status};
use crate::objective::{Curvature, Objective, ObjectiveValue};

/// Radius of the first step: starting values are a few units of a log precision from the mode, the density's curvature is not.
const FIRST_RADIUS: f64 = 2.0;
/// A step that gained at least this share of what the model promised doubles the radius that held it back.
const GOOD_SHARE: f64 = 0.75;
/// One that gained less than this halves it.
const POOR_SHARE: f64 = 0.25;
/// Radius below which the search gives up.
const LEAST_RADIUS: f64 = 1e-6;
/// A change of the gradient tells the curvature at its end only over a step shorter than this.
const LOCAL: f64 = 0.5;

/// The search in progress.
pub(crate) struct TrustRegion {
    pub(crate) theta: Vec<f64>,
    pub(crate) current: ObjectiveValue,
    /// Estimate of minus the Hessian.
    curvature: Curvature,
    radius: f64,
    options: ModeOptions,
    pub(crate) evaluations: usize,
    pub(crate) converged: bool,
    stalled: bool,
}

/// A step, the increase that the quadratic model promises, and whether the radius held it back.
struct Step {
    step: Vec<f64>,
    promised: f64,
    held_back: bool,
}

impl TrustRegion {
    pub(crate) fn new(theta: Vec<f64>, current: ObjectiveValue, curvature: Curvature, options: ModeOptions) -> Self {
        let radius = FIRST_RADIUS.min(options.longest_step);
        Self { theta, current, curvature, radius, options, evaluations: 1, converged: false, stalled: false }
    }

    /// The maximum of the quadratic model inside the radius; `None` where its curvature has no eigenvalues.
    fn step(&self) -> Option<Step> {
        let p = self.theta.len();
        let eigen = Mat::from_fn(p, p, |i, j| self.curvature[i][j]).self_adjoint_eigen(Side::Lower).ok()?;
        let lambdas: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let slopes: Vec<f64> =
            (0..p).map(|k| (0..p).map(|i| eigen.U()[(i, k)] * self.current.gradient[i]).sum()).collect();
        let length =
            |shift: f64| slopes.iter().zip(&lambdas).map(|(g, l)| (g / (l + shift)).powi(2)).sum::<f64>().sqrt();
        let least = lambdas.iter().copied().fold(f64::INFINITY, f64::min);
        let free = least > 0.0 && length(0.0) <= self.radius;
        let shift = if free { 0.0 } else { self.shift(&length, least, norm(&slopes)) };
        let along: Vec<f64> = slopes.iter().zip(&lambdas).map(|(g, l)| g / (l + shift)).collect();
        let promised = slopes.iter().zip(&lambdas).zip(&along).map(|((g, l), s)| s * (g - 0.5 * l * s)).sum();
        let step: Vec<f64> = (0..p).map(|i| (0..p).map(|k| eigen.U()[(i, k)] * along[k]).sum()).collect();
        step.iter().all(|s| s.is_finite()).then_some(Step { step, promised, held_back: !free })
    }

    /// The multiple of the identity with which the step is as long as the radius, by bisection on its logarithm.
    fn shift(&self, length: &impl Fn(f64) -> f64, least: f64, slope: f64) -> f64 {
        let base = (-least).max(0.0);
        // at this multiple the step is shorter than the radius whatever the other eigenvalues
        let (mut low, mut high) = (1e-12 * (1.0 + least.abs()), slope / self.radius + 1e-9);
        for _ in 0..60 {
            let middle = (low * high).sqrt();
            if length(base + middle) > self.radius { low = middle } else { high = middle }
        }
        base + high
    }

    /// Moves to `theta`, with the curvature there; over a short step the change of the gradient corrects it (one update of BFGS).
    fn accept(&mut self, step: &[f64], theta: Vec<f64>, next: ObjectiveValue, curvature: Option<Curvature>) {
        let change: Vec<f64> = self.current.gradient.iter().zip(&next.gradient).map(|(a, b)| a - b).collect();
        if let Some(curvature) = curvature {
            self.curvature = curvature;
        }
        let product: Vec<f64> = self.curvature.iter().map(|row| dot(row, step)).collect();
        let (seen, estimated) = (dot(step, &change), dot(step, &product));
        if norm(step) < LOCAL && estimated > 0.0 && seen > 0.5 * estimated && seen < 2.0 * estimated {
            for (i, row) in self.curvature.iter_mut().enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    *entry += change[i] * change[j] / seen - product[i] * product[j] / estimated;
                }
            }
        }
        (self.theta, self.current) = (theta, next);
    }

    fn advance(&mut self, problem: &mut Problem<&dyn Objective>) {
        let Some(Step { step, promised, held_back }) = self.step() else {
            self.stalled = true;
            return;
        };
        if !held_back && promised < self.options.tolerance {
            self.converged = true;
            return;
        }
        let trial: Vec<f64> = self.theta.iter().zip(&step).map(|(t, s)| t + s).collect();
        self.evaluations += 1;
        let outcome = problem.problem("value_and_gradient_count", |objective| Ok(objective.evaluate_curved(&trial)));
        let Ok(Ok((next, curvature))) = outcome else {
            self.radius = 0.1 * norm(&step);
            return;
        };
        let gain = next.value - self.current.value;
        let share = gain / promised;
        if held_back && share > GOOD_SHARE {
            self.radius = (2.0 * self.radius).min(2.0 * self.options.longest_step);
        } else if share.is_nan() || share < POOR_SHARE {
            // the parabola through both values and the slope here
            let slope = dot(&step, &self.current.gradient);
            let share = (0.5 * slope / (slope - gain)).clamp(0.1, 0.5);
            self.radius = norm(&step) * if share.is_nan() { 0.1 } else { share };
        }
        if gain >= SUFFICIENT_INCREASE * promised - rounding(self.current.value) {
            self.accept(&step, trial, next, curvature);
        }
    }
}

impl<'a> Solver<&'a dyn Objective, SearchState> for TrustRegion {
    fn name(&self) -> &str {
        "Newton in a trust region"
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<&'a dyn Objective>,
        state: SearchState,
    ) -> Result<(SearchState, Option<KV>), Error> {
        self.advance(problem);
        let lost = self.theta.iter().any(|t| t.abs() > FARTHEST);
        self.stalled |= self.radius < LEAST_RADIUS || lost;
        Ok((state.param(self.theta.clone()).cost(-self.current.value), None))
    }

    fn terminate(&mut self, _state: &SearchState) -> TerminationStatus {
        status(self.converged, self.stalled)
    }
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // what fails in a helper fails the test
    use super::*;
    use crate::error::IntegrationError;
    use crate::mode::maximise;

    /// A value with its gradient, and minus a Hessian that is off by a tenth; undefined beyond 20.
    struct Density<F: Fn(&[f64]) -> (f64, Vec<f64>, Curvature) + Sync>(usize, F);

    impl<F: Fn(&[f64]) -> (f64, Vec<f64>, Curvature) + Sync> Objective for Density<F> {
        fn dimension(&self) -> usize {
            self.0
        }
        fn evaluate(&self, theta: &[f64]) -> Result<ObjectiveValue, IntegrationError> {
            Ok(self.evaluate_curved(theta)?.0)
        }
        fn evaluate_curved(&self, theta: &[f64]) -> Result<(ObjectiveValue, Option<Curvature>), IntegrationError> {
            if theta[0] > 20.0 {
                return Err(IntegrationError::Cancelled);
            }
            let (value, gradient, mut curvature) = (self.1)(theta);
            curvature.iter_mut().flatten().for_each(|c| *c *= 1.1);
            Ok((ObjectiveValue { value, gradient }, Some(curvature)))
        }
    }

    #[test]
    fn the_mode_of_a_log_gamma_density_is_found_in_few_evaluations() {
        // 5θ − 0.01 e^θ: mode log 500
        let density = Density(1, |t: &[f64]| {
            let rate = 0.01 * t[0].exp();
            (5.0 * t[0] - rate, vec![5.0 - rate], vec![vec![rate]])
        });
        for start in [2.0, 10.0] {
            let mode = maximise(&density, &[start], &ModeOptions::default()).unwrap();
            // within 0.01 standard deviations of 1/√5, and a tenth for the estimate
            assert!(mode.converged && (mode.theta[0] - 500.0_f64.ln()).abs() < 0.011 / 5.0_f64.sqrt(), "{mode:?}");
            assert!(mode.evaluations <= 9, "{}", mode.evaluations);
        }
    }

    #[test]
    fn a_bent_ridge_is_climbed_through_a_region_that_is_not_concave() {
        // −(1 + u²/2)^{1/2} along u, a parabola of a hundredth of its width across, bent
        let density = Density(2, |t: &[f64]| {
            let (u, across) = (t[0] - 3.0, t[1] - 0.2 * t[0] * t[0]);
            let root = (1.0 + 0.5 * u * u).sqrt();
            let bend = -0.4 * t[0];
            let value = -root - 50.0 * across * across;
            let gradient = vec![-0.5 * u / root - 100.0 * across * bend, -100.0 * across];
            let first = 0.5 / root - 0.25 * u * u / root.powi(3) + 100.0 * bend * bend - 40.0 * across;
            (value, gradient, vec![vec![first, 100.0 * bend], vec![100.0 * bend, 100.0]])
        });
        let mode = maximise(&density, &[-4.0, 1.0], &ModeOptions::default()).unwrap();
        assert!(mode.converged && mode.evaluations <= 40, "{mode:?}");
        assert!((mode.theta[0] - 3.0).abs() < 0.02 && (mode.theta[1] - 1.8).abs() < 0.03, "{mode:?}");
    }

    #[test]
    fn a_density_that_grows_without_bound_is_reported() {
        let density = Density(1, |t: &[f64]| (-t[0], vec![-1.0], vec![vec![0.0]]));
        let error = maximise(&density, &[0.0], &ModeOptions::default()).unwrap_err();
        assert!(matches!(error, IntegrationError::NoMode { .. }), "{error:?}");
    }
}
