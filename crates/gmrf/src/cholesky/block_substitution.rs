//! Forward and backward substitution of many right-hand sides at once, without permuting them.

use std::ops::Range;

use faer::linalg::{matmul, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};

use super::prefetch::prefetch;
use super::substitution::Direction;
use super::symbolic::SymbolicFactor;

/// A substitution in progress: `x` holds `count` numbers for each node, nodes before multipliers.
pub(super) struct BlockSubstitution<'a> {
    pub(super) symbolic: &'a SymbolicFactor,
    /// The panels, and the inverse of every pivot.
    pub(super) factor: (&'a [f64], &'a [f64]),
    pub(super) direction: Direction,
    pub(super) x: &'a mut [f64],
    /// Room for the rows of one supernode.
    pub(super) buffer: &'a mut [f64],
    pub(super) count: usize,
}

/// Multiplications of one supernode from which products by faer beat the vector loops.
const LARGE: usize = 120_000;

/// Nodes of the next supernode whose right-hand sides are asked for while one is worked on: more than the core keeps asking for are of
/// no use.
const AHEAD: usize = 8;

impl BlockSubstitution<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for BlockSubstitution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { symbolic, factor: (values, pivots), direction, x, buffer, count } = self;
        let (last, forwards) = (symbolic.supernodes.len().wrapping_sub(1), direction == Direction::Forward);
        // a loop, not a closure: closures are compiled without the vector instructions
        for k in 0..symbolic.supernodes.len() {
            let node = &symbolic.supernodes[if forwards { k } else { last - k }];
            if k < last {
                let next = &symbolic.supernodes[if forwards { k + 1 } else { last - k - 1 }];
                for &place in &symbolic.order[next.first..next.first + next.width.min(AHEAD)] {
                    prefetch(&x[place * count..][..count]);
                }
            }
            let mut panel = Panel {
                values: &values[node.values_start..node.values_start + node.height() * node.width],
                inverse: &pivots[node.first..node.first + node.width],
                own: &symbolic.order[node.first..node.first + node.width],
                rows: symbolic.rows_below(node),
                order: &symbolic.order,
                x: &mut *x,
                count,
            };
            // right-hand sides with few entries leave most of the tree alone
            if forwards && panel.own.iter().all(|&place| panel.is_zero(place)) {
                continue;
            }
            match (node.height() * node.width * count > LARGE, forwards) {
                (true, true) => panel.forward_large(buffer),
                (true, false) => panel.backward_large(buffer),
                (false, true) => panel.forward(simd, buffer),
                (false, false) => panel.backward(simd),
            }
        }
    }
}

/// A supernode and the right-hand sides that it works on.
struct Panel<'a> {
    values: &'a [f64],
    /// Those of its pivots.
    inverse: &'a [f64],
    /// The nodes of its columns.
    own: &'a [usize],
    /// The positions of its rows below, and the node of every position.
    rows: &'a [u32],
    order: &'a [usize],
    x: &'a mut [f64],
    count: usize,
}

/// Calls a method for the next rows or columns, as many as are worked on at once, with the vectors of each that stay in registers.
macro_rules! tile {
    ($left:expr, $self:ident.$method:ident($($argument:expr),*)) => {
        match $left {
            0 => 0,
            1 => { $self.$method::<S, 1, 8>($($argument),*); 1 }
            2 => { $self.$method::<S, 2, 4>($($argument),*); 2 }
            3 => { $self.$method::<S, 3, 2>($($argument),*); 3 }
            _ => { $self.$method::<S, 4, 2>($($argument),*); 4 }
        }
    };
}

/// Calls a method for every piece of the right-hand sides: `V` vectors, one vector, and what is left over.
macro_rules! pieces {
    ($self:ident.$method:ident($($argument:expr),*)) => {{
        let (lanes, mut at) = (size_of::<S::f64s>() / size_of::<f64>(), 0);
        while at + V * lanes <= $self.count {
            $self.$method::<S, T, V, false>($($argument),*, at..at + V * lanes);
            at += V * lanes;
        }
        while at + lanes <= $self.count {
            $self.$method::<S, T, 1, false>($($argument),*, at..at + lanes);
            at += lanes;
        }
        if at < $self.count {
            $self.$method::<S, T, 1, true>($($argument),*, at..$self.count);
        }
    }};
}

