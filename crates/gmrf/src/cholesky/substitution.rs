//! Forward and backward substitution with the panels of the factor, for one right-hand side or many.

use faer::linalg::{matmul, triangular_solve};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Arch, Simd, WithSimd};

use super::symbolic::SymbolicFactor;
use super::vector::{dot, dot_four, subtract_columns, subtract_rows_twice};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// `L⁻¹` from the left.
    Forward,
    /// `L⁻ᵀ` from the left.
    Backward,
}

/// A substitution in progress: `x` holds `count` values for each position, in elimination order.
pub(super) struct Substitution<'a> {
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

impl Substitution<'_> {
    pub(super) fn run(self) {
        Arch::new().dispatch(self);
    }
}

impl WithSimd for Substitution<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { symbolic, values, direction, x, buffer, count } = self;
        let last = symbolic.supernodes.len().wrapping_sub(1);
        // a loop, not a closure: closures are compiled without the vector instructions
        for k in 0..symbolic.supernodes.len() {
            let node = &symbolic.supernodes[if direction == Direction::Forward { k } else { last - k }];
            let panel = &values[node.values_start..node.values_start + node.height() * node.width];
            let rows = symbolic.rows_below(node);
            let (before, below) = x.split_at_mut((node.first + node.width) * count);
            let own = &mut before[node.first * count..];
            let offset = node.first + node.width;
            let forwards = direction == Direction::Forward;
            if count == 1 {
                // the rows of one right-hand side are worked on in one piece
                let (head, tail) = buffer[..node.height()].split_at_mut(node.width);
                head.copy_from_slice(own);
                if forwards {
                    tail.fill(0.0);
                    forward_one(simd, panel, node.width, &mut buffer[..node.height()]);
                    for (&row, b) in rows.iter().zip(&buffer[node.width..node.height()]) {
                        below[row as usize - offset] += b;
                    }
                } else {
                    for (&row, b) in rows.iter().zip(tail) {
                        *b = below[row as usize - offset];
                    }
                    backward_one(simd, panel, node.width, &mut buffer[..node.height()]);
                }
                own.copy_from_slice(&buffer[..node.width]);
                continue;
            }
            let buffer = &mut buffer[..node.below * count];
            if forwards {
                // right-hand sides with few entries leave most of the tree alone
                if own.iter().all(|&x| x == 0.0) {
                    continue;
                }
                buffer.fill(0.0);
                forward(simd, panel, own, buffer, count);
                for (&row, from) in rows.iter().zip(buffer.chunks_exact(count)) {
                    add_row(&mut below[(row as usize - offset) * count..][..count], from);
                }
            } else {
                for (&row, to) in rows.iter().zip(buffer.chunks_exact_mut(count)) {
                    copy_row(to, &below[(row as usize - offset) * count..][..count]);
                }
                backward(simd, panel, own, buffer, count);
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

/// Columns that one right-hand side is substituted through at a time.
const BLOCK: usize = 4;

/// The inverses of some diagonal entries: divisions that wait for nothing, unlike those by each entry in turn.
#[inline(always)]
fn inverse_diagonal(panel: &[f64], height: usize, block: usize) -> [f64; BLOCK] {
    let mut inverse = [1.0; BLOCK];
    for j in 0..block {
        inverse[j] = 1.0 / panel[j * (height + 1)];
    }
    inverse
}

/// The first `width` of `x ← L_JJ⁻¹ x`, the rest `−= L_RJ` times them.
#[inline(always)]
fn forward_one<S: Simd>(simd: S, panel: &[f64], width: usize, x: &mut [f64]) {
    let height = x.len();
    let mut k = 0;
    while k < width {
        let block = BLOCK.min(width - k);
        let (done, rest) = x.split_at_mut(k + block);
        let own = &mut done[k..];
        let inverse = inverse_diagonal(&panel[k * height + k..], height, block);
        for j in 0..block {
            let column = &panel[(k + j) * height + k..][..block];
            own[j] *= inverse[j];
            for i in j + 1..block {
                own[i] -= column[i] * own[j];
            }
        }
        let own = &done[k..];
        subtract_columns(simd, rest, (&panel[k * height + k + block..], height), block, |j| own[j]);
        k += block;
    }
}

/// The first `width` of `x ← L_JJ⁻ᵀ (x − L_RJᵀ` times the rest`)`.
#[inline(always)]
fn backward_one<S: Simd>(simd: S, panel: &[f64], width: usize, x: &mut [f64]) {
    let height = x.len();
    let mut end = width;
    while end > 0 {
        // the first block takes what the others leave over
        let block = if end % BLOCK == 0 { BLOCK } else { end % BLOCK };
        let k = end - block;
        let (head, rest) = x.split_at_mut(end);
        let own = &mut head[k..];
        let columns = &panel[k * height + end..];
        let length = rest.len();
        if block == BLOCK {
            let (a, b) = (&columns[..length], &columns[height..height + length]);
            let (c, d) = (&columns[2 * height..2 * height + length], &columns[3 * height..3 * height + length]);
            let dots = dot_four(simd, rest, [a, b, c, d]);
            for (x, dot) in own.iter_mut().zip(dots) {
                *x -= dot;
            }
        } else {
            for j in 0..block {
                own[j] -= dot(simd, rest, &columns[j * height..j * height + length]);
            }
        }
        let inverse = inverse_diagonal(&panel[k * height + k..], height, block);
        for j in (0..block).rev() {
            let column = &panel[(k + j) * height + k..][..block];
            for i in j + 1..block {
                own[j] -= column[i] * own[i];
            }
            own[j] *= inverse[j];
        }
        end = k;
    }
}

/// `own ← L_JJ⁻¹ own`, `buffer −= L_RJ own`.
#[inline(always)]
fn forward<S: Simd>(simd: S, panel: &[f64], own: &mut [f64], buffer: &mut [f64], count: usize) {
    let (width, below) = (own.len() / count, buffer.len() / count);
    let height = width + below;
    if height * width * count > LARGE {
        let (l_jj, l_rj) = MatRef::from_column_major_slice(panel, height, width).split_at_row(width);
        let mut own = MatMut::from_row_major_slice_mut(own, width, count);
        triangular_solve::solve_lower_triangular_in_place(l_jj, own.rb_mut(), Par::Seq);
        let buffer = MatMut::from_row_major_slice_mut(buffer, below, count);
        matmul::matmul(buffer, Accum::Add, l_rj, own.rb(), -1.0, Par::Seq);
    } else {
        for k in 0..width {
            let (done, rest) = own.split_at_mut(k * count);
            let target = &mut rest[..count];
            subtract_columns(simd, target, (done, count), k, |j| panel[j * height + k]);
            let inverse = 1.0 / panel[k * height + k];
            target.iter_mut().for_each(|x| *x *= inverse);
        }
        let own = &own[..width * count];
        let mut i = 0;
        while i + 2 <= below {
            let (first, rest) = buffer[i * count..].split_at_mut(count);
            let factors = (&panel[width + i..], &panel[width + i + 1..], height);
            subtract_rows_twice(simd, (first, &mut rest[..count]), (own, width), factors);
            i += 2;
        }
        if i < below {
            subtract_columns(simd, &mut buffer[i * count..], (own, count), width, |k| panel[k * height + width + i]);
        }
    }
}

/// `own ← L_JJ⁻ᵀ (own − L_RJᵀ buffer)`.
#[inline(always)]
fn backward<S: Simd>(simd: S, panel: &[f64], own: &mut [f64], buffer: &[f64], count: usize) {
    let (width, below) = (own.len() / count, buffer.len() / count);
    let height = width + below;
    if height * width * count > LARGE {
        let (l_jj, l_rj) = MatRef::from_column_major_slice(panel, height, width).split_at_row(width);
        let mut own = MatMut::from_row_major_slice_mut(own, width, count);
        let buffer = MatRef::from_row_major_slice(buffer, below, count);
        matmul::matmul(own.rb_mut(), Accum::Add, l_rj.transpose(), buffer, -1.0, Par::Seq);
        triangular_solve::solve_upper_triangular_in_place(l_jj.transpose(), own, Par::Seq);
    } else {
        let column = |k: usize| &panel[k * height + width..(k + 1) * height];
        let mut k = 0;
        while k + 2 <= width && below > 0 {
            let (first, rest) = own[k * count..].split_at_mut(count);
            subtract_rows_twice(simd, (first, &mut rest[..count]), (buffer, below), (column(k), column(k + 1), 1));
            k += 2;
        }
        if k < width && below > 0 {
            let last = column(k);
            subtract_columns(simd, &mut own[k * count..], (buffer, count), below, |i| last[i]);
        }
        for k in (0..width).rev() {
            let column = &panel[k * height..(k + 1) * height];
            let (head, later) = own.split_at_mut((k + 1) * count);
            let target = &mut head[k * count..];
            subtract_columns(simd, target, (later, count), width - k - 1, |j| column[k + 1 + j]);
            let inverse = 1.0 / column[k];
            target.iter_mut().for_each(|x| *x *= inverse);
        }
    }
}
