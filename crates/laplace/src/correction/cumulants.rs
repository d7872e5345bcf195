//! Third cumulants `Σ_m ℓ‴_m c_m³`: exact by one solve for each row, or over neighbouring rows in large models.

use std::ops::Range;
use std::sync::Mutex;

use gmrf::sums::{add_weighted_cubes, sum_at};

use super::nearby;
use super::one_loop::{OneLoop, Room, VarianceTerms};
use crate::error::LaplaceError;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Operations up to which the exact sums are formed, some tenths of a second.
pub(crate) const EXACT_WORK: f64 = 4e8;
/// Rows whose covariances are solved for together.
const BLOCK: usize = 16;
/// Blocks that one thread works on.
const PIECE: usize = 8;

/// Operations of the exact sums.
pub(super) fn exact_work(model: &LatentGaussianModel) -> f64 {
    let per_row = 4 * model.symbolic().factor_values() + model.nodes() + model.design().nnz();
    model.rows() as f64 * per_row as f64
}

/// Third cumulants of every node and predictor and the sum over pairs of rows.
pub(super) struct ThirdCumulants {
    /// `κ₃` of every node.
    pub(super) nodes: Vec<f64>,
    /// `κ₃` of every predictor.
    pub(super) predictors: Vec<f64>,
    /// `Σ_mk ℓ‴_m ℓ‴_k S_mk³`.
    pub(super) pairs: f64,
    pub(super) exact: bool,
    /// What one loop adds to the variances, where it was computed.
    pub(super) variances: Option<VarianceTerms>,
}

impl ThirdCumulants {
    fn zero(nodes: usize, rows: usize) -> Self {
        Self { nodes: vec![0.0; nodes], predictors: vec![0.0; rows], pairs: 0.0, exact: true, variances: None }
    }

    pub(super) fn compute(model: &LatentGaussianModel, workspace: &mut Workspace) -> Result<Self, LaplaceError> {
        if exact_work(model) <= EXACT_WORK {
            Self::exact(model, workspace)
        } else {
            Ok(nearby::third_cumulants(model, workspace))
        }
    }

    /// `c = Σ a_i` for every row `i`, a block of rows at a time.
    fn exact(model: &LatentGaussianModel, workspace: &mut Workspace) -> Result<Self, LaplaceError> {
        let mut rows: Vec<usize> =
            (0..model.rows()).filter(|&i| (workspace.third[i], workspace.fourth[i]) != (0.0, 0.0)).collect();
        // rows of nodes that are eliminated one after the other share most of their way up the tree
        let first = |nodes: &[usize]| nodes.iter().map(|&j| model.symbolic().position(j)).min();
        rows.sort_by_key(|&i| first(workspace.design.row(i).0));
        let mut kept = std::mem::take(&mut workspace.one_loop);
        let keeps = OneLoop::has_room(model, rows.len());
        let rooms = if keeps { kept.rooms(model, rows.len(), BLOCK) } else { Vec::new() };
        let blocks: Vec<&[usize]> = rows.chunks(BLOCK).collect();
        let part = |piece: Range<usize>| {
            let rooms = rooms.get(piece.clone()).unwrap_or_default();
            Self::of_blocks(model, workspace, &blocks[piece], rooms)
        };
        let merge = |left: Result<Self, LaplaceError>, right: Result<Self, LaplaceError>| Ok(left?.plus(&right?));
        let mut out = workspace.parallelism.halves(0..blocks.len(), PIECE, &part, &merge)?;
        drop(rooms);
        out.variances = keeps.then(|| kept.terms(model, workspace, &rows));
        workspace.one_loop = kept.held();
        Ok(out)
    }

    fn plus(mut self, other: &Self) -> Self {
        for (sums, others) in [(&mut self.nodes, &other.nodes), (&mut self.predictors, &other.predictors)] {
            sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        }
        self.pairs += other.pairs;
        self
    }

    /// The sums over some blocks of rows, whose covariances are kept where there is room.
    fn of_blocks(
        model: &LatentGaussianModel,
        workspace: &Workspace,
        blocks: &[&[usize]],
        rooms: &[Mutex<Room<'_>>],
    ) -> Result<Self, LaplaceError> {
        let mut out = Self::zero(model.nodes(), model.rows());
        let mut covariances = vec![0.0; model.rows() * BLOCK];
        let mut columns = vec![0.0; model.nodes() * BLOCK];
        let mut work = vec![0.0; workspace.factor.work_length() * BLOCK];
        for (b, block) in blocks.iter().enumerate() {
            columns.fill(0.0);
            let mut weights = [0.0; BLOCK];
            for (r, &i) in block.iter().enumerate() {
                weights[r] = workspace.third[i];
                let (nodes, values) = workspace.design.row(i);
                nodes.iter().zip(values).for_each(|(&j, a)| columns[j * BLOCK + r] = *a);
            }
            workspace.factor.solve_many_in_place(&mut columns, BLOCK, &mut work)?;
            for (k, own) in covariances.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
                let (nodes, values) = workspace.design.row(k);
                sum_at(values, nodes, columns.as_chunks().0, own);
            }
            add_weighted_cubes(&weights, columns.as_chunks::<BLOCK>().0, &mut out.nodes);
            add_weighted_cubes(&weights, covariances.as_chunks::<BLOCK>().0, &mut out.predictors);
            if let Some(Ok(mut room)) = rooms.get(b).map(Mutex::lock) {
                room.keep(columns.as_chunks::<BLOCK>().0, covariances.as_chunks::<BLOCK>().0);
            }
        }
        out.pairs = workspace.third.iter().zip(&out.predictors).map(|(third, kappa)| third * kappa).sum();
        Ok(out)
    }
}

impl ThirdCumulants {
    /// What pairs of rows add to the mean of every node around expectation propagation, in standard deviations: `ΣAᵀg`,
    /// `g_k = ⅙ Γ⁗_k Σ_{j≠k} Γ‴_j S_kj³ + ½ Γ‴_k δv_k`, with the vertices `Γ` of the tilted distributions and the one-loop change `δv` of
    /// their variances. It is the derivative of the third-cumulant correction of `log Z` in a source at each node, to leading order.
    pub(super) fn node_means(
        &self,
        model: &LatentGaussianModel,
        workspace: &mut Workspace,
        variances: &[f64],
    ) -> Result<Vec<f64>, LaplaceError> {
        for i in 0..model.rows() {
            let (l3, v) = (workspace.third[i], workspace.predictor_variance[i]);
            let others = self.predictors[i] - l3 * v * v * v;
            let wider = self.variances.as_ref().map_or(0.0, |terms| terms.predictors[i]);
            workspace.row_buffer[i] = workspace.fourth[i] * others / 6.0 + 0.5 * l3 * wider;
        }
        let mut means = vec![0.0; model.nodes()];
        workspace.design.add_transposed(&workspace.row_buffer, &mut workspace.row_sums, &mut means);
        workspace.factor.solve_in_place(&mut means, &mut workspace.solve)?;
        for (mean, variance) in means.iter_mut().zip(variances) {
            *mean = if *variance > 0.0 { *mean / variance.sqrt() } else { 0.0 };
        }
        Ok(means)
    }
}
