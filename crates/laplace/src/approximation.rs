//! `log p̃(θ, y)` by Laplace's method, with everything that stands at its mode.
//!
//! `log p̃(θ, y) = log π(θ) + Σℓ(x*) + log π(x*|θ) − log π_G(x*|θ, y)`, every normalising constant included: prior and Gaussian
//! approximation are densities in orthonormal coordinates of `ker C`, where
//! `log π_G(x*) = ½ log|VᵀHV| − ½(n − k) log 2π`.

use std::f64::consts::PI;
use std::sync::Arc;

use crate::design::Scaling;
use crate::error::LaplaceError;
use crate::likelihood::Order;
use crate::model::{LatentGaussianModel, Owner};
use crate::newton::NewtonOptions;
use crate::propagation::Sites;
use crate::workspace::Workspace;

/// A variance this much larger than its node's conditional variance is the inverse of rounding: nothing fixes the node.
const UNIDENTIFIED: f64 = 1e13;

/// The Laplace approximation at one `θ`.
#[derive(Debug, Clone, PartialEq)]
pub struct Approximation {
    /// The free hyperparameters, internal scale, length `p`.
    pub theta: Vec<f64>,
    /// `log p̃(θ, y)`: the unnormalised log posterior of `θ`.
    pub log_posterior: f64,
    /// `log p̃(y | θ)`.
    pub log_likelihood: f64,
    /// `∂ log p̃(θ, y)/∂θ`, length `p`, exact.
    pub gradient: Vec<f64>,
    /// `x*`, length `n`.
    pub mode: Vec<f64>,
    /// Newton steps taken.
    pub newton_steps: usize,
    /// Factorisations of `H`, the one at the mode included.
    pub factorisations: usize,
    /// The sites of expectation propagation; `None` for Laplace's approximation.
    pub sites: Option<Sites>,
}

/// The hyperparameters of every owner, fixed ones included.
pub(crate) struct OwnerThetas {
    pub(crate) observations: Vec<Vec<f64>>,
    pub(crate) effects: Vec<Vec<f64>>,
    pub(crate) scalings: Vec<Vec<f64>>,
}

impl OwnerThetas {
    pub(crate) fn new(model: &LatentGaussianModel, theta: &[f64]) -> Self {
        let observations = (0..model.observations().len()).map(|k| model.owner_theta(Owner::Likelihood(k), theta));
        let effects = (0..model.effects().len()).map(|k| model.owner_theta(Owner::Effect(k), theta));
        let scalings = (0..model.design().scalings().len()).map(|k| model.owner_theta(Owner::Scaling(k), theta));
        Self { observations: observations.collect(), effects: effects.collect(), scalings: scalings.collect() }
    }
}

/// Nats of rounding error beyond which a log-density is noise, of either sign and any size.
const MOST_ROUNDING: f64 = 1.0;

