//! What of a factor depends on the pattern alone: found once, shared by all threads.

use std::sync::Arc;

use super::assembly::{self, Assembly};
use super::elimination::EliminationTree;
use super::kkt::{Kkt, TrailingConstraint, check_support, log_det_gram, pairs};
use super::schedule::{Branch, schedule};
use super::supernodes::{Lists, Partition, Supernode, group_by, partition, row_structures};
use crate::constraint::LinearConstraints;
use crate::error::{GmrfError, expect_length};
use crate::ordering::{Adjacency, EliminationOrder, Ordering, around, elimination_order, inverse, with_multipliers};
use crate::pattern::SparsityPattern;

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
    pub(crate) rows: Vec<u32>,
    /// For each row below a supernode, its place in the parent's front.
    pub(crate) relative: Vec<u32>,
    /// The children of each supernode, ascending.
    pub(crate) children: Lists,
    /// How the tree is walked.
    pub(crate) branch: Branch,
    /// For each entry of the pattern, its slot among the values of `L`.
    pub(crate) slots: Vec<usize>,
    /// Which entries go into which panel.
    pub(crate) assembly: Assembly,
    /// What the constraints add beyond the precision: the entries of `C`, row by row, then room for the trailing ones' products.
    pub(crate) constraint_values: Vec<f64>,
    /// The constraints whose multipliers stand behind their nodes.
    pub(crate) trailing: Vec<TrailingConstraint>,
    pub(crate) values_length: usize,
    /// Most rows below a supernode.
    pub(crate) most_rows: usize,
    /// `log |C Cᵀ|`.
    pub(crate) log_det_constraints: f64,
    pub(crate) operations: f64,
    /// Those that several threads could share: none where two would gain nothing, as in a chain of small supernodes.
    pub(crate) shared_operations: f64,
}

impl SymbolicFactor {
    /// Analyses `pattern` under `constraints` with the automatic ordering. Cost `O(nnz(L))`.
    ///
    /// # Errors
    /// [`GmrfError::LengthMismatch`] if the constraints are of another order, [`GmrfError::RedundantConstraint`],
    /// [`GmrfError::TooLarge`].
    pub fn analyze(pattern: &Arc<SparsityPattern>, constraints: &LinearConstraints) -> Result<Arc<Self>, GmrfError> {
        Self::analyze_with(pattern, constraints, Ordering::Automatic)
    }

