//! The one-loop correction of variances.
//!
//! With `C = ΣAᵀ` and `S = AC`, to second order `Var(x) ≈ Σ + C M Cᵀ`,
//! `M_ik = ½ ℓ‴_i ℓ‴_k S_ik² + δ_ik (½ ℓ⁗_i v_i + ℓ‴_i (Aw)_i)` (the diagrams of Shun and McCullagh 1995, with a source at each end).
//! Around expectation propagation the tilted distributions hold the diagonal of `M`, and its pairs remain.

use std::ops::Range;
use std::sync::Mutex;

use gmrf::sums::add_product_with_sum;

use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Covariances that are kept for it, 80 MB.
const MOST_ENTRIES: usize = 10_000_000;
/// Those that a workspace holds on to, 8 MB.
const MOST_HELD: usize = 1_000_000;
/// Pairs of rows whose largest effect on a relative variance is below this are left out.
const NEGLIGIBLE: f64 = 1e-4;
/// Rows whose pairs one thread works on.
const PIECE: usize = 128;
/// The largest relative correction that is believed.
const LARGEST: f64 = 1.0;

/// Columns of `C` and of `S` of the rows that matter, row by row, kept while they are solved for.
#[derive(Debug, Default)]
pub(crate) struct OneLoop {
    columns: Vec<f64>,
    covariances: Vec<f64>,
}

/// Room for the covariances of some rows with all nodes and with all predictors.
pub(super) struct Room<'a> {
    columns: &'a mut [f64],
    covariances: &'a mut [f64],
}

/// `diag(CMCᵀ)` and `diag(SMS)`.
pub(super) struct VarianceTerms {
    pub(super) nodes: Vec<f64>,
    pub(super) predictors: Vec<f64>,
}

/// A row that is kept: its number, and its covariances with all nodes and with all predictors.
#[derive(Clone, Copy)]
struct Kept<'a> {
    row: usize,
    columns: &'a [f64],
    covariances: &'a [f64],
}

/// Rows that are to be paired with one, each with a weight.
struct Waiting<'a> {
    with: [(&'a Kept<'a>, f64); 4],
    count: usize,
}

/// Nodes or predictors whose covariances are turned from blocks into rows at a time, a line of the cache.
const TILE: usize = 8;

impl OneLoop {
    /// Whether so many rows take not too much room.
    pub(super) fn has_room(model: &LatentGaussianModel, rows: usize) -> bool {
        rows.saturating_mul(model.nodes() + model.rows()) <= MOST_ENTRIES
    }

    /// Room for so many `rows`, a `block` of them at a time.
    pub(super) fn rooms(&mut self, model: &LatentGaussianModel, rows: usize, block: usize) -> Vec<Mutex<Room<'_>>> {
        let (n, m) = (model.nodes(), model.rows());
        self.columns.resize(rows * n, 0.0);
        self.covariances.resize(rows * m, 0.0);
        let (columns, covariances) = (self.columns.chunks_mut(block * n), self.covariances.chunks_mut(block * m));
        columns.zip(covariances).map(|(columns, covariances)| Mutex::new(Room { columns, covariances })).collect()
    }

    /// Itself for another correction if it is small enough to be held on to.
    pub(super) fn held(self) -> Self {
        if self.columns.len() + self.covariances.len() <= MOST_HELD { self } else { Self::default() }
    }

    /// The correction of every node's and every predictor's variance from the kept `rows`. Cost: a pass over both for every pair of rows
    /// that matters.
    pub(super) fn terms(&self, model: &LatentGaussianModel, workspace: &Workspace, rows: &[usize]) -> VarianceTerms {
        let columns = self.columns.chunks_exact(model.nodes()).zip(self.covariances.chunks_exact(model.rows()));
        let kept = rows.iter().zip(columns).map(|(&row, (columns, covariances))| Kept { row, columns, covariances });
        let kept: Vec<Kept<'_>> = kept.collect();
        let part = |range: Range<usize>| {
            let mut out = VarianceTerms { nodes: vec![0.0; model.nodes()], predictors: vec![0.0; model.rows()] };
            range.for_each(|a| out.add_pairs(workspace, &kept[..=a]));
            out
        };
        workspace.parallelism.halves(0..kept.len(), PIECE, &part, &VarianceTerms::plus)
    }
}

