//! What of a factor depends on the pattern alone: found once, shared by all threads.

use std::sync::Arc;

use super::elimination::EliminationTree;
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::ordering::{EliminationOrder, Ordering, UpperNeighbours, elimination_order, inverse};
use crate::pattern::SparsityPattern;

/// A supernode: consecutive columns of the factor with one row structure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Supernode {
    /// First column, in elimination order.
    pub(crate) first: usize,
    /// Number of columns.
    pub(crate) width: usize,
    /// Rows below the columns: `rows[rows_start..rows_start + below]`.
    pub(crate) rows_start: usize,
    /// Number of rows below the columns.
    pub(crate) below: usize,
    /// Where its panel starts among the values of `L`.
    pub(crate) values_start: usize,
    /// The supernode that its first row below belongs to, `usize::MAX` at a root.
    pub(crate) parent: usize,
    /// Whether it is a multiplier, whose pivot is negative.
    pub(crate) multiplier: bool,
}

impl Supernode {
    /// The order of the frontal matrix, which is the height of the panel.
    pub(crate) fn height(&self) -> usize {
        self.width + self.below
    }
}

/// The analysed pattern of `K = [[Q, Cᵀ], [C, 0]]`: elimination order, supernodes and the slots of every entry.
#[derive(Debug)]
pub struct SymbolicFactor {
    pub(crate) pattern: Arc<SparsityPattern>,
    pub(crate) constraints: LinearConstraints,
    /// `position[i]` of node or multiplier `i` in elimination order.
    pub(crate) position: Vec<usize>,
    /// `order[p]` is the node or multiplier at position `p`.
    pub(crate) order: Vec<usize>,
    pub(crate) supernodes: Vec<Supernode>,
    pub(crate) rows: Vec<usize>,
    /// For each row below a supernode, its place in the parent's front.
    pub(crate) relative: Vec<usize>,
    /// The children of each supernode, ascending.
    pub(crate) children: Vec<Vec<usize>>,
    /// For each entry of the pattern, its slot among the values of `L`.
    pub(crate) slots: Vec<usize>,
    /// For each entry of `C`, row by row, its slot.
    pub(crate) constraint_slots: Vec<usize>,
    /// The constraints whose multipliers stand behind their nodes.
    pub(crate) trailing: Vec<TrailingConstraint>,
    pub(crate) values_length: usize,
    /// Greatest size of the stack of update matrices.
    pub(crate) stack_length: usize,
    /// Greatest size of the stack of fronts of a selected inversion.
    pub(crate) front_stack_length: usize,
    /// `log |C Cᵀ|`.
    pub(crate) log_det_constraints: f64,
    pub(crate) operations: f64,
}

impl SymbolicFactor {
    /// Analyses `pattern` under `constraints` with the automatic ordering. Cost `O(nnz(L))`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`] if the constraints are of another order, [`GmrfError::RedundantConstraint`].
    pub fn analyze(pattern: &Arc<SparsityPattern>, constraints: &LinearConstraints) -> Result<Arc<Self>, GmrfError> {
        Self::analyze_with(pattern, constraints, Ordering::Automatic)
    }

    /// Analyses `pattern` under `constraints` in the given ordering.
    ///
    /// # Errors
    /// As [`analyze`](Self::analyze).
    pub fn analyze_with(
        pattern: &Arc<SparsityPattern>,
        constraints: &LinearConstraints,
        ordering: Ordering,
    ) -> Result<Arc<Self>, GmrfError> {
        expect_length("constraints", pattern.order(), constraints.order())?;
        let EliminationOrder { order, trailing } = elimination_order(pattern, constraints, ordering)?;
        check_support(constraints, &trailing)?;
        let kkt = Kkt { pattern, constraints, trailing: &trailing };
        let (order, tree) = postordered(&kkt, order);
        let position = inverse(&order);
        let n = pattern.order();
        let is_multiplier = |p: usize| order[p] >= n;
        let starts = supernode_starts(&tree, is_multiplier);
        let (supernodes, rows) = row_structures(&starts, &tree, kkt.entries(&position), is_multiplier);
        let mut symbolic = Self {
            pattern: pattern.clone(),
            constraints: constraints.clone(),
            position,
            order,
            supernodes,
            rows,
            relative: Vec::new(),
            children: Vec::new(),
            slots: Vec::new(),
            constraint_slots: Vec::new(),
            trailing: Vec::new(),
            values_length: 0,
            stack_length: 0,
            front_stack_length: 0,
            log_det_constraints: 0.0,
            operations: 0.0,
        };
        symbolic.lay_out(&trailing);
        symbolic.log_det_constraints = log_det_gram(constraints)?;
        Ok(Arc::new(symbolic))
    }

