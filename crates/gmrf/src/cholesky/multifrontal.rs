//! The multifrontal elimination: the tree of supernodes walked by its schedule.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::Parallelism;
use super::dense::{Shape, factor_panel, schur_update};
use super::numeric::SINGULAR_PIVOT;
use super::schedule::Branch;
use super::supernodes::Supernode;
use super::symbolic::SymbolicFactor;

/// A factorisation in progress.
#[derive(Clone, Copy)]
pub(super) struct Multifrontal<'a> {
    pub(super) symbolic: &'a SymbolicFactor,
    /// The precision's values, and what the constraints add.
    pub(super) sources: (&'a [f64], &'a [f64]),
    pub(super) parallelism: Parallelism,
}

/// The parts of the work space that belong to a run of branches: disjoint for branches that run side by side.
struct Parts<'a> {
    values: &'a mut [f64],
    least: &'a mut [f64],
    arena: &'a mut [f64],
    /// Where the parts start in the whole.
    first_value: usize,
    first_position: usize,
    first_update: usize,
}

impl<'a> Parts<'a> {
    /// The parts of the supernodes before `s` and of `s` and later ones, the arena cut at `update`.
    fn split(self, symbolic: &SymbolicFactor, s: usize, update: usize) -> (Parts<'a>, Parts<'a>) {
        let node = &symbolic.supernodes[s];
        let (values, later_values) = self.values.split_at_mut(node.values_start - self.first_value);
        let (least, later_least) = self.least.split_at_mut(node.first - self.first_position);
        let (arena, later_arena) = self.arena.split_at_mut(update - self.first_update);
        let later = Parts {
            values: later_values,
            least: later_least,
            arena: later_arena,
            first_value: node.values_start,
            first_position: node.first,
            first_update: update,
        };
        (Parts { values, least, arena, ..self }, later)
    }
}

impl Multifrontal<'_> {
    /// Factors in place; `Err(position)` at a pivot that is too small.
    pub(super) fn run(self, values: &mut [f64], least: &mut [f64], arena: &mut [f64]) -> Result<(), usize> {
        let parts = Parts { values, least, arena, first_value: 0, first_position: 0, first_update: 0 };
        self.branch(&self.symbolic.branch, parts)
    }

    fn branch(self, branch: &Branch, mut parts: Parts<'_>) -> Result<(), usize> {
        if !branch.forks.is_empty() {
            let whole =
                Parts { values: &mut *parts.values, least: &mut *parts.least, arena: &mut *parts.arena, ..parts };
            self.forks(&branch.forks, whole)?;
        }
        Arch::new().dispatch(Rest { elimination: self, branch, parts: &mut parts })
    }

    /// The forks side by side; of several failures the first in order counts.
    fn forks(self, forks: &[Branch], parts: Parts<'_>) -> Result<(), usize> {
        match forks {
            [] => Ok(()),
            [fork] => self.branch(fork, parts),
            _ => {
                let (left, right) = forks.split_at(forks.len() / 2);
                let (a, b) = parts.split(self.symbolic, right[0].all.start, right[0].updates.start);
                let (a, b) = self.parallelism.join(|| self.forks(left, a), || self.forks(right, b));
                a.and(b)
            }
        }
    }

    /// Assembles the front of supernode `s` from the updates of its children, factors it, leaves its own update.
    #[inline(always)]
    fn eliminate<S: Simd>(self, simd: S, s: usize, parts: &mut Parts<'_>) -> Result<(), usize> {
        let symbolic = self.symbolic;
        let node = &symbolic.supernodes[s];
        let (height, width, below) = (node.height(), node.width, node.below);
        let start = node.values_start - parts.first_value;
        let panel = &mut parts.values[start..start + height * width];
        symbolic.assembly.fill(s, self.sources, panel, self.parallelism);
        let place = if below == 0 { 0 } else { node.update_start - parts.first_update };
        let (before, rest) = parts.arena.split_at_mut(place);
        let (update, behind) = rest.split_at_mut(below * below);
        let children = symbolic.children.of(s);
        let updates = Updates { symbolic, before, behind, place: parts.first_update + place, size: below * below };
        let front = Front { panel: &mut *panel, update: &mut *update, shape: (height, width), columns: 0..width };
        updates.add_all(children, front, self.parallelism);
        let least = &mut parts.least[node.first - parts.first_position..][..width];
        let sign = prepare(node, panel, least);
        factor_panel(simd, panel, (height, width), least, self.parallelism).map_err(|column| node.first + column)?;
        // for the determinant, while they are near the core
        least.iter_mut().enumerate().for_each(|(k, pivot)| *pivot = panel[k * (height + 1)]);
        schur_update(simd, panel, (height, width), sign, update, self.parallelism);
        let front = Front { panel: &mut [], update, shape: (height, width), columns: width..height };
        updates.add_all(children, front, self.parallelism);
        Ok(())
    }
}

