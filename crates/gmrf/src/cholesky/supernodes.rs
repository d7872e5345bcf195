//! Supernodes: columns of the factor with one row structure, and the order in which their tree is walked.

use std::cmp::Reverse;

use super::elimination::{self, EliminationTree, OrderedGraph};

const NONE: usize = usize::MAX;

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
    /// Where its update lies in the arena of a factorisation.
    pub(crate) update_start: usize,
    /// Where its front lies in the arena of a selected inversion.
    pub(crate) front_start: usize,
}

impl Supernode {
    /// The order of the frontal matrix, which is the height of the panel.
    pub(crate) fn height(&self) -> usize {
        self.width + self.below
    }

    /// Multiplications of its elimination.
    pub(crate) fn operations(&self) -> f64 {
        let (w, h) = (self.width as f64, self.height() as f64);
        w * (h * h - h * w + w * w / 3.0)
    }
}

/// The columns in the order in which they are eliminated, cut into supernodes.
pub(crate) struct Partition {
    /// `columns[new] = old` position.
    pub(crate) columns: Vec<usize>,
    /// First new position of each supernode.
    pub(crate) starts: Vec<usize>,
}

/// Supernodes while they are merged, numbered in postorder.
struct Groups {
    parent: Vec<usize>,
    width: Vec<usize>,
    below: Vec<usize>,
    multiplier: Vec<bool>,
    /// The supernode that it was merged into, itself if none.
    merged: Vec<usize>,
}

/// Fundamental supernodes of `tree`, merged while few zeros are stored, every largest subtree first: the work space of a
/// walk is then released early.
pub(crate) fn partition(tree: &EliminationTree, is_multiplier: impl Fn(usize) -> bool) -> Partition {
    let (mut groups, members) = fundamental(tree, is_multiplier);
    groups.merge();
    let count = groups.parent.len();
    let root = |mut s: usize| {
        while groups.merged[s] != s {
            s = groups.merged[s];
        }
        s
    };
    let roots: Vec<usize> = (0..count).map(root).collect();
    let parent = |s: usize| if groups.parent[s] == NONE { NONE } else { roots[groups.parent[s]] };
    let mut work = vec![0.0; count];
    for s in (0..count).filter(|&s| roots[s] == s) {
        let (w, h) = (groups.width[s] as f64, (groups.width[s] + groups.below[s]) as f64);
        work[s] += w * h * h + 2.0 * h * h;
        if parent(s) != NONE {
            work[parent(s)] += work[s];
        }
    }
    // the bits of numbers that are not negative stand in their order
    let mut kept: Vec<_> = (0..count).filter(|&s| roots[s] == s).map(|s| (Reverse(work[s].to_bits()), s)).collect();
    kept.sort_unstable();
    let kept: Vec<usize> = kept.into_iter().map(|(_, s)| s).collect();
    let order = walk(count, &kept, parent);
    let of_root = group_by(count, &roots);
    let (mut columns, mut starts) = (Vec::with_capacity(tree.parent.len()), Vec::with_capacity(order.len()));
    for s in order {
        starts.push(columns.len());
        for &member in of_root.of(s) {
            columns.extend(tree.postorder[members[member]..members[member + 1]].iter().map(|&p| p as usize));
        }
    }
    Partition { columns, starts }
}

/// Postorder of the trees of the supernodes in `sorted`, children in the order of `sorted`.
fn walk(count: usize, sorted: &[usize], parent: impl Fn(usize) -> usize) -> Vec<usize> {
    let (mut first_child, mut next_sibling) = (vec![NONE; count], vec![NONE; count]);
    for &s in sorted.iter().rev().filter(|&&s| parent(s) != NONE) {
        next_sibling[s] = first_child[parent(s)];
        first_child[parent(s)] = s;
    }
    let (mut order, mut stack) = (Vec::with_capacity(sorted.len()), Vec::new());
    for &root in sorted.iter().filter(|&&s| parent(s) == NONE) {
        stack.push(root);
        while let Some(&s) = stack.last() {
            let child = first_child[s];
            if child == NONE {
                order.push(s);
                stack.pop();
            } else {
                first_child[s] = next_sibling[child];
                stack.push(child);
            }
        }
    }
    order
}

/// Lists of members, ascending.
#[derive(Debug)]
pub(crate) struct Lists {
    starts: Vec<usize>,
    members: Vec<usize>,
}

impl Lists {
    pub(crate) fn of(&self, group: usize) -> &[usize] {
        &self.members[self.starts[group]..self.starts[group + 1]]
    }
}

/// The members of each group, `group[i]` the group of `i`, `usize::MAX` for none.
pub(crate) fn group_by(count: usize, group: &[usize]) -> Lists {
    let mut starts = vec![0; count + 1];
    for &g in group.iter().filter(|&&g| g != NONE) {
        starts[g + 1] += 1;
    }
    for g in 0..count {
        starts[g + 1] += starts[g];
    }
    let mut next = starts.clone();
    let mut members = vec![0; starts[count]];
    for (i, &g) in group.iter().enumerate().filter(|&(_, &g)| g != NONE) {
        members[next[g]] = i;
        next[g] += 1;
    }
    Lists { starts, members }
}