    /// The number of nodes.
    pub fn order(&self) -> usize {
        self.pattern.order()
    }

    /// The pattern that was analysed.
    pub fn pattern(&self) -> &Arc<SparsityPattern> {
        &self.pattern
    }

    /// The constraints that were analysed.
    pub fn constraints(&self) -> &LinearConstraints {
        &self.constraints
    }

    /// Stored values of `L`, panels included.
    pub fn factor_values(&self) -> usize {
        self.values_length
    }

    /// Multiplications of one factorisation.
    pub fn operations(&self) -> f64 {
        self.operations
    }

    /// Bytes of a factor with its work space, and of a selected inverse with its work space.
    pub fn memory(&self) -> (usize, usize) {
        (8 * (self.values_length + self.stack_length), 8 * (self.values_length + self.front_stack_length))
    }

    pub(crate) fn rows_below(&self, s: &Supernode) -> &[usize] {
        &self.rows[s.rows_start..s.rows_start + s.below]
    }

    pub(crate) fn relative_rows(&self, s: &Supernode) -> &[usize] {
        &self.relative[s.rows_start..s.rows_start + s.below]
    }

    /// Slots, relative rows and the sizes of the work space.
    fn lay_out(&mut self, trailing: &[usize]) {
        let total = self.order.len();
        let mut owner = vec![0; total];
        let mut values = 0;
        for (s, node) in self.supernodes.iter_mut().enumerate() {
            owner[node.first..node.first + node.width].fill(s);
            node.values_start = values;
            values += node.height() * node.width;
            let (w, h) = (node.width as f64, node.height() as f64);
            self.operations += w * (h * h - h * w + w * w / 3.0);
        }
        self.values_length = values;
        self.relative = vec![0; self.rows.len()];
        self.children = vec![Vec::new(); self.supernodes.len()];
        for s in 0..self.supernodes.len() {
            let node = self.supernodes[s];
            if node.below == 0 {
                continue;
            }
            let parent = owner[self.rows[node.rows_start]];
            self.supernodes[s].parent = parent;
            self.children[parent].push(s);
            let parent = self.supernodes[parent];
            let mut at = 0;
            for k in node.rows_start..node.rows_start + node.below {
                let row = self.rows[k];
                self.relative[k] = if row < parent.first + parent.width {
                    row - parent.first
                } else {
                    while self.rows[parent.rows_start + at] < row {
                        at += 1;
                    }
                    parent.width + at
                };
            }
        }
        let pattern = self.pattern.clone();
        self.slots = pattern.entries().map(|(i, j)| self.slot(&owner, self.position[i], self.position[j])).collect();
        let n = pattern.order();
        self.constraint_slots = (0..self.constraints.len())
            .flat_map(|k| self.constraints.row(k).0.iter().map(move |&i| (n + k, i)))
            .map(|(k, i)| self.slot(&owner, self.position[k], self.position[i]))
            .collect();
        let trailing = trailing.iter().map(|&k| {
            let (columns, values) = self.constraints.row(k);
            let place = |i: usize| self.position[i];
            let products = pairs(columns.len())
                .map(|(a, b)| (self.slot(&owner, place(columns[a]), place(columns[b])), values[a] * values[b]));
            let diagonal = columns.iter().map(|&i| pattern.column_start(i)).collect();
            TrailingConstraint { diagonal, products: products.collect() }
        });
        self.trailing = trailing.collect();
        self.size_stacks();
    }

    fn slot(&self, owner: &[usize], p: usize, q: usize) -> usize {
        let (row, column) = (p.max(q), p.min(q));
        let node = &self.supernodes[owner[column]];
        let local = if row < node.first + node.width {
            row - node.first
        } else {
            let below = self.rows_below(node).binary_search(&row).expect("every entry lies in the factor's structure");
            node.width + below
        };
        node.values_start + (column - node.first) * node.height() + local
    }