impl Approximation {
    /// Evaluates `log p̃(θ, y)` and its gradient; `start` is a feasible `x` near the mode, such as a neighbour's mode.
    ///
    /// The factor, the selected inverse and the likelihood's derivatives at the mode stay in `workspace`, for
    /// [`Moments`](crate::Moments). The result does not depend on what the workspace held before. Cost: some Newton steps
    /// (a factor of `H` each), a selected inverse, a solve, and the priors' determinants.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`], [`LaplaceError::Singular`], [`LaplaceError::NoMode`], [`LaplaceError::NotFinite`].
    pub fn evaluate(
        model: &LatentGaussianModel,
        theta: &[f64],
        start: Option<&[f64]>,
        workspace: &mut Workspace,
        options: &NewtonOptions,
    ) -> Result<Self, LaplaceError> {
        crate::model::expect_length("θ", model.free_count(), theta.len())?;
        if let Some(start) = start {
            crate::model::expect_length("start", model.nodes(), start.len())?;
        }
        if theta.iter().any(|t| !t.is_finite()) {
            return Err(LaplaceError::NotFinite { what: "θ".to_owned(), theta: theta.to_vec() });
        }
        let owners = OwnerThetas::new(model, theta);
        let prior = workspace.fill_prior(model, &owners, theta)?;
        let counts = workspace.find_mode(model, (theta, &owners.observations), start, options)?;
        let log_density = workspace.log_likelihood(model, &owners.observations, Order::Fourth, false)?;
        let quadratic = workspace.prior_quadratic(model, false)?;
        let rounding = workspace.typical_rounding(model);
        if rounding > MOST_ROUNDING {
            return Err(LaplaceError::NoMode {
                theta: theta.to_vec(),
                iterations: counts.steps,
                reason: format!("precisions are so large that rounding leaves {rounding:.1e} nats of error"),
            });
        }
        workspace.prepare_moments(model, theta)?;
        let free = (model.nodes() - model.symbolic().constraints().len()) as f64;
        let log_likelihood = log_density + prior.log_normaliser
            - 0.5 * quadratic
            - 0.5 * (workspace.log_determinant() - free * (2.0 * PI).ln());
        let mut gradient = vec![0.0; model.free_count()];
        let log_prior = model.log_prior(theta, &mut gradient);
        workspace.add_gradient(model, &owners, &prior, &mut gradient)?;
        let log_posterior = log_likelihood + log_prior;
        if !log_posterior.is_finite() || gradient.iter().any(|g| !g.is_finite()) {
            return Err(LaplaceError::NotFinite {
                what: "log p̃(θ, y) or its gradient".to_owned(),
                theta: theta.to_vec(),
            });
        }
        let mode = workspace.x.clone();
        Ok(Self {
            theta: theta.to_vec(),
            log_posterior,
            log_likelihood,
            gradient,
            mode,
            newton_steps: counts.steps,
            factorisations: counts.factorisations,
            sites: None,
        })
    }
}

impl Approximation {
    /// `∂x*/∂θ`, one vector of length `n` for each free hyperparameter, from the workspace in which this approximation was
    /// evaluated last: `x* + Σ δⱼ ∂ⱼx*` obeys the constraints and starts the search at `θ + δ`. Cost: a solve for each.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if the workspace belongs to another model.
    pub fn mode_derivatives(
        &self,
        model: &LatentGaussianModel,
        workspace: &mut Workspace,
    ) -> Result<Vec<Vec<f64>>, LaplaceError> {
        crate::model::expect_length("workspace", model.nodes(), workspace.x.len())?;
        workspace.mode_derivatives(model, &OwnerThetas::new(model, &self.theta))
    }
}

/// What the prior of the latent field contributes at one `θ`.
pub(crate) struct PriorTerms {
    /// `½ Σ log|VᵀQV| − ½ rank log 2π + ½ (e−Cμ)ᵀ(CQ⁻¹Cᵀ)⁻¹(e−Cμ)` over the effects.
    pub(crate) log_normaliser: f64,
    /// Its derivatives, for each effect and each of its hyperparameters, fixed ones included.
    pub(crate) gradients: Vec<Vec<f64>>,
}

impl Workspace {
    /// Fills `Q(θ)` and `μ(θ)` of every effect, and `A(θ)`.
    pub(crate) fn fill_prior(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
        theta: &[f64],
    ) -> Result<PriorTerms, LaplaceError> {
        self.scale_design(model, owners, theta)?;
        self.mean.fill(0.0);
        let mut terms = PriorTerms { log_normaliser: 0.0, gradients: Vec::with_capacity(model.effects().len()) };
        for (k, effect) in model.effects().iter().enumerate() {
            let own = &owners.effects[k];
            effect.model.fill_precision(own, &mut self.precision[k])?;
            if self.precision[k].iter().any(|q| !q.is_finite()) {
                let what = format!("the precision of effect {}", effect.name);
                return Err(LaplaceError::NotFinite { what, theta: theta.to_vec() });
            }
            effect.model.fill_mean(own, &mut self.mean[model.effect_nodes(k)]);
            let determinant = effect.model.log_determinant(own)?;
            let shift = gmrf::latent::constrained_mean_shift(effect.model.as_ref(), own)?;
            terms.log_normaliser += 0.5 * (determinant.value - determinant.rank as f64 * (2.0 * PI).ln());
            let mut gradient: Vec<f64> = determinant.gradient.iter().map(|g| 0.5 * g).collect();
            if let Some((value, slope)) = shift {
                terms.log_normaliser += 0.5 * value;
                for (g, s) in gradient.iter_mut().zip(slope) {
                    *g += 0.5 * s;
                }
            }
            terms.gradients.push(gradient);
        }
        Ok(terms)
    }

