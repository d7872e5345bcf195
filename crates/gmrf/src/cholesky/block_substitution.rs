//! Forward and backward substitution of many right-hand sides at once, without permuting them.

use faer::linalg::{matmul, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};

use super::substitution::Direction;
use super::symbolic::SymbolicFactor;
use super::vector::subtract_columns;

/// A substitution in progress: `x` holds `count` numbers for each node, nodes before multipliers.
pub(super) struct BlockSubstitution<'a> {
    pub(super) symbolic: &'a SymbolicFactor,
    pub(super) values: &'a [f64],
    pub(super) direction: Direction,
    pub(super) x: &'a mut [f64],
    /// Room for the rows of one supernode.
    pub(super) buffer: &'a mut [f64],
    pub(super) count: usize,
}

/// Multiplications of one supernode from which products by faer beat the vector loops.
const LARGE: usize = 60_000;

impl BlockSubstitution<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for BlockSubstitution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { symbolic, values, direction, x, buffer, count } = self;
        let last = symbolic.supernodes.len().wrapping_sub(1);
        // a loop, not a closure: closures are compiled without the vector instructions
        for k in 0..symbolic.supernodes.len() {
            let node = &symbolic.supernodes[if direction == Direction::Forward { k } else { last - k }];
            let panel = &values[node.values_start..node.values_start + node.height() * node.width];
            let (own, below) = buffer[..node.height() * count].split_at_mut(node.width * count);
            let places = &symbolic.order[node.first..node.first + node.width];
            for (to, &place) in own.chunks_exact_mut(count).zip(places) {
                copy_row(to, &x[place * count..][..count]);
            }
            let mut rows = Rows { rows: symbolic.rows_below(node), order: &symbolic.order, x: &mut *x, count };
            let large = node.height() * node.width * count > LARGE;
            if direction == Direction::Forward {
                // right-hand sides with few entries leave most of the tree alone
                if own.iter().all(|&x| x == 0.0) {
                    continue;
                }
                if large {
                    below.fill(0.0);
                    forward_large(panel, own, below, count);
                    rows.add(below);
                } else {
                    solve_lower(simd, panel, own, count);
                    rows.subtract(simd, panel, own);
                }
            } else if large {
                rows.read(below);
                backward_large(panel, own, below, count);
            } else {
                rows.subtract_from(simd, panel, own);
                solve_upper(simd, panel, own, count);
            }
            for (from, &place) in own.chunks_exact(count).zip(places) {
                copy_row(&mut x[place * count..][..count], from);
            }
        }
    }
}

/// The right-hand sides at the rows below a supernode.
struct Rows<'a> {
    rows: &'a [u32],
    order: &'a [usize],
    x: &'a mut [f64],
    count: usize,
}

/// Rows, or columns, of a panel that are worked on at once.
const TOGETHER: usize = 4;
/// Vectors of each that stay in registers.
const VECTORS: usize = 2;

