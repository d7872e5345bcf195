//! The curvature of `log p̃(θ, y)` in `θ`, estimated from what stands at the mode: a search needs it to a tenth, and differences of
//! exact gradients would cost an evaluation for each hyperparameter.
//!
//! With `Dⱼ = dH/dθⱼ` along the moving mode and the covariance `Σ` held,
//! `−∂ᵢ∂ⱼ log p̃ = −(∂ⱼ of the gradient in which Σ is held) − ½ tr(ΣDᵢΣDⱼ)`.
//! The first part is a difference of gradients on the same factor. The trace is that of `SᵢSⱼ`, `Sᵢ = L⁻¹DᵢL⁻ᵀ`: Hutchinson's
//! estimate (1990) with signs `z` is exact for multiples of the identity, so that `s̄ᵢ = tr(ΣDᵢ)/n`, which is known, is taken off
//! every `Sᵢ` first.

use crate::approximation::{Approximation, OwnerThetas};
use crate::error::LaplaceError;
use crate::likelihood::Order;
use crate::model::{LatentGaussianModel, Owner};
use crate::workspace::Workspace;

/// Nodes times vectors of signs, and most vectors. The entries of `(Sᵢ − s̄ᵢ)²` are a quarter at most where `H` is a sum of terms with
/// a hyperparameter each, so that the trace errs by `√(2/k)/4 · √n` with `k` vectors: beside `n`, a hundredth.
const SAMPLED: usize = 8000;
const MOST_PROBES: usize = 4;
/// Step of the differences on one factor: the gradient that they are differences of carries errors of 1e-8.
const STEP: f64 = 1e-4;

/// `Dⱼ u` of one probe `u`, for every hyperparameter.
type Images = Vec<Vec<f64>>;

impl Approximation {
    /// An estimate of `−∂² log p̃(θ, y)`, `p` rows of `p`, from the workspace in which this approximation was evaluated last and its
    /// [`mode_derivatives`](Self::mode_derivatives); `None` where the design is scaled by a hyperparameter or a number
    /// overflows. What a workspace holds
    /// stands at another `θ` afterwards. Cost: for each hyperparameter a pass over the data and the prior's determinants, and four
    /// solves; no factor.
    ///
    /// # Errors
    /// Those of [`Approximation::evaluate`].
    pub fn curvature(
        &self,
        model: &LatentGaussianModel,
        derivatives: &[Vec<f64>],
        workspace: &mut Workspace,
    ) -> Result<Option<Vec<Vec<f64>>>, LaplaceError> {
        crate::model::expect_length("workspace", model.nodes(), workspace.x.len())?;
        crate::model::expect_length("derivatives", model.free_count(), derivatives.len())?;
        if !model.design().scalings().is_empty() {
            return Ok(None);
        }
        let moved = workspace.curvature_changes(model, derivatives);
        let traces = workspace.squared_traces(model, &OwnerThetas::new(model, &self.theta), &moved)?;
        let slopes = workspace.held_slopes(model, self, derivatives)?;
        let p = self.theta.len();
        let entry = |i: usize, j: usize| -0.5 * (slopes[i][j] + slopes[j][i] + traces[i][j]);
        let curvature: Vec<Vec<f64>> = (0..p).map(|i| (0..p).map(|j| entry(i, j)).collect()).collect();
        Ok(curvature.iter().flatten().all(|c| c.is_finite()).then_some(curvature))
    }
}

impl Workspace {
    /// `d(−ℓ″)/dθⱼ` of every row, along the moving mode.
    fn curvature_changes(&mut self, model: &LatentGaussianModel, derivatives: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let along_mode = |derivative: &Vec<f64>| {
            let mut out = vec![0.0; model.rows()];
            if !model.is_gaussian() {
                self.design.multiply(derivative, &mut out);
                out.iter_mut().zip(&self.third).for_each(|(out, third)| *out *= -third);
            }
            out
        };
        let mut changes: Vec<Vec<f64>> = derivatives.iter().map(along_mode).collect();
        for k in 0..model.observations().len() {
            for (index, free) in model.owner_free(Owner::Likelihood(k)) {
                let second = &self.derivatives[k].theta[index].second;
                let own = &mut changes[free][model.observation_rows(k)];
                own.iter_mut().zip(second).for_each(|(change, second)| *change -= second);
            }
        }
        changes
    }

