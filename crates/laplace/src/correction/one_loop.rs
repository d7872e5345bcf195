//! The one-loop correction of variances.
//!
//! With `C = ΣAᵀ` and `S = AC`, to second order `Var(x) ≈ Σ + C M Cᵀ`,
//! `M_ik = ½ ℓ‴_i ℓ‴_k S_ik² + δ_ik (½ ℓ⁗_i v_i + ℓ‴_i (Aw)_i)` (the diagrams of Shun and McCullagh 1995, with a source at each end).
//! Around expectation propagation the tilted distributions hold the diagonal of `M`, and its pairs remain.

use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Covariances that are kept for it, 80 MB.
const MOST_ENTRIES: usize = 10_000_000;
/// Pairs of rows whose largest effect on a relative variance is below this are left out.
const NEGLIGIBLE: f64 = 1e-4;
/// The largest relative correction that is believed.
const LARGEST: f64 = 1.0;

/// Columns of `C` and of `S` of the rows that matter, kept while they are solved for.
pub(super) struct OneLoop {
    rows: Vec<usize>,
    columns: Vec<f64>,
    covariances: Vec<f64>,
}

/// `diag(CMCᵀ)` and `diag(SMS)`.
pub(super) struct VarianceTerms {
    pub(super) nodes: Vec<f64>,
    pub(super) predictors: Vec<f64>,
}

impl OneLoop {
    /// Room for `rows` rows, if it is not too much.
    pub(super) fn new(model: &LatentGaussianModel, rows: usize) -> Option<Self> {
        let entries = rows.saturating_mul(model.nodes() + model.rows());
        (entries <= MOST_ENTRIES).then(|| Self {
            rows: Vec::with_capacity(rows),
            columns: Vec::with_capacity(rows * model.nodes()),
            covariances: Vec::with_capacity(rows * model.rows()),
        })
    }

    /// Keeps the covariances of at most `B` rows with all nodes and all predictors.
    pub(super) fn push<const B: usize>(&mut self, rows: &[usize], columns: &[[f64; B]], covariances: &[[f64; B]]) {
        self.rows.extend_from_slice(rows);
        for (all, block) in [(&mut self.columns, columns), (&mut self.covariances, covariances)] {
            let start = all.len();
            all.resize(start + rows.len() * block.len(), 0.0);
            for (j, values) in block.iter().enumerate() {
                for (r, value) in values[..rows.len()].iter().enumerate() {
                    all[start + r * block.len() + j] = *value;
                }
            }
        }
    }

    /// The correction of every node's and every predictor's variance. Cost: a pass over both for every pair of rows that matters.
    pub(super) fn terms(&self, model: &LatentGaussianModel, workspace: &Workspace) -> VarianceTerms {
        let (n, m) = (model.nodes(), model.rows());
        let mut out = VarianceTerms { nodes: vec![0.0; n], predictors: vec![0.0; m] };
        let variance = &workspace.predictor_variance;
        for (a, &i) in self.rows.iter().enumerate() {
            let own = &self.covariances[a * m..(a + 1) * m];
            let curvature = if workspace.propagated { 0.0 } else { self.diagonal(workspace, i) };
            self.add((a, a), curvature, &mut out);
            let strength = workspace.third[i] * variance[i];
            for (b, &k) in self.rows.iter().enumerate().take(a) {
                let pair = 0.5 * workspace.third[i] * workspace.third[k] * own[k] * own[k];
                // over √(v_i v_k) on either side
                let weight = strength * workspace.third[k] * variance[k] * own[k] * own[k];
                if weight * weight > NEGLIGIBLE * NEGLIGIBLE * variance[i] * variance[k] {
                    self.add((a, b), 2.0 * pair, &mut out);
                }
            }
        }
        out
    }

    /// What stands on the diagonal of `M` around Laplace's approximation.
    fn diagonal(&self, workspace: &Workspace, i: usize) -> f64 {
        let (nodes, values) = workspace.design.row(i);
        let moved: f64 = nodes.iter().zip(values).map(|(&j, a)| a * workspace.mean_shift[j]).sum();
        let v = workspace.predictor_variance[i];
        let l3 = workspace.third[i];
        0.5 * workspace.fourth[i] * v + l3 * moved + 0.5 * l3 * l3 * v * v
    }

    /// `out += weight · c_a∘c_b`.
    fn add(&self, (a, b): (usize, usize), weight: f64, out: &mut VarianceTerms) {
        if weight == 0.0 {
            return;
        }
        for (all, out) in [(&self.columns, &mut out.nodes), (&self.covariances, &mut out.predictors)] {
            let length = out.len();
            let (left, right) = (&all[a * length..(a + 1) * length], &all[b * length..(b + 1) * length]);
            for ((out, left), right) in out.iter_mut().zip(left).zip(right) {
                *out += weight * left * right;
            }
        }
    }
}

/// What a variance is multiplied by: `1 + r` where it grows, its reciprocal's expansion where it shrinks.
pub(super) fn factor(relative: f64) -> f64 {
    let relative = relative.clamp(-LARGEST, LARGEST);
    if relative >= 0.0 { 1.0 + relative } else { 1.0 / (1.0 - relative) }
}