impl Rows<'_> {
    #[inline(always)]
    fn start(&self, row: u32) -> usize {
        self.order[row as usize] * self.count
    }

    #[inline(always)]
    fn read(&self, to: &mut [f64]) {
        for (&row, to) in self.rows.iter().zip(to.chunks_exact_mut(self.count)) {
            copy_row(to, &self.x[self.start(row)..][..self.count]);
        }
    }

    #[inline(always)]
    fn add(&mut self, from: &[f64]) {
        for (&row, from) in self.rows.iter().zip(from.chunks_exact(self.count)) {
            let start = self.start(row);
            add_row(&mut self.x[start..][..self.count], from);
        }
    }

    /// `−= L_RJ own`.
    #[inline(always)]
    fn subtract<S: Simd>(&mut self, simd: S, panel: &[f64], own: &[f64]) {
        let width = own.len() / self.count;
        let mut i = 0;
        while i < self.rows.len() {
            let block = TOGETHER.min(self.rows.len() - i);
            match block {
                TOGETHER => self.subtract_at::<S, TOGETHER, VECTORS>(simd, &panel[width + i..], own, i),
                3 => self.subtract_at::<S, 3, VECTORS>(simd, &panel[width + i..], own, i),
                2 => self.subtract_at::<S, 2, VECTORS>(simd, &panel[width + i..], own, i),
                _ => self.subtract_at::<S, 1, VECTORS>(simd, &panel[width + i..], own, i),
            }
            i += block;
        }
    }

    /// [`subtract`](Self::subtract) for `T` rows from the `i`-th on, which `panel` starts at.
    #[inline(always)]
    fn subtract_at<S: Simd, const T: usize, const V: usize>(&mut self, simd: S, panel: &[f64], own: &[f64], i: usize) {
        let (count, width) = (self.count, own.len() / self.count);
        let height = width + self.rows.len();
        let mut starts = [0; T];
        for t in 0..T {
            starts[t] = self.start(self.rows[i + t]);
        }
        let piece = V * (size_of::<S::f64s>() / size_of::<f64>());
        let mut at = 0;
        while at + piece <= count {
            let mut sums = [[simd.splat_f64s(0.0); V]; T];
            for (k, own) in own.chunks_exact(count).enumerate() {
                let own = S::as_simd_f64s(&own[at..at + piece]).0;
                let factors = &panel[k * height..k * height + T];
                for t in 0..T {
                    let factor = simd.splat_f64s(factors[t]);
                    for v in 0..V {
                        sums[t][v] = simd.mul_add_e_f64s(factor, own[v], sums[t][v]);
                    }
                }
            }
            for t in 0..T {
                let target = S::as_mut_simd_f64s(&mut self.x[starts[t] + at..][..piece]).0;
                for v in 0..V {
                    target[v] = simd.sub_f64s(target[v], sums[t][v]);
                }
            }
            at += piece;
        }
        for t in 0..T {
            let target = &mut self.x[starts[t] + at..starts[t] + count];
            for (k, own) in own.chunks_exact(count).enumerate() {
                for (x, own) in target.iter_mut().zip(&own[at..]) {
                    *x -= panel[k * height + t] * own;
                }
            }
        }
    }

    /// `own −= L_RJᵀ` times them.
    #[inline(always)]
    fn subtract_from<S: Simd>(&self, simd: S, panel: &[f64], own: &mut [f64]) {
        let (count, width) = (self.count, own.len() / self.count);
        let height = width + self.rows.len();
        let mut k = 0;
        while k < width && !self.rows.is_empty() {
            let block = TOGETHER.min(width - k);
            let (own, panel) = (&mut own[k * count..(k + block) * count], &panel[k * height..(k + block) * height]);
            match block {
                TOGETHER => self.subtract_from_at::<S, TOGETHER, VECTORS>(simd, panel, own),
                3 => self.subtract_from_at::<S, 3, VECTORS>(simd, panel, own),
                2 => self.subtract_from_at::<S, 2, VECTORS>(simd, panel, own),
                _ => self.subtract_from_at::<S, 1, VECTORS>(simd, panel, own),
            }
            k += block;
        }
    }

    /// [`subtract_from`](Self::subtract_from) for the `T` columns of `panel`.
    #[inline(always)]
    fn subtract_from_at<S: Simd, const T: usize, const V: usize>(&self, simd: S, panel: &[f64], own: &mut [f64]) {
        let (count, height) = (self.count, panel.len() / T);
        let mut columns = [&[] as &[f64]; T];
        for t in 0..T {
            columns[t] = &panel[(t + 1) * height - self.rows.len()..(t + 1) * height];
        }
        let piece = V * (size_of::<S::f64s>() / size_of::<f64>());
        let mut at = 0;
        while at + piece <= count {
            let mut sums = [[simd.splat_f64s(0.0); V]; T];
            for (k, &row) in self.rows.iter().enumerate() {
                let x = S::as_simd_f64s(&self.x[self.start(row) + at..][..piece]).0;
                for t in 0..T {
                    let factor = simd.splat_f64s(columns[t][k]);
                    for v in 0..V {
                        sums[t][v] = simd.mul_add_e_f64s(factor, x[v], sums[t][v]);
                    }
                }
            }
            for t in 0..T {
                let own = S::as_mut_simd_f64s(&mut own[t * count + at..][..piece]).0;
                for v in 0..V {
                    own[v] = simd.sub_f64s(own[v], sums[t][v]);
                }
            }
            at += piece;
        }
        for t in 0..T {
            let own = &mut own[t * count + at..(t + 1) * count];
            for (&row, &factor) in self.rows.iter().zip(columns[t]) {
                for (own, x) in own.iter_mut().zip(&self.x[self.start(row) + at..]) {
                    *own -= factor * x;
                }
            }
        }
    }
}