    /// `tr(ΣDᵢΣDⱼ)` for all pairs, estimated.
    fn squared_traces(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
        changes: &[Vec<f64>],
    ) -> Result<Vec<Vec<f64>>, LaplaceError> {
        let (n, p) = (model.nodes(), changes.len());
        let free = (n - model.symbolic().constraints().len()) as f64;
        let probes = self.probes(SAMPLED.div_ceil(n).min(MOST_PROBES))?;
        let (traces, images) = self.change_traces(model, owners, (changes, &probes))?;
        let shares: Vec<f64> = traces.iter().map(|t| t / free).collect();
        // node by node, the images of all probes side by side
        let (columns, mut weighed) = (probes.len() * p, vec![0.0; n]);
        let mut block = vec![0.0; n * columns];
        for (k, (probe, images)) in probes.iter().zip(&images).enumerate() {
            model.symbolic().pattern().multiply(&self.posterior, probe, &mut weighed)?;
            for (j, image) in images.iter().enumerate() {
                let out = block.iter_mut().skip(k * p + j).step_by(columns);
                out.zip(image).zip(&weighed).for_each(|((out, d), h)| *out = d - shares[j] * h);
            }
        }
        let mut solved = block.clone();
        self.factor.solve_many_in_place(&mut solved, columns, &mut vec![0.0; columns * self.solve.len()])?;
        let mut out: Vec<Vec<f64>> = (0..p).map(|i| (0..p).map(|j| shares[i] * shares[j] * free).collect()).collect();
        for (solved, images) in solved.chunks_exact(p).zip(block.chunks_exact(p)) {
            for i in 0..p {
                for j in 0..=i {
                    out[i][j] += solved[i] * images[j] / probes.len() as f64;
                }
            }
        }
        for i in 0..p {
            for j in i + 1..p {
                out[i][j] = out[j][i];
            }
        }
        Ok(out)
    }

    /// So many `u = L⁻ᵀz`.
    fn probes(&mut self, count: usize) -> Result<Vec<Vec<f64>>, LaplaceError> {
        let n = self.x.len();
        let mut probes: Vec<Vec<f64>> = (0..count).map(|k| (0..n).map(|node| sign(k, node)).collect()).collect();
        for probe in &mut probes {
            self.factor.sample_in_place(probe, &mut self.solve)?;
        }
        Ok(probes)
    }

    /// `tr(ΣDⱼ)` of every hyperparameter, and for every probe `u` the images `Dⱼ u`.
    fn change_traces(
        &mut self,
        model: &LatentGaussianModel,
        owners: &OwnerThetas,
        (changes, probes): (&[Vec<f64>], &[Vec<f64>]),
    ) -> Result<(Vec<f64>, Vec<Images>), LaplaceError> {
        let weigh = |change: &Vec<f64>| change.iter().zip(&self.predictor_variance).map(|(c, v)| c * v).sum::<f64>();
        let mut traces: Vec<f64> = changes.iter().map(weigh).collect();
        let mut images = vec![vec![vec![0.0; model.nodes()]; changes.len()]; probes.len()];
        for k in 0..model.effects().len() {
            let (nodes, pattern) = (model.effect_nodes(k), model.effects()[k].model.pattern());
            for (index, free) in model.owner_free(Owner::Effect(k)) {
                self.fill_precision_derivative(model, k, &owners.effects[k], index)?;
                traces[free] += self.precision_derivative_trace(model, k);
                let derivative = &self.precision_derivative[..pattern.nnz()];
                for (u, images) in probes.iter().zip(&mut images) {
                    pattern.multiply(derivative, &u[nodes.clone()], &mut images[free][nodes.clone()])?;
                }
            }
        }
        for (u, images) in probes.iter().zip(&mut images) {
            self.design.multiply(u, &mut self.eta_step);
            for (image, change) in images.iter_mut().zip(changes) {
                self.row_buffer.iter_mut().zip(change).zip(&self.eta_step).for_each(|((out, c), e)| *out = c * e);
                self.design.add_transposed(&self.row_buffer, &mut self.row_sums, image);
            }
        }
        Ok((traces, images))
    }

    /// The derivatives of the gradient with `Σ` held: row `j` the change along `θⱼ`.
    fn held_slopes(
        &mut self,
        model: &LatentGaussianModel,
        here: &Approximation,
        derivatives: &[Vec<f64>],
    ) -> Result<Vec<Vec<f64>>, LaplaceError> {
        let mut slopes = Vec::with_capacity(derivatives.len());
        for (j, derivative) in derivatives.iter().enumerate() {
            let mut theta = here.theta.clone();
            theta[j] += STEP;
            let owners = OwnerThetas::new(model, &theta);
            let prior = self.fill_prior(model, &owners, &theta)?;
            for ((x, mode), slope) in self.x.iter_mut().zip(&here.mode).zip(derivative) {
                *x = mode + STEP * slope;
            }
            self.set_eta();
            self.log_likelihood(model, &owners.observations, Order::Fourth, false)?;
            self.prior_quadratic(model, false)?;
            let mut gradient = vec![0.0; theta.len()];
            model.log_prior(&theta, &mut gradient);
            self.add_gradient(model, &owners, &prior, &mut gradient)?;
            slopes.push(gradient.iter().zip(&here.gradient).map(|(there, here)| (there - here) / STEP).collect());
        }
        Ok(slopes)
    }
}

/// A sign that depends on probe and node alone: the top bit of a mixed counter (SplitMix64).
fn sign(probe: usize, node: usize) -> f64 {
    let mut bits = ((probe as u64) << 40 | node as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    if (bits ^ (bits >> 31)) >> 63 == 0 { 1.0 } else { -1.0 }
}
