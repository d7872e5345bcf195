//! Buffers of one evaluation: leased from a pool, never allocated in the Newton loop.

use std::sync::Arc;

use gmrf::{CholeskyFactor, Parallelism, SelectedInverse};

use crate::correction::{Conditional, OneLoop};
use crate::design::Design;
use crate::error::LaplaceError;
use crate::likelihood::Derivatives;
use crate::model::LatentGaussianModel;
use crate::propagation::Quadrature;
use crate::variational::Expectation;

/// Everything that an evaluation at one `θ` overwrites.
#[derive(Debug)]
pub struct Workspace {
    /// Values of `Q(θ)`, one vector for each effect.
    pub(crate) precision: Vec<Vec<f64>>,
    /// Derivative of one effect's precision.
    pub(crate) precision_derivative: Vec<f64>,
    /// `A(θ)`: the model's own where nothing in it is scaled.
    pub(crate) design: Arc<Design>,
    /// `μ(θ)`.
    pub(crate) mean: Vec<f64>,
    /// Values of `H`.
    pub(crate) posterior: Vec<f64>,
    /// Of all that is split among threads.
    pub(crate) parallelism: Parallelism,
    pub(crate) factor: CholeskyFactor,
    pub(crate) inverse: SelectedInverse,
    pub(crate) x: Vec<f64>,
    pub(crate) trial: Vec<f64>,
    pub(crate) step: Vec<f64>,
    /// `x − μ`.
    pub(crate) deviation: Vec<f64>,
    pub(crate) gradient: Vec<f64>,
    pub(crate) node_buffer: Vec<f64>,
    pub(crate) solve: Vec<f64>,
    pub(crate) eta: Vec<f64>,
    pub(crate) eta_trial: Vec<f64>,
    pub(crate) eta_step: Vec<f64>,
    pub(crate) row_buffer: Vec<f64>,
    /// Sums over rows alike; empty where every row is its own.
    pub(crate) row_sums: Vec<f64>,
    /// Of the dense work on runs of rows.
    pub(crate) run_room: Vec<f64>,
    /// One for each block of observations.
    pub(crate) derivatives: Vec<Derivatives>,
    /// `ℓ′ … ℓ⁗` of all rows in one vector each.
    pub(crate) first: Vec<f64>,
    pub(crate) second: Vec<f64>,
    pub(crate) third: Vec<f64>,
    pub(crate) fourth: Vec<f64>,
    /// `v = diag(A Σ Aᵀ)`.
    pub(crate) predictor_variance: Vec<f64>,
    /// `w = Σ ½Aᵀ(ℓ‴∘v)`, the shift from the mode to the mean.
    pub(crate) mean_shift: Vec<f64>,
    /// `ℓ″` where `H` was factored.
    pub(crate) factored: Vec<f64>,
    /// Whether that is not quite at the mode.
    pub(crate) factored_nearby: bool,
    /// Whether the factor leaves out negative curvatures.
    pub(crate) clipped: bool,
    /// Whether what stands here came from expectation propagation.
    pub(crate) propagated: bool,
    /// One for each block of observations, once one was propagated.
    pub(crate) quadrature: Vec<Option<Quadrature>>,
    /// One for each block of observations, once a variational Gaussian was found.
    pub(crate) expectation: Vec<Option<Expectation>>,
    /// Room of the exact third-order sums, once they were formed.
    pub(crate) one_loop: OneLoop,
    /// Once a node or a predictor was held away from the mode.
    pub(crate) conditional: Option<Box<Conditional>>,
}

impl Workspace {
    /// Room for evaluations of `model`. Memory: a factor, a selected inverse, and some vectors of lengths `n` and `m`.
    pub fn new(model: &LatentGaussianModel) -> Self {
        let (n, m) = (model.nodes(), model.rows());
        let (nodes, rows) = (|| vec![0.0; n], || vec![0.0; m]);
        let precision: Vec<_> = model.effects().iter().map(|e| vec![0.0; e.model.pattern().nnz()]).collect();
        let longest = precision.iter().map(Vec::len).max().unwrap_or(0);
        let factor = CholeskyFactor::new(model.symbolic().clone());
        let derivatives = model.observations().iter().map(|o| {
            let hyperparameters = gmrf::latent::hyperparameter_count(o.likelihood.hyperparameters());
            Derivatives::zeros(o.likelihood.len(), hyperparameters)
        });
        Self {
            precision_derivative: vec![0.0; longest],
            precision,
            design: model.design().clone(),
            mean: nodes(),
            posterior: vec![0.0; model.symbolic().pattern().nnz()],
            inverse: SelectedInverse::new(model.symbolic()),
            solve: vec![0.0; factor.work_length()],
            parallelism: Parallelism::default(),
            factor,
            x: nodes(),
            trial: nodes(),
            step: nodes(),
            deviation: nodes(),
            gradient: nodes(),
            node_buffer: nodes(),
            mean_shift: nodes(),
            eta: rows(),
            eta_trial: rows(),
            eta_step: rows(),
            row_buffer: rows(),
            row_sums: vec![0.0; if model.design().has_kinds() { model.design().distinct_rows() } else { 0 }],
            run_room: vec![0.0; model.design().room_of_runs()],
            first: rows(),
            second: rows(),
            third: rows(),
            fourth: rows(),
            predictor_variance: rows(),
            factored: rows(),
            factored_nearby: false,
            derivatives: derivatives.collect(),
            clipped: false,
            propagated: false,
            quadrature: model.observations().iter().map(|_| None).collect(),
            one_loop: OneLoop::default(),
            conditional: None,
            expectation: model.observations().iter().map(|_| None).collect(),
        }
    }

    /// The variance of every node, length `n`, of the approximation that was evaluated last.
    ///
    /// # Errors
    /// None once an approximation was evaluated.
    pub fn node_variances(&self) -> Result<Vec<f64>, LaplaceError> {
        let mut variances = vec![0.0; self.x.len()];
        self.inverse.fill_variances(&mut variances)?;
        Ok(variances)
    }

    /// Whether factor, selected inverse and complete corrections use the threads of the caller's rayon pool; results are the same bits.
    pub fn set_parallelism(&mut self, parallelism: Parallelism) {
        self.parallelism = parallelism;
        self.factor.set_parallelism(parallelism);
        self.inverse.set_parallelism(parallelism);
    }
}