impl Room<'_> {
    /// Keeps the covariances with all nodes and all predictors, which stand side by side in blocks of `B` rows.
    pub(super) fn keep<const B: usize>(&mut self, columns: &[[f64; B]], covariances: &[[f64; B]]) {
        for (own, block) in [(&mut *self.columns, columns), (&mut *self.covariances, covariances)] {
            for start in (0..block.len()).step_by(TILE) {
                let tile = &block[start..block.len().min(start + TILE)];
                for (r, out) in own.chunks_exact_mut(block.len()).enumerate() {
                    out[start..].iter_mut().zip(tile).for_each(|(out, values)| *out = values[r]);
                }
            }
        }
    }
}

impl VarianceTerms {
    /// The last of some rows paired with itself and with the others.
    fn add_pairs(&mut self, workspace: &Workspace, rows: &[Kept<'_>]) {
        let Some((own, others)) = rows.split_last() else { return };
        let (i, variance) = (own.row, &workspace.predictor_variance);
        let curvature = if workspace.propagated { 0.0 } else { diagonal(workspace, i) };
        let mut waiting = Waiting { with: [(own, 0.0); 4], count: 0 };
        self.add(own, &mut waiting, (own, curvature));
        let strength = workspace.third[i] * variance[i];
        for other in others {
            let (k, covariance) = (other.row, own.covariances[other.row]);
            let pair = 0.5 * workspace.third[i] * workspace.third[k] * covariance * covariance;
            // over √(v_i v_k) on either side
            let weight = strength * workspace.third[k] * variance[k] * covariance * covariance;
            if weight * weight > NEGLIGIBLE * NEGLIGIBLE * variance[i] * variance[k] {
                self.add(own, &mut waiting, (other, 2.0 * pair));
            }
        }
        self.add_waiting(own, &mut waiting);
    }

    /// `+= weight · c_own∘c_other`, when there are enough of them.
    fn add<'a>(&mut self, own: &Kept<'a>, waiting: &mut Waiting<'a>, (other, weight): (&'a Kept<'a>, f64)) {
        if weight == 0.0 {
            return;
        }
        waiting.with[waiting.count] = (other, weight);
        waiting.count += 1;
        if waiting.count == waiting.with.len() {
            self.add_waiting(own, waiting);
        }
    }

    fn add_waiting(&mut self, own: &Kept<'_>, waiting: &mut Waiting<'_>) {
        if waiting.count == 0 {
            return;
        }
        waiting.with[waiting.count..].iter_mut().for_each(|pair| pair.1 = 0.0);
        let weights = waiting.with.map(|(_, weight)| weight);
        add_product_with_sum(weights, waiting.with.map(|(other, _)| other.columns), own.columns, &mut self.nodes);
        let covariances = waiting.with.map(|(other, _)| other.covariances);
        add_product_with_sum(weights, covariances, own.covariances, &mut self.predictors);
        waiting.count = 0;
    }

    fn plus(mut self, other: Self) -> Self {
        for (sums, others) in [(&mut self.nodes, &other.nodes), (&mut self.predictors, &other.predictors)] {
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        }
        self
    }
}

/// What stands on the diagonal of `M` around Laplace's approximation.
fn diagonal(workspace: &Workspace, i: usize) -> f64 {
    let (nodes, values) = workspace.design.row(i);
    let moved: f64 = nodes.iter().zip(values).map(|(&j, a)| a * workspace.mean_shift[j]).sum();
    let v = workspace.predictor_variance[i];
    let l3 = workspace.third[i];
    0.5 * workspace.fourth[i] * v + l3 * moved + 0.5 * l3 * l3 * v * v
}

/// What a variance is multiplied by: `1 + r` where it grows, its reciprocal's expansion where it shrinks.
pub(super) fn factor(relative: f64) -> f64 {
    let relative = relative.clamp(-LARGEST, LARGEST);
    if relative >= 0.0 { 1.0 + relative } else { 1.0 / (1.0 - relative) }
}
