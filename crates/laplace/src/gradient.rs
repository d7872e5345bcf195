//! The exact gradient of `log p̃(θ, y)`: selected inverse and one solve, whatever the number of hyperparameters.
//!
//! With `r = x* − μ`, `v = diag(AΣAᵀ)` and `w = Σ ½Aᵀ(ℓ‴∘v)` (the mode moves with `θ`, and `log|H|` with the mode):
//!
//! `∂ⱼ = ∂ⱼ log-normaliser of π(x|θ) − ½ rᵀ∂ⱼQ r + (∂ⱼμ)ᵀQr + Σ∂ⱼℓ − ½tr(Σ∂ⱼQ) + ½Σ vᵢ ∂ⱼℓ″ᵢ + wᵀ(−∂ⱼQ r + Q∂ⱼμ + Aᵀ∂ⱼℓ′)`.
//!
//! A scaled design moves the predictor, the curvature and through both the mode:
//! `∂ⱼ = Σ (ℓ′ + ½vℓ‴ + ℓ″Aw)ᵢ (∂ⱼA x)ᵢ + ℓ′ᵢ (∂ⱼA w)ᵢ + ℓ″ᵢ (AΣ∂ⱼAᵀ)ᵢᵢ`.
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
        // wᵀAᵀ∂ℓ′ = (Aw)ᵀ∂ℓ′
        self.design.multiply(&self.mean_shift, &mut self.row_buffer);
        for k in 0..model.observations().len() {
            for (index, free) in model.owner_free(Owner::Likelihood(k)) {
                let derivatives = &self.derivatives[k].theta[index];
                for (row, i) in model.observation_rows(k).enumerate() {
                    gradient[free] += derivatives.value[row]
                        + 0.5 * self.predictor_variance[i] * derivatives.second[row]
                        + self.row_buffer[i] * derivatives.first[row];
                }
            }
        }
        self.add_scaling_gradient(model, owners, gradient);
        Ok(())
    }

    /// The terms of the scalings of the design; `row_buffer` holds `Aw`.
    fn add_scaling_gradient(&self, model: &LatentGaussianModel, owners: &OwnerThetas, gradient: &mut [f64]) {
        let covariance = self.inverse.values();
        let slopes = scaling_slopes(model, owners);
        for entry in self.design.scaled() {
            let Some((free, slope)) = slopes[entry.scaling] else { continue };
            let i = entry.row;
            let (nodes, values) = self.design.row(i);
            let node = nodes[entry.place];
            let slots = model.pair_slots.of_kind(&self.design, self.design.kind(i));
            // row by row the lower triangle of the row's own pairs
            let pair = |b: usize| entry.place.max(b) * (entry.place.max(b) + 1) / 2 + entry.place.min(b);
            let shared: f64 = values.iter().enumerate().map(|(b, a)| a * covariance[slots[pair(b)]]).sum();
            // the energy of expectation propagation is stationary in its sites: they do not move
            let curvature = if self.propagated { 0.0 } else { 0.5 * self.predictor_variance[i] * self.third[i] };
            let moved = self.first[i] + curvature + self.second[i] * self.row_buffer[i];
            gradient[free] += slope
                * entry.coefficient
                * (moved * self.x[node] + self.first[i] * self.mean_shift[node] + self.second[i] * shared);
        }
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
        self.fill_precision_derivative(model, k, theta, index)?;
        let trace = self.precision_derivative_trace(model, k);
        let derivative = &self.precision_derivative[..pattern.nnz()];
        let r = &self.deviation[nodes.clone()];
        let w = &self.mean_shift[nodes.clone()];
        let product = &mut self.trial[nodes.clone()];
        pattern.multiply(derivative, r, product)?;
        // ½ rᵀ∂Q r + wᵀ∂Q r
        let both: f64 = r.iter().zip(w).zip(product.iter()).map(|((r, w), product)| (0.5 * r + w) * product).sum();
        let mut total = -both - 0.5 * trace;
        let slope = &mut self.step[nodes.clone()];
        if effect.fill_mean_derivative(theta, index, slope) {
            total += slope.iter().zip(&self.node_buffer[nodes]).map(|(d, q)| d * q).sum::<f64>();
            total += pattern.bilinear_form(&self.precision[k], w, slope)?;
        }
        Ok(total)
    }

    /// `∂Q/∂θ` of effect `k` in one of its hyperparameters into `precision_derivative`.
    pub(crate) fn fill_precision_derivative(
        &mut self,
        model: &LatentGaussianModel,
        k: usize,
        theta: &[f64],
        index: usize,
    ) -> Result<(), LaplaceError> {
        let effect = &model.effects()[k].model;
        let derivative = &mut self.precision_derivative[..effect.pattern().nnz()];
        Ok(effect.fill_precision_derivative(theta, index, derivative)?)
    }

    /// `tr(Σ ∂Q)` of what `precision_derivative` holds of effect `k`.
    pub(crate) fn precision_derivative_trace(&self, model: &LatentGaussianModel, k: usize) -> f64 {
        let (pattern, slots) = (model.effects()[k].model.pattern(), &model.precision_slots[k]);
        let (covariance, derivative) = (self.inverse.values(), &self.precision_derivative);
        let mut trace = 0.0;
        for j in 0..pattern.order() {
            let (start, end) = (pattern.column_start(j), pattern.column_start(j) + pattern.column(j).len());
            let off = slots[start + 1..end].iter().zip(&derivative[start + 1..end]);
            trace += derivative[start] * covariance[slots[start]];
            trace += 2.0 * off.map(|(&slot, d)| d * covariance[slot]).sum::<f64>();
        }
        trace
    }

    /// `∂x*/∂θ` of every free hyperparameter, at the mode that the workspace holds:
    /// `−H⁻¹(∂ⱼQ r − Q∂ⱼμ − Aᵀ∂ⱼℓ′ − ∂ⱼAᵀℓ′ − Aᵀ(ℓ″∘∂ⱼA x))` on the constrained space. Cost: a solve for each.
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
                self.fill_precision_derivative(model, k, &owners.effects[k], index)?;
                let derivative = &self.precision_derivative[..pattern.nnz()];
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
                self.design.add_transposed(&self.row_buffer, &mut self.row_sums, &mut out[free]);
            }
        }
        let slopes = scaling_slopes(model, owners);
        for entry in self.design.scaled() {
            let Some((free, slope)) = slopes[entry.scaling] else { continue };
            let (nodes, values) = self.design.row(entry.row);
            let (node, change) = (nodes[entry.place], slope * entry.coefficient);
            out[free][node] += change * self.first[entry.row];
            let bent = self.second[entry.row] * change * self.x[node];
            nodes.iter().zip(values).for_each(|(&j, a)| out[free][j] += a * bent);
        }
        for slope in &mut out {
            self.factor.solve_in_place(slope, &mut self.solve)?;
        }
        Ok(out)
    }
}

/// The place of every scaling among the free hyperparameters, with `∂β/∂θ`; `None` where it is fixed.
fn scaling_slopes(model: &LatentGaussianModel, owners: &OwnerThetas) -> Vec<Option<(usize, f64)>> {
    let scalings = model.design().scalings().iter().zip(&owners.scalings).enumerate();
    scalings
        .map(|(k, (scaling, own))| {
            let (_, free) = model.owner_free(Owner::Scaling(k)).next()?;
            Some((free, scaling.block.parameters[0].transform.derivative(own[0])))
        })
        .collect()
}
