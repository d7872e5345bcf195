//! Third cumulants `Σ_m ℓ‴_m c_m³`: exact by one solve for each row, or over neighbouring rows in large models.

use super::one_loop::{OneLoop, VarianceTerms};
use crate::error::LaplaceError;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Operations up to which the exact sums are formed, some tenths of a second.
pub(crate) const EXACT_WORK: f64 = 4e8;
/// Neighbouring rows looked at for each row of a large model.
const NEIGHBOURS: usize = 64;
/// Rows whose covariances are solved for together.
const BLOCK: usize = 16;

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
            Ok(Self::of_neighbours(model, workspace))
        }
    }

    /// `c = Σ a_i` for every row `i`, a block of rows at a time.
    fn exact(model: &LatentGaussianModel, workspace: &mut Workspace) -> Result<Self, LaplaceError> {
        let mut out = Self::zero(model.nodes(), model.rows());
        let mut rows: Vec<usize> =
            (0..model.rows()).filter(|&i| (workspace.third[i], workspace.fourth[i]) != (0.0, 0.0)).collect();
        // rows of nodes that are eliminated one after the other share most of their way up the tree
        let first = |nodes: &[usize]| nodes.iter().map(|&j| model.symbolic().position(j)).min();
        rows.sort_by_key(|&i| first(workspace.design.row(i).0));
        let mut kept = OneLoop::new(model, rows.len());
        let mut covariances = vec![0.0; model.rows() * BLOCK];
        let mut columns = vec![0.0; model.nodes() * BLOCK];
        let mut work = vec![0.0; workspace.factor.work_length() * BLOCK];
        for block in rows.chunks(BLOCK) {
            columns.fill(0.0);
            let mut weights = [0.0; BLOCK];
            for (r, &i) in block.iter().enumerate() {
                weights[r] = workspace.third[i];
                let (nodes, values) = workspace.design.row(i);
                nodes.iter().zip(values).for_each(|(&j, a)| columns[j * BLOCK + r] = *a);
            }
            workspace.factor.solve_many_in_place(&mut columns, BLOCK, &mut work)?;
            for (kappa, c) in out.nodes.iter_mut().zip(columns.as_chunks::<BLOCK>().0) {
                *kappa += weighted_cubes(&weights, c);
            }
            for (k, kappa) in out.predictors.iter_mut().enumerate() {
                let (nodes, values) = workspace.design.row(k);
                let mut own = [0.0; BLOCK];
                for (&j, a) in nodes.iter().zip(values) {
                    let column = &columns[j * BLOCK..(j + 1) * BLOCK];
                    own.iter_mut().zip(column).for_each(|(s, c)| *s += a * c);
                }
                covariances[k * BLOCK..(k + 1) * BLOCK].copy_from_slice(&own);
                let cubes = weighted_cubes(&weights, &own);
                *kappa += cubes;
                out.pairs += workspace.third[k] * cubes;
            }
            if let Some(kept) = &mut kept {
                kept.push(block, columns.as_chunks::<BLOCK>().0, covariances.as_chunks::<BLOCK>().0);
            }
        }
        out.variances = kept.map(|kept| kept.terms(model, workspace));
        Ok(out)
    }

    /// Sums over rows whose nodes are neighbours in the pattern of `H`; every covariance they need is selected.
    pub(super) fn of_neighbours(model: &LatentGaussianModel, workspace: &Workspace) -> Self {
        let mut out = Self::zero(model.nodes(), model.rows());
        out.exact = false;
        let rows = RowsOfNodes::new(model);
        let mut near = Vec::new();
        for i in 0..model.rows() {
            rows.neighbours(i, &mut near);
            for &k in &near {
                let cube = covariance(workspace, i, k).powi(3);
                out.predictors[i] += workspace.third[k] * cube;
                out.pairs += workspace.third[i] * workspace.third[k] * cube;
            }
        }
        for (j, kappa) in out.nodes.iter_mut().enumerate() {
            rows.near_node(j, &mut near);
            for &k in &near {
                let (columns, values) = workspace.design.row(k);
                let c: f64 =
                    columns.iter().zip(values).map(|(&l, a)| a * workspace.inverse.entry(j, l).unwrap_or(0.0)).sum();
                *kappa += workspace.third[k] * c * c * c;
            }
        }
        out
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

/// `Σ_r w_r c_r³`.
fn weighted_cubes(weights: &[f64; BLOCK], c: &[f64; BLOCK]) -> f64 {
    let mut terms = [0.0; BLOCK];
    for ((term, w), c) in terms.iter_mut().zip(weights).zip(c) {
        *term = w * c * c * c;
    }
    terms.iter().sum()
}

/// `S_ik` from the selected entries; a covariance beyond the pattern counts as zero.
fn covariance(workspace: &Workspace, i: usize, k: usize) -> f64 {
    let ((rows, left), (columns, right)) = (workspace.design.row(i), workspace.design.row(k));
    let mut total = 0.0;
    for (&row, a) in rows.iter().zip(left) {
        for (&column, b) in columns.iter().zip(right) {
            total += a * b * workspace.inverse.entry(row, column).unwrap_or(0.0);
        }
    }
    total
}

/// For each node the rows that it belongs to most closely, and each row's closest node.
struct RowsOfNodes {
    main: Vec<usize>,
    rows: Vec<Vec<usize>>,
    neighbours: Vec<Vec<usize>>,
}

impl RowsOfNodes {
    fn new(model: &LatentGaussianModel) -> Self {
        let n = model.nodes();
        let mut count = vec![0usize; n];
        for i in 0..model.rows() {
            model.design().row(i).0.iter().for_each(|&j| count[j] += 1);
        }
        let (mut main, mut rows) = (Vec::with_capacity(model.rows()), vec![Vec::new(); n]);
        for i in 0..model.rows() {
            let node = model.design().row(i).0.iter().copied().min_by_key(|&j| count[j]).unwrap_or(0);
            main.push(node);
            rows[node].push(i);
        }
        let mut neighbours = vec![Vec::new(); n];
        for (i, j) in model.symbolic().pattern().entries().filter(|(i, j)| i != j) {
            // a dense node, such as a fixed effect, is no one's close neighbour
            if neighbours[i].len() < NEIGHBOURS && neighbours[j].len() < NEIGHBOURS {
                neighbours[i].push(j);
                neighbours[j].push(i);
            }
        }
        Self { main, rows, neighbours }
    }

    fn neighbours(&self, row: usize, out: &mut Vec<usize>) {
        self.near_node(self.main[row], out);
        if !out.contains(&row) {
            out.push(row);
        }
    }

    fn near_node(&self, node: usize, out: &mut Vec<usize>) {
        out.clear();
        for near in std::iter::once(&node).chain(&self.neighbours[node]) {
            let room = NEIGHBOURS.saturating_sub(out.len());
            out.extend(self.rows[*near].iter().take(room));
        }
    }
}
