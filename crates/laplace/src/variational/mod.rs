//! The variational Gaussian of the latent field given `θ` (Opper and Archambeau 2009): the nearest to the posterior in
//! `KL(q ‖ p)`, of all means or of all means and variances.
//!
//! With `q = N(m, Σ)`, `Σ⁻¹ = Q + AᵀTA`, `v = diag(AΣAᵀ)` and expectations over `η_i ~ N((Am)_i + o_i, v_i)`, the lower bound of `log p(y|θ)` is
//! `F = … + Σ E ℓ − ½ (m−μ)ᵀQ(m−μ) + ½ Σ Tv − ½ log|VᵀHV|`, every constant included. Its slope in `m` is `AᵀE ℓ′ − Q(m−μ)`; in the variances it
//! vanishes where `T = −E ℓ″`, so that the optimum has the sparsity of `H`. The mean alone is found by Newton's method with the
//! curvature `Q + AᵀE[−ℓ″]A`, at `T` of the mode; for both `T` is moved towards `−E ℓ″`, a natural gradient step of length `ρ`, and the
//! mean to its optimum, `ρ` being cut until `F` does not fall.

mod expectation;

use crate::approximation::{Approximation, OwnerThetas};
use crate::correction::{Moments, SecondOrder, second_order};
use crate::error::LaplaceError;
use crate::likelihood::Order;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

pub(crate) use expectation::Expectation;
use expectation::Rows;

/// Over which Gaussians the bound is maximised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariationalFamily {
    /// Every mean, the covariance being that of Laplace's approximation.
    Mean,
    /// Every mean and every covariance: the optimal Gaussian.
    MeanAndVariance,
}

/// When the ascent stops.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VariationalOptions {
    /// Stops when the step of the mean, `gᵀH⁻¹g` squared standard deviations, is below the square of `tolerance` and that step is taken, and
    /// when no row's `T` times its `v` is further from its expectation. The bound is off by the square.
    pub tolerance: f64,
    /// Steps before giving up, of the mean and of the curvature each; factorisations before giving up are twice as many.
    pub max_iterations: usize,
}

impl Default for VariationalOptions {
    fn default() -> Self {
        Self { tolerance: 1e-6, max_iterations: 200 }
    }
}

/// Shortest step of the curvature before the ascent gives up.
const SHORTEST_STEP: f64 = 1e-10;
/// What a step of the curvature that went well is lengthened by.
const GROWTH: f64 = 1.25;

/// The variational Gaussian at one `θ`.
#[derive(Debug, Clone, PartialEq)]
pub struct Variational {
    /// `m`, length `n`.
    pub mean: Vec<f64>,
    /// `F` after every step, rising to rounding: lower bounds of `log p(y|θ)`.
    pub bounds: Vec<f64>,
    /// Factorisations of `H`.
    pub factorisations: usize,
    /// Of Laplace's approximation that it set out from, pairs of rows left out.
    pub second_order: SecondOrder,
}

/// What one ascent carries along.
struct Ascent<'a> {
    theta: &'a [f64],
    observations: &'a [Vec<f64>],
    options: &'a VariationalOptions,
    /// What `F` holds beside the terms that move.
    constant: f64,
    bounds: Vec<f64>,
    factorisations: usize,
}

impl Ascent<'_> {
    fn failure(&self, reason: impl Into<String>) -> LaplaceError {
        let iterations = self.bounds.len().saturating_sub(1);
        LaplaceError::NoVariationalOptimum { theta: self.theta.to_vec(), iterations, reason: reason.into() }
    }
}