    /// Sets the scaled entries of `A(θ)`.
    fn scale_design(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
        theta: &[f64],
    ) -> Result<(), LaplaceError> {
        let scalings = model.design().scalings();
        if scalings.is_empty() {
            return Ok(());
        }
        let factor = |(scaling, own): (&Scaling, &Vec<f64>)| scaling.block.parameters[0].transform.apply(own[0]);
        let factors: Vec<f64> = scalings.iter().zip(&owners.scalings).map(factor).collect();
        if let Some(k) = factors.iter().position(|factor| !factor.is_finite()) {
            let what = format!("the scaling {}", scalings[k].name);
            return Err(LaplaceError::NotFinite { what, theta: theta.to_vec() });
        }
        Arc::make_mut(&mut self.design).scale(&factors);
        Ok(())
    }

    /// Selected inverse, predictor variances `v` and mean shift `w` at the mode.
    fn prepare_moments(&mut self, model: &LatentGaussianModel, theta: &[f64]) -> Result<(), LaplaceError> {
        self.inverse.compute(&self.factor)?;
        let pattern = model.symbolic().pattern();
        let covariance = self.inverse.values();
        for node in 0..model.nodes() {
            let start = pattern.column_start(node);
            if covariance[start] * self.posterior[start] > UNIDENTIFIED {
                return Err(self.unidentified(model, node, theta));
            }
        }
        self.fill_predictor_variances(model);
        self.propagated = false;
        self.mean_shift.fill(0.0);
        if !model.is_gaussian() {
            for (g, (l3, v)) in self.row_buffer.iter_mut().zip(self.third.iter().zip(&self.predictor_variance)) {
                *g = 0.5 * l3 * v;
            }
            self.design.add_transposed(&self.row_buffer, &mut self.row_sums, &mut self.mean_shift);
            self.factor.solve_in_place(&mut self.mean_shift, &mut self.solve)?;
        }
        Ok(())
    }

    /// `log|H|` at the mode; to first order where the factor is not quite there, by `tr(Σ Aᵀ dW A) = Σ vᵢ dwᵢ`.
    fn log_determinant(&self) -> f64 {
        let there = self.factor.log_determinant();
        if !self.factored_nearby {
            return there;
        }
        let changes = self.factored.iter().zip(&self.second).zip(&self.predictor_variance);
        there + changes.map(|((factored, second), v)| v * (factored - second)).sum::<f64>()
    }

    /// `diag(AΣAᵀ)` from the selected inverse.
    pub(crate) fn fill_predictor_variances(&mut self, model: &LatentGaussianModel) {
        let shared = self.design.has_kinds();
        let out = if shared { &mut self.row_sums } else { &mut self.predictor_variance };
        self.design.fill_variances(&model.pair_slots, self.inverse.values(), &mut self.run_room, out);
        out.iter_mut().for_each(|variance| *variance = variance.max(0.0));
        if shared {
            let design = &self.design;
            let rows = self.predictor_variance.iter_mut().enumerate();
            rows.for_each(|(i, variance)| *variance = self.row_sums[design.kind(i)]);
        }
    }

    /// The effects through which the unidentified direction of `node` runs.
    fn unidentified(&mut self, model: &LatentGaussianModel, node: usize, theta: &[f64]) -> LaplaceError {
        self.step.fill(0.0);
        self.step[node] = 1.0;
        let solved = self.factor.solve_in_place(&mut self.step, &mut self.solve);
        let mut names: Vec<&str> = Vec::new();
        if solved.is_ok() {
            let largest = self.step.iter().fold(0.0_f64, |a, s| a.max(s.abs()));
            for (k, effect) in model.effects().iter().enumerate() {
                if self.step[model.effect_nodes(k)].iter().any(|s| s.abs() > 1e-3 * largest) {
                    names.push(&effect.name);
                }
            }
        }
        LaplaceError::Singular { effects: names.join(", "), theta: theta.to_vec() }
    }
}
