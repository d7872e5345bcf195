//! The exact gradient of `log p̃(θ, y)`: selected inverse and one solve, whatever the number of hyperparameters.
//!
//! With `r = x* − μ`, `v = diag(AΣAᵀ)` and `w = Σ ½Aᵀ(ℓ‴∘v)` (the mode moves with `θ`, and `log|H|` with the mode):
//!
//! `∂ⱼ = ∂ⱼ log-normaliser of π(x|θ) − ½ rᵀ∂ⱼQ r + (∂ⱼμ)ᵀQr + Σ∂ⱼℓ − ½tr(Σ∂ⱼQ) + ½Σ vᵢ ∂ⱼℓ″ᵢ + wᵀ(−∂ⱼQ r + Q∂ⱼμ + Aᵀ∂ⱼℓ′)`.
//!
//! The structure is that of TMB (Kristensen et al. 2016) and of Margossian et al. (2020).

use crate::approximation::{OwnerThetas, PriorTerms};
use crate::error::LaplaceError;
use crate::model::{LatentGaussianModel, Owner};
use crate::workspace::Workspace;

impl Workspace {
    /// Adds everything but the prior of `θ` to `gradient` (length `p`).
    pub(crate) fn add_gradient(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
        prior: &PriorTerms,
        gradient: &mut [f64],
    ) -> Result<(), LaplaceError> {
        for k in 0..model.effects().len() {
            for (index, free) in model.owner_free(Owner::Effect(k)) {
                gradient[free] +=
                    prior.gradients[k][index] + self.effect_derivative(model, k, &owners.effects[k], index)?;
            }
        }
        for k in 0..model.observations().len() {
            // wᵀAᵀ∂ℓ′ = (Aw)ᵀ∂ℓ′
            model.design().multiply(&self.mean_shift, &mut self.row_buffer);
            for (index, free) in model.owner_free(Owner::Likelihood(k)) {
                let derivatives = &self.derivatives[k].theta[index];
                for (row, i) in model.observation_rows(k).enumerate() {
                    gradient[free] += derivatives.value[row]
                        + 0.5 * self.predictor_variance[i] * derivatives.second[row]
                        + self.row_buffer[i] * derivatives.first[row];
                }
            }
        }
        Ok(())
    }

    /// The terms of one hyperparameter of effect `k`, but for its prior's normaliser.
    fn effect_derivative(
        &mut self,
        model: &LatentGaussianModel,
        k: usize,
        theta: &[f64],
        index: usize,
    ) -> Result<f64, LaplaceError> {
        let effect = &model.effects()[k].model;
        let (nodes, pattern) = (model.effect_nodes(k), effect.pattern());
        let derivative = &mut self.precision_derivative[..pattern.nnz()];
        effect.fill_precision_derivative(theta, index, derivative)?;
        let covariance = self.inverse.values();
        let mut trace = 0.0;
        for (((i, j), &slot), d) in pattern.entries().zip(&model.precision_slots[k]).zip(derivative.iter()) {
            trace += if i == j { d * covariance[slot] } else { 2.0 * d * covariance[slot] };
        }
        let r = &self.deviation[nodes.clone()];
        let w = &self.mean_shift[nodes.clone()];
        let mut total = -0.5 * pattern.quadratic_form(derivative, r)? - 0.5 * trace;
        total -= pattern.bilinear_form(derivative, w, r)?;
        let slope = &mut self.step[nodes.clone()];
        if effect.fill_mean_derivative(theta, index, slope) {
            total += slope.iter().zip(&self.node_buffer[nodes]).map(|(d, q)| d * q).sum::<f64>();
            total += pattern.bilinear_form(&self.precision[k], w, slope)?;
        }
        Ok(total)
    }

    /// `∂x*/∂θ` of every free hyperparameter, at the mode that the workspace holds: `−H⁻¹(∂ⱼQ r − Q∂ⱼμ − Aᵀ∂ⱼℓ′)` on the
    /// constrained space. Cost: a solve for each.
    pub(crate) fn mode_derivatives(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
    ) -> Result<Vec<Vec<f64>>, LaplaceError> {
        let mut out = vec![vec![0.0; model.nodes()]; model.free_count()];
        for k in 0..model.effects().len() {
            let effect = &model.effects()[k].model;
            let (nodes, pattern) = (model.effect_nodes(k), effect.pattern());
            let mut slope = vec![0.0; nodes.len()];
            for (index, free) in model.owner_free(Owner::Effect(k)) {
                let derivative = &mut self.precision_derivative[..pattern.nnz()];
                effect.fill_precision_derivative(&owners.effects[k], index, derivative)?;
                let target = &mut out[free][nodes.clone()];
                pattern.multiply(derivative, &self.deviation[nodes.clone()], target)?;
                target.iter_mut().for_each(|t| *t = -*t);
                if effect.fill_mean_derivative(&owners.effects[k], index, &mut slope) {
                    let moved = &mut self.step[nodes.clone()];
                    pattern.multiply(&self.precision[k], &slope, moved)?;
                    target.iter_mut().zip(moved).for_each(|(t, m)| *t += *m);
                }
            }
        }
        for k in 0..model.observations().len() {
            for (index, free) in model.owner_free(Owner::Likelihood(k)) {
                self.row_buffer.fill(0.0);
                self.row_buffer[model.observation_rows(k)].copy_from_slice(&self.derivatives[k].theta[index].first);
                model.design().add_transposed(&self.row_buffer, &mut out[free]);
            }
        }
        for slope in &mut out {
            self.factor.solve_in_place(slope, &mut self.solve)?;
        }
        Ok(out)
    }
}
