//! The mode of the hyperparameters, by argmin: Newton's method where the objective estimates its curvature, else BFGS with the exact
//! gradient from the curvature at the starting point; one evaluation a step either way.

use argmin::core::{Error, Executor, IterState, KV, Problem, Solver, TerminationReason, TerminationStatus};
use faer::{Mat, Side};

use crate::error::IntegrationError;
use crate::objective::{Objective, ObjectiveValue};
use crate::trust_region::TrustRegion;

/// When the search stops and how far it may step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModeOptions {
    /// Stops when `½ gᵀBg < tolerance` (units of log-density), `B` the inverse Hessian built or estimated so far. Default 5e-5: the
    /// design is centred within `√(2 · 5·10⁻⁵) = 0.01` posterior standard deviations of the mode, and its points are weighed by what
    /// is evaluated there.
    pub tolerance: f64,
    /// Steps before giving up.
    pub max_iterations: u64,
    /// Longest step in any hyperparameter. Default 3: a precision changes by at most a factor of 20.
    pub longest_step: f64,
}

impl Default for ModeOptions {
    fn default() -> Self {
        Self { tolerance: 5e-5, max_iterations: 200, longest_step: 3.0 }
    }
}

/// Where the search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// `θ*`, length `p`.
    pub theta: Vec<f64>,
    /// The log-density there.
    pub value: f64,
    /// Its gradient there.
    pub gradient: Vec<f64>,
    /// Evaluations made.
    pub evaluations: usize,
    /// Whether the tolerance was reached.
    pub converged: bool,
}

/// Armijo's share of the predicted increase that a step must reach.
pub(crate) const SUFFICIENT_INCREASE: f64 = 1e-4;
/// Step of the forward differences that the first curvature is made of: it need not be accurate.
const CURVATURE_STEP: f64 = 1e-2;
/// Least curvature that is believed there.
const LEAST_CURVATURE: f64 = 0.05;
/// Evaluations along one direction.
const LINE_EVALUATIONS: usize = 20;

/// A search that passes this without a mode follows a density that does not fall: no log precision means anything here.
pub(crate) const FARTHEST: f64 = 100.0;

pub(crate) type SearchState = IterState<Vec<f64>, Vec<f64>, (), (), (), f64>;

/// Maximises `objective` from `initial`.
///
/// A point that cannot be evaluated shortens the step. Typical cost: 5 to 8 evaluations for one hyperparameter, 8 to 12 for two, of
/// which those for the first curvature are independent of each other.
///
/// # Errors
/// The error of the starting point; [`IntegrationError::NoMode`] if the log-density grows without bound.
pub fn maximise(objective: &dyn Objective, initial: &[f64], options: &ModeOptions) -> Result<Mode, IntegrationError> {
    let (start, curvature) = objective.evaluate_curved(initial)?;
    if initial.is_empty() {
        let ObjectiveValue { value, gradient } = start;
        return Ok(Mode { theta: Vec::new(), value, gradient, evaluations: 1, converged: true });
    }
    let mode = match curvature {
        Some(curvature) => {
            let search = TrustRegion::new(initial.to_vec(), start, curvature, *options);
            let search = run(objective, search, initial, options)?;
            Mode::at(search.theta, search.current, (search.evaluations, search.converged))
        }
        None => {
            let search = Bfgs::new(initial.to_vec(), start, *options).with_curvature(objective);
            let search = run(objective, search, initial, options)?;
            Mode::at(search.theta, search.current, (search.evaluations, search.converged))
        }
    };
    if !mode.converged && mode.theta.iter().any(|t| t.abs() > FARTHEST) {
        let reason = "a hyperparameter runs to infinity; give it a proper prior".to_owned();
        return Err(IntegrationError::NoMode { theta: mode.theta, reason });
    }
    Ok(mode)
}

/// The search at its end.
fn run<'a, S: Solver<&'a dyn Objective, SearchState> + 'a>(
    objective: &'a dyn Objective,
    search: S,
    initial: &[f64],
    options: &ModeOptions,
) -> Result<S, IntegrationError> {
    let state = |state: SearchState| state.max_iters(options.max_iterations);
    let executed = Executor::new(objective, search).configure(state).timer(false).run();
    let no_mode = |error: Error| IntegrationError::NoMode { theta: initial.to_vec(), reason: error.to_string() };
    Ok(executed.map_err(no_mode)?.solver)
}

impl Mode {
    fn at(theta: Vec<f64>, at: ObjectiveValue, (evaluations, converged): (usize, bool)) -> Self {
        Self { theta, value: at.value, gradient: at.gradient, evaluations, converged }
    }
}

/// BFGS on the negative log-density (Nocedal and Wright 2006, ch. 6), as an argmin solver.
struct Bfgs {
    theta: Vec<f64>,
    current: ObjectiveValue,
    /// Inverse Hessian, row by row.
    inverse: Vec<Vec<f64>>,
    scaled: bool,
    options: ModeOptions,
    evaluations: usize,
    converged: bool,
    stalled: bool,
}