/// The sign of a supernode's pivots; a multiplier's panel is negated, and its pivot measured against itself.
#[inline(always)]
fn prepare(node: &Supernode, panel: &mut [f64], least: &mut [f64]) -> f64 {
    if !node.multiplier {
        return 1.0;
    }
    least[0] = SINGULAR_PIVOT * panel[0].abs().max(f64::MIN_POSITIVE);
    panel.iter_mut().for_each(|value| *value = -*value);
    -1.0
}

/// The supernodes of a branch after its forks, with the vector instructions of the machine.
struct Rest<'a, 'p, 'm> {
    elimination: Multifrontal<'a>,
    branch: &'a Branch,
    parts: &'p mut Parts<'m>,
}

impl WithSimd for Rest<'_, '_, '_> {
    type Output = Result<(), usize>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
        // a loop, not a closure: closures are compiled without the vector instructions
        for s in self.branch.rest.clone() {
            self.elimination.eliminate(simd, s, self.parts)?;
        }
        Ok(())
    }
}

/// The updates of the children of one supernode, on both sides of its own in the arena.
#[derive(Clone, Copy)]
struct Updates<'a> {
    symbolic: &'a SymbolicFactor,
    before: &'a [f64],
    behind: &'a [f64],
    /// Where the supernode's own update lies, and its length.
    place: usize,
    size: usize,
}

/// Some columns of a front: the panel's or the update's, `panel` and `update` starting with the first of them.
struct Front<'a> {
    panel: &'a mut [f64],
    update: &'a mut [f64],
    shape: Shape,
    columns: Range<usize>,
}

/// Entries of the children's updates above which a front's columns are shared among threads.
const SHARED: usize = 100_000;
/// Entries that a visit to a child costs.
const VISIT: usize = 128;

impl Updates<'_> {
    /// Adds the children's updates in order; which columns a thread takes does not matter to any sum.
    #[inline(always)]
    fn add_all(self, children: &[usize], front: Front<'_>, parallelism: Parallelism) {
        let entries = || children.iter().map(|&child| self.symbolic.supernodes[child].below.pow(2)).sum::<usize>();
        if parallelism == Parallelism::Sequential || front.columns.is_empty() || entries() < SHARED {
            return self.add(children, front);
        }
        let (height, width) = front.shape;
        let first = front.columns.start;
        // every piece visits all children
        let worth = (SHARED / 2).max(VISIT * children.len());
        let least = (height - first) * (front.columns.len() * worth / entries()).max(1);
        let in_panel = first < width;
        let (columns, unit) = if in_panel { (front.panel, height) } else { (front.update, height - width) };
        parallelism.pieces(columns, (unit, least), &|start, piece| {
            let columns = first + start..first + start + piece.len() / unit;
            let (panel, update): (&mut [f64], &mut [f64]) = if in_panel { (piece, &mut []) } else { (&mut [], piece) };
            self.add(children, Front { panel, update, shape: front.shape, columns });
        });
    }

    #[inline(always)]
    fn add(self, children: &[usize], mut front: Front<'_>) {
        if front.columns.is_empty() {
            return;
        }
        for &child in children {
            let child = &self.symbolic.supernodes[child];
            let (size, at) = (child.below * child.below, child.update_start);
            let block = if at < self.place {
                &self.before[self.before.len() + at - self.place..][..size]
            } else {
                &self.behind[at - self.place - self.size..][..size]
            };
            extend_add(block, self.symbolic.relative_rows(child), &mut front);
        }
    }
}

/// Adds a child's update (lower triangle) to the columns of its parent's front through the relative rows.
#[inline(always)]
fn extend_add(block: &[f64], relative: &[u32], front: &mut Front<'_>) {
    let ((height, width), size) = (front.shape, relative.len());
    let below = height - width;
    let Some(&last) = relative.last() else { return };
    let from = relative.partition_point(|&row| (row as usize) < front.columns.start);
    for j in from..size {
        let (first, column) = (relative[j] as usize, &block[j * size + j..(j + 1) * size]);
        if first >= front.columns.end {
            break;
        }
        let place = first - front.columns.start;
        let (target, offset) = if first < width {
            (&mut front.panel[place * height..][..height], 0)
        } else {
            (&mut front.update[place * below..][..below], width)
        };
        if last as usize - first == size - 1 - j {
            for (t, &value) in target[first - offset..].iter_mut().zip(column) {
                *t += value;
            }
        } else {
            for (&row, &value) in relative[j..].iter().zip(column) {
                target[row as usize - offset] += value;
            }
        }
    }
}