impl Approximation {
    /// The variational Gaussian from the workspace in which this approximation was evaluated last; what stands there then is that Gaussian,
    /// for [`Variational::moments`].
    ///
    /// Cost: some five steps of the mean (a factor each), then for the variances some ten (a selected inverse and some three factors each),
    /// and 15 evaluations of the likelihood for each row in every step.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if the workspace belongs to another model; [`LaplaceError::NoVariationalOptimum`], also where the
    /// expected log-density is not finite, as for a predictor that only a half-line of values allows.
    pub fn vary(
        &self,
        model: &LatentGaussianModel,
        workspace: &mut Workspace,
        family: VariationalFamily,
        options: &VariationalOptions,
    ) -> Result<Variational, LaplaceError> {
        crate::model::expect_length("workspace", model.nodes(), workspace.x.len())?;
        let owners = OwnerThetas::new(model, &self.theta);
        let second_order = second_order(workspace, !model.is_gaussian(), 1.0);
        let mut precision: Vec<f64> = workspace.second.iter().map(|l2| -l2).collect();
        let log_density = workspace.log_likelihood(model, &owners.observations, Order::Value, false)?;
        let own =
            log_density - 0.5 * workspace.prior_quadratic(model, false)? - 0.5 * workspace.factor.log_determinant();
        let covariance = workspace.covariance_terms(&precision);
        workspace.choose_rules(model, &owners.observations);
        let mut ascent = Ascent {
            theta: &self.theta,
            observations: &owners.observations,
            options,
            constant: self.log_likelihood - own,
            bounds: Vec::new(),
            factorisations: 0,
        };
        workspace.climb_in_mean(model, &mut ascent, covariance)?;
        if family == VariationalFamily::MeanAndVariance {
            workspace.climb_in_both(model, &mut ascent, &mut precision)?;
        }
        workspace.second.iter_mut().zip(&precision).for_each(|(l2, t)| *l2 = -t);
        let Ascent { bounds, factorisations, .. } = ascent;
        Ok(Variational { mean: workspace.x.clone(), bounds, factorisations, second_order })
    }
}

impl Variational {
    /// Means and variances of every node and predictor, no skewness, from the workspace that [`Approximation::vary`] left. Cost: a pass over
    /// nodes and rows.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if the workspace belongs to another model.
    pub fn moments(&self, model: &LatentGaussianModel, workspace: &mut Workspace) -> Result<Moments, LaplaceError> {
        let moments = Moments::of_gaussian(model, &self.mean, workspace)?;
        Ok(Moments { second_order: self.second_order, ..moments })
    }
}

impl Workspace {
    /// `Σ E ℓ` at `eta_trial` if `trial`, else at `eta`; `E ℓ′` and `E ℓ″` into `first` and `second`.
    fn expected(&mut self, model: &LatentGaussianModel, theta: &[Vec<f64>], trial: bool) -> Result<f64, LaplaceError> {
        let eta = if trial { &self.eta_trial } else { &self.eta };
        let mut total = 0.0;
        for (k, observations) in model.observations().iter().enumerate() {
            let rows = model.observation_rows(k);
            let Some(expectation) = &mut self.expectation[k] else { continue };
            let gaussians = Rows { mean: &eta[rows.clone()], variance: &self.predictor_variance[rows.clone()] };
            let slopes = (&mut self.first[rows.clone()], &mut self.second[rows]);
            total += expectation.fill((observations.likelihood.as_ref(), &theta[k]), gaussians, slopes)?;
        }
        Ok(total)
    }

    /// Chooses the rules of quadrature for the variances at hand.
    fn choose_rules(&mut self, model: &LatentGaussianModel, theta: &[Vec<f64>]) {
        for (k, expectation) in self.expectation.iter_mut().enumerate() {
            let own = expectation.get_or_insert_with(|| Expectation::new(theta[k].len()));
            own.choose(&self.predictor_variance[model.observation_rows(k)]);
        }
    }

    /// `½ Σ Tv − ½ log|VᵀHV|`, the factor being that of `H` with `T`.
    fn covariance_terms(&self, precision: &[f64]) -> f64 {
        let information: f64 = precision.iter().zip(&self.predictor_variance).map(|(t, v)| t * v).sum();
        0.5 * information - 0.5 * self.factor.log_determinant()
    }