impl Panel<'_> {
    #[inline(always)]
    fn height(&self) -> usize {
        self.own.len() + self.rows.len()
    }

    /// The node of a row of the panel.
    #[inline(always)]
    fn node(&self, row: usize) -> usize {
        if row < self.own.len() { self.own[row] } else { self.order[self.rows[row - self.own.len()] as usize] }
    }

    #[inline(always)]
    fn is_zero(&self, node: usize) -> bool {
        self.x[node * self.count..][..self.count].iter().all(|&x| x == 0.0)
    }

    /// `x_J ← L_JJ⁻¹ x_J`, `x_R −= L_RJ x_J`; `solved` has room for `−x_J`.
    #[inline(always)]
    fn forward<S: Simd>(&mut self, simd: S, solved: &mut [f64]) {
        let (width, height) = (self.own.len(), self.height());
        let mut row = 0;
        while row < width {
            row += tile!(width - row, self.forward_rows(simd, solved, row));
        }
        while row < height {
            row += tile!(height - row, self.forward_rows(simd, solved, row));
        }
    }

    /// `T` rows of the panel from `row` on, all in its triangle or all below it.
    #[inline(always)]
    fn forward_rows<S: Simd, const T: usize, const V: usize>(&mut self, simd: S, solved: &mut [f64], row: usize) {
        let mut starts = [0; T];
        for t in 0..T {
            starts[t] = self.node(row + t) * self.count;
        }
        pieces!(self.forward_piece(simd, &mut *solved, (row, starts)));
    }

    #[inline(always)]
    fn forward_piece<S: Simd, const T: usize, const V: usize, const PART: bool>(
        &mut self,
        simd: S,
        solved: &mut [f64],
        (row, starts): (usize, [usize; T]),
        piece: Range<usize>,
    ) {
        let (width, height, count, length) = (self.own.len(), self.height(), self.count, piece.len());
        let mut x = [[simd.splat_f64s(0.0); V]; T];
        for t in 0..T {
            x[t] = load::<S, V, PART>(simd, &self.x[starts[t] + piece.start..][..length]);
        }
        for k in 0..row.min(width) {
            let solved = load::<S, V, PART>(simd, &solved[k * count + piece.start..][..length]);
            let factors = &self.values[k * height + row..][..T];
            for t in 0..T {
                add_product(simd, &mut x[t], factors[t], solved);
            }
        }
        for t in 0..T {
            if row < width {
                let column = &self.values[(row + t) * height + row..][..T];
                let (inverse, mut negative) = (simd.splat_f64s(self.inverse[row + t]), x[t]);
                for v in 0..V {
                    x[t][v] = simd.mul_f64s(x[t][v], inverse);
                    negative[v] = simd.neg_f64s(x[t][v]);
                }
                store::<S, V, PART>(simd, &mut solved[(row + t) * count + piece.start..][..length], negative);
                for u in t + 1..T {
                    add_product(simd, &mut x[u], column[u], negative);
                }
            }
            store::<S, V, PART>(simd, &mut self.x[starts[t] + piece.start..][..length], x[t]);
        }
    }

    /// `x_J ← L_JJ⁻ᵀ (x_J − L_RJᵀ x_R)`.
    #[inline(always)]
    fn backward<S: Simd>(&mut self, simd: S) {
        let mut end = self.own.len();
        while end > 0 {
            end -= tile!(end, self.backward_columns(simd, end));
        }
    }

    /// The `T` columns before `end`.
    #[inline(always)]
    fn backward_columns<S: Simd, const T: usize, const V: usize>(&mut self, simd: S, end: usize) {
        pieces!(self.backward_piece(simd, end));
    }

    #[inline(always)]
    fn backward_piece<S: Simd, const T: usize, const V: usize, const PART: bool>(
        &mut self,
        simd: S,
        end: usize,
        piece: Range<usize>,
    ) {
        let (width, height, count, start) = (self.own.len(), self.height(), self.count, end - T);
        let mut columns = [&[] as &[f64]; T];
        for t in 0..T {
            columns[t] = &self.values[(start + t) * height..][..height];
        }
        let mut sums = [[simd.splat_f64s(0.0); V]; T];
        for row in end..width {
            let x = load::<S, V, PART>(simd, &self.x[self.own[row] * count..][piece.clone()]);
            for t in 0..T {
                add_product(simd, &mut sums[t], columns[t][row], x);
            }
        }
        for (k, &row) in self.rows.iter().enumerate() {
            let x = load::<S, V, PART>(simd, &self.x[self.order[row as usize] * count..][piece.clone()]);
            for t in 0..T {
                add_product(simd, &mut sums[t], columns[t][width + k], x);
            }
        }
        for t in (0..T).rev() {
            let place = &mut self.x[self.own[start + t] * count..][piece.clone()];
            let (mut x, inverse) = (load::<S, V, PART>(simd, place), simd.splat_f64s(self.inverse[start + t]));
            for v in 0..V {
                x[v] = simd.mul_f64s(simd.sub_f64s(x[v], sums[t][v]), inverse);
            }
            store::<S, V, PART>(simd, place, x);
            for u in 0..t {
                add_product(simd, &mut sums[u], columns[u][start + t], x);
            }
        }
    }

    /// [`forward`](Self::forward) by products of matrices.
    fn forward_large(&mut self, buffer: &mut [f64]) {
        let (own, below) = buffer[..self.height() * self.count].split_at_mut(self.own.len() * self.count);
        self.read(0, own);
        below.fill(0.0);
        forward_large(self.values, own, below, self.count);
        self.write(own);
        for (&row, from) in self.rows.iter().zip(below.chunks_exact(self.count)) {
            add_row(&mut self.x[self.order[row as usize] * self.count..][..self.count], from);
        }
    }

    /// [`backward`](Self::backward) by products of matrices.
    fn backward_large(&mut self, buffer: &mut [f64]) {
        let (own, below) = buffer[..self.height() * self.count].split_at_mut(self.own.len() * self.count);
        self.read(0, own);
        self.read(self.own.len(), below);
        backward_large(self.values, own, below, self.count);
        self.write(own);
    }

    /// The right-hand sides at the rows of the panel from the `first` on.
    fn read(&self, first: usize, to: &mut [f64]) {
        for (k, to) in to.chunks_exact_mut(self.count).enumerate() {
            copy_row(to, &self.x[self.node(first + k) * self.count..][..self.count]);
        }
    }

    fn write(&mut self, own: &[f64]) {
        for (from, &place) in own.chunks_exact(self.count).zip(self.own) {
            copy_row(&mut self.x[place * self.count..][..self.count], from);
        }
    }
}