    /// `previous` if it is the analysis of just this pattern under these constraints, else a new one. Cost: a comparison.
    ///
    /// # Errors
    /// As [`analyze`](Self::analyze).
    pub fn analyze_like(
        pattern: &Arc<SparsityPattern>,
        constraints: &LinearConstraints,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, GmrfError> {
        let same = |previous: &&Arc<Self>| previous.pattern == *pattern && previous.constraints == *constraints;
        previous.filter(same).map_or_else(|| Self::analyze(pattern, constraints), |previous| Ok(previous.clone()))
    }

    /// An analysis of `pattern` under `constraints`, in the order of `part` where that is what a new one would find: `part` is the
    /// analysis of the nodes from `first` on, and only dense nodes stand beside them. Cost: that of an analysis without the ordering.
    ///
    /// # Errors
    /// As [`analyze`](Self::analyze).
    pub fn analyze_around(
        pattern: &Arc<SparsityPattern>,
        constraints: &LinearConstraints,
        (first, part): (usize, &Self),
    ) -> Result<Arc<Self>, GmrfError> {
        let known =
            if part.constraints.is_empty() { around(pattern, first, &part.order, part.pattern.nnz()) } else { None };
        let Some(nodes) = known else { return Self::analyze(pattern, constraints) };
        expect_length("constraints", pattern.order(), constraints.order())?;
        let order = with_multipliers(nodes, constraints)?;
        Self::analyze_ordered(pattern, constraints, (order, None), crate::memory::physical())
    }

    /// Analyses `pattern` under `constraints` in the given ordering, for a factor that fits the memory of this machine.
    ///
    /// # Errors
    /// As [`analyze`](Self::analyze).
    pub fn analyze_with(
        pattern: &Arc<SparsityPattern>,
        constraints: &LinearConstraints,
        ordering: Ordering,
    ) -> Result<Arc<Self>, GmrfError> {
        Self::analyze_within(pattern, constraints, ordering, crate::memory::physical())
    }

    /// Analyses `pattern` under `constraints` for a factor and a selected inverse of at most `limit` bytes together.
    ///
    /// # Errors
    /// As [`analyze`](Self::analyze), and [`GmrfError::TooLarge`] with the predicted size, before anything of it is allocated.
    pub fn analyze_within(
        pattern: &Arc<SparsityPattern>,
        constraints: &LinearConstraints,
        ordering: Ordering,
        limit: usize,
    ) -> Result<Arc<Self>, GmrfError> {
        expect_length("constraints", pattern.order(), constraints.order())?;
        let adjacency = Adjacency::of_pattern(pattern);
        let order = elimination_order(&adjacency, constraints, ordering)?;
        Self::analyze_ordered(pattern, constraints, (order, Some(&adjacency)), limit)
    }

    /// `nodes` are the neighbours of the nodes alone, where they are known.
    fn analyze_ordered(
        pattern: &Arc<SparsityPattern>,
        constraints: &LinearConstraints,
        (EliminationOrder { order, trailing, tree }, nodes): (EliminationOrder, Option<&Adjacency>),
        limit: usize,
    ) -> Result<Arc<Self>, GmrfError> {
        check_support(constraints, &trailing)?;
        let kkt = Kkt { pattern, constraints, trailing: &trailing };
        let n = pattern.order();
        let tree = tree.unwrap_or_else(|| match nodes {
            // without constraints there is nothing but nodes
            Some(nodes) if constraints.is_empty() => EliminationTree::new(nodes, &order),
            None if constraints.is_empty() => EliminationTree::new(&Adjacency::of_pattern(pattern), &order),
            _ => EliminationTree::new(&Adjacency::from_entries(order.len(), kkt.entries()), &order),
        });
        check_memory(n, &tree.column_counts, limit)?;
        let Partition { columns, starts } = partition(&tree, |p| order[p] >= n);
        let (supernodes, rows) = row_structures(&starts, &tree.graph, &columns, |p| order[columns[p]] >= n);
        drop(tree);
        let order: Vec<usize> = columns.into_iter().map(|p| order[p]).collect();
        let position = inverse(&order);
        let parents: Vec<usize> = supernodes.iter().map(|s| s.parent).collect();
        let children = group_by(supernodes.len(), &parents);
        let mut symbolic = Self {
            pattern: pattern.clone(),
            constraints: constraints.clone(),
            position,
            order,
            relative: vec![0; rows.len()],
            values_length: 0,
            most_rows: supernodes.iter().map(|s| s.height()).max().unwrap_or(0),
            operations: supernodes.iter().map(Supernode::operations).sum(),
            shared_operations: 0.0,
            supernodes,
            rows,
            branch: Branch::default(),
            children,
            slots: Vec::new(),
            assembly: Assembly::default(),
            constraint_values: Vec::new(),
            trailing: Vec::new(),
            log_det_constraints: log_det_gram(constraints)?,
        };
        symbolic.lay_out();
        symbolic.find_slots(&kkt)?;
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

    /// The place of `node` in the order of elimination, multipliers counted.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn position(&self, node: usize) -> usize {
        self.position[node]
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
        let entries = self.pattern.nnz();
        let length = |arena: usize, other: usize| 8 * (self.values_length + arena + other);
        (length(self.branch.updates.end, self.order.len()), length(self.branch.fronts.end, entries))
    }

    pub(crate) fn rows_below(&self, s: &Supernode) -> &[u32] {
        &self.rows[s.rows_start..s.rows_start + s.below]
    }

    pub(crate) fn relative_rows(&self, s: &Supernode) -> &[u32] {
        &self.relative[s.rows_start..s.rows_start + s.below]
    }

    /// Places of panels, updates and fronts, and every row's place in the parent's front.
    fn lay_out(&mut self) {
        let mut values = 0usize;
        for node in &mut self.supernodes {
            node.values_start = values;
            values += node.height() * node.width;
        }
        self.values_length = values;
        for node in self.supernodes.iter().filter(|node| node.below > 0) {
            let parent = &self.supernodes[node.parent];
            let parent_rows = &self.rows[parent.rows_start..parent.rows_start + parent.below];
            let end = parent.first + parent.width;
            let mut at = 0;
            for k in node.rows_start..node.rows_start + node.below {
                let row = self.rows[k];
                self.relative[k] = if (row as usize) < end {
                    row - parent.first as u32
                } else {
                    while parent_rows[at] < row {
                        at += 1;
                    }
                    (parent.width + at) as u32
                };
            }
        }
        self.branch = schedule(&mut self.supernodes, &self.children);
        if self.predicted_speed_up(2) > WORTH_SHARING {
            self.shared_operations = self.operations;
        }
    }

    fn find_slots(&mut self, kkt: &Kkt<'_>) -> Result<(), GmrfError> {
        let (n, stored) = (self.pattern.order(), self.pattern.nnz());
        let mut sources = stored;
        for k in 0..kkt.constraints.len() {
            let (columns, values) = kkt.constraints.row(k);
            self.constraint_values.extend_from_slice(values);
            sources += columns.len();
        }
        for &k in kkt.trailing {
            let (columns, values) = kkt.constraints.row(k);
            let products: Vec<f64> = pairs(columns.len()).map(|(a, b)| values[a] * values[b]).collect();
            let diagonal = columns.iter().map(|&i| self.pattern.column_start(i)).collect();
            let start = sources - stored;
            sources += products.len();
            self.trailing.push(TrailingConstraint { diagonal, start, products });
        }
        self.constraint_values.resize(sources - stored, 0.0);
        let largest = self.supernodes.iter().map(|s| s.height() * s.width).fold(sources, usize::max);
        check_bytes(n, 2 * size_of::<f64>() * largest, 2 * size_of::<f64>() * assembly::MOST)?;
        self.assemble(kkt);
        Ok(())
    }

    /// Finds the panel of every source and its place there.
    fn assemble(&mut self, kkt: &Kkt<'_>) {
        let mut slots = vec![0; self.pattern.nnz()];
        // of the supernode at hand, the place of every row below
        let (mut local, mut at) = (vec![0u32; self.order.len()], usize::MAX);
        let place = |s: usize, source: usize, (row, column): (usize, usize)| {
            let node = &self.supernodes[s];
            if s != at {
                at = s;
                let rows = self.rows_below(node).iter().enumerate();
                rows.for_each(|(k, &row)| local[row as usize] = (node.width + k) as u32);
            }
            let below = row >= node.first + node.width;
            let within = if below { local[row] as usize } else { row - node.first };
            let held = !below || self.rows_below(node).get(within.wrapping_sub(node.width)) == Some(&(row as u32));
            assert!(held, "every entry lies in the factor's structure");
            let place = (column - node.first) * node.height() + within;
            if let Some(slot) = slots.get_mut(source) {
                *slot = node.values_start + place;
            }
            place
        };
        let panels =
            self.supernodes.iter().map(|node| (node.first..node.first + node.width, node.height() * node.width));
        let sources = kkt.entries().map(|(i, j)| {
            let (p, q) = (self.position[i], self.position[j]);
            (p.max(q), p.min(q))
        });
        self.assembly = Assembly::new(panels, self.order.len(), sources, place);
        self.slots = slots;
    }

    /// The place of entry `(row, column)` of the factor, in positions, `node` the owner of the column.
    pub(crate) fn place(&self, node: &Supernode, row: usize, column: usize) -> Option<usize> {
        let local = if row < node.first + node.width {
            row - node.first
        } else {
            node.width + self.rows_below(node).binary_search(&(row as u32)).ok()?
        };
        Some(node.values_start + (column - node.first) * node.height() + local)
    }
}

/// Speed-up of two threads, as predicted, from which they are called.
const WORTH_SHARING: f64 = 1.1;

/// Refuses a factor and a selected inverse of more than `limit` bytes together.
fn check_memory(order: usize, column_counts: &[u32], limit: usize) -> Result<(), GmrfError> {
    let entries = column_counts.iter().fold(0usize, |sum, &count| sum.saturating_add(count as usize));
    check_bytes(order, entries.saturating_mul(2 * size_of::<f64>()), limit)
}

fn check_bytes(order: usize, bytes: usize, limit: usize) -> Result<(), GmrfError> {
    if bytes > limit { Err(GmrfError::TooLarge { order, bytes, limit }) } else { Ok(()) }
}