impl Bfgs {
    fn new(theta: Vec<f64>, current: ObjectiveValue, options: ModeOptions) -> Self {
        let p = theta.len();
        let inverse = (0..p).map(|i| (0..p).map(|j| f64::from(u8::from(i == j))).collect()).collect();
        Self { theta, current, inverse, scaled: false, options, evaluations: 1, converged: false, stalled: false }
    }

    /// Starts from the Hessian at the starting point: hyperparameters whose curvatures differ by orders of magnitude, such as the
    /// precisions of a large data set and of a small effect, would otherwise cost a dozen steps to tell apart.
    fn with_curvature(mut self, objective: &dyn Objective) -> Self {
        let p = self.theta.len();
        if p < 2 {
            return self;
        }
        let moved: Vec<Vec<f64>> = (0..p)
            .map(|j| self.theta.iter().enumerate().map(|(i, t)| if i == j { t + CURVATURE_STEP } else { *t }).collect())
            .collect();
        self.evaluations += p;
        let values: Result<Vec<ObjectiveValue>, _> = objective.evaluate_near(&moved).into_iter().collect();
        if let Some(inverse) = values.ok().and_then(|values| inverse_curvature(&self.current, &values)) {
            (self.inverse, self.scaled) = (inverse, true);
        }
        self
    }

    fn direction(&self) -> Vec<f64> {
        self.inverse.iter().map(|row| dot(row, &self.current.gradient)).collect()
    }

    /// Trial points along `direction`: quadratic interpolation, or a tenth where the density cannot be evaluated.
    fn line_search(
        &mut self,
        problem: &mut Problem<&dyn Objective>,
        direction: &[f64],
    ) -> Option<(Vec<f64>, ObjectiveValue)> {
        let slope = dot(direction, &self.current.gradient);
        let longest = direction.iter().fold(0.0_f64, |a, d| a.max(d.abs()));
        // without curvature information the first step is one unit of a log precision at most
        let cap = if self.scaled { self.options.longest_step } else { 1.0 };
        let mut length = 1.0_f64.min(cap / longest);
        for _ in 0..LINE_EVALUATIONS {
            let trial: Vec<f64> = self.theta.iter().zip(direction).map(|(t, d)| t + length * d).collect();
            self.evaluations += 1;
            let outcome = problem.problem("value_and_gradient_count", |o| Ok(o.evaluate(&trial)));
            let value = match outcome {
                Ok(Ok(value)) if value.value.is_finite() => value,
                _ => {
                    length *= 0.1;
                    continue;
                }
            };
            let gain = value.value - self.current.value;
            if gain >= SUFFICIENT_INCREASE * length * slope - rounding(self.current.value) {
                return Some((trial, value));
            }
            let interpolated = 0.5 * slope * length * length / (slope * length - gain);
            length = interpolated.clamp(0.1 * length, 0.5 * length);
        }
        None
    }

    fn update(&mut self, theta: Vec<f64>, next: ObjectiveValue) {
        let step: Vec<f64> = theta.iter().zip(&self.theta).map(|(a, b)| a - b).collect();
        // change of the gradient of the negative log-density
        let change: Vec<f64> = self.current.gradient.iter().zip(&next.gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        let p = theta.len();
        if curvature > 1e-10 * dot(&step, &step).sqrt() * dot(&change, &change).sqrt() {
            if !self.scaled {
                let scale = curvature / dot(&change, &change);
                self.inverse.iter_mut().flatten().for_each(|b| *b *= scale);
                self.scaled = true;
            }
            let product: Vec<f64> = self.inverse.iter().map(|row| dot(row, &change)).collect();
            let factor = (1.0 + dot(&change, &product) / curvature) / curvature;
            for i in 0..p {
                for j in 0..p {
                    self.inverse[i][j] +=
                        factor * step[i] * step[j] - (product[i] * step[j] + step[i] * product[j]) / curvature;
                }
            }
        } else if self.scaled {
            // the log-density is not concave here: widen the steps instead of trusting the old curvature
            self.inverse.iter_mut().flatten().for_each(|b| *b *= 2.0);
        }
        self.theta = theta;
        self.current = next;
    }

    fn reset(&mut self) {
        *self =
            Self { evaluations: self.evaluations, ..Self::new(self.theta.clone(), self.current.clone(), self.options) };
    }
}

/// The inverse of the Hessian of the negative log-density from forward differences of its gradient, with the absolute values of its
/// eigenvalues; `None` where they are not finite.
fn inverse_curvature(here: &ObjectiveValue, moved: &[ObjectiveValue]) -> Option<Vec<Vec<f64>>> {
    let p = moved.len();
    let slope = |i: usize, j: usize| (here.gradient[i] - moved[j].gradient[i]) / CURVATURE_STEP;
    let hessian = Mat::from_fn(p, p, |i, j| 0.5 * (slope(i, j) + slope(j, i)));
    let eigen = hessian.self_adjoint_eigen(Side::Lower).ok()?;
    let sizes: Vec<f64> = eigen.S().column_vector().iter().map(|lambda| lambda.abs()).collect();
    if sizes.iter().any(|size| !size.is_finite()) {
        return None;
    }
    let entry = |i: usize, j: usize| {
        (0..p).map(|k| eigen.U()[(i, k)] * eigen.U()[(j, k)] / sizes[k].max(LEAST_CURVATURE)).sum::<f64>()
    };
    Some((0..p).map(|i| (0..p).map(|j| entry(i, j)).collect()).collect())
}

impl<'a> Solver<&'a dyn Objective, SearchState> for Bfgs {
    fn name(&self) -> &str {
        "BFGS with exact gradients"
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<&'a dyn Objective>,
        state: SearchState,
    ) -> Result<(SearchState, Option<KV>), Error> {
        let direction = self.direction();
        let decrement = 0.5 * dot(&direction, &self.current.gradient);
        let found = self.line_search(problem, &direction);
        match found {
            // at the tolerance the step is still taken: it squares the distance to the mode
            Some((theta, next)) => {
                self.update(theta, next);
                self.converged = decrement < self.options.tolerance && self.scaled;
            }
            None if self.scaled => self.reset(),
            None => self.stalled = true,
        }
        let gradient_is_zero = self.current.gradient.iter().all(|g| g.abs() < 1e-9);
        self.converged |= gradient_is_zero || (decrement < 1e-12);
        Ok((state.param(self.theta.clone()).cost(-self.current.value), None))
    }