    fn size_stacks(&mut self) {
        let mut held = vec![0usize; self.supernodes.len()];
        let (mut stack, mut peak) = (0usize, 0usize);
        for (s, node) in self.supernodes.iter().enumerate() {
            let update = node.below * node.below;
            peak = peak.max(stack + update);
            stack = stack - held[s] + update;
            if node.parent != usize::MAX {
                held[node.parent] += update;
            }
        }
        self.stack_length = peak;
        let mut depth = vec![0usize; self.supernodes.len()];
        for s in (0..self.supernodes.len()).rev() {
            let node = &self.supernodes[s];
            let above = if node.parent == usize::MAX { 0 } else { depth[node.parent] };
            depth[s] = above + node.height() * node.height();
            self.front_stack_length = self.front_stack_length.max(depth[s]);
        }
    }
}

/// A constraint `c` with `κ ccᵀ` to be added to `Q`: no change on `cᵀx = 0`, and curvature enough for its nodes' pivots.
#[derive(Debug)]
pub(crate) struct TrailingConstraint {
    /// The diagonal entries of its nodes, in the pattern.
    pub(crate) diagonal: Vec<usize>,
    /// Slots among the values of `L`, and what `κ` is multiplied by.
    pub(crate) products: Vec<(usize, f64)>,
}

/// Nodes up to which a constraint may fill a dense block of `Q`.
const LARGEST_TRAILING: usize = 256;

fn check_support(constraints: &LinearConstraints, trailing: &[usize]) -> Result<(), GmrfError> {
    let wide = trailing.iter().find(|&&k| constraints.row(k).0.len() > LARGEST_TRAILING);
    wide.map_or(Ok(()), |&row| Err(GmrfError::RedundantConstraint { row }))
}

/// The lower triangle of a dense block.
fn pairs(size: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..size).flat_map(|a| (0..=a).map(move |b| (a, b)))
}

/// The pattern of `K`, with the blocks of the trailing constraints.
struct Kkt<'a> {
    pattern: &'a SparsityPattern,
    constraints: &'a LinearConstraints,
    trailing: &'a [usize],
}

impl Kkt<'_> {
    /// Entries in positions, either triangle.
    fn entries<'a>(&'a self, position: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + Clone + 'a {
        let n = self.pattern.order();
        let nodes = (0..n).flat_map(move |j| self.pattern.column(j).iter().map(move |&i| (position[i], position[j])));
        let multipliers = (0..self.constraints.len())
            .flat_map(move |k| self.constraints.row(k).0.iter().map(move |&i| (position[n + k], position[i])));
        let blocks = self.trailing.iter().flat_map(move |&k| {
            let columns = self.constraints.row(k).0;
            pairs(columns.len()).map(move |(a, b)| (position[columns[a]], position[columns[b]]))
        });
        nodes.chain(multipliers).chain(blocks)
    }
}

fn postordered(kkt: &Kkt, order: Vec<usize>) -> (Vec<usize>, EliminationTree) {
    let total = order.len();
    let position = inverse(&order);
    let tree = EliminationTree::new(&UpperNeighbours::from_entries(total, kkt.entries(&position)));
    let post = tree.postorder();
    let renumbered = inverse(&post);
    let parent = |&p: &usize| if p == usize::MAX { p } else { renumbered[p] };
    let tree = EliminationTree {
        parent: post.iter().map(|&p| parent(&tree.parent[p])).collect(),
        column_counts: post.iter().map(|&p| tree.column_counts[p]).collect(),
    };
    (post.iter().map(|&p| order[p]).collect(), tree)
}

/// First columns of the supernodes: fundamental ones, merged with their last child while few zeros are stored.
fn supernode_starts(tree: &EliminationTree, is_multiplier: impl Fn(usize) -> bool) -> Vec<usize> {
    let n = tree.parent.len();
    let counts = &tree.column_counts;
    let mut children = vec![0usize; n];
    for &parent in tree.parent.iter().filter(|&&p| p != usize::MAX) {
        children[parent] += 1;
    }
    // (first column, columns, zeros stored so far)
    let mut nodes: Vec<(usize, usize, usize)> = Vec::new();
    for j in 0..n {
        if let Some(&(first, width, zeros)) = nodes.last() {
            let joined = tree.parent[j - 1] == j && !is_multiplier(j) && !is_multiplier(j - 1);
            let fundamental = joined && counts[j - 1] == counts[j] + 1 && children[j] == 1;
            // extending every column of the child to the structure {j} ∪ struct(j)
            let extra = width * (counts[j] + 1).saturating_sub(counts[j - 1]);
            let stored = (width + 1) * (width + 2) / 2 + (width + 1) * (counts[j] - 1);
            if fundamental || (joined && worth_merging(width + 1, zeros + extra, stored)) {
                let last = nodes.len() - 1;
                nodes[last] = (first, width + 1, zeros + if fundamental { 0 } else { extra });
                continue;
            }
        }
        nodes.push((j, 1, 0));
    }
    nodes.into_iter().map(|(first, _, _)| first).collect()
}

