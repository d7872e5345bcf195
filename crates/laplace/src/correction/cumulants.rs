//! Third cumulants `Σ_m ℓ‴_m c_m³`: exact by one solve for each row, or over neighbouring rows in large models.

use crate::error::LaplaceError;
use crate::model::LatentGaussianModel;
use crate::workspace::Workspace;

/// Operations up to which the exact sums are formed, about a tenth of a second.
pub(crate) const EXACT_WORK: f64 = 4e7;
/// Neighbouring rows looked at for each row of a large model.
const NEIGHBOURS: usize = 64;

pub(super) struct ThirdOrder {
    /// `κ₃` of every node.
    pub(super) nodes: Vec<f64>,
    /// `κ₃` of every predictor.
    pub(super) predictors: Vec<f64>,
    /// `Σ_mk ℓ‴_m ℓ‴_k S_mk³`.
    pub(super) pairs: f64,
    pub(super) exact: bool,
}

impl ThirdOrder {
    pub(super) fn zero(nodes: usize, rows: usize) -> Self {
        Self { nodes: vec![0.0; nodes], predictors: vec![0.0; rows], pairs: 0.0, exact: true }
    }

    pub(super) fn compute(model: &LatentGaussianModel, workspace: &mut Workspace) -> Result<Self, LaplaceError> {
        let per_row = 4 * model.symbolic().factor_values() + model.nodes() + model.design().nnz();
        if model.rows() as f64 * per_row as f64 <= EXACT_WORK {
            Self::exact(model, workspace)
        } else {
            Ok(Self::of_neighbours(model, workspace))
        }
    }

    /// `c = Σ a_i` for every row `i` in turn.
    fn exact(model: &LatentGaussianModel, workspace: &mut Workspace) -> Result<Self, LaplaceError> {
        let mut out = Self::zero(model.nodes(), model.rows());
        for i in 0..model.rows() {
            let l3 = workspace.third[i];
            if l3 == 0.0 {
                continue;
            }
            workspace.step.fill(0.0);
            let (columns, values) = model.design().row(i);
            for (&j, a) in columns.iter().zip(values) {
                workspace.step[j] = *a;
            }
            workspace.factor.solve_in_place(&mut workspace.step, &mut workspace.solve)?;
            for (kappa, c) in out.nodes.iter_mut().zip(&workspace.step) {
                *kappa += l3 * c * c * c;
            }
            model.design().multiply(&workspace.step, &mut workspace.row_buffer);
            let mut row = 0.0;
            for ((kappa, s), other) in out.predictors.iter_mut().zip(&workspace.row_buffer).zip(&workspace.third) {
                let cube = s * s * s;
                *kappa += l3 * cube;
                row += other * cube;
            }
            out.pairs += l3 * row;
        }
        Ok(out)
    }

    /// Sums over rows whose nodes are neighbours in the pattern of `H`; every covariance they need is selected.
    fn of_neighbours(model: &LatentGaussianModel, workspace: &Workspace) -> Self {
        let mut out = Self::zero(model.nodes(), model.rows());
        out.exact = false;
        let rows = RowsOfNodes::new(model);
        let mut near = Vec::new();
        for i in 0..model.rows() {
            rows.neighbours(i, &mut near);
            for &k in &near {
                let cube = covariance(model, workspace, i, k).powi(3);
                out.predictors[i] += workspace.third[k] * cube;
                out.pairs += workspace.third[i] * workspace.third[k] * cube;
            }
        }
        for (j, kappa) in out.nodes.iter_mut().enumerate() {
            rows.near_node(j, &mut near);
            for &k in &near {
                let (columns, values) = model.design().row(k);
                let c: f64 =
                    columns.iter().zip(values).map(|(&l, a)| a * workspace.inverse.entry(j, l).unwrap_or(0.0)).sum();
                *kappa += workspace.third[k] * c * c * c;
            }
        }
        out
    }
}

/// `S_ik` from the selected entries; a covariance beyond the pattern counts as zero.
fn covariance(model: &LatentGaussianModel, workspace: &Workspace, i: usize, k: usize) -> f64 {
    let ((rows, left), (columns, right)) = (model.design().row(i), model.design().row(k));
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