    fn terminate(&mut self, _state: &SearchState) -> TerminationStatus {
        status(self.converged, self.stalled)
    }
}

/// Whether a search goes on.
pub(crate) fn status(converged: bool, stalled: bool) -> TerminationStatus {
    if converged {
        TerminationStatus::Terminated(TerminationReason::SolverConverged)
    } else if stalled {
        TerminationStatus::Terminated(TerminationReason::SolverExit("no step increases the log-density".into()))
    } else {
        TerminationStatus::NotTerminated
    }
}

/// Rounding error of a log-density.
pub(crate) fn rounding(value: f64) -> f64 {
    1e-11 * (1.0 + value.abs())
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Density<F: Fn(&[f64]) -> (f64, Vec<f64>) + Sync>(usize, F);

    impl<F: Fn(&[f64]) -> (f64, Vec<f64>) + Sync> Objective for Density<F> {
        fn dimension(&self) -> usize {
            self.0
        }
        fn evaluate(&self, theta: &[f64]) -> Result<ObjectiveValue, IntegrationError> {
            let (value, gradient) = (self.1)(theta);
            if theta[0] > 20.0 {
                return Err(IntegrationError::Cancelled);
            }
            Ok(ObjectiveValue { value, gradient })
        }
    }

    #[test]
    fn the_mode_of_a_log_gamma_density_is_found_in_few_evaluations() {
        // 5θ − 0.01 e^θ: mode log 500, from a starting value 4 away on either side
        let density = Density(1, |t| (5.0 * t[0] - 0.01 * t[0].exp(), vec![5.0 - 0.01 * t[0].exp()]));
        for start in [2.0, 10.0] {
            let mode = maximise(&density, &[start], &ModeOptions::default()).unwrap();
            assert!(mode.converged);
            // within 0.005 standard deviations of 1/√5
            assert!((mode.theta[0] - 500.0_f64.ln()).abs() < 0.005 / 5.0_f64.sqrt(), "{mode:?}");
            assert!(mode.evaluations <= 14, "{}", mode.evaluations);
        }
    }

    #[test]
    fn a_correlated_badly_scaled_density_is_climbed() {
        let density = Density(2, |t| {
            let (a, b) = (t[0] - 1.0, t[1] - 2.0 * t[0]);
            (-50.0 * a * a - 0.5 * b * b, vec![-100.0 * a + 2.0 * b, -b])
        });
        let mode = maximise(&density, &[-3.0, 4.0], &ModeOptions::default()).unwrap();
        assert!(mode.converged && mode.evaluations <= 25, "{mode:?}");
        assert!((mode.theta[0] - 1.0).abs() < 1e-3 && (mode.theta[1] - 2.0).abs() < 1e-2);
    }

    #[test]
    fn a_density_without_mode_is_reported() {
        let density = Density(1, |t| (-(t[0]), vec![-1.0]));
        assert!(matches!(
            maximise(&density, &[0.0], &ModeOptions { max_iterations: 400, ..Default::default() }),
            Err(IntegrationError::NoMode { .. })
        ));
    }

    #[test]
    fn no_hyperparameters_are_their_own_mode() {
        let density = Density(0, |_| (1.5, Vec::new()));
        struct Flat;
        impl Objective for Flat {
            fn dimension(&self) -> usize {
                0
            }
            fn evaluate(&self, _theta: &[f64]) -> Result<ObjectiveValue, IntegrationError> {
                Ok(ObjectiveValue { value: 1.5, gradient: Vec::new() })
            }
        }
        assert_eq!(density.dimension(), 0);
        assert_eq!(maximise(&Flat, &[], &ModeOptions::default()).unwrap().value, 1.5);
    }
}
