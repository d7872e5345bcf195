//! The exact density of the latent field given `θ` against its Gaussian approximation: what a sampler of the whole model needs.
//!
//! With `x = x* + T z` and `z` standard normal, `x` has the Gaussian approximation's density, constraints included, and the exact one
//! is that times `exp(log w)/E exp(log w)`. At the mode the prior's terms of `log w` cancel against the likelihood's first two orders:
//! `log w = Σ ℓ(η* + δ) − ℓ(η*) − ℓ′(η*) δ + ½ c δ²`, `δ = A T z`, where `c` is the curvature in the factor.

use crate::approximation::{Approximation, OwnerThetas};
use crate::error::LaplaceError;
use crate::likelihood::Order;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// The Gaussian approximation at one `θ`; its factor stays in the workspace.
#[derive(Debug, Clone)]
pub struct ExactDensity {
    theta: Vec<Vec<f64>>,
    mode: Vec<f64>,
    eta: Vec<f64>,
    value: f64,
    first: Vec<f64>,
    curvature: Vec<f64>,
}

impl ExactDensity {
    /// From the workspace in which `approximation`, one of Laplace's, was evaluated last.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`] if the workspace belongs to another model.
    pub fn new(
        model: &LatentGaussianModel,
        approximation: &Approximation,
        workspace: &mut Workspace,
    ) -> Result<Self, LaplaceError> {
        crate::model::expect_length("workspace", model.nodes(), workspace.x.len())?;
        let theta = OwnerThetas::new(model, &approximation.theta).observations;
        let value = workspace.log_likelihood(model, &theta, Order::Second, false)?;
        let clip = |second: &f64| if workspace.clipped { (-second).max(0.0) } else { -second };
        Ok(Self {
            theta,
            mode: approximation.mode.clone(),
            eta: workspace.eta.clone(),
            value,
            first: workspace.first.clone(),
            curvature: workspace.second.iter().map(clip).collect(),
        })
    }

    /// `log w` at `z` (length `n`), its slope in `z` into `slope` and the latent field into `x`; NaN or `−∞` where the likelihood is.
    /// Cost: two half solves and a pass over the data.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`], and those of the likelihoods.
    pub fn log_weight(
        &self,
        model: &LatentGaussianModel,
        z: &[f64],
        (x, slope): (&mut [f64], &mut [f64]),
        workspace: &mut Workspace,
    ) -> Result<f64, LaplaceError> {
        for (what, length) in [("z", z.len()), ("x", x.len()), ("slope", slope.len())] {
            crate::model::expect_length(what, model.nodes(), length)?;
        }
        x.copy_from_slice(z);
        workspace.factor.sample_in_place(x, &mut workspace.solve)?;
        workspace.design.multiply(x, &mut workspace.eta_step);
        x.iter_mut().zip(&self.mode).for_each(|(x, mode)| *x += mode);
        for ((trial, eta), step) in workspace.eta_trial.iter_mut().zip(&self.eta).zip(&workspace.eta_step) {
            *trial = eta + step;
        }
        let value = workspace.log_likelihood(model, &self.theta, Order::Second, true)?;
        let mut log_weight = value - self.value;
        for (i, &step) in workspace.eta_step.iter().enumerate() {
            log_weight += (0.5 * self.curvature[i] * step - self.first[i]) * step;
            workspace.row_buffer[i] = workspace.first[i] - self.first[i] + self.curvature[i] * step;
        }
        slope.fill(0.0);
        workspace.design.add_transposed(&workspace.row_buffer, &mut workspace.row_sums, slope);
        workspace.factor.sample_transposed_in_place(slope, &mut workspace.solve)?;
        Ok(log_weight)
    }

    /// `η = A x + o` at `x` (length `n`), length `m`; it stays in the workspace.
    ///
    /// # Errors
    /// [`LaplaceError::LengthMismatch`].
    pub fn linear_predictor<'w>(
        &self,
        model: &LatentGaussianModel,
        x: &[f64],
        workspace: &'w mut Workspace,
    ) -> Result<&'w [f64], LaplaceError> {
        crate::model::expect_length("x", model.nodes(), x.len())?;
        workspace.design.multiply(x, &mut workspace.eta_trial);
        workspace.eta_trial.iter_mut().zip(workspace.design.offset()).for_each(|(eta, offset)| *eta += offset);
        Ok(&workspace.eta_trial)
    }
}