    /// Newton's method for the mean; `rest` is what the covariance adds to the bound, which is returned.
    fn climb_in_mean(
        &mut self,
        model: &LatentGaussianModel,
        ascent: &mut Ascent<'_>,
        rest: f64,
    ) -> Result<f64, LaplaceError> {
        let observations = ascent.observations;
        let mut objective = self.expected(model, observations, false)? - 0.5 * self.prior_quadratic(model, false)?;
        if !objective.is_finite() {
            return Err(ascent.failure("the expected log-density is not finite at the mode: the predictor is bounded"));
        }
        ascent.bounds.push(ascent.constant + rest + objective);
        for _ in 0..ascent.options.max_iterations {
            if ascent.factorisations > 2 * ascent.options.max_iterations {
                return Err(ascent.failure("the limit of factorisations was reached"));
            }
            self.factor_posterior(model, ascent.theta)?;
            ascent.factorisations += 1;
            let slope = self.newton_step()?;
            if !slope.is_finite() {
                return Err(ascent.failure("the step of the mean is not finite"));
            }
            let last = slope < ascent.options.tolerance * ascent.options.tolerance;
            let expected = |workspace: &mut Self| workspace.expected(model, observations, true);
            objective = match self.line_search(model, expected, (objective, slope))? {
                Some(value) => value,
                None => return Err(ascent.failure("no step of the mean raises the bound")),
            };
            ascent.bounds.push(ascent.constant + rest + objective);
            if last || model.is_gaussian() {
                return Ok(ascent.constant + rest + objective);
            }
        }
        Err(ascent.failure("the iteration limit was reached"))
    }

    /// `F` with these `T` and the mean that is best with them, set out from the mean at hand; `None` where there is no such Gaussian.
    fn bound(
        &mut self,
        model: &LatentGaussianModel,
        ascent: &mut Ascent<'_>,
        precision: &[f64],
    ) -> Result<Option<f64>, LaplaceError> {
        ascent.factorisations += 1;
        if !self.is_proper(model, ascent.theta, precision)? {
            return Ok(None);
        }
        self.inverse.compute(&self.factor)?;
        self.fill_predictor_variances(model);
        let covariance = self.covariance_terms(precision);
        let steps = ascent.bounds.len();
        let found = self.climb_in_mean(model, ascent, covariance);
        // only their end is a step of the whole ascent
        ascent.bounds.truncate(steps);
        match found {
            Ok(bound) => Ok(Some(bound)),
            Err(LaplaceError::NoVariationalOptimum { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Moves `precision` and the mean to those of the optimal Gaussian.
    fn climb_in_both(
        &mut self,
        model: &LatentGaussianModel,
        ascent: &mut Ascent<'_>,
        precision: &mut Vec<f64>,
    ) -> Result<(), LaplaceError> {
        let (mut target, mut trial, mut mean) = (precision.clone(), precision.clone(), self.x.clone());
        let mut bound = ascent.bounds.last().copied().unwrap_or(f64::NEG_INFINITY);
        let (mut length, mut before) = (1.0_f64, f64::INFINITY);
        for _ in 0..ascent.options.max_iterations {
            let distance = self.fill_target(precision, &mut target);
            if distance < ascent.options.tolerance {
                return Ok(());
            }
            // what overshoots leads further away before the bound can tell
            length = if distance > before { 0.5 * length } else { (GROWTH * length).min(1.0) };
            before = distance;
            mean.copy_from_slice(&self.x);
            let rounding = self.rounding(model, bound);
            bound = loop {
                for ((trial, from), to) in trial.iter_mut().zip(precision.iter()).zip(&target) {
                    *trial = from + length * (to - from);
                }
                match self.bound(model, ascent, &trial)? {
                    Some(value) if value >= bound - rounding => break value,
                    _ => length *= 0.5,
                }
                if length < SHORTEST_STEP {
                    return Err(ascent.failure("no step of the curvature raises the bound"));
                }
                self.x.copy_from_slice(&mean);
                self.set_eta();
            };
            std::mem::swap(precision, &mut trial);
            ascent.bounds.push(bound);
        }
        Err(ascent.failure(format!("a row is still {before:.1e} away from its expected curvature")))
    }

    /// Where the expectations at hand would have `precision`, and how far that is.
    fn fill_target(&self, precision: &[f64], target: &mut [f64]) -> f64 {
        let mut distance = 0.0_f64;
        for (i, target) in target.iter_mut().enumerate() {
            *target = -self.second[i];
            distance = distance.max((*target - precision[i]).abs() * self.predictor_variance[i]);
        }
        distance
    }
}