/// `V` vectors, or a part of one.
#[allow(clippy::manual_memcpy)] // a copy of a slice may become a call
#[inline(always)]
fn load<S: Simd, const V: usize, const PART: bool>(simd: S, from: &[f64]) -> [S::f64s; V] {
    let mut vectors = [simd.splat_f64s(0.0); V];
    if PART {
        vectors[0] = simd.partial_load_f64s(from);
    } else {
        let from = &S::as_simd_f64s(from).0[..V];
        for v in 0..V {
            vectors[v] = from[v];
        }
    }
    vectors
}

#[allow(clippy::manual_memcpy)] // as above
#[inline(always)]
fn store<S: Simd, const V: usize, const PART: bool>(simd: S, to: &mut [f64], vectors: [S::f64s; V]) {
    if PART {
        simd.partial_store_f64s(to, vectors[0]);
    } else {
        let to = &mut S::as_mut_simd_f64s(to).0[..V];
        for v in 0..V {
            to[v] = vectors[v];
        }
    }
}

/// `sums += factor vectors`.
#[inline(always)]
fn add_product<S: Simd, const V: usize>(simd: S, sums: &mut [S::f64s; V], factor: f64, vectors: [S::f64s; V]) {
    let factor = simd.splat_f64s(factor);
    for v in 0..V {
        sums[v] = simd.mul_add_e_f64s(factor, vectors[v], sums[v]);
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
