//! The constrained covariance on the pattern of the factor.

use std::sync::Arc;

use pulp::{Arch, Simd, WithSimd};

use crate::cholesky::dense::{Shape, invert_panel};
use crate::cholesky::schedule::Branch;
use crate::cholesky::{CholeskyFactor, Parallelism, SymbolicFactor};
use crate::error::{GmrfError, expect_length};

/// Entries of the constrained covariance `Σ` (the node block of `K⁻¹`) on the pattern of the factor.
///
/// Supernodal recursion from the root to the leaves (Takahashi, Fagan and Chen 1973; Erisman and Tinney 1975): each
/// supernode gathers the covariances of its rows from its parent's front.
#[derive(Debug)]
pub struct SelectedInverse {
    symbolic: Arc<SymbolicFactor>,
    panels: Vec<f64>,
    /// Fronts of the supernodes whose children are still to come.
    arena: Vec<f64>,
    parallelism: Parallelism,
    values: Vec<f64>,
}

impl SelectedInverse {
    /// Room for a selected inverse; [`compute`](Self::compute) fills it. Memory [`SymbolicFactor::memory`].
    pub fn new(symbolic: &Arc<SymbolicFactor>) -> Self {
        Self {
            panels: vec![0.0; symbolic.values_length],
            arena: vec![0.0; symbolic.branch.fronts.end],
            parallelism: Parallelism::default(),
            values: vec![0.0; symbolic.pattern.nnz()],
            symbolic: symbolic.clone(),
        }
    }

    /// Sets how many threads the next inversion may use.
    pub fn set_parallelism(&mut self, parallelism: Parallelism) {
        self.parallelism = parallelism;
    }

    /// Computes the entries from a factor of the same symbolic analysis. Cost about twice the factor's; nothing allocated.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`] if the factor belongs to another analysis.
    pub fn compute(&mut self, factor: &CholeskyFactor) -> Result<(), GmrfError> {
        expect_length("factor", self.symbolic.values_length, factor.values.len())?;
        let symbolic = self.symbolic.clone();
        let parallelism = self.parallelism.for_operations(symbolic.shared_operations);
        let inversion = Inversion { symbolic: &symbolic, factor: &factor.values, parallelism };
        let parts = Parts { panels: &mut self.panels, arena: &mut self.arena, first_value: 0, first_front: 0 };
        parallelism.enter(|| inversion.branch(&symbolic.branch, parts, Above { arena: &[], first_front: 0 }));
        let panels = &self.panels;
        parallelism.pieces(&mut self.values, (1, GATHERED), &|start, values| {
            values.iter_mut().zip(&symbolic.slots[start..]).for_each(|(value, &slot)| *value = panels[slot]);
        });
        Ok(())
    }

    /// `Σ_ij` for every entry of the pattern, in pattern order.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The marginal variances `Σ_ii` into `out` (length `n`), in node order.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn fill_variances(&self, out: &mut [f64]) -> Result<(), GmrfError> {
        let pattern = &self.symbolic.pattern;
        expect_length("variances", pattern.order(), out.len())?;
        for (j, variance) in out.iter_mut().enumerate() {
            *variance = self.values[pattern.column_start(j)];
        }
        Ok(())
    }

    /// `tr(Σ S)` for a symmetric `S` given by its lower triangle on the pattern. Cost: a pass over its entries.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`].
    pub fn trace_product(&self, values: &[f64]) -> Result<f64, GmrfError> {
        let pattern = &self.symbolic.pattern;
        expect_length("values", pattern.nnz(), values.len())?;
        let twice = |(i, j): (usize, usize)| if i == j { 1.0 } else { 2.0 };
        let terms = pattern.entries().zip(values).zip(&self.values);
        Ok(terms.map(|((place, s), covariance)| twice(place) * s * covariance).sum())
    }

    /// `aᵀΣa` for one sparse row `a` of a design, an element of `diag(AΣAᵀ)`; `None` if two of its nodes share no entry of the
    /// factor, which cannot happen where `AᵀA` lies on the pattern. Cost: a search for each pair of nodes.
    pub fn row_variance(&self, nodes: &[usize], values: &[f64]) -> Option<f64> {
        let mut variance = 0.0;
        for (k, (&i, a)) in nodes.iter().zip(values).enumerate() {
            variance += a * a * self.entry(i, i)?;
            for (&j, b) in nodes.iter().zip(values).take(k) {
                variance += 2.0 * a * b * self.entry(i, j)?;
            }
        }
        Some(variance)
    }

    /// `Σ_ij` where `(i, j)` lies on the pattern of the factor, which is larger than that of the matrix.
    pub fn entry(&self, i: usize, j: usize) -> Option<f64> {
        let symbolic = &self.symbolic;
        let (p, q) = (*symbolic.position.get(i)?, *symbolic.position.get(j)?);
        let (row, column) = (p.max(q), p.min(q));
        let s = symbolic.supernodes.partition_point(|node| node.first <= column) - 1;
        symbolic.place(&symbolic.supernodes[s], row, column).map(|place| self.panels[place])
    }
}

/// An inversion in progress.
#[derive(Clone, Copy)]
struct Inversion<'a> {
    symbolic: &'a SymbolicFactor,
    factor: &'a [f64],
    parallelism: Parallelism,
}

/// The parts of the output and of the arena that belong to a run of branches.
struct Parts<'a> {
    panels: &'a mut [f64],
    arena: &'a mut [f64],
    /// Where the parts start in the whole.
    first_value: usize,
    first_front: usize,
}