/// Numbers that are copied at once: rows of right-hand sides are short, and a call for each would cost more than its copy.
const PIECE: usize = 8;

#[inline(always)]
fn copy_row(to: &mut [f64], from: &[f64]) {
    let ((to, to_tail), (from, from_tail)) = (to.as_chunks_mut::<PIECE>(), from.as_chunks::<PIECE>());
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    for (to, from) in to_tail.iter_mut().zip(from_tail) {
        *to = *from;
    }
}

#[inline(always)]
fn add_row(to: &mut [f64], from: &[f64]) {
    let ((to, to_tail), (from, from_tail)) = (to.as_chunks_mut::<PIECE>(), from.as_chunks::<PIECE>());
    for (to, from) in to.iter_mut().zip(from) {
        for k in 0..PIECE {
            to[k] += from[k];
        }
    }
    for (to, from) in to_tail.iter_mut().zip(from_tail) {
        *to += from;
    }
}

/// `own ← L_JJ⁻¹ own`.
#[inline(always)]
fn solve_lower<S: Simd>(simd: S, panel: &[f64], own: &mut [f64], count: usize) {
    let width = own.len() / count;
    let height = panel.len() / width;
    for k in 0..width {
        let (done, rest) = own.split_at_mut(k * count);
        let target = &mut rest[..count];
        subtract_columns(simd, target, (done, count), k, |j| panel[j * height + k]);
        let inverse = 1.0 / panel[k * height + k];
        target.iter_mut().for_each(|x| *x *= inverse);
    }
}

/// `own ← L_JJ⁻ᵀ own`.
#[inline(always)]
fn solve_upper<S: Simd>(simd: S, panel: &[f64], own: &mut [f64], count: usize) {
    let width = own.len() / count;
    let height = panel.len() / width;
    for k in (0..width).rev() {
        let column = &panel[k * height..(k + 1) * height];
        let (head, later) = own.split_at_mut((k + 1) * count);
        let target = &mut head[k * count..];
        subtract_columns(simd, target, (later, count), width - k - 1, |j| column[k + 1 + j]);
        let inverse = 1.0 / column[k];
        target.iter_mut().for_each(|x| *x *= inverse);
    }
}

/// `own ← L_JJ⁻¹ own`, `below −= L_RJ own`.
fn forward_large(panel: &[f64], own: &mut [f64], below: &mut [f64], count: usize) {
    let (width, rest) = (own.len() / count, below.len() / count);
    let (l_jj, l_rj) = MatRef::from_column_major_slice(panel, width + rest, width).split_at_row(width);
    let mut own = MatMut::from_row_major_slice_mut(own, width, count);
    triangular_solve::solve_lower_triangular_in_place(l_jj, own.rb_mut(), Par::Seq);
    let below = MatMut::from_row_major_slice_mut(below, rest, count);
    matmul::matmul(below, Accum::Add, l_rj, own.rb(), -1.0, Par::Seq);
}

/// `own ← L_JJ⁻ᵀ (own − L_RJᵀ below)`.
fn backward_large(panel: &[f64], own: &mut [f64], below: &[f64], count: usize) {
    let (width, rest) = (own.len() / count, below.len() / count);
    let (l_jj, l_rj) = MatRef::from_column_major_slice(panel, width + rest, width).split_at_row(width);
    let mut own = MatMut::from_row_major_slice_mut(own, width, count);
    let below = MatRef::from_row_major_slice(below, rest, count);
    matmul::matmul(own.rb_mut(), Accum::Add, l_rj.transpose(), below, -1.0, Par::Seq);
    triangular_solve::solve_upper_triangular_in_place(l_jj.transpose(), own, Par::Seq);
}