/// Relaxation as in CHOLMOD: narrow supernodes may store many zeros, wide ones few (Chen et al. 2008).
fn worth_merging(width: usize, zeros: usize, stored: usize) -> bool {
    let share = zeros as f64 / stored as f64;
    match width {
        0..=4 => share < 0.5,
        5..=16 => share < 0.25,
        17..=48 => share < 0.1,
        _ => share < 0.05,
    }
}

/// Rows below each supernode: those of its columns' entries and of its children, merged.
fn row_structures(
    starts: &[usize],
    tree: &EliminationTree,
    entries: impl Iterator<Item = (usize, usize)> + Clone,
    is_multiplier: impl Fn(usize) -> bool,
) -> (Vec<Supernode>, Vec<usize>) {
    let n = tree.parent.len();
    let end = |s: usize| starts.get(s + 1).copied().unwrap_or(n);
    let mut owner = vec![0; n];
    for s in 0..starts.len() {
        owner[starts[s]..end(s)].fill(s);
    }
    let mut own: Vec<Vec<usize>> = vec![Vec::new(); starts.len()];
    for (p, q) in entries {
        let (row, s) = (p.max(q), owner[p.min(q)]);
        if row >= end(s) {
            own[s].push(row);
        }
    }
    let (mut supernodes, mut rows) = (Vec::with_capacity(starts.len()), Vec::new());
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); starts.len()];
    let mut seen = vec![usize::MAX; n];
    for s in 0..starts.len() {
        let mut merged = Vec::new();
        let mut add = |row: usize, merged: &mut Vec<usize>| {
            if row >= end(s) && seen[row] != s {
                seen[row] = s;
                merged.push(row);
            }
        };
        for &row in &own[s] {
            add(row, &mut merged);
        }
        for &child in &children[s] {
            let child: &Supernode = &supernodes[child];
            for &row in &rows[child.rows_start..child.rows_start + child.below] {
                add(row, &mut merged);
            }
        }
        own[s] = Vec::new();
        merged.sort_unstable();
        if let Some(&first) = merged.first() {
            children[owner[first]].push(s);
        }
        supernodes.push(Supernode {
            first: starts[s],
            width: end(s) - starts[s],
            rows_start: rows.len(),
            below: merged.len(),
            values_start: 0,
            parent: usize::MAX,
            multiplier: is_multiplier(starts[s]),
        });
        rows.extend_from_slice(&merged);
    }
    (supernodes, rows)
}

/// `log |C Cᵀ|` by a factor of the sparse Gram matrix.
fn log_det_gram(constraints: &LinearConstraints) -> Result<f64, GmrfError> {
    let k = constraints.len();
    if k == 0 {
        return Ok(0.0);
    }
    let mut rows_of_node: Vec<Vec<(usize, f64)>> = vec![Vec::new(); constraints.order()];
    for row in 0..k {
        let (columns, values) = constraints.row(row);
        for (&i, &c) in columns.iter().zip(values) {
            rows_of_node[i].push((row, c));
        }
    }
    let products = rows_of_node.iter().flat_map(|rows| {
        rows.iter()
            .flat_map(move |&(a, ca)| rows.iter().filter(move |&&(b, _)| b <= a).map(move |&(b, cb)| (a, b, ca * cb)))
    });
    let pattern = Arc::new(SparsityPattern::from_entries(k, products.clone().map(|(a, b, _)| (a, b)))?);
    let mut values = vec![0.0; pattern.nnz()];
    for (a, b, product) in products {
        values[pattern.position(a, b).expect("the pattern was made from these entries")] += product;
    }
    if pattern.nnz() == k {
        return Ok(values.iter().map(|v| v.ln()).sum());
    }
    let mut factor = super::CholeskyFactor::new(SymbolicFactor::analyze(&pattern, &LinearConstraints::none(k))?);
    factor.refactor(&values).map_err(|error| match error {
        GmrfError::NotPositiveDefinite { node, .. } => GmrfError::RedundantConstraint { row: node },
        other => other,
    })?;
    Ok(factor.log_determinant())
}