/// The part of the arena that holds the fronts above a run of forks.
#[derive(Clone, Copy)]
struct Above<'a> {
    arena: &'a [f64],
    first_front: usize,
}

impl Inversion<'_> {
    fn branch(self, branch: &Branch, parts: Parts<'_>, above: Above<'_>) {
        let Parts { panels, arena, first_value, first_front } = parts;
        let (forks, own) = arena.split_at_mut(branch.own_fronts - first_front);
        Arch::new().dispatch(Rest {
            inversion: self,
            branch,
            panels: &mut *panels,
            first_value,
            own: &mut *own,
            above,
        });
        if !branch.forks.is_empty() {
            let above = Above { arena: own, first_front: branch.own_fronts };
            self.forks(&branch.forks, Parts { panels, arena: forks, first_value, first_front }, above);
        }
    }

    fn forks(self, forks: &[Branch], parts: Parts<'_>, above: Above<'_>) {
        match forks {
            [] => {}
            [fork] => self.branch(fork, parts, above),
            _ => {
                let (left, right) = forks.split_at(forks.len() / 2);
                let value = self.symbolic.supernodes[right[0].all.start].values_start;
                let front = right[0].fronts.start;
                let (panels, later_panels) = parts.panels.split_at_mut(value - parts.first_value);
                let (arena, later_arena) = parts.arena.split_at_mut(front - parts.first_front);
                let later = Parts { panels: later_panels, arena: later_arena, first_value: value, first_front: front };
                let parts = Parts { panels, arena, ..parts };
                self.parallelism.join(|| self.forks(left, parts, above), || self.forks(right, later, above));
            }
        }
    }
}

/// The supernodes of a branch above its forks, with the vector instructions of the machine.
struct Rest<'a, 'm> {
    inversion: Inversion<'a>,
    branch: &'a Branch,
    panels: &'m mut [f64],
    first_value: usize,
    own: &'m mut [f64],
    above: Above<'m>,
}

impl WithSimd for Rest<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Inversion { symbolic, factor, parallelism } = self.inversion;
        let (scratch, fronts) = self.own.split_at_mut(self.branch.scratch);
        let base = self.branch.own_fronts + self.branch.scratch;
        for s in self.branch.rest.clone().rev() {
            let node = &symbolic.supernodes[s];
            let (height, width) = (node.height(), node.width);
            let place = node.front_start - base;
            let (before, rest) = fronts.split_at_mut(place);
            let (front, behind) = rest.split_at_mut(height * height);
            if node.below > 0 {
                let above = &symbolic.supernodes[node.parent];
                let size = above.height() * above.height();
                let parent = if !self.branch.rest.contains(&node.parent) {
                    &self.above.arena[above.front_start - self.above.first_front..][..size]
                } else if above.front_start < node.front_start {
                    &before[above.front_start - base..][..size]
                } else {
                    &behind[above.front_start - node.front_start - height * height..][..size]
                };
                let relative = symbolic.relative_rows(node);
                gather((parent, above.height()), relative, front, (height, width), parallelism);
            }
            let sign = if node.multiplier { -1.0 } else { 1.0 };
            let panel = &factor[node.values_start..node.values_start + height * width];
            invert_panel(simd, panel, (height, width), sign, (&mut *front, &mut *scratch), parallelism);
            let start = node.values_start - self.first_value;
            let target = &mut self.panels[start..start + height * width];
            let copy = |start: usize, piece: &mut [f64]| piece.copy_from_slice(&front[start..start + piece.len()]);
            parallelism.pieces(target, (1, COPIED), &copy);
        }
    }
}

/// Entries that are worth a thread: copied in order, and gathered from all over.
const COPIED: usize = 60_000;
const GATHERED: usize = 20_000;

/// Scattered fronts up to this order, which stay near the core, fetch each covariance once and mirror it.
const MIRRORED: usize = 64;

/// The trailing block of a front from its parent's front, both triangles.
#[inline(always)]
fn gather(
    (parent, parent_height): (&[f64], usize),
    relative: &[u32],
    front: &mut [f64],
    (height, width): Shape,
    parallelism: Parallelism,
) {
    let size = relative.len();
    let (first, last) = (relative[0] as usize, relative[size - 1] as usize);
    let contiguous = last - first == size - 1;
    let source = |column: u32| &parent[column as usize * parent_height..(column as usize + 1) * parent_height];
    if contiguous || size > MIRRORED {
        return parallelism.pieces(&mut front[width * height..], (height, COPIED), &|start, columns| {
            for (column, &from) in columns.chunks_exact_mut(height).zip(&relative[start..]) {
                let (source, target) = (source(from), &mut column[width..]);
                if contiguous {
                    target.copy_from_slice(&source[first..=last]);
                } else {
                    target.iter_mut().zip(relative).for_each(|(t, &row)| *t = source[row as usize]);
                }
            }
        });
    }
    for (k, &column) in relative.iter().enumerate() {
        let (source, start) = (source(column), (width + k) * height + width);
        let (target, later) = front[start + k..].split_at_mut(size - k);
        for (t, &row) in target.iter_mut().zip(&relative[k..]) {
            *t = source[row as usize];
        }
        // the row to the right of the diagonal
        let right = later.iter_mut().skip(width + k).step_by(height);
        for (t, &value) in right.zip(&target[1..]) {
            *t = value;
        }
    }
}