/// The fundamental supernodes, and where each starts in the tree's postorder.
fn fundamental(tree: &EliminationTree, is_multiplier: impl Fn(usize) -> bool) -> (Groups, Vec<usize>) {
    let (parent, counts, post) = (&tree.parent, &tree.column_counts, &tree.postorder);
    let mut children = vec![0usize; parent.len()];
    parent.iter().filter(|&&p| p != elimination::NONE).for_each(|&p| children[p as usize] += 1);
    let mut starts = Vec::new();
    let mut owner = vec![0; parent.len()];
    for (k, &j) in post.iter().enumerate() {
        let j = j as usize;
        let joined = k > 0 && {
            let before = post[k - 1] as usize;
            parent[before] as usize == j
                && children[j] == 1
                && counts[before] == counts[j] + 1
                && !is_multiplier(j)
                && !is_multiplier(before)
        };
        if !joined {
            starts.push(k);
        }
        owner[j] = starts.len() - 1;
    }
    let count = starts.len();
    starts.push(post.len());
    let mut groups = Groups {
        parent: vec![NONE; count],
        width: vec![0; count],
        below: vec![0; count],
        multiplier: vec![false; count],
        merged: (0..count).collect(),
    };
    for s in 0..count {
        let last = post[starts[s + 1] - 1] as usize;
        groups.width[s] = starts[s + 1] - starts[s];
        groups.below[s] = counts[last] as usize - 1;
        groups.multiplier[s] = is_multiplier(last);
        groups.parent[s] = if parent[last] == elimination::NONE { NONE } else { owner[parent[last] as usize] };
    }
    (groups, starts)
}

impl Groups {
    /// Merges children into their parents, from the leaves up, the tallest child first.
    fn merge(&mut self) {
        let count = self.parent.len();
        let children = group_by(count, &self.parent);
        let mut sorted = Vec::new();
        for s in (0..count).filter(|&s| !self.multiplier[s]) {
            sorted.clear();
            sorted.extend(children.of(s).iter().copied().filter(|&c| !self.multiplier[c]));
            sorted.sort_by_key(|&c| (Reverse(self.width[c] + self.below[c]), c));
            for &child in sorted.iter().take(MOST_MERGED) {
                let (width, below) = (self.width[s] + self.width[child], self.below[s]);
                let apart = predicted_time(self.width[s], below) + predicted_time(self.width[child], self.below[child]);
                if predicted_time(width, below) <= apart {
                    self.width[s] = width;
                    self.merged[child] = s;
                }
            }
        }
    }
}

/// Children beyond this many are not looked at: a node with thousands of leaves gains nothing from a few of them.
const MOST_MERGED: usize = 8;

/// Nanoseconds of the factor and selected inverse of one supernode, measured on fronts of many shapes: products are slow in
/// small fronts, updates and fronts are written and read again by parent or child, and every supernode costs its visit. A merge
/// stores zeros, but saves a visit and an update.
pub(super) fn predicted_time(width: usize, below: usize) -> f64 {
    let (w, h) = (width as f64, (width + below) as f64);
    let operations = w * (h * h - h * w + w * w / 3.0);
    let moved = (below * below) as f64;
    OPERATION * operations * (1.0 + SMALL_PENALTY / h) + MOVE * moved + VISIT
}

const OPERATION: f64 = 0.15;
const SMALL_PENALTY: f64 = 80.0;
const MOVE: f64 = 1.5;
const VISIT: f64 = 60.0;

/// Rows below each supernode: those of its columns' entries and of its children, merged. `columns[new]` is a position of `graph`, which
/// stands after its descendants there too.
pub(crate) fn row_structures(
    starts: &[usize],
    graph: &OrderedGraph,
    columns: &[usize],
    is_multiplier: impl Fn(usize) -> bool,
) -> (Vec<Supernode>, Vec<u32>) {
    let n = columns.len();
    let mut position = vec![0; n];
    for (new, &old) in columns.iter().enumerate() {
        position[old] = new as u32;
    }
    let end = |s: usize| starts.get(s + 1).copied().unwrap_or(n);
    let mut owner = vec![0; n];
    for s in 0..starts.len() {
        owner[starts[s]..end(s)].fill(s);
    }
    let (mut supernodes, mut rows): (Vec<Supernode>, Vec<u32>) = (Vec::with_capacity(starts.len()), Vec::new());
    let (mut last_child, mut earlier_sibling) = (vec![NONE; starts.len()], vec![NONE; starts.len()]);
    let mut seen = vec![NONE; n];
    for s in 0..starts.len() {
        let rows_start = rows.len();
        let mut add = |row: u32, rows: &mut Vec<u32>| {
            if row as usize >= end(s) && seen[row as usize] != s {
                seen[row as usize] = s;
                rows.push(row);
            }
        };
        for &column in &columns[starts[s]..end(s)] {
            for &later in graph.later(column) {
                add(position[later as usize], &mut rows);
            }
        }
        let mut child = last_child[s];
        while child != NONE {
            let node: &Supernode = &supernodes[child];
            for k in node.rows_start..node.rows_start + node.below {
                add(rows[k], &mut rows);
            }
            child = earlier_sibling[child];
        }
        rows[rows_start..].sort_unstable();
        let parent = rows.get(rows_start).map_or(NONE, |&row| owner[row as usize]);
        if parent != NONE {
            earlier_sibling[s] = last_child[parent];
            last_child[parent] = s;
        }
        supernodes.push(Supernode {
            first: starts[s],
            width: end(s) - starts[s],
            rows_start,
            below: rows.len() - rows_start,
            values_start: 0,
            parent,
            multiplier: is_multiplier(starts[s]),
            update_start: 0,
            front_start: 0,
        });
    }
    (supernodes, rows)
}
